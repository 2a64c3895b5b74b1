//! Pipelines as data: bound by name, refused with the line, written back.

mod random;
mod refused;
mod round_trip;
mod round_trip_md;
mod samples;
mod schema;
mod world;
