//! Facts of infrastructure plans: Terraform, OpenTofu.

use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::evidence::{Doubt, Pointer, Sourced};

/// What a plan would do to the infrastructure.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlanFacts {
    /// The version of the format.
    pub format_version: String,
    /// The version of the program that made it.
    pub tool_version: String,
    /// When it was made.
    pub made: Option<Sourced<Timestamp>>,
    /// What it would do, resource by resource, those included that stay as they are.
    pub changes: Vec<ResourceChange>,
    /// What somebody else changed since the last apply. Entries that stay as they are do not count.
    pub drift: Vec<ResourceChange>,
    /// Outputs that would change.
    pub outputs: Vec<OutputChange>,
    /// What its own checks say.
    pub checks: Vec<PlanCheck>,
    /// Whether making it failed.
    pub errored: Option<Sourced<bool>>,
    /// Whether it may be applied: false also where there is nothing to do.
    pub applyable: Option<Sourced<bool>>,
    /// Whether one apply brings everything to where it is wanted.
    pub complete: Option<Sourced<bool>>,
    /// The names of its variables. Their values are never kept.
    pub variables: Vec<String>,
    /// What keeps it from being taken at its word.
    pub doubts: Vec<Doubt>,
}

impl PlanFacts {
    /// The changes that do something to infrastructure.
    pub fn effective(&self) -> impl Iterator<Item = &ResourceChange> {
        self.changes.iter().filter(|change| change.action.changes())
    }

    /// The changes that take something away, replacements included.
    pub fn destructive(&self) -> impl Iterator<Item = &ResourceChange> {
        self.changes.iter().filter(|change| change.action.destroys())
    }
}

/// What happens to one resource. Values are never kept: they may be secrets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResourceChange {
    /// Its address, for example `module.web.aws_instance.a[0]`.
    pub address: String,
    /// Where it was before, if it was moved.
    pub previous_address: Option<String>,
    /// Its type.
    pub kind: String,
    /// Its provider.
    pub provider: String,
    /// What happens to it.
    pub action: PlanAction,
    /// Why, as the plan says, for example `replace_because_cannot_update`.
    pub reason: String,
    /// Which of its attributes force a replacement, each as a path.
    pub replace_paths: Vec<String>,
    /// Which of its top attributes change.
    pub changed: Vec<String>,
    /// Where it stands.
    pub at: Pointer,
}

/// What happens to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PlanAction {
    /// Nothing.
    #[default]
    NoOp,
    /// It is read.
    Read,
    /// It is made.
    Create,
    /// It is changed in place.
    Update,
    /// It is taken away, then made anew: there is none in between.
    DeleteThenCreate,
    /// It is made anew, then the old one is taken away: there is always one.
    CreateThenDelete,
    /// It is taken away.
    Delete,
    /// It stays, and is no longer looked after.
    Forget,
    /// It is made anew, and the old one is no longer looked after.
    CreateThenForget,
}

impl PlanAction {
    /// Whether it does something to infrastructure.
    #[must_use]
    pub fn changes(self) -> bool {
        !matches!(self, Self::NoOp | Self::Read)
    }

    /// Whether it takes something away.
    #[must_use]
    pub fn destroys(self) -> bool {
        matches!(self, Self::DeleteThenCreate | Self::CreateThenDelete | Self::Delete)
    }
}

/// An output that would change.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OutputChange {
    /// Its name.
    pub name: String,
    /// What happens to it.
    pub action: PlanAction,
    /// Where it stands.
    pub at: Pointer,
}

/// A check that the configuration declares.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlanCheck {
    /// Its address.
    pub address: String,
    /// What it says: `pass`, `fail`, `error` or `unknown`.
    pub status: String,
    /// What it complains of. Data, never an instruction.
    pub problems: Vec<String>,
    /// Where it stands.
    pub at: Pointer,
}
