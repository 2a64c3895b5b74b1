//! The world of the proofs: agents whose effects arrive in a [`Ledger`], a place in it, and the pipelines that use them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::agent::{Agent, AgentCard, AgentError, Handle, Lookup, Performed, Report, StepContext, Task};
use deploy_core::driver::{Engine, EngineOptions, RuntimeClock};
use deploy_core::effect::EffectKey;
use deploy_core::evidence::{Check, Claim, Collected, EvidencePolicy, EvidenceSubject, Verdict, Verification};
use deploy_core::journal::{Journal, MemoryJournal, SqliteJournal, SqliteOptions, Synchronous};
use deploy_core::name::{
    BlockName, CheckName, EnvironmentName, InputId, PipelineName, RevisionName, RunId, ServiceName, TargetName,
};
use deploy_core::operator::{Act, ApprovalRequest, OperatorInput, Principal};
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{InFlightPolicy, RetryPolicy, RollbackTo, StepPath};
use deploy_core::release::Release;
use deploy_core::strategy::{Decision, Memory, Next, Outline, Reason, ReasonCode, Situation, Stage, Strategy};
use deploy_core::target::{
    Applied, Capabilities, DesiredState, EffectContext, RevisionState, Target, TargetError, TargetState,
};
use deploy_core::testing::{Attentive, VirtualClock};
use deploy_core::time::{Clock, Timestamp};

use crate::ledger::Ledger;

pub(crate) fn block(name: &str) -> BlockName {
    BlockName::new(name).expect("a valid name")
}

pub(crate) fn revision(name: &str) -> RevisionName {
    RevisionName::new(name).expect("a valid name")
}

pub(crate) fn run_id(name: &str) -> RunId {
    RunId::new(name).expect("a valid name")
}

pub(crate) fn path(text: &str) -> StepPath {
    StepPath::new(text).expect("a valid path")
}

pub(crate) fn release(version: &str) -> Release {
    Release::new(
        ServiceName::new("api").expect("a valid name"),
        EnvironmentName::new("production").expect("a valid name"),
        revision(version),
    )
}

pub(crate) fn ada() -> Principal {
    Principal::new("ada", "example.org")
}

pub(crate) fn says(id: &str, act: Act) -> OperatorInput {
    let who = Principal::new("grace", "example.org").role("release-manager");
    OperatorInput { id: InputId::new(id).expect("a valid name"), who, why: "because".to_owned(), act }
}

pub(crate) fn approval() -> OperatorInput {
    says("approval", Act::Approve { step: path("consent/sign-off") })
}

/// Lets time pass, which costs none where the runtime's time is paused; elsewhere it stands for work that takes a while.
#[expect(
    clippy::disallowed_methods,
    reason = "virtual time, or the duration of work in a child that is killed meanwhile"
)]
pub(crate) async fn pass(span: Duration) {
    tokio::time::sleep(span).await;
}

/// What an agent does when it is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    /// Its effect, at once.
    Quick,
    /// Its effect after and before so many units of time.
    Slow(u32, u32),
    /// As `Slow`; but it cannot tell what became of an attempt.
    Forgetful(u32, u32),
    /// Its effect at once, and then so many polls.
    Long(u32),
    /// Its effect, with evidence.
    Tests,
    /// Certainly nothing at the first attempts.
    FailFirst(u32),
    /// One effect after the other, without end.
    Drip,
}

/// An agent of the world.
#[derive(Debug)]
pub(crate) struct Worker {
    name: BlockName,
    work: Work,
    world: World,
}

impl Worker {
    fn apply(&self, key: &EffectKey, cx: &StepContext, task: &Task) -> Result<(), AgentError> {
        let content = format!("{}:{}:{}", task.step, task.undo, task.release);
        self.world.ledger.effect(key, cx.fence, &content).map_err(|seen| {
            AgentError::definitive(format!("fence {} is older than {seen}, which was seen before", cx.fence))
        })
    }

    fn report(&self, cx: &StepContext) -> Report {
        if !matches!(self.work, Work::Tests) {
            return Report::new();
        }
        let subject = EvidenceSubject { environment: Some(release("v2").environment), ..EvidenceSubject::default() };
        let bytes = format!("<testsuite of='{}'/>", cx.key.step).into_bytes();
        let evidence = Collected::new("junit", "the build farm", subject, cx.now.wall, bytes);
        let check = CheckName::new("tests-green").expect("a valid name");
        let claim = Claim { check, evidence: vec![evidence.evidence.digest], value: "all of them".to_owned() };
        Report::new().claim(claim).evidence(evidence)
    }

