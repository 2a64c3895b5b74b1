//! The two documented workflows, ready made: three phases, or eight; and the answer to an incident.
//!
//! ```text
//!  evidence source ─┐
//!  strategy, target ─┤            ┌─ phases: seats of the crew, their verifications, a gate at the end of each
//!  monitors ─────────┼─► builder ─┼─ the rollout: staging beside monitoring, people, traffic, bake time
//!  people, calendar ─┤            └─ profiles: what each kind of release goes through
//!  thresholds ───────┘
//! ```
//!
//! An incident is answered to by a workflow of its own, [`IncidentResponse`], which an event starts ([`IncidentTrigger`]).
//!
//! [`three_phase`] and [`eight_phase`] return a [`WorkflowBuilder`]; what it builds is a [`Workflow`] with a
//! [`Pipeline`](deploy_core::pipeline::Pipeline) for the engine. Every part can be replaced: agents by seat, checks by catalogue, work of
//! the host's own at every [`Hook`].
//!
//! ```
//! use deploy_agents::crew::{EvidenceFolder, Role};
//! use deploy_agents::workflows::{Automation, Site, three_phase};
//! use deploy_core::name::{EnvironmentName, RevisionName, ServiceName, TargetName};
//! use deploy_core::operator::{ApprovalRequest, Principal};
//! use deploy_core::release::{Release, ReleaseKind};
//! use deploy_core::testing::scripted::ScriptedTarget;
//! use deploy_strategies::all_at_once::AllAtOnce;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A real host names a place, a cluster or a fleet here.
//! let target = ScriptedTarget::new(TargetName::new("production")?);
//! let workflow = three_phase("release-shop", EvidenceFolder::new("reports"), Site::new(AllAtOnce::new(), target))
//!     .approval(ApprovalRequest::new("Ship it?").role("release-manager"))
//!     .without(Role::Pm.in_phase(3), "nobody measures the business of a test service")
//!     .without_check("security-audit", "nobody audits a test service")
//!     .build()?;
//!
//! let release = Release::new(ServiceName::new("shop")?, EnvironmentName::new("production")?, RevisionName::new("v2")?);
//! let bot = Principal::new("bot", "example.org");
//! let plan = workflow.pipeline.plan(release.clone(), bot.clone())?;
//! assert_eq!(plan.phases.len(), 3);
//! assert_eq!(Automation::of(&plan).manual.len(), 1);
//! assert_eq!(workflow.checklist().items().len(), 12);
//! // A kind of release that the workflow was given no way to carry out has no plan.
//! assert!(workflow.pipeline.plan(release.kind(ReleaseKind::Infrastructure), bot).is_err());
//! # Ok(())
//! # }
//! ```
//!
//! What each kind of release goes through stands in [`profile`]; why it is built like this, in `docs/workflows.md` beside this crate.

mod ask;
mod assembly;
mod backfill;
mod builder;
mod claimer;
mod eight_phase;
mod error;
mod improvement;
mod incident_response;
mod incident_trigger;
mod issue;
mod kind_checks;
mod make_good;
mod manual;
mod phase_gate;
mod prerequisite;
mod site;
mod sitting;
mod three_phase;
mod workflow;

pub mod profile;

pub use self::ask::{AskError, Asked};
pub use self::backfill::{Backfill, BackfillError, BackfillGate, Backfills};
pub use self::builder::{Hook, WorkflowBuilder};
pub use self::error::WorkflowError;
pub use self::improvement::{ClosedImprovement, Improvement, ImprovementError, Policy, PolicyChange};
pub use self::incident_response::IncidentResponse;
pub use self::incident_trigger::{IncidentTrigger, TriggerError, Triggered};
pub use self::issue::{Issue, IssuePolicy, Response};
pub use self::kind_checks::{Deployed, HOTFIX_LINES, hotfix, same_digest};
pub use self::make_good::{BackfillReport, StillOpen};
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
