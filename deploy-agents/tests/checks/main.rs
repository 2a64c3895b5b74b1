//! Gates, checks and the dossier: what evidence may open, and what it may not.

mod approvals;
mod cases;
mod catalogue;
mod dossier;
mod exports;
mod flips;
mod matrix;
mod preflight;
mod sample;
mod steps;
mod windows;
mod world;