    fn running(&self, polls: u32) -> Performed {
        Performed::Running { handle: Handle(polls.to_string()), poll_after: self.world.unit }
    }
}

#[async_trait]
impl Agent for Worker {
    fn card(&self) -> AgentCard {
        AgentCard::new(self.name.clone(), "works").repeatable()
    }

    async fn perform(&self, task: &Task, cx: &StepContext) -> Result<Performed, AgentError> {
        let world = &self.world;
        world.ledger.called(&cx.key, cx.fence);
        // The record that opened this effect stands at the fence's position: it must be durable before anything starts.
        match world.journal.head(&cx.key.run).await {
            Ok(head) if head.next <= cx.fence.seq => {
                let text = format!("{} began at fence {}, and {} records are durable", cx.key, cx.fence, head.next);
                world.ledger.remark(&text);
            }
            _ => {}
        }
        match self.work {
            Work::Quick | Work::Long(_) | Work::Tests => self.apply(&cx.key, cx, task)?,
            Work::Slow(before, after) | Work::Forgetful(before, after) => {
                pass(world.unit * before).await;
                self.apply(&cx.key, cx, task)?;
                pass(world.unit * after).await;
            }
            Work::FailFirst(times) if cx.key.attempt <= times => {
                return Err(AgentError::definitive(format!("not at attempt {}", cx.key.attempt)));
            }
            Work::FailFirst(_) => self.apply(&cx.key, cx, task)?,
            Work::Drip => loop {
                self.apply(&cx.key, cx, task)?;
                pass(world.unit).await;
            },
        }
        Ok(match self.work {
            Work::Long(_) => self.running(0),
            _ => Performed::Done(self.report(cx)),
        })
    }

    async fn poll(&self, handle: &Handle, cx: &StepContext) -> Result<Performed, AgentError> {
        let polls: u32 = handle.0.parse().expect("our own handle");
        match self.work {
            Work::Long(times) if polls < times => Ok(self.running(polls + 1)),
            _ => Ok(Performed::Done(self.report(cx))),
        }
    }

    async fn lookup(&self, key: &EffectKey, cx: &StepContext) -> Result<Lookup, AgentError> {
        let there = self.world.ledger.times(key) > 0;
        Ok(match self.work {
            Work::Forgetful(..) => Lookup::Unknown,
            // Work that was stopped has had its effect, and goes on no longer.
            Work::Long(_) if there && !self.world.ledger.is_cancelled(key) => {
                Lookup::Running { handle: Handle("0".to_owned()), poll_after: self.world.unit }
            }
            _ if there => Lookup::Finished(self.report(cx)),
            _ => Lookup::NeverStarted,
        })
    }

    async fn cancel(&self, key: &EffectKey, _handle: Option<&Handle>, _cx: &StepContext) -> Result<(), AgentError> {
        self.world.ledger.cancel(key);
        Ok(())
    }
}

/// A place in the ledger, where everything wanted is so at once.
#[derive(Debug, Clone)]
pub(crate) struct Place(pub(crate) World);

#[async_trait]
impl Target for Place {
    fn name(&self) -> TargetName {
        TargetName::new("fleet").expect("a valid name")
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { weights: true, capacity: true, ..Capabilities::default() }
    }

    async fn observe(&self) -> Result<TargetState, TargetError> {
        Ok(self.0.ledger.place().expect("a place"))
    }

    async fn apply(&self, desired: &DesiredState, cx: &EffectContext) -> Result<Applied, TargetError> {
        let content = serde_json::to_string(&desired).map_err(|e| TargetError::definitive(e.to_string()))?;
        let received = self.0.ledger.effect(&cx.key, cx.fence, &format!("place:{content}"));
        received.map_err(|seen| TargetError::older_fence(cx.fence, seen))?;
        let ready =
            |(name, n): (&RevisionName, &u32)| (name.clone(), RevisionState { desired: *n, ready: *n, terminating: 0 });
        self.0.ledger.set_place(&TargetState {
            revisions: desired.capacity.iter().map(ready).collect(),
            weights: desired.weights.clone(),
            max_weight: desired.max_weight,
            ..TargetState::default()
        });
        Ok(Applied::changed())
    }
}

/// Half the traffic, a short soak, then all of it.
#[derive(Debug, Clone)]
pub(crate) struct Halves {
    pub(crate) soak: Duration,
}

impl Strategy for Halves {
    fn name(&self) -> BlockName {
        block("halves")
    }

    fn needs(&self) -> Capabilities {
        Capabilities { weights: true, capacity: true, ..Capabilities::default() }
    }

