//! A workflow that cannot be put together.

use deploy_core::name::NameError;
use deploy_core::pipeline::PipelineErrors;

use crate::crew::Seat;

/// Why a workflow could not be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkflowError {
    /// The workflow has no such seat: look at [`seats`](super::WorkflowBuilder::seats).
    #[error("the workflow has no seat {seat}; it has {seats}")]
    NoSeat {
        /// The seat.
        seat: Seat,
        /// Those that it has.
        seats: String,
    },
    /// The catalogue has no such check: correct the name, or add the check to the catalogue.
    #[error("there is no check {0}")]
    NoCheck(String),
    /// Something is left out without saying why: give the reason, which every report will show.
    #[error("{0} is left out without a reason")]
    NoReason(String),
    /// A text is no name: choose another.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The pipeline does not build: each problem says how to mend it.
    #[error(transparent)]
    Pipeline(#[from] PipelineErrors),
}
