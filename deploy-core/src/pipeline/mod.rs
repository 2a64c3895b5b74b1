//! What the host writes: phases of steps, assembled from building blocks, checked as a whole before anything runs.

mod assemble;
mod blocks;
mod builder;
pub mod defaults;
mod draft;
mod handle;
mod order;
mod phase;
mod problem;
mod step;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub use self::blocks::{Blocks, Bound, MissingBlock, MissingBlocks};
pub use self::builder::PipelineBuilder;
pub use self::handle::{Output, StepRef};
pub use self::phase::Phase;
pub use self::problem::{Fault, PipelineErrors, Place, Problem};
pub use self::step::{Approval, GateStep, Rollout, Soak, StepBuilder, Task};
pub use self::view::{PhaseView, StepView};
use crate::deliverable::DeliverableKey;
use crate::evidence::Verification;
use crate::gate::Gate;
use crate::journal::QueuePolicy;
use crate::name::{BlockName, PhaseName, PipelineName};
use crate::operator::ApprovalRequest;
use crate::plan::{InFlightPolicy, OnFailure, RetryPolicy, RollbackTo, StepPath, Work};
use crate::release::ReleaseKind;

/// A finished pipeline: everything in it was checked. Together with a release it gives a [`Plan`](crate::plan::Plan).
///
/// Cheap to clone. A pipeline is only made by its [builder](Self::builder), so there is none that would not run.
///
/// # Examples
///
/// ```
/// use deploy_core::agent::{AgentCard, Report, agent_fn};
/// use deploy_core::name::{BlockName, EnvironmentName, RevisionName, ServiceName};
/// use deploy_core::operator::{ApprovalRequest, Principal};
/// use deploy_core::pipeline::Pipeline;
/// use deploy_core::plan::RollbackTo;
/// use deploy_core::release::Release;
///
/// let card = AgentCard::new(BlockName::new("builder")?, "builds the image").repeatable();
/// let build = agent_fn(card, |_task, _cx| async { Ok(Report::new()) });
///
/// let p = Pipeline::builder("release-api");
/// p.rollback(RollbackTo::Previous);
/// let checks = p.phase("checks");
/// let built = checks.task("build", build).add();
/// checks.approval("sign-off", ApprovalRequest::new("Ship it?")).after(&built).add();
/// let pipeline = p.build()?;
///
/// let (service, environment) = (ServiceName::new("api")?, EnvironmentName::new("production")?);
/// let release = Release::new(service, environment, RevisionName::new("v2")?);
/// let plan = pipeline.plan(release, Principal::new("ada", "example.org"))?;
/// assert_eq!(plan.steps.len(), 4, "the two steps, and the phase's entry and exit");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What is wrong is said all at once, each with its place and its mend:
///
/// ```
/// use deploy_core::pipeline::{Fault, Pipeline};
///
/// let p = Pipeline::builder("release-api");
/// p.width(0);
/// p.phase("checks");
/// let refused = p.build().unwrap_err();
/// assert!(refused.problems.iter().any(|p| p.fault == Fault::NoWayBack));
/// assert!(refused.problems.iter().any(|p| p.fault == Fault::ZeroWidth));
/// assert!(refused.problems.iter().any(|p| p.fault == Fault::EmptyPhase));
/// ```
#[derive(Debug, Clone)]
pub struct Pipeline {
    pub(crate) spec: Arc<Spec>,
}

impl Pipeline {
    /// Begins a pipeline. A text that is not a name is reported by [`PipelineBuilder::build`], with everything else.
    #[must_use]
    pub fn builder(name: impl AsRef<str>) -> PipelineBuilder {
        PipelineBuilder::new(name.as_ref())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &PipelineName {
        &self.spec.name
    }

    /// The building blocks that its plans name.
    #[must_use]
    pub fn blocks(&self) -> &Blocks {
        &self.spec.blocks
    }

    /// The steps that the host limited to other kinds of release than this one, in order: what such a release goes without.
    #[must_use]
    pub fn left_out(&self, kind: ReleaseKind) -> Vec<StepPath> {
        let steps = self.spec.phases.iter().flat_map(|phase| &phase.steps);
        steps.map(|s| &self.spec.steps[*s]).filter(|s| !s.kinds.contains(&kind)).map(|s| s.path.clone()).collect()
    }
}

/// A checked pipeline: names parsed, handles resolved, every phase in topological order.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) name: PipelineName,
    pub(crate) rollback: RollbackTo,
    pub(crate) queue: QueuePolicy,
    pub(crate) in_flight: InFlightPolicy,
    pub(crate) width: u32,
    pub(crate) phases: Vec<PhaseSpec>,
    pub(crate) steps: Vec<StepSpec>,
    pub(crate) blocks: Blocks,
}

#[derive(Debug)]
pub(crate) struct PhaseSpec {
    pub(crate) name: PhaseName,
    pub(crate) lead: Option<BlockName>,
    pub(crate) supporting: Vec<BlockName>,
    pub(crate) promises: Vec<Promise>,
    pub(crate) entry: PhaseGate,
    pub(crate) exit: PhaseGate,
    pub(crate) kinds: BTreeSet<ReleaseKind>,
    /// Indexes into [`Spec::steps`], each after all that it waits for.
    pub(crate) steps: Vec<usize>,
}

/// What a phase hands over, and the steps of it that may.
#[derive(Debug)]
pub(crate) struct Promise {
    pub(crate) key: DeliverableKey,
    pub(crate) providers: Vec<usize>,
}

#[derive(Debug)]
pub(crate) struct PhaseGate {
    pub(crate) path: StepPath,
    /// As the host named them; where there are several, `gate` is all of them together.
    pub(crate) parts: Vec<Arc<dyn Gate>>,
    pub(crate) gate: Option<BlockName>,
    pub(crate) criterion: String,
    pub(crate) hold_at_most: Duration,
}

#[derive(Debug)]
pub(crate) struct StepSpec {
    pub(crate) path: StepPath,
    /// With its inputs left empty; they depend on what a release leaves out.
    pub(crate) work: Work,
    /// Steps of the same phase.
    pub(crate) after: BTreeSet<usize>,
    pub(crate) inputs: BTreeMap<String, usize>,
    pub(crate) timeout: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) on_failure: OnFailure,
    pub(crate) verifications: Vec<Verification>,
    pub(crate) no_return: Option<NoReturn>,
    pub(crate) kinds: BTreeSet<ReleaseKind>,
}

/// A point of no return, and the question that is asked before it is crossed.
#[derive(Debug)]
pub(crate) struct NoReturn {
    pub(crate) reason: String,
    pub(crate) ask: StepPath,
    pub(crate) request: ApprovalRequest,
}
