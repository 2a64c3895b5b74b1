//! Fakes that do what they are told and remember what was asked of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::agent::{Agent, AgentCard, AgentError, Handle, Lookup, Performed, Report, StepContext, Task};
use crate::effect::{EffectKey, Fence};
use crate::monitor::{Arm, MeasureContext, MeasureRequest, Measurement, Monitor, MonitorError, Reading, Window};
use crate::name::{BlockName, MetricName, RevisionName, TargetName};
use crate::target::{
    Applied, Capabilities, DesiredState, EffectContext, RevisionState, Target, TargetError, TargetState,
};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An agent that gives the answers it was told to give, and its [`finally`](Self::finally) answer when they run out.
///
/// It does each effect once: asked again with a key that it has finished, it gives the same report.
#[derive(Debug)]
pub struct ScriptedAgent {
    card: AgentCard,
    finally: Report,
    script: Mutex<VecDeque<Result<Performed, AgentError>>>,
    calls: Mutex<Vec<EffectKey>>,
    finished: Mutex<BTreeMap<EffectKey, Report>>,
    effects: AtomicU64,
}

impl ScriptedAgent {
    /// An agent that is done at once with an empty report.
    #[must_use]
    pub fn new(card: AgentCard) -> Self {
        Self {
            card,
            finally: Report::new(),
            script: Mutex::default(),
            calls: Mutex::default(),
            finished: Mutex::default(),
            effects: AtomicU64::new(0),
        }
    }

    /// The same with another report at the end of the script.
    #[must_use]
    pub fn finally(mut self, report: Report) -> Self {
        self.finally = report;
        self
    }

    /// The same, giving this answer to the next call of `perform` or `poll` that has none yet.
    #[must_use]
    pub fn then(self, answer: Result<Performed, AgentError>) -> Self {
        lock(&self.script).push_back(answer);
        self
    }

    /// The keys of all calls of `perform`, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<EffectKey> {
        lock(&self.calls).clone()
    }

    /// How many effects were done.
    #[must_use]
    pub fn effects(&self) -> u64 {
        self.effects.load(SeqCst)
    }

    fn next(&self, key: &EffectKey) -> Result<Performed, AgentError> {
        if let Some(report) = lock(&self.finished).get(key) {
            return Ok(Performed::Done(report.clone()));
        }
        let answer = lock(&self.script).pop_front().unwrap_or_else(|| Ok(Performed::Done(self.finally.clone())));
        if let Ok(Performed::Done(report)) = &answer {
            self.effects.fetch_add(1, SeqCst);
            lock(&self.finished).insert(key.clone(), report.clone());
        }
        answer
    }
}

#[async_trait]
impl Agent for ScriptedAgent {
    fn card(&self) -> AgentCard {
        self.card.clone()
    }

    async fn perform(&self, _task: &Task, cx: &StepContext) -> Result<Performed, AgentError> {
        lock(&self.calls).push(cx.key.clone());
        self.next(&cx.key)
    }

    async fn poll(&self, _handle: &Handle, cx: &StepContext) -> Result<Performed, AgentError> {
        self.next(&cx.key)
    }

    async fn lookup(&self, key: &EffectKey, _cx: &StepContext) -> Result<Lookup, AgentError> {
        let finished = lock(&self.finished).get(key).cloned();
        Ok(match finished {
            Some(report) => Lookup::Finished(report),
            None if lock(&self.calls).contains(key) => Lookup::Unknown,
            None => Lookup::NeverStarted,
        })
    }
}

/// A monitor that knows the readings it was told, and has no data of anything else.
#[derive(Debug)]
pub struct ScriptedMonitor {
    name: BlockName,
    metrics: Vec<MetricName>,
    readings: Mutex<BTreeMap<(RevisionName, MetricName), VecDeque<Reading>>>,
    failures: Mutex<VecDeque<MonitorError>>,
}

impl ScriptedMonitor {
    /// A monitor of these quantities, without data.
    pub fn new(name: BlockName, metrics: impl IntoIterator<Item = MetricName>) -> Self {
        let metrics = metrics.into_iter().collect();
        Self { name, metrics, readings: Mutex::default(), failures: Mutex::default() }
    }

    /// The same with one more reading of a revision; the last one is repeated for ever.
    #[must_use]
    pub fn then(self, revision: &RevisionName, metric: &MetricName, reading: Reading) -> Self {
        lock(&self.readings).entry((revision.clone(), metric.clone())).or_default().push_back(reading);
        self
    }

    /// Fails the next question.
    pub fn fail_next(&self, error: MonitorError) {
        lock(&self.failures).push_back(error);
    }

    fn reading(&self, revision: &RevisionName, metric: &MetricName) -> Reading {
        let mut readings = lock(&self.readings);
        let Some(script) = readings.get_mut(&(revision.clone(), metric.clone())) else { return Reading::NoData };
        let next = if script.len() > 1 { script.pop_front() } else { script.front().cloned() };
        next.unwrap_or(Reading::NoData)
    }
}

