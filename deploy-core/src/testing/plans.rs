//! Small plans for tests, written by hand: every time in them is a whole number of [`UNIT`]s.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::agent::Repeatable;
use crate::evidence::{EvidencePolicy, Verification};
use crate::journal::QueuePolicy;
use crate::name::{
    BlockName, CheckName, EnvironmentName, NameError, PhaseName, PipelineName, RevisionName, ServiceName, TargetName,
};
use crate::operator::{ApprovalRequest, Principal};
use crate::plan::{
    BlockKind, InFlightPolicy, OnFailure, PinnedBlock, Plan, PlannedPhase, PlannedStep, RetryPolicy, RollbackTo,
    RolloutWork, StepId, StepPath, Undo, Work,
};
use crate::release::Release;
use crate::target::{Capabilities, RevisionState, TargetState};

/// The unit of every time in these plans: the one that the engine itself waits, so that few distances between times occur.
pub const UNIT: Duration = crate::machine::ASK_AGAIN_AFTER;

/// A plan in the making. Steps are named by a path of one phase, `p/<name>`.
#[derive(Debug, Clone)]
pub struct Sketch {
    plan: Plan,
}

/// How a task of a [`Sketch`] behaves.
#[derive(Debug, Clone, Copy)]
pub struct TaskShape {
    /// How many attempts it has.
    pub attempts: u32,
    /// Whether it may be repeated with the same key.
    pub repeatable: Repeatable,
    /// Whether it has an undo, and whether that may be repeated.
    pub undo: Option<Repeatable>,
    /// Whether it has a mandatory check.
    pub checked: bool,
}

impl Default for TaskShape {
    /// Two attempts, not repeatable, with a repeatable undo and no check: the shape that meets most rules.
    fn default() -> Self {
        Self { attempts: 2, repeatable: Repeatable::No, undo: Some(Repeatable::Yes), checked: false }
    }
}

