//! What the fleet holds, and the task that brings it towards what is wanted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deploy_core::effect::Fence;
use deploy_core::name::RevisionName;
use deploy_core::target::DesiredState;
use deploy_core::time::{Clock, SystemClock};
use tokio::sync::{Notify, watch};

use super::config::FleetConfig;
use super::effects::EffectSeen;
use super::instance::{Instance, InstancePhase, supervise};
use super::reconcile::{Standing, Step, View, plan, wanted_routing};
use crate::http::PlainHttp;
use crate::targets::balancer::{Balancer, BalancerError, Upstreams};
use crate::targets::proxy::Routing;
use crate::wait::pause;

/// How often the place is looked over even if nothing was reported: the safety net under the wake-ups.
const LOOK_OVER: Duration = Duration::from_secs(1);

/// The shared middle of a fleet.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) config: FleetConfig,
    pub(super) balancer: Arc<dyn Balancer>,
    pub(super) http: PlainHttp,
    pub(super) clock: SystemClock,
    state: Mutex<State>,
    wake: Notify,
}

/// What the fleet knows. Changed only under its lock, which is never held across a wait.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) goal: DesiredState,
    pub(super) fence: Option<Fence>,
    pub(super) effects: VecDeque<EffectSeen>,
    pub(super) members: BTreeMap<u64, Member>,
    next_id: u64,
    /// Counts changes of what an observer sees.
    pub(super) version: u64,
    /// When somebody last called, on the fleet's monotonic clock.
    pub(super) last_call: Duration,
    /// The last revision that had all of the traffic.
    pub(super) last_alone: Option<RevisionName>,
    /// The goal whose traffic was in force once. From then on a change by somebody else is theirs: it is told, and undone only when
    /// somebody applies again.
    pub(super) settled: Option<DesiredState>,
    /// What was last read back from the balancer, without addresses.
    seen: Option<Routing>,
    /// How often the dead-man lease has returned traffic.
    pub(super) lapses: u32,
    pub(super) closing: bool,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) instance: Instance,
    stop: watch::Sender<bool>,
}