    fn outline(&self, _release: &Release, _from: &TargetState) -> Outline {
        Outline::default()
    }

    fn decide(&self, s: &Situation<'_>) -> Decision {
        let new = &s.release.revision;
        let there = s.from.serving().or_else(|| s.from.revisions.keys().next());
        let old = there.cloned().unwrap_or_else(|| new.clone());
        let split = |w: u32| DesiredState {
            capacity: BTreeMap::from([(old.clone(), 2), (new.clone(), 2)]),
            weights: BTreeMap::from([(old.clone(), 100 - w), (new.clone(), w)]),
            max_weight: 100,
            ..DesiredState::default()
        };
        let soon = Next::WakeAt(s.now + s.observe_every);
        let (want, next, stage, code) = match s.observed.weight(new) {
            100 => (DesiredState::alone(new.clone(), 2, 100), Next::Complete, 2, ReasonCode::RolledOut),
            50 if s.observed_for < self.soak => (split(50), soon, 1, ReasonCode::Soaking),
            50 => (split(100), soon, 2, ReasonCode::Advanced),
            _ if s.observed.revision(new).ready < 2 => (split(0), soon, 0, ReasonCode::WaitingForInstances),
            _ => (split(50), soon, 1, ReasonCode::Advanced),
        };
        Decision {
            want,
            measure: Vec::new(),
            next,
            memory: Memory::empty(),
            stage: Stage { index: stage, of: 3, name: format!("stage {stage}") },
            reason: Reason::new(code, "as halves go"),
            judgements: Vec::new(),
            exposure: deploy_core::strategy::Exposure::NONE,
        }
    }
}

/// Everything beside the engine: it outlives engines, and in part processes.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) ledger: Ledger,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) clock: Arc<dyn Clock>,
    /// One unit of the world's time: a second where time is virtual, a millisecond where it is real.
    pub(crate) unit: Duration,
}

pub(crate) const UNIT: Duration = Duration::from_secs(1);

/// How the last step of the reference pipeline goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Good,
    Broken,
}

impl World {
    pub(crate) fn new(ledger: Ledger, journal: Arc<dyn Journal>, clock: Arc<dyn Clock>, unit: Duration) -> Self {
        if ledger.place().is_none() {
            ledger.set_place(&TargetState {
                revisions: BTreeMap::from([(revision("v1"), RevisionState { desired: 2, ready: 2, terminating: 0 })]),
                weights: BTreeMap::from([(revision("v1"), 100)]),
                max_weight: 100,
                ..TargetState::default()
            });
        }
        Self { ledger, journal, clock, unit }
    }

    /// A world in virtual time on a journal in memory.
    pub(crate) fn in_memory() -> Self {
        let clock = Arc::new(RuntimeClock::new(Timestamp(1_795_334_400_000)));
        let journal = Arc::new(MemoryJournal::new(Arc::clone(&clock) as _));
        Self::new(Ledger::in_memory(), journal, clock, UNIT)
    }

    /// A world in virtual time on a journal in a file. Whoever asks the journal, its agents too, does so attentively: while the
    /// journal's own thread is slow to answer, time does not run on.
    pub(crate) fn on_sqlite(file: &Path) -> Self {
        let clock = Arc::new(VirtualClock::new(Timestamp(1_795_334_400_000)));
        let journal = Attentive(sqlite(file, Arc::clone(&clock) as _));
        Self::new(Ledger::in_memory(), Arc::new(journal), clock, UNIT)
    }

    pub(crate) fn worker(&self, name: &str, work: Work) -> Arc<Worker> {
        Arc::new(Worker { name: block(name), work, world: self.clone() })
    }

    /// An engine on any view of the journal.
    pub(crate) fn engine_on(&self, journal: Arc<dyn Journal>, pipeline: &Pipeline, options: EngineOptions) -> Engine {
        Engine::builder(journal).clock(Arc::clone(&self.clock)).pipeline(pipeline.clone()).options(options).build()
    }

    pub(crate) fn engine(&self, pipeline: &Pipeline) -> Engine {
        self.engine_on(Arc::clone(&self.journal), pipeline, EngineOptions::default())
    }

    /// Creates the run without driving it: as a host does that dies at once.
    pub(crate) async fn create(&self, pipeline: &Pipeline, run: &RunId) {
        let engine = self.engine(pipeline);
        engine.start_as(run.clone(), name(pipeline), release("v2"), ada()).await.expect("it starts");
        drop(engine);
    }

