//! The builder of both workflows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use deploy_core::agent::Agent;
use deploy_core::gate::Gate;
use deploy_core::name::CheckName;
use deploy_core::operator::ApprovalRequest;
use deploy_core::plan::RollbackTo;
use deploy_core::release::ReleaseKind;

use super::backfill::Backfills;
use super::error::WorkflowError;
use super::issue::IssuePolicy;
use super::prerequisite::Prerequisite;
use super::site::Site;
use super::workflow::Workflow;
use super::{eight_phase, three_phase};
use crate::checks::{Catalogue, Thresholds, ValidationLevel};
use crate::crew::{Crew, EvidenceSource, Seat};
use crate::gates::{ChangeCalendar, Criterion};

/// How long a rollout bakes before what it did is judged, unless said otherwise: two windows of five minutes.
const BAKE: Duration = Duration::from_secs(10 * 60);

/// Builds one of the two workflows. See [`three_phase`](super::three_phase()) and [`eight_phase`](super::eight_phase()).
///
/// Every part has a default or is an argument; [`build`](Self::build) checks the whole.
#[derive(Debug, Clone)]
pub struct WorkflowBuilder {
    pub(super) shape: Shape,
    pub(super) name: String,
    pub(super) crew: Crew,
    pub(super) production: Site,
    pub(super) staging: Option<Site>,
    pub(super) feature: Option<Site>,
    pub(super) configuration: Option<Site>,
    pub(super) infrastructure: Option<Applied>,
    pub(super) tasks: BTreeMap<Hook, Vec<Extra>>,
    pub(super) gates: BTreeMap<Hook, Vec<NamedGate>>,
    pub(super) agents: BTreeMap<Seat, Arc<dyn Agent>>,
    pub(super) without: BTreeMap<Seat, String>,
    pub(super) without_checks: BTreeMap<String, String>,
    pub(super) level: Option<ValidationLevel>,
    pub(super) approval: Option<ApprovalRequest>,
    pub(super) calendar: Option<ChangeCalendar>,
    pub(super) bake: Duration,
    pub(super) strict: BTreeSet<Criterion>,
    pub(super) issues: IssuePolicy,
    pub(super) prerequisites: Vec<Prerequisite>,
    pub(super) backfills: Option<Backfills>,
    pub(super) rollback: RollbackTo,
    pub(super) width: Option<u32>,
}

/// What applies a plan of infrastructure, and what takes it back.
pub(super) type Applied = (Arc<dyn Agent>, Option<Arc<dyn Agent>>);

/// A gate of the host's, under its name.
pub(super) type NamedGate = (String, Arc<dyn Gate>);

/// Which of the two workflows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    ThreePhase,
    EightPhase,
}

/// A place in a workflow where a host puts work or gates of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// At the beginning, before anything is looked at.
    BeforeWork,
    /// Before staging is tried: what builds or prepares it.
    BeforeStaging,
    /// After staging was deployed and before anything else: smoke tests there, for example.
    OnStaging,
    /// After everything is ready and before the rollout: migrations, configuration; as a gate, that monitors see the new
    /// revision.
    BeforeTraffic,
    /// After the rollout has baked, before it is judged: what produces the evidence, such as smoke tests and load.
    AfterTraffic,
    /// At the end: publishing documents, for example.
    BeforeClose,
}

/// A step of the host's own.
#[derive(Debug, Clone)]
pub(super) struct Extra {
    pub(super) name: String,
    pub(super) agent: Arc<dyn Agent>,
    pub(super) undo: Option<Arc<dyn Agent>>,
}

impl WorkflowBuilder {
    pub(super) fn new(shape: Shape, name: &str, evidence: impl EvidenceSource, production: Site) -> Self {
        Self {
            shape,
            name: name.to_owned(),
            crew: Crew::new(evidence, Thresholds::default()),
            production,
            staging: None,
            feature: None,
            configuration: None,
            infrastructure: None,
            tasks: BTreeMap::new(),
            gates: BTreeMap::new(),
            agents: BTreeMap::new(),
            without: BTreeMap::new(),
            without_checks: BTreeMap::new(),
            level: None,
            approval: None,
            calendar: None,
            bake: BAKE,
            strict: BTreeSet::new(),
            issues: IssuePolicy::default(),
            prerequisites: Vec::new(),
            backfills: None,
            rollback: RollbackTo::Previous,
            width: None,
        }
    }

