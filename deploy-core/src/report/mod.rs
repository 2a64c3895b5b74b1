//! Tells people what happens: where a run stands, why it waits, until when or for whom, and what comes next by itself.

mod status;

pub(crate) use self::status::headline;
pub use self::status::{NextAction, ParkedStatus, PhaseProgress, RolloutStatus, RunStatus, StepStatus, Waits};

/// An error and its causes in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
