//! The examples, run as a reader would run them.

mod ci;
mod deployctl;
mod deployctl_judge;
mod program;
mod release;
mod transcripts;
mod workflow_release;
mod zero_downtime;