    /// Holds the checks against these numbers. Default: [`Thresholds::default`]. Replaces an earlier catalogue.
    #[must_use]
    pub fn thresholds(mut self, thresholds: Thresholds) -> Self {
        self.crew = Crew::new(Arc::clone(self.crew.source()), thresholds);
        self
    }

    /// Takes the checks from this catalogue: with some of the host's own, or in place of ours.
    #[must_use]
    pub fn catalogue(mut self, catalogue: Catalogue) -> Self {
        self.crew = self.crew.with_catalogue(catalogue);
        self
    }

    /// How much is asked of every step. Default: what each step declares, which is the standard level for most.
    #[must_use]
    pub fn level(mut self, level: ValidationLevel) -> Self {
        self.level = Some(level);
        self
    }

    /// Deploys here first, with the same artifacts. Default: nowhere.
    #[must_use]
    pub fn staging(mut self, site: Site) -> Self {
        self.staging = Some(site);
        self
    }

    /// Takes feature rollouts, which move a flag and no binary. Default: such releases have no plan.
    #[must_use]
    pub fn feature(mut self, site: Site) -> Self {
        self.feature = Some(site);
        self
    }

    /// Takes configuration releases, which go out as revisions of their own: choose a strategy that tries one instance first.
    /// Default: such releases have no plan.
    #[must_use]
    pub fn configuration(mut self, site: Site) -> Self {
        self.configuration = Some(site);
        self
    }

    /// Takes infrastructure releases: `apply` applies the approved plan, and `undo`, if given, takes it back. Default: such
    /// releases have no plan.
    #[must_use]
    pub fn infrastructure(mut self, apply: impl Agent, undo: Option<Arc<dyn Agent>>) -> Self {
        self.infrastructure = Some((Arc::new(apply), undo));
        self
    }

    /// Adds a step of the host's own. Steps at one place are done in the order in which they were added.
    #[must_use]
    pub fn task(mut self, at: Hook, name: impl Into<String>, agent: impl Agent) -> Self {
        let extra = Extra { name: name.into(), agent: Arc::new(agent), undo: None };
        self.tasks.entry(at).or_default().push(extra);
        self
    }

    /// Adds a step of the host's own that is undone when the run goes back: a migration, for example.
    #[must_use]
    pub fn task_with_undo(mut self, at: Hook, name: impl Into<String>, agent: impl Agent, undo: impl Agent) -> Self {
        let extra = Extra { name: name.into(), agent: Arc::new(agent), undo: Some(Arc::new(undo)) };
        self.tasks.entry(at).or_default().push(extra);
        self
    }

    /// Adds a gate of the host's own. It is asked after the steps of the place.
    #[must_use]
    pub fn gate(mut self, at: Hook, name: impl Into<String>, gate: impl Gate) -> Self {
        self.gates.entry(at).or_default().push((name.into(), Arc::new(gate)));
        self
    }

    /// Gives a seat to an agent of the host's own. It must claim what the seat verifies, and hand over what others take from it.
    #[must_use]
    pub fn with_agent(mut self, seat: Seat, agent: impl Agent) -> Self {
        self.agents.insert(seat, Arc::new(agent));
        self
    }

    /// Leaves a seat out, for a reason that the workflow shows.
    #[must_use]
    pub fn without(mut self, seat: Seat, reason: impl Into<String>) -> Self {
        self.without.insert(seat, reason.into());
        self
    }

    /// Says that a check does not apply to what is released here, for a reason. Every report shows it as not applicable.
    #[must_use]
    pub fn without_check(mut self, check: impl Into<String>, reason: impl Into<String>) -> Self {
        self.without_checks.insert(check.into(), reason.into());
        self
    }