#[async_trait]
impl Monitor for ScriptedMonitor {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    async fn measure(&self, request: &MeasureRequest, cx: &MeasureContext) -> Result<Vec<Measurement>, MonitorError> {
        if let Some(error) = lock(&self.failures).pop_front() {
            return Err(error);
        }
        if let Some(unknown) = request.metrics.iter().find(|metric| !self.metrics.contains(metric)) {
            return Err(MonitorError::new(format!("{} has no metric {unknown}", self.name)));
        }
        let window = Window::ending(cx.now.wall, request.lookback);
        let arms = [(Arm::Candidate, Some(&request.candidate)), (Arm::Baseline, request.baseline.as_ref())];
        let mut all = Vec::new();
        for (arm, revision) in arms.into_iter().filter_map(|(arm, revision)| Some((arm, revision?))) {
            let asked = |metric: &&MetricName| request.metrics.is_empty() || request.metrics.contains(metric);
            for metric in self.metrics.iter().filter(asked) {
                all.push(Measurement::new(metric.clone(), arm, window, self.reading(revision, metric)));
            }
        }
        Ok(all)
    }
}

/// A target in memory. Instances become ready after a number of observations; traffic follows once they are.
#[derive(Debug)]
pub struct ScriptedTarget {
    name: TargetName,
    capabilities: Capabilities,
    lag: u32,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    goal: DesiredState,
    state: TargetState,
    /// How many more observations until the goal is reached.
    due: u32,
    version: u64,
    fence: Option<Fence>,
    applied: Vec<(EffectKey, DesiredState)>,
    broken: Vec<RevisionName>,
    failures: VecDeque<TargetError>,
}

impl ScriptedTarget {
    /// An empty place that can do everything but hold a dead-man lease, and does it at once.
    #[must_use]
    pub fn new(name: TargetName) -> Self {
        let capabilities = Capabilities {
            weights: true,
            switch: true,
            capacity: true,
            routes: true,
            mirror: true,
            experiments: true,
            preview: true,
            flags: true,
            fence: true,
            compare_and_apply: true,
            dead_man_lease: false,
        };
        Self { name, capabilities, lag: 0, inner: Mutex::default() }
    }

    /// The same with other capabilities.
    #[must_use]
    pub fn capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// The same, where what is wanted is there only after so many observations.
    #[must_use]
    pub fn lag(mut self, observations: u32) -> Self {
        self.lag = observations;
        self
    }

    /// The same, beginning with this already reached.
    #[must_use]
    pub fn holding(self, desired: DesiredState) -> Self {
        {
            let mut inner = lock(&self.inner);
            inner.goal = desired;
            inner.advance();
        }
        self
    }

    /// Instances of this revision never become ready from here on.
    pub fn break_revision(&self, revision: RevisionName) {
        lock(&self.inner).broken.push(revision);
    }

    /// Fails the next call of `apply`, which changes nothing.
    pub fn fail_next(&self, error: TargetError) {
        lock(&self.inner).failures.push_back(error);
    }

    /// Somebody else changes the weights.
    pub fn meddle(&self, weights: BTreeMap<RevisionName, u32>) {
        let mut inner = lock(&self.inner);
        inner.state.weights = weights.clone();
        inner.goal.weights = weights;
        inner.version += 1;
    }

    /// Every statement that was taken, with its key, in order.
    #[must_use]
    pub fn applied(&self) -> Vec<(EffectKey, DesiredState)> {
        lock(&self.inner).applied.clone()
    }
}

impl Inner {
    /// Reaches what can be reached: capacity always, traffic only where it finds somebody ready, and what served stays until then.
    fn advance(&mut self) {
        let ready = |revision: &RevisionName, wanted: u32| if self.broken.contains(revision) { 0 } else { wanted };
        let healthy = |revision: &RevisionName| {
            let wanted = self.goal.capacity.get(revision).copied().unwrap_or(0);
            ready(revision, wanted) > 0
        };
        let routed = self.goal.routes.iter().map(|route| &route.to);
        let weighted = self.goal.weights.iter().filter(|(_, weight)| **weight > 0).map(|(revision, _)| revision);
        let may_move = weighted.chain(routed).all(healthy);
        let mut revisions: BTreeMap<RevisionName, RevisionState> = BTreeMap::new();
        for (revision, wanted) in self.goal.capacity.iter().filter(|(_, wanted)| **wanted > 0) {
            let ready = ready(revision, *wanted);
            revisions.insert(revision.clone(), RevisionState { desired: *wanted, ready, terminating: 0 });
        }
        if !may_move {
            for (revision, before) in &self.state.revisions {
                let kept = revisions.entry(revision.clone()).or_default();
                kept.ready = kept.ready.max(before.ready);
            }
            self.state.revisions = revisions;
            return;
        }
        self.state = TargetState {
            revisions,
            weights: self.goal.weights.iter().filter(|(_, w)| **w > 0).map(|(r, w)| (r.clone(), *w)).collect(),
            max_weight: self.goal.max_weight,
            routes: self.goal.routes.clone(),
            mirror: self.goal.mirror.clone(),
            preview: self.goal.preview.clone(),
            flags: self.goal.flags.clone(),
            wanted_by_others: self.state.wanted_by_others,
            version: None,
        };
    }
}