    /// Tasks side by side with an undo each, long work with polls, evidence, an approval, a rollout, and a last step that needs
    /// two attempts.
    pub(crate) fn reference(&self, ending: Ending) -> Pipeline {
        let p = Pipeline::builder("reference");
        p.rollback(RollbackTo::Previous);
        p.width(4);
        let undo = |name: &str| self.worker(&format!("undo-{name}"), Work::Quick);
        let prepare = p.phase("prepare");
        let first = prepare.task("first", self.worker("first", Work::Quick)).undo(undo("first")).add();
        prepare.task("second", self.worker("second", Work::Slow(2, 2))).undo(undo("second")).add();
        prepare.task("third", self.worker("third", Work::Long(2))).after(&first).undo(undo("third")).add();
        let forgetful = self.worker("undo-fourth", Work::Forgetful(1, 1));
        prepare.task("fourth", self.worker("fourth", Work::Forgetful(1, 2))).undo(forgetful).add();
        let check = CheckName::new("tests-green").expect("a valid name");
        p.check(Check::new(check.clone(), |read| match read.evidence {
            [(_, bytes)] if bytes.starts_with(b"<testsuite") => Verdict::Pass,
            _ => Verdict::Fail { reason: "no suite was read".to_owned() },
        }));
        let policy = EvidencePolicy { kind: Some("junit".to_owned()), ..EvidencePolicy::default() };
        let tests = self.worker("tests", Work::Tests);
        prepare.task("tests", tests).after(&first).verify(Verification { check, policy }).add();
        let consent = p.phase("consent");
        consent.approval("sign-off", ApprovalRequest::new("Ship it?").role("release-manager")).add();
        let execute = p.phase("execute");
        let halves = Halves { soak: self.unit * 2 };
        execute.rollout("rollout", halves, Place(self.clone())).observe_every(self.unit).add();
        let close = p.phase("close");
        let last = match ending {
            Ending::Good => Work::FailFirst(1),
            Ending::Broken => Work::FailFirst(u32::MAX),
        };
        close
            .task("last", self.worker("last", last))
            .retry(RetryPolicy::attempts(2).backoff(self.unit, self.unit))
            .undo(undo("last"))
            .add();
        p.build().expect("a valid pipeline")
    }

    /// Two tasks and a slow one that may be done twice.
    pub(crate) fn small(&self) -> Pipeline {
        let p = Pipeline::builder("small");
        p.rollback(RollbackTo::Previous);
        let only = p.phase("only");
        let undo = |name: &str| self.worker(&format!("undo-{name}"), Work::Quick);
        let first = only.task("first", self.worker("first", Work::Slow(1, 1))).undo(undo("first")).add();
        only.task("second", self.worker("second", Work::Forgetful(1, 1))).undo(undo("second")).add();
        only.task("third", self.worker("third", Work::Long(1))).after(&first).undo(undo("third")).add();
        p.build().expect("a valid pipeline")
    }

    /// A rollout that soaks for so many units, and a task after it.
    pub(crate) fn rollout(&self, soak: u32, in_flight: InFlightPolicy, after: Work) -> Pipeline {
        let p = Pipeline::builder("rollout");
        p.rollback(RollbackTo::Previous).in_flight(in_flight);
        let out = p.phase("out");
        let halves = Halves { soak: self.unit * soak };
        let rollout = out.rollout("rollout", halves, Place(self.clone())).observe_every(self.unit).add();
        let undo = self.worker("undo-announce", Work::Quick);
        out.task("announce", self.worker("announce", after)).after(&rollout).undo(undo).add();
        p.build().expect("a valid pipeline")
    }

    /// One task.
    pub(crate) fn single(&self, name: &str, work: Work) -> Pipeline {
        let p = Pipeline::builder(name);
        p.rollback(RollbackTo::Previous);
        p.phase("only").task("work", self.worker("work", work)).add();
        p.build().expect("a valid pipeline")
    }

    /// Waits for a person, for as long as it takes.
    #[expect(clippy::unused_self, reason = "built like the others")]
    pub(crate) fn waiting(&self) -> Pipeline {
        let p = Pipeline::builder("waiting");
        p.rollback(RollbackTo::Previous);
        p.phase("consent").approval("sign-off", ApprovalRequest::new("Ship it?").role("release-manager")).add();
        p.build().expect("a valid pipeline")
    }
}

pub(crate) fn name(pipeline: &Pipeline) -> &PipelineName {
    pipeline.name()
}

/// A journal that does not wait for the disk: these tests kill processes, and the page cache survives that.
pub(crate) fn sqlite(file: &Path, clock: Arc<dyn Clock>) -> SqliteJournal {
    SqliteOptions::new(file).synchronous(Synchronous::Off).clock(clock).open().expect("a journal")
}