    /// Asks people before the rollout. Default: nobody is asked.
    #[must_use]
    pub fn approval(mut self, request: ApprovalRequest) -> Self {
        self.approval = Some(request);
        self
    }

    /// Deploys within this calendar only. Default: at any time.
    #[must_use]
    pub fn window(mut self, calendar: ChangeCalendar) -> Self {
        self.calendar = Some(calendar);
        self
    }

    /// How long a rollout bakes before it is judged. Default 10 minutes, two windows of five; zero for not at all.
    #[must_use]
    pub fn bake(mut self, span: Duration) -> Self {
        self.bake = span;
        self
    }

    /// Makes remarks on a criterion of the readiness matrix a veto. Default: they are a condition. Three-phase workflow.
    #[must_use]
    pub fn strict(mut self, criterion: Criterion) -> Self {
        self.strict.insert(criterion);
        self
    }

    /// How issues are answered. Default: [`IssuePolicy::default`].
    #[must_use]
    pub fn issues(mut self, policy: IssuePolicy) -> Self {
        self.issues = policy;
        self
    }

    /// Something that another workflow must have done for the same commit.
    #[must_use]
    pub fn prerequisite(mut self, prerequisite: Prerequisite) -> Self {
        self.prerequisites.push(prerequisite);
        self
    }

    /// Where waivers that are to be made good are kept: with one that is overdue no release begins. Default: nowhere, and then
    /// nothing may be waived in an emergency either.
    #[must_use]
    pub fn backfills(mut self, backfills: Backfills) -> Self {
        self.backfills = Some(backfills);
        self
    }

    /// The way back. Default: to what was there before.
    #[must_use]
    pub fn rollback(mut self, to: RollbackTo) -> Self {
        self.rollback = to;
        self
    }

    /// How many steps may be under way at once. Default: that of the engine.
    #[must_use]
    pub fn width(mut self, width: u32) -> Self {
        self.width = Some(width);
        self
    }

    /// The seats of the workflow, phase by phase.
    #[must_use]
    pub fn seats(&self) -> &'static [Seat] {
        match self.shape {
            Shape::ThreePhase => three_phase::SEATS,
            Shape::EightPhase => eight_phase::SEATS,
        }
    }

    /// The kinds of release that it takes.
    #[must_use]
    pub fn kinds(&self) -> BTreeSet<ReleaseKind> {
        let mut kinds = BTreeSet::from([ReleaseKind::Production, ReleaseKind::Hotfix, ReleaseKind::EmergencyPatch]);
        kinds.extend(self.feature.iter().map(|_| ReleaseKind::FeatureRollout));
        kinds.extend(self.configuration.iter().map(|_| ReleaseKind::Configuration));
        kinds.extend(self.infrastructure.iter().map(|_| ReleaseKind::Infrastructure));
        kinds
    }

    /// Checks everything, and puts the workflow together.
    ///
    /// # Errors
    ///
    /// [`WorkflowError`] says what is wrong, and what to do.
    pub fn build(mut self) -> Result<Workflow, WorkflowError> {
        for seat in self.agents.keys().chain(self.without.keys()) {
            if !self.seats().contains(seat) {
                let seats: Vec<String> = self.seats().iter().map(ToString::to_string).collect();
                return Err(WorkflowError::NoSeat { seat: *seat, seats: seats.join(", ") });
            }
        }
        for (seat, reason) in &self.without {
            if reason.trim().is_empty() {
                return Err(WorkflowError::NoReason(seat.to_string()));
            }
        }
        for (check, reason) in std::mem::take(&mut self.without_checks) {
            if reason.trim().is_empty() {
                return Err(WorkflowError::NoReason(check));
            }
            let name = CheckName::new(&check)?;
            if self.crew.catalogue().check(&check).is_none() {
                return Err(WorkflowError::NoCheck(check));
            }
            self.crew = self.crew.without_check(&name, reason);
        }
        Workflow::of(&self)
    }
}