#[async_trait]
impl Target for ScriptedTarget {
    fn name(&self) -> TargetName {
        self.name.clone()
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn observe(&self) -> Result<TargetState, TargetError> {
        let mut inner = lock(&self.inner);
        if inner.due > 0 {
            inner.due -= 1;
        }
        if inner.due == 0 {
            let before = inner.state.clone();
            inner.advance();
            inner.version += u64::from(inner.state != before);
        }
        let max_weight = if inner.state.max_weight == 0 { 100 } else { inner.state.max_weight };
        let version = self.capabilities.compare_and_apply.then_some(inner.version);
        Ok(TargetState { max_weight, version, ..inner.state.clone() })
    }

    async fn apply(&self, desired: &DesiredState, cx: &EffectContext) -> Result<Applied, TargetError> {
        let mut inner = lock(&self.inner);
        if let Some(error) = inner.failures.pop_front() {
            return Err(error);
        }
        if let Some(seen) = inner.fence.filter(|seen| self.capabilities.fence && cx.fence < *seen) {
            return Err(TargetError::older_fence(cx.fence, seen));
        }
        inner.fence = Some(cx.fence);
        if let Some(based_on) = desired.based_on.filter(|v| self.capabilities.compare_and_apply && *v != inner.version)
        {
            return Err(TargetError::transient(format!(
                "based on version {based_on}, and it is {} now",
                inner.version
            )));
        }
        if !desired.weights_are_whole() {
            return Err(TargetError::definitive(format!("the weights do not sum to {}", desired.max_weight)));
        }
        inner.applied.push((cx.key.clone(), desired.clone()));
        let goal = DesiredState { based_on: None, ..desired.clone() };
        if goal == inner.goal {
            return Ok(Applied::unchanged());
        }
        inner.goal = goal;
        inner.version += 1;
        inner.due = self.lag;
        if self.lag == 0 {
            inner.advance();
        }
        Ok(Applied::changed())
    }
}

/// How long scripted work says to wait between two polls.
pub const POLL_AFTER: Duration = Duration::from_secs(1);

/// A [`Performed::Running`] with this handle, for a script.
#[must_use]
pub fn running(handle: impl Into<String>) -> Performed {
    Performed::Running { handle: Handle(handle.into()), poll_after: POLL_AFTER }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ScriptedAgent, ScriptedMonitor, ScriptedTarget, running};
    use crate::agent::AgentCard;
    use crate::monitor::{MeasureRequest, Reading};
    use crate::name::{BlockName, MetricName, RevisionName, TargetName};
    use crate::real::Real;
    use crate::target::Capabilities;
    use crate::testing::conformance::{agent::AgentSuite, monitor::MonitorSuite, target::TargetSuite};

    fn revision(text: &str) -> RevisionName {
        RevisionName::new(text).expect("a name")
    }

    #[tokio::test(start_paused = true)]
    async fn the_scripted_target_conforms_at_once_and_with_a_lag() {
        for lag in [0, 3] {
            let suite = TargetSuite::new(revision("v1"), revision("v2"));
            let make = || async { ScriptedTarget::new(TargetName::new("here").expect("a name")).lag(lag) };
            assert_eq!(suite.run(make).await.len(), 8);
            let plain = Capabilities { capacity: true, ..Capabilities::default() };
            let make = || async { ScriptedTarget::new(TargetName::new("here").expect("a name")).capabilities(plain) };
            assert_eq!(suite.run(make).await.len(), 3);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_scripted_agent_conforms() {
        let card = AgentCard::new(BlockName::new("agent").expect("a name"), "does what it is told").repeatable();
        let agent = ScriptedAgent::new(card).then(Ok(running("job 1"))).then(Ok(running("job 1")));
        let count = || agent.effects();
        let run = AgentSuite::new().effects(&count).run(&agent).await;
        assert!(run.contains(&"is repeatable, as its card says"));
        assert_eq!(agent.calls().len(), 3);
    }

    #[tokio::test]
    async fn the_scripted_monitor_conforms() {
        let metric = MetricName::new("errors").expect("a name");
        let monitor = ScriptedMonitor::new(BlockName::new("monitor").expect("a name"), [metric.clone()]).then(
            &revision("v2"),
            &metric,
            Reading::Value(Real::from(1)),
        );
        let request = MeasureRequest {
            monitor: BlockName::new("monitor").expect("a name"),
            metrics: Vec::new(),
            candidate: revision("v2"),
            baseline: Some(revision("v1")),
            lookback: Duration::from_secs(60),
        };
        let run = MonitorSuite::new(request).unknown(revision("v9")).run(&monitor).await;
        assert_eq!(run.len(), 6);
    }
}
