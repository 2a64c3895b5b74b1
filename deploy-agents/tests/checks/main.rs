//! Gates, checks and the dossier: what evidence may open, and what it may not.

mod approvals;
mod cases;
mod matrix;
mod preflight;
mod windows;
mod world;
