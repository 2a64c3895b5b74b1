//! The examples, run as a reader would run them.

mod program;
mod release;
mod transcripts;
mod zero_downtime;