impl Sketch {
    /// A plan without steps, two wide, that goes back to what was there.
    ///
    /// # Errors
    ///
    /// [`NameError`] if `name` is no name.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let release =
            Release::new(ServiceName::new("shop")?, EnvironmentName::new("production")?, RevisionName::new("new")?);
        let phase = PlannedPhase {
            name: PhaseName::new("p")?,
            lead: None,
            supporting: Vec::new(),
            promises: Vec::new(),
            entry: StepId(0),
            exit: StepId(0),
        };
        Ok(Self {
            plan: Plan {
                pipeline: PipelineName::new(name)?,
                release,
                started_by: Principal::new("starter", "tests"),
                rollback: RollbackTo::Previous,
                rollback_of: None,
                queue: QueuePolicy::Fifo,
                in_flight: InFlightPolicy::Finish,
                width: 2,
                phases: vec![phase],
                steps: Vec::new(),
                blocks: BTreeMap::new(),
                targets: BTreeMap::new(),
            },
        })
    }

    /// The same plan with another way back.
    #[must_use]
    pub fn rollback(mut self, to: RollbackTo) -> Self {
        self.plan.rollback = to;
        self
    }

    /// The same plan with one more task.
    ///
    /// # Errors
    ///
    /// [`NameError`] if `name` is no name.
    pub fn task(mut self, name: &str, after: &[u32], shape: TaskShape) -> Result<Self, NameError> {
        let agent = self.block(name, BlockKind::Agent)?;
        let retry = quick(shape.attempts);
        let undo =
            shape.undo.map(|repeatable| Undo { agent: agent.clone(), repeatable, retry: quick(2), timeout: UNIT * 2 });
        let work = Work::Task { agent, undo, repeatable: shape.repeatable, inputs: BTreeMap::new() };
        let step = self.add(name, after, work, UNIT * 3);
        step.retry = retry;
        if shape.checked {
            step.verifications =
                vec![Verification { check: CheckName::new("tested")?, policy: EvidencePolicy::default() }];
        }
        Ok(self)
    }

    /// The same plan with one more gate; `asked` tells whether there is a gate to ask, or a mere join.
    ///
    /// # Errors
    ///
    /// [`NameError`] if `name` is no name.
    pub fn gate(mut self, name: &str, after: &[u32], asked: bool) -> Result<Self, NameError> {
        let gate = if asked { Some(self.block(name, BlockKind::Gate)?) } else { None };
        let work = Work::Gate { gate, criterion: "all is well".to_owned(), hold_at_most: UNIT * 2 };
        self.add(name, after, work, UNIT * 2);
        Ok(self)
    }

    /// The same plan with one more question to people.
    ///
    /// # Errors
    ///
    /// [`NameError`] if `name` is no name.
    pub fn approval(mut self, name: &str, after: &[u32], quorum: u32) -> Result<Self, NameError> {
        let request = ApprovalRequest::new("may it go out?").quorum(quorum).expires_after(UNIT * 2);
        self.add(name, after, Work::Approval(request), UNIT * 2);
        Ok(self)
    }

    /// The same plan with one more soak of two units.
    ///
    /// # Errors
    ///
    /// [`NameError`] if `name` is no name.
    pub fn soak(mut self, name: &str, after: &[u32]) -> Result<Self, NameError> {
        self.add(name, after, Work::Soak { span: UNIT * 2 }, UNIT * 2);
        Ok(self)
    }

    /// The same plan with one more rollout, to a target of the same name.
    ///
    /// # Errors
    ///
    /// [`NameError`] if `name` is no name.
    pub fn rollout(mut self, name: &str, after: &[u32]) -> Result<Self, NameError> {
        let strategy = self.block(name, BlockKind::Strategy)?;
        let target = TargetName::new(name)?;
        self.plan
            .targets
            .insert(target.clone(), Capabilities { weights: true, fence: true, ..Capabilities::default() });
        let work = Work::Rollout(RolloutWork {
            strategy,
            target,
            monitors: Vec::new(),
            observe_every: UNIT,
            errors_at_most: 1,
            reassert_at_most: 1,
            undo_timeout: UNIT * 2,
            blast_radius: None,
        });
        self.add(name, after, work, UNIT * 2);
        Ok(self)
    }

    /// The same plan; a failure of the last step does not matter.
    #[must_use]
    pub fn failure_does_not_matter(mut self) -> Self {
        if let Some(step) = self.plan.steps.last_mut() {
            step.on_failure = OnFailure::Continue { reason: "it is only told".to_owned() };
        }
        self
    }

    /// The same plan; there is no way back from the last step.
    #[must_use]
    pub fn point_of_no_return(mut self) -> Self {
        if let Some(step) = self.plan.steps.last_mut() {
            step.point_of_no_return = Some("the data is rewritten".to_owned());
        }
        self
    }

    /// The same plan; the last step takes the deliverable `name` from another.
    #[must_use]
    pub fn takes(mut self, name: &str, from: u32) -> Self {
        if let Some(Work::Task { inputs, .. }) = self.plan.steps.last_mut().map(|s| &mut s.work) {
            inputs.insert(name.to_owned(), StepId(from));
        }
        self
    }

    /// The plan as it stands, changed by hand where a test needs more than the methods above.
    #[must_use]
    pub fn change(mut self, change: impl FnOnce(&mut Plan)) -> Self {
        change(&mut self.plan);
        self
    }

    /// The plan.
    #[must_use]
    pub fn done(mut self) -> Arc<Plan> {
        let last = u32::try_from(self.plan.steps.len().saturating_sub(1)).unwrap_or(u32::MAX);
        if let Some(phase) = self.plan.phases.first_mut() {
            phase.exit = StepId(last);
        }
        Arc::new(self.plan)
    }

    fn block(&mut self, name: &str, kind: BlockKind) -> Result<BlockName, NameError> {
        let block = BlockName::new(name)?;
        let pinned = PinnedBlock { kind, version: 1, responsibility: format!("what {name} is for") };
        self.plan.blocks.insert(block.clone(), pinned);
        Ok(block)
    }

    #[expect(clippy::expect_used, reason = "a name that passed as a block's is a path's part")]
    fn add(&mut self, name: &str, after: &[u32], work: Work, timeout: Duration) -> &mut PlannedStep {
        let id = StepId(u32::try_from(self.plan.steps.len()).unwrap_or(u32::MAX));
        for before in after {
            if let Some(step) = self.plan.steps.get_mut(*before as usize) {
                step.dependents.push(id);
            }
        }
        self.plan.steps.push(PlannedStep {
            path: StepPath::new(format!("p/{name}")).expect("a name is a part of a path"),
            phase: 0,
            work,
            after: after.iter().map(|n| StepId(*n)).collect(),
            dependents: Vec::new(),
            timeout,
            retry: RetryPolicy::once(),
            on_failure: OnFailure::RollBack,
            verifications: Vec::new(),
            point_of_no_return: None,
        });
        self.plan.steps.last_mut().expect("it was pushed just now")
    }
}

/// This many attempts, one unit apart, nothing left to chance.
fn quick(attempts: u32) -> RetryPolicy {
    RetryPolicy { jitter_percent: 0, growth_percent: 100, ..RetryPolicy::attempts(attempts).backoff(UNIT, UNIT) }
}

