//! The two documented workflows, ready made: three phases, or eight.
//!
//! ```text
//!  evidence source ─┐
//!  strategy, target ─┤            ┌─ phases: seats of the crew, their verifications, a gate at the end of each
//!  monitors ─────────┼─► builder ─┼─ the rollout: staging beside monitoring, people, traffic, bake time
//!  people, calendar ─┤            └─ profiles: what each kind of release goes through
//!  thresholds ───────┘
//! ```
//!
//! [`three_phase`] and [`eight_phase`] return a [`WorkflowBuilder`]; what it builds is a [`Workflow`] with a
//! [`Pipeline`](deploy_core::pipeline::Pipeline) for the engine. Every part can be replaced: agents by seat, checks by catalogue, work of
//! the host's own at every [`Hook`].

mod assembly;
mod backfill;
mod builder;
mod claimer;
mod eight_phase;
mod error;
mod issue;
mod kind_checks;
mod manual;
mod phase_gate;
mod prerequisite;
mod site;
mod three_phase;
mod workflow;

pub mod profile;

pub use self::backfill::{Backfill, BackfillError, BackfillGate, Backfills};
pub use self::builder::{Hook, WorkflowBuilder};
pub use self::error::WorkflowError;
pub use self::issue::{Issue, IssuePolicy, Response};
pub use self::kind_checks::{Deployed, HOTFIX_LINES, hotfix, same_digest};
pub use self::manual::{Automation, ManualStep};
pub use self::phase_gate::{GateRow, PhaseGate};
pub use self::prerequisite::Prerequisite;
pub use self::site::Site;
pub use self::workflow::{Workflow, without_exit_gate};

use self::builder::Shape;
use crate::crew::EvidenceSource;

/// The three-phase workflow: pre-deployment with a go/no-go over six criteria, deployment with five validation points, and
/// post-deployment with monitoring.
#[must_use]
pub fn three_phase(name: &str, evidence: impl EvidenceSource, production: Site) -> WorkflowBuilder {
    WorkflowBuilder::new(Shape::ThreePhase, name, evidence, production)
}

/// The eight-phase workflow: readiness, planning, build, infrastructure, deployment, validation, monitoring, documentation.
#[must_use]
pub fn eight_phase(name: &str, evidence: impl EvidenceSource, production: Site) -> WorkflowBuilder {
    WorkflowBuilder::new(Shape::EightPhase, name, evidence, production)
}
