//! Agents: work in the world, with evidence.

mod background;
mod ci;
mod config_change;
mod expectation;
mod http_probe;
mod migration;
mod program;
mod smoke_suite;

pub use self::background::{BackgroundProgram, supervise_if_asked};
#[cfg(feature = "zip")]
pub use self::ci::{ArchiveError, ArchiveLimits};
pub use self::ci::{CiArtifact, CiError, CiOrder, CiPort, CiRun, CiRunId, CiState, CiWorkflow, GithubActions};
#[cfg(feature = "json-schema")]
pub use self::config_change::SchemaError;
pub use self::config_change::{
    ConfigChange, ConfigDifference, ConfigError, ConfigFile, ConfigStore, ConfigValidator, ConfigVersion, Differs,
    differences,
};
pub use self::expectation::Expectation;
pub use self::http_probe::HttpProbe;
pub use self::migration::{
    AppliedMigration, Database, DatabaseError, Migration, MigrationKind, MigrationRecord, MigrationScript,
    MigrationStanding, MigrationStep, MigrationWork, Psql,
};
pub use self::program::Program;
pub use self::smoke_suite::{SmokeProbe, SmokeSuite};

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
