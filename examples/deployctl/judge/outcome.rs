//! How it can end.

use std::path::PathBuf;
use std::process::ExitCode;

use deploy_core::monitor::{Advice, JudgementResult};
use deploy_strategies::analysis::verdict::Verdict;

/// The exit code for arguments and files that cannot be read; clap uses the same.
pub(crate) const UNREADABLE: u8 = 2;

/// What a judgement comes to for a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Promote,
    RollBack,
    Open,
    Error,
}

impl Outcome {
    pub(crate) fn of(verdict: &Verdict) -> Self {
        match (verdict.advice, verdict.result) {
            (Advice::RollBack, _) => Self::RollBack,
            (Advice::Promote, _) => Self::Promote,
            (_, JudgementResult::Error) => Self::Error,
            (Advice::Continue | Advice::Warn, _) => Self::Open,
        }
    }

    pub(crate) fn code(self) -> ExitCode {
        match self {
            Self::Promote => ExitCode::SUCCESS,
            Self::RollBack => ExitCode::from(1),
            Self::Open => ExitCode::from(3),
            Self::Error => ExitCode::from(4),
        }
    }
}

/// Why there is no judgement.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{}: the name does not say what it is; end it in .csv or .json, or say --format", path.display())]
    Unnamed { path: PathBuf },
    #[error("{}:{line}:{column}: {wrong}", path.display())]
    Malformed { path: PathBuf, line: usize, column: usize, wrong: String },
    #[error("{0}")]
    Arguments(String),
}
