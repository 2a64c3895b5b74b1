//! A small world for stories: agents that count their effects, and a target in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::agent::{Agent, AgentCard, AgentError, Handle, Lookup, Performed, Report, StepContext, Task};
use deploy_core::effect::EffectKey;
use deploy_core::name::{BlockName, EnvironmentName, RevisionName, ServiceName, TargetName};
use deploy_core::operator::Principal;
use deploy_core::release::Release;
use deploy_core::strategy::{
    Decision, Memory, Next, Outline, Promotion, Reason, ReasonCode, Situation, Stage, Strategy,
};
use deploy_core::target::{
    Applied, Capabilities, DesiredState, EffectContext, RevisionState, Target, TargetError, TargetState,
};

pub(crate) fn block(name: &str) -> BlockName {
    BlockName::new(name).expect("a valid name")
}

pub(crate) fn revision(name: &str) -> RevisionName {
    RevisionName::new(name).expect("a valid name")
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

pub(crate) fn grace() -> Principal {
    Principal::new("grace", "example.org").role("release-manager")
}

/// Lets time pass, which costs none: the runtime's time is paused.
#[expect(clippy::disallowed_methods, reason = "the runtime's time is paused, so nothing sleeps on the wall clock")]
pub(crate) async fn pass(span: Duration) {
    tokio::time::sleep(span).await;
}

/// What an agent does when it is asked.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    Succeed,
    Take(Duration),
    FailDefinitively,
    FailFirst(u32),
    Hang,
    Panic,
    /// Answers `Running` this many times.
    Long(u32),
}

/// What every agent of a world has done, by effect key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    done: BTreeMap<String, u32>,
    order: Vec<String>,
}

impl Ledger {
    pub(crate) fn note(&self, key: &EffectKey) {
        let mut entries = self.0.lock().expect("not poisoned");
        *entries.done.entry(key.to_string()).or_default() += 1;
        let way = if key.undo { "undo " } else { "" };
        entries.order.push(format!("{way}{}", key.step));
    }

    /// Steps in the order of their effects.
    pub(crate) fn order(&self) -> Vec<String> {
        self.0.lock().expect("not poisoned").order.clone()
    }

    /// Every key with an effect.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.0.lock().expect("not poisoned").done.keys().cloned().collect()
    }

    pub(crate) fn times(&self, part: &str) -> u32 {
        let entries = self.0.lock().expect("not poisoned");
        entries.done.iter().filter(|(key, _)| key.contains(part)).map(|(_, times)| times).sum()
    }
}

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) card: AgentCard,
    pub(crate) behaviour: Behaviour,
    pub(crate) ledger: Ledger,
    calls: Mutex<u32>,
}

impl Worker {
    pub(crate) fn new(name: &str, behaviour: Behaviour, ledger: &Ledger) -> Arc<Self> {
        let card = AgentCard::new(block(name), "works").repeatable();
        Arc::new(Self { card, behaviour, ledger: ledger.clone(), calls: Mutex::default() })
    }
}

#[async_trait]
impl Agent for Worker {
    fn card(&self) -> AgentCard {
        self.card.clone()
    }

    async fn perform(&self, _task: &Task, cx: &StepContext) -> Result<Performed, AgentError> {
        let call = {
            let mut calls = self.calls.lock().expect("not poisoned");
            *calls += 1;
            *calls
        };
        match &self.behaviour {
            Behaviour::Succeed => {}
            Behaviour::Take(span) => pass(*span).await,
            Behaviour::FailDefinitively => return Err(AgentError::definitive("it cannot be done")),
            Behaviour::FailFirst(times) if call <= *times => {
                return Err(AgentError::definitive(format!("not at the {call}. time")));
            }
            Behaviour::FailFirst(_) => {}
            Behaviour::Hang => cx.cancellation.cancelled().await,
            Behaviour::Panic => panic!("a fault in the host's agent"),
            Behaviour::Long(_) => {
                self.ledger.note(&cx.key);
                return Ok(Performed::Running { handle: Handle("0".to_owned()), poll_after: Duration::from_secs(5) });
            }
        }
        self.ledger.note(&cx.key);
        Ok(Performed::Done(Report::new()))
    }

    async fn poll(&self, handle: &Handle, _cx: &StepContext) -> Result<Performed, AgentError> {
        let polls: u32 = handle.0.parse().expect("our own handle");
        match self.behaviour {
            Behaviour::Long(times) if polls < times => {
                let handle = Handle((polls + 1).to_string());
                Ok(Performed::Running { handle, poll_after: Duration::from_secs(5) })
            }
            _ => Ok(Performed::Done(Report::new())),
        }
    }

