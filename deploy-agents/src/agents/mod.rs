//! Agents: work in the world, with evidence.

mod background;
mod ci;
mod http_probe;
mod program;

pub use self::background::{BackgroundProgram, supervise_if_asked};
pub use self::ci::{CiArtifact, CiError, CiOrder, CiPort, CiRun, CiRunId, CiState, CiWorkflow, GithubActions};
pub use self::http_probe::{Expectation, HttpProbe};
pub use self::program::Program;

use deploy_core::agent::Task;
use deploy_core::evidence::EvidenceSubject;

/// What evidence of a task speaks of: the release's commit, its only artifact, and its environment.
pub(crate) fn subject(task: &Task) -> EvidenceSubject {
    let artifact = match task.release.artifacts.as_slice() {
        [only] => Some(only.digest),
        _ => None,
    };
    EvidenceSubject {
        commit: task.release.change.commit.clone(),
        artifact,
        environment: Some(task.release.environment.clone()),
    }
}