impl Fleet {
    pub(super) fn new(config: FleetConfig, balancer: Arc<dyn Balancer>) -> Arc<Self> {
        let clock = SystemClock::new();
        Arc::new(Self { config, balancer, http: PlainHttp::new(), clock, state: Mutex::default(), wake: Notify::new() })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the reconciler look at once.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Changes what is known of an instance; wakes the reconciler if that changed anything.
    pub(super) fn update(&self, id: u64, change: impl FnOnce(&mut Instance)) {
        let mut state = self.state();
        let Some(member) = state.members.get_mut(&id) else { return };
        let before = member.instance.clone();
        change(&mut member.instance);
        if member.instance != before {
            state.version += 1;
            drop(state);
            self.wake();
        }
    }

    /// Forgets an instance that has ended for good.
    pub(super) fn remove(&self, id: u64) {
        let mut state = self.state();
        if state.members.remove(&id).is_some() {
            state.version += 1;
        }
        drop(state);
        self.wake();
    }

    /// Tells the given-up instances to leave, so that new ones take their places.
    pub(super) fn replace_given_up(state: &mut State) -> bool {
        let mut any = false;
        for member in state.members.values_mut().filter(|m| m.instance.phase == InstancePhase::GivenUp) {
            member.instance.phase = InstancePhase::Stopping;
            member.stop.send_replace(true);
            any = true;
        }
        any
    }

    /// Reads back what is in force, and counts a change that somebody else made. Gives the version that it was read at.
    pub(super) async fn read_back(&self) -> Result<(Routing, u64), BalancerError> {
        let before = self.state().version;
        let routing = self.balancer.routing().await?;
        let shown = Routing { upstreams: BTreeMap::new(), ..routing.clone() };
        let mut state = self.state();
        // What was read while something changed counts as read before: it may then be refused as outdated, never taken as new.
        if state.version != before {
            return Ok((routing, before));
        }
        if state.seen.as_ref().is_some_and(|seen| *seen != shown) {
            state.version += 1;
        }
        state.seen = Some(shown);
        Ok((routing, state.version))
    }

    /// Brings the place towards what is wanted until the fleet is closed.
    pub(super) async fn reconcile(self: Arc<Self>) {
        loop {
            if self.state().closing {
                return;
            }
            // Each round only does what the one before made possible, so that a few are enough; the rest waits for news.
            loop {
                match self.step().await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        let cause = error.source.as_ref().map(ToString::to_string).unwrap_or_default();
                        tracing::warn!(target = %self.config.name, %error, cause, "the balancer is not as wanted");
                        break;
                    }
                }
            }
            let patience = self.config.dead_man.as_ref().map_or(LOOK_OVER, |lease| LOOK_OVER.min(lease.after / 4));
            tokio::select! {
                () = self.wake.notified() => {}
                () = pause(patience) => {}
            }
        }
    }

    /// One round; tells whether traffic moved, which may have made room for more.
    async fn step(self: &Arc<Self>) -> Result<bool, BalancerError> {
        // One look at the instances for both: one that became ready in between would be ready for the plan, and unknown to the
        // balancer that is to send it traffic.
        let (views, ready) = {
            let state = self.state();
            if state.closing {
                return Ok(false);
            }
            let views: Vec<View> = state.members.values().map(|member| view(&member.instance)).collect();
            (views, ready(&state))
        };
        self.balancer.use_upstreams(&ready).await?;
        let routing = self.balancer.routing().await?;
        self.lapse(&routing);
        let goal = self.state().goal.clone();
        let mut steps = plan(&goal, &views, &routing);
        if wanted_routing(&goal, &routing) == routing {
            self.state().settled = Some(goal.clone());
        } else if self.state().settled.as_ref() == Some(&goal) {
            // Somebody else has changed the traffic. Only what brings capacity up is done meanwhile.
            steps.retain(|step| matches!(step, Step::Start { .. }));
        }
        let mut moved = false;
        for step in steps {
            match step {
                Step::Start { revision, count } => {
                    let mut state = self.state();
                    // What is wanted may have changed since: then the next round starts what is missing.
                    if state.goal == goal {
                        (0..count).for_each(|_| self.start(&mut state, &revision));
                    }
                }
                Step::Route => {
                    moved |= self.balancer.route(&wanted_routing(&goal, &routing)).await?;
                    let mut state = self.state();
                    state.version += 1;
                    state.settled = Some(goal.clone());
                    state.seen = None;
                    if let Some(alone) = alone(&goal) {
                        state.last_alone = Some(alone);
                    }
                }
                Step::Retire { id } => self.retire(id).await?,
            }
        }
        Ok(moved)
    }

    fn start(self: &Arc<Self>, state: &mut State, revision: &RevisionName) {
        state.next_id += 1;
        state.version += 1;
        let id = state.next_id;
        let (stop, stopped) = watch::channel(false);
        state.members.insert(id, Member { instance: Instance::new(id, revision.clone()), stop });
        tokio::spawn(supervise(Arc::clone(self), id, revision.clone(), stopped));
    }

    async fn retire(self: &Arc<Self>, id: u64) -> Result<(), BalancerError> {
        let Some((revision, address)) =
            self.state().members.get(&id).map(|Member { instance, .. }| (instance.revision.clone(), instance.address))
        else {
            return Ok(());
        };
        // Out of the traffic first: whoever looks meanwhile sees an instance that serves, and it does.
        let draining = match address {
            Some(address) => Some(self.balancer.retire(&revision, address, self.config.drain_within).await?),
            None => None,
        };
        let mut state = self.state();
        let Some(member) = state.members.get_mut(&id) else { return Ok(()) };
        member.instance.phase = InstancePhase::Draining;
        let (fleet, stop) = (Arc::clone(self), member.stop.clone());
        state.version += 1;
        drop(state);
        tokio::spawn(async move {
            if let Some(draining) = draining {
                let left = draining.await;
                if left > 0 {
                    tracing::warn!(target = %fleet.config.name, instance = id, left, "an instance is stopped with requests under way");
                }
            }
            fleet.update(id, |instance| instance.phase = InstancePhase::Stopping);
            stop.send_replace(true);
        });
        Ok(())
    }

    /// Returns traffic to stable if traffic is split and nobody has called for too long.
    fn lapse(&self, routing: &Routing) {
        let Some(lease) = &self.config.dead_man else { return };
        let mut state = self.state();
        let silent = self.clock.monotonic().saturating_sub(state.last_call);
        if silent < lease.after || routing.serving().len() < 2 {
            return;
        }
        let Some(stable) = lease.stable.clone().or_else(|| state.last_alone.clone()) else { return };
        let mut goal = DesiredState {
            weights: BTreeMap::from([(stable.clone(), routing.max_weight)]),
            max_weight: routing.max_weight,
            capacity: state.goal.capacity.clone(),
            ..DesiredState::default()
        };
        let wanted = goal.capacity.entry(stable.clone()).or_insert(1);
        *wanted = (*wanted).max(1);
        if goal != state.goal {
            tracing::warn!(target = %self.config.name, %stable, "nobody has called: traffic returns to stable");
            state.goal = goal;
            state.version += 1;
            state.lapses += 1;
        }
    }

    /// Stops every instance and the balancer: the balancer first, so that requests under way find their instances.
    pub(super) async fn close(&self) {
        self.state().closing = true;
        self.wake();
        self.balancer.close(self.config.drain_within).await;
        let stops: Vec<_> = self.state().members.values().map(|member| member.stop.clone()).collect();
        for stop in stops {
            stop.send_replace(true);
        }
        let bound = self.config.grace + Duration::from_secs(10);
        let gone = crate::wait::until(bound, Duration::from_millis(10), || async {
            self.state().members.is_empty().then_some(())
        });
        if gone.await.is_err() {
            tracing::error!(target = %self.config.name, "instances were left when the fleet was closed");
        }
    }
}