    async fn lookup(&self, key: &EffectKey, _cx: &StepContext) -> Result<Lookup, AgentError> {
        Ok(if self.ledger.times(&key.to_string()) > 0 { Lookup::Finished(Report::new()) } else { Lookup::NeverStarted })
    }
}

/// A place in memory, where everything wanted is so at once.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    name: TargetName,
    state: Arc<Mutex<TargetState>>,
    pub(crate) applied: Arc<Mutex<Vec<(String, DesiredState)>>>,
}

impl Place {
    pub(crate) fn serving(version: &str, instances: u32) -> Self {
        let state = TargetState {
            revisions: BTreeMap::from([(
                revision(version),
                RevisionState { desired: instances, ready: instances, terminating: 0 },
            )]),
            weights: BTreeMap::from([(revision(version), 100)]),
            max_weight: 100,
            ..TargetState::default()
        };
        Self {
            name: TargetName::new("fleet").expect("a valid name"),
            state: Arc::new(Mutex::new(state)),
            applied: Arc::default(),
        }
    }

    pub(crate) fn weight(&self, version: &str) -> u32 {
        self.state.lock().expect("not poisoned").weight(&revision(version))
    }

    pub(crate) fn meddle(&self, change: impl FnOnce(&mut TargetState)) {
        change(&mut self.state.lock().expect("not poisoned"));
    }
}

#[async_trait]
impl Target for Place {
    fn name(&self) -> TargetName {
        self.name.clone()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { weights: true, capacity: true, ..Capabilities::default() }
    }

    async fn observe(&self) -> Result<TargetState, TargetError> {
        Ok(self.state.lock().expect("not poisoned").clone())
    }

    async fn apply(&self, desired: &DesiredState, cx: &EffectContext) -> Result<Applied, TargetError> {
        let mut state = self.state.lock().expect("not poisoned");
        self.applied.lock().expect("not poisoned").push((cx.key.to_string(), desired.clone()));
        let ready =
            |(name, n): (&RevisionName, &u32)| (name.clone(), RevisionState { desired: *n, ready: *n, terminating: 0 });
        state.revisions = desired.capacity.iter().map(ready).collect();
        state.weights = desired.weights.clone();
        state.max_weight = desired.max_weight;
        Ok(Applied::changed())
    }
}

/// Half the traffic, an optional question, then all of it; or back, when it is told so.
#[derive(Debug, Clone, Default)]
pub(crate) struct Halves {
    pub(crate) asks: bool,
    pub(crate) fails_at_half: bool,
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
        let old = s.from.serving().cloned().unwrap_or_else(|| new.clone());
        let split = |w: u32| DesiredState {
            capacity: BTreeMap::from([(old.clone(), 2), (new.clone(), 2)]),
            weights: BTreeMap::from([(old.clone(), 100 - w), (new.clone(), w)]),
            max_weight: 100,
            ..DesiredState::default()
        };
        let at_half = s.observed.weight(new) == 50;
        let whole = s.observed.weight(new) == 100;
        let ready = s.observed.revision(new).ready >= 2;
        let decision = |want, next, stage: u32, code, text: &str| Decision {
            want,
            measure: Vec::new(),
            next,
            memory: Memory::empty(),
            stage: Stage { index: stage, of: 3, name: format!("stage {stage}") },
            reason: Reason::new(code, text),
            judgements: Vec::new(),
            exposure: deploy_core::strategy::Exposure::NONE,
        };
        let soon = Next::WakeAt(s.now + s.observe_every);
        if whole {
            return decision(
                DesiredState::alone(new.clone(), 2, 100),
                Next::Complete,
                2,
                ReasonCode::RolledOut,
                "all of it",
            );
        }
        if !ready {
            return decision(split(0), soon, 0, ReasonCode::WaitingForInstances, "waiting for instances");
        }
        if !at_half {
            return decision(split(50), soon, 1, ReasonCode::Advanced, "half of it");
        }
        if self.fails_at_half {
            return decision(split(50), Next::RollBack, 1, ReasonCode::AnalysisFailed, "it is broken");
        }
        if self.asks && s.promotion == Promotion::None {
            let request = deploy_core::operator::ApprovalRequest::new("Go on?");
            return decision(split(50), Next::Await(request), 1, ReasonCode::WaitingForApproval, "asking");
        }
        if s.observed_for < self.soak && s.promotion == Promotion::None {
            return decision(split(50), soon, 1, ReasonCode::Soaking, "soaking");
        }
        decision(split(100), soon, 2, ReasonCode::Advanced, "all of it")
    }
}