/// What is at a target before a release: `old` serves, and `new` is ready without traffic.
///
/// # Errors
///
/// None in practice; the names are fixed.
pub fn before() -> Result<TargetState, NameError> {
    let (old, new) = (RevisionName::new("old")?, RevisionName::new("new")?);
    let one = RevisionState { desired: 1, ready: 1, terminating: 0 };
    Ok(TargetState {
        revisions: BTreeMap::from([(old.clone(), one), (new, one)]),
        weights: BTreeMap::from([(old, 100)]),
        max_weight: 100,
        ..TargetState::default()
    })
}

/// The small plans that the explorer goes through, by name.
///
/// # Errors
///
/// None in practice; the names are fixed.
pub fn small() -> Result<Vec<(&'static str, Arc<Plan>)>, NameError> {
    let plain = TaskShape::default();
    let once = TaskShape { attempts: 1, ..plain };
    let yes = Repeatable::Yes;
    Ok(vec![
        (
            "task: one with a check, two attempts and an undo",
            Sketch::new("task")?.task("build", &[], TaskShape { checked: true, ..plain })?.done(),
        ),
        (
            "hand-over: one task gives to another, neither may be repeated blindly",
            Sketch::new("hand-over")?
                .task("build", &[], TaskShape { repeatable: yes, undo: None, ..plain })?
                .task("ship", &[0], TaskShape { undo: Some(Repeatable::No), ..once })?
                .takes("image", 0)
                .done(),
        ),
        (
            "gates: a gate, a task whose failure does not matter, two approvals needed",
            Sketch::new("gates")?
                .gate("ready", &[], true)?
                .task("tell", &[0], TaskShape { undo: None, ..once })?
                .failure_does_not_matter()
                .approval("approve", &[1], 2)?
                .done(),
        ),
        ("rollout: one that goes back to what was there", Sketch::new("rollout")?.rollout("roll", &[])?.done()),
        (
            "beyond: a point of no return, then a rollout that has no way back",
            Sketch::new("beyond")?
                .rollback(RollbackTo::None { reason: "old cannot read the data".to_owned() })
                .task("migrate", &[], once)?
                .point_of_no_return()
                .rollout("roll", &[0])?
                .done(),
        ),
    ])
}

/// One task with one attempt, a check and an undo: small enough for answers that are held back.
///
/// # Errors
///
/// None in practice; the names are fixed.
pub fn smallest() -> Result<Arc<Plan>, NameError> {
    let once = TaskShape { attempts: 1, checked: true, ..TaskShape::default() };
    Ok(Sketch::new("smallest")?.task("build", &[], once)?.change(without_retry).done())
}

fn without_retry(plan: &mut Plan) {
    for step in &mut plan.steps {
        if let Work::Task { undo: Some(undo), .. } = &mut step.work {
            undo.retry = RetryPolicy::once();
        }
    }
}

/// A soak after a task: the one kind of step that the small plans lack.
///
/// # Errors
///
/// None in practice; the names are fixed.
pub fn with_soak() -> Result<Arc<Plan>, NameError> {
    let once = TaskShape { attempts: 1, undo: None, ..TaskShape::default() };
    Ok(Sketch::new("soak")?.task("build", &[], once)?.soak("soak", &[0])?.gate("join", &[1], false)?.done())
}

/// The larger of the small plans: minutes instead of seconds.
///
/// # Errors
///
/// None in practice; the names are fixed.
pub fn larger() -> Result<Vec<(&'static str, Arc<Plan>)>, NameError> {
    let plain = TaskShape::default();
    let once = TaskShape { attempts: 1, ..plain };
    Ok(vec![
        (
            "chain: task, approval, rollout, soak",
            Sketch::new("chain")?
                .task("build", &[], TaskShape { checked: true, ..plain })?
                .approval("approve", &[0], 1)?
                .rollout("roll", &[1])?
                .soak("soak", &[2])?
                .done(),
        ),
        (
            "fork: two tasks beside each other, joined, then a soak",
            Sketch::new("fork")?
                .task("left", &[], TaskShape { repeatable: Repeatable::Yes, ..once })?
                .task("right", &[], once)?
                .gate("join", &[0, 1], false)?
                .soak("soak", &[2])?
                .done(),
        ),
        (
            "side: a rollout beside an approval",
            Sketch::new("side")?.rollout("roll", &[])?.approval("approve", &[], 1)?.done(),
        ),
    ])
}