/// The addresses of exactly the instances that are ready.
fn ready(state: &State) -> Upstreams {
    let mut ready: Upstreams = BTreeMap::new();
    for Member { instance, .. } in state.members.values() {
        if let (InstancePhase::Ready, Some(address)) = (instance.phase, instance.address) {
            ready.entry(instance.revision.clone()).or_default().insert(address);
        }
    }
    ready
}

fn view(instance: &Instance) -> View {
    let standing = match instance.phase {
        InstancePhase::Ready => Standing::Ready,
        InstancePhase::Draining | InstancePhase::Stopping => Standing::Leaving,
        _ if !instance.settled => Standing::Starting,
        InstancePhase::Starting | InstancePhase::Unready | InstancePhase::Restarting | InstancePhase::GivenUp => {
            Standing::Unwell
        }
    };
    View { id: instance.id, revision: instance.revision.clone(), standing }
}

/// The revision that has all of the traffic, if one has.
fn alone(goal: &DesiredState) -> Option<RevisionName> {
    let mut weighted = goal.weights.iter().filter(|(_, weight)| **weight > 0).map(|(revision, _)| revision);
    match (weighted.next(), weighted.next()) {
        (Some(only), None) if goal.routes.is_empty() => Some(only.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, OnceLock, Weak};
    use std::time::Duration;

    use async_trait::async_trait;
    use deploy_core::name::{RevisionName, TargetName};
    use deploy_core::target::{Capabilities, Target as _};
    use tokio::sync::watch;

    use super::{Fleet, Member};
    use crate::process::CommandLine;
    use crate::targets::balancer::{Balancer, BalancerError, Draining, Upstreams};
    use crate::targets::processes::{FleetConfig, Instance, InstancePhase, Launch, ProcessFleet};
    use crate::targets::proxy::Routing;

    fn revision(text: &str) -> RevisionName {
        RevisionName::new(text).expect("a name")
    }

    /// While it is read for the first time, traffic moves from v1 to v2, and v1's instance leaves: the answer is of before.
    #[derive(Debug, Default)]
    struct Moving {
        fleet: OnceLock<Weak<Fleet>>,
        moved: AtomicBool,
    }

    #[async_trait]
    impl Balancer for Moving {
        fn capabilities(&self) -> Capabilities {
            Capabilities { weights: true, ..Capabilities::default() }
        }
        async fn routing(&self) -> Result<Routing, BalancerError> {
            let serves = if self.moved.swap(true, Ordering::SeqCst) { "v2" } else { "v1" };
            if let Some(fleet) = self.fleet.get().and_then(Weak::upgrade) {
                fleet.update(1, |instance| instance.phase = InstancePhase::Draining);
            }
            Ok(Routing { weights: [(revision(serves), 100)].into(), max_weight: 100, ..Routing::default() })
        }
        async fn use_upstreams(&self, _: &Upstreams) -> Result<(), BalancerError> {
            Ok(())
        }
        async fn route(&self, _: &Routing) -> Result<bool, BalancerError> {
            Ok(false)
        }
        async fn retire(&self, _: &RevisionName, _: SocketAddr, _: Duration) -> Result<Draining, BalancerError> {
            Ok(Box::pin(std::future::ready(0)))
        }
        async fn close(&self, _: Duration) {}
    }

    #[tokio::test]
    async fn nobody_is_told_of_traffic_and_instances_of_two_moments() {
        let balancer = Arc::new(Moving::default());
        let launch = Launch::template(CommandLine::new("true"));
        let config = FleetConfig::new(TargetName::new("here").expect("a name"), launch);
        let fleet = Fleet::new(config, Arc::clone(&balancer) as Arc<dyn Balancer>);
        for (id, name) in [(1, "v1"), (2, "v2")] {
            let instance = Instance { phase: InstancePhase::Ready, ..Instance::new(id, revision(name)) };
            fleet.state().members.insert(id, Member { instance, stop: watch::channel(false).0 });
        }
        balancer.fleet.set(Arc::downgrade(&fleet)).expect("not set before");
        let place = ProcessFleet { fleet, balancer, reconciler: tokio::spawn(std::future::pending()) };

        let seen = place.observe().await.expect("a state");

        assert_eq!(seen.weight(&revision("v2")), 100);
        for name in seen.weights.keys() {
            assert!(seen.revision(name).ready > 0, "{name} serves, and nobody is there: {seen:?}");
        }
        assert_eq!(seen.version, Some(place.fleet.state().version), "it is of now");
    }
}
