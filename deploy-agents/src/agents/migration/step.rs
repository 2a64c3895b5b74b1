//! One step of a migration.

use deploy_core::digest::Digest;
use serde::{Deserialize, Serialize};

/// One step of a migration, in one transaction.
///
/// A change that the version before cannot live with is made in two releases: the first *expands* (a new column beside the old
/// one), the second, when nobody needs the old one any more, *contracts*. Between them both versions work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStep {
    name: String,
    kind: MigrationKind,
    up: String,
    down: Option<Reversal>,
}

/// Whether the version before still works after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MigrationKind {
    /// It only adds: the version before still works.
    Expand,
    /// It takes something away: the version before no longer works.
    Contract,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reversal {
    pub(super) sql: String,
    pub(super) loses: Option<String>,
}

impl MigrationStep {
    /// A step that only adds. The name orders nothing; steps are applied in the order in which they are given.
    #[must_use]
    pub fn expand(name: impl Into<String>, up: impl Into<String>) -> Self {
        Self { name: name.into(), kind: MigrationKind::Expand, up: up.into(), down: None }
    }

    /// A step that takes something away.
    #[must_use]
    pub fn contract(name: impl Into<String>, up: impl Into<String>) -> Self {
        Self { name: name.into(), kind: MigrationKind::Contract, up: up.into(), down: None }
    }

    /// The same with a way back that loses nothing, whatever was written since.
    #[must_use]
    pub fn down(mut self, sql: impl Into<String>) -> Self {
        self.down = Some(Reversal { sql: sql.into(), loses: None });
        self
    }

    /// The same with a way back that may lose rows: `loses` is a query of one number, how many it would lose now. Unless that is
    /// 0, the way back is refused.
    #[must_use]
    pub fn down_unless(mut self, sql: impl Into<String>, loses: impl Into<String>) -> Self {
        self.down = Some(Reversal { sql: sql.into(), loses: Some(loses.into()) });
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the version before still works after it.
    #[must_use]
    pub fn kind(&self) -> MigrationKind {
        self.kind
    }

    /// Whether it can be taken back at all.
    #[must_use]
    pub fn is_reversible(&self) -> bool {
        self.down.is_some()
    }

    /// The digest of its script, as the table of migrations keeps it.
    #[must_use]
    pub fn checksum(&self) -> String {
        Digest::of(self.up.as_bytes()).to_string()
    }

    pub(super) fn up(&self) -> &str {
        &self.up
    }

    pub(super) fn reversal(&self) -> Option<&Reversal> {
        self.down.as_ref()
    }
}
