//! What can go wrong with driving a run, one type per operation.

use crate::journal::{ClaimError, CreateError, JournalError, SubmitError};
use crate::machine::{IllegalInput, RecordError};
use crate::name::{PipelineName, RunId};
use crate::pipeline::MissingBlocks;
use crate::plan::PlanError;

/// A run that could not be started. Nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// No pipeline of this name was given to the engine: add it when the engine is built.
    #[error("this engine has no pipeline {0}")]
    NoSuchPipeline(PipelineName),
    /// The release does not fit the pipeline.
    #[error("the release could not be planned")]
    Plan(#[from] PlanError),
    /// The run could not be recorded.
    #[error("the run could not be created")]
    Create(#[from] CreateError),
    /// The first record could not be written as JSON.
    #[error("the plan could not be serialised")]
    Shape(#[from] serde_json::Error),
    /// The engine is shutting down.
    #[error("the engine is shutting down and starts nothing new")]
    ShuttingDown,
}

/// A run that this host stopped driving. Its records are safe; another host, or this one later, can go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Another owner drives it now: watch it there.
    #[error("run {run} is driven by another owner now")]
    TakenOver {
        /// The run.
        run: RunId,
        /// What told so.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The lease could not be renewed in time: this host stopped by itself before another could take over.
    #[error("the lease of run {run} could not be renewed in time, so this host stopped driving it")]
    LeaseLost {
        /// The run.
        run: RunId,
    },
    /// It could not be claimed.
    #[error("run {run} could not be claimed")]
    Claim {
        /// The run.
        run: RunId,
        /// Why.
        #[source]
        source: ClaimError,
    },
    /// This host lacks a building block that the plan names, or has it under another contract: give it the block.
    #[error("run {run} is parked on this host: building blocks of its plan are missing")]
    BlockMissing {
        /// The run.
        run: RunId,
        /// Which.
        source: MissingBlocks,
    },
    /// The plan names a pipeline that this engine was not given: add it.
    #[error("run {run} is parked on this host: it has no pipeline {pipeline}")]
    PipelineMissing {
        /// The run.
        run: RunId,
        /// Which.
        pipeline: PipelineName,
    },
    /// A record was written by a newer build, or is damaged.
    #[error("run {run} is parked on this host: its records cannot be read")]
    Record {
        /// The run.
        run: RunId,
        /// Which, and why.
        #[source]
        source: RecordError,
    },
    /// The machine version in the first record is not one of this build's.
    #[error("run {run} is parked on this host: it needs machine version {found}, and this build knows {known}")]
    MachineVersion {
        /// The run.
        run: RunId,
        /// The version in its first record.
        found: u32,
        /// The newest that this build knows.
        known: u32,
    },
    /// The journal failed for longer than the lease.
    #[error("the journal failed while run {run} was driven")]
    Journal {
        /// The run.
        run: RunId,
        /// How.
        #[source]
        source: JournalError,
    },
    /// The engine shut down and handed the run back.
    #[error("run {run} was handed back: the engine shut down")]
    HandedBack {
        /// The run.
        run: RunId,
    },
    /// What drives the run panicked: a fault of this library or of a block that is asked within a turn. Report it; until it is
    /// mended the run stops again wherever it is taken up.
    #[error("the driver of run {run} panicked: {message}")]
    Panicked {
        /// The run.
        run: RunId,
        /// What the panic said.
        message: String,
    },
}

impl RunError {
    /// Whether the run had ended before it could be taken up.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self, Self::Claim { source: ClaimError::Ended { .. }, .. })
    }

    /// Whether the same thing tried again on this host may go well without anybody doing anything.
    pub(super) fn is_retryable(&self) -> bool {
        match self {
            Self::Journal { source, .. } | Self::Claim { source: ClaimError::Journal(source), .. } => {
                source.is_retryable()
            }
            _ => false,
        }
    }
}

/// An operator input that was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// It is not possible now; the reason says why.
    #[error(transparent)]
    Illegal(#[from] IllegalInput),
    /// It could not be put into the inbox of the host that drives the run.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// Too many inputs wait for this run already, and the newest is refused at once: see why nobody takes them.
    #[error("too many inputs wait for this run already")]
    Busy,
}

/// A run about which nothing could be learned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// The journal could not be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The records could not be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The first record does not hold a plan.
    #[error("run {0} does not begin with its plan")]
    NoPlan(RunId),
    /// The machine version in the first record is not one of this build's.
    #[error("machine version {found} is needed, and this build knows {known}")]
    MachineVersion {
        /// The version in its first record.
        found: u32,
        /// The newest that this build knows.
        known: u32,
    },
}
