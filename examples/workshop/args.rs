//! The command line of both examples.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Releases a small service by a documented workflow, on reports that are made on the spot.
///
/// Exit codes: 0 it went out, every check met, not applicable or waived; 1 anything else; 2 the arguments are wrong, or the
/// fault cannot be planted on this machine; 3 a gate said no.
#[derive(Debug, Clone, Parser)]
#[command(about, long_about = None)]
pub(crate) struct Args {
    /// Prints one JSON object in place of the text.
    #[arg(long)]
    pub(crate) json: bool,
    /// Plants a fault, which a gate must find.
    #[arg(long, value_enum)]
    pub(crate) fault: Option<Fault>,
    /// Works in this folder, and leaves reports and dossier there. Default: a new folder for temporary files.
    #[arg(long)]
    pub(crate) folder: Option<PathBuf>,
    /// Does as if these programs were not on this machine, for example `--without terraform,restic`.
    #[arg(long, value_delimiter = ',')]
    pub(crate) without: Vec<String>,
}

/// What can be wrong with a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// The discount is computed wrongly, and a test of the service says so.
    FailingTest,
    /// A scanner reports a critical vulnerability in a dependency.
    CriticalFinding,
    /// Somebody changed the infrastructure after the plan was applied.
    DriftedPlan,
    /// The newest backup is three weeks old.
    StaleBackup,
}

impl Fault {
    /// The check that must find it.
    pub(crate) fn found_by(self) -> &'static str {
        match self {
            Self::FailingTest => "tests-pass",
            Self::CriticalFinding => "no-critical-vulnerability",
            Self::DriftedPlan => "no-drift",
            Self::StaleBackup => "backup",
        }
    }

    /// The program without which it cannot be planted.
    pub(crate) fn needs(self) -> Option<&'static str> {
        match self {
            Self::FailingTest | Self::CriticalFinding => None,
            Self::DriftedPlan => Some("terraform"),
            Self::StaleBackup => Some("restic"),
        }
    }
}
