//! A service's instances as child processes of this process, behind a [balancer](super::Balancer).

mod config;
mod effects;
mod fleet;
mod instance;
mod pinned;
pub(in crate::targets) mod reconcile;

use std::sync::Arc;

use async_trait::async_trait;
use deploy_core::name::TargetName;
use deploy_core::target::{
    Applied, Capabilities, DesiredState, EffectContext, RevisionState, Target, TargetError, TargetState,
};
use deploy_core::time::Clock;

pub use self::config::{DeadMan, FleetConfig, HealthCheck, Launch, LaunchSlot, RestartPolicy};
pub use self::effects::{EffectSeen, digest_of};
use self::fleet::{Fleet, State};
pub use self::instance::{Instance, InstancePhase};
use crate::targets::balancer::{Balancer, BalancerError};
use crate::targets::proxy::{Proxy, Routing};

/// Runs instances as child processes and has a [`Balancer`] send them traffic: the [`Proxy`] in this process, or
/// [HAProxy](super::haproxy::Haproxy).
///
/// [`apply`](Target::apply) sets the goal and returns; a task of the fleet brings the place towards it: capacity up, then
/// traffic to revisions that are ready, then drain and stop what is no longer wanted. Until a step is safe it is not taken,
/// however long that lasts: traffic never rises on a revision without a ready instance, and a ready instance leaves only
/// while every revision that serves keeps one. The engine sees how far it has come by [`observe`](Target::observe).
///
/// Once the wanted traffic is in force, a change that somebody else makes at the balancer is told and left alone until somebody
/// applies again: whether it is undone is the engine's decision, and the plan's.
///
/// The fleet lives as long as its process; dropping it without [`close`](Self::close) kills the instances. When its process
/// is killed outright (SIGKILL), the instances are left without a parent.
#[derive(Debug)]
pub struct ProcessFleet<B = Proxy> {
    fleet: Arc<Fleet>,
    balancer: Arc<B>,
    reconciler: tokio::task::JoinHandle<()>,
}

impl ProcessFleet {
    /// The proxy in front.
    #[must_use]
    pub fn proxy(&self) -> &Proxy {
        &self.balancer
    }
}

impl<B: Balancer> ProcessFleet<B> {
    /// Starts an empty fleet behind a balancer, which must be used by nobody else.
    #[must_use]
    pub fn start(config: FleetConfig, balancer: B) -> Self {
        let balancer = Arc::new(balancer);
        let fleet = Fleet::new(config, Arc::clone(&balancer) as Arc<dyn Balancer>);
        let reconciler = tokio::spawn(Arc::clone(&fleet).reconcile());
        Self { fleet, balancer, reconciler }
    }

    /// Sets what is wanted without a run behind it: the state that a place begins with.
    ///
    /// # Errors
    ///
    /// [`TargetError`] if the statement is not sound.
    pub fn begin_with(&self, desired: &DesiredState) -> Result<(), TargetError> {
        self.check(desired)?;
        self.set(&mut self.fleet.state(), desired, false);
        Ok(())
    }

    /// What stands in front.
    #[must_use]
    pub fn balancer(&self) -> &B {
        &self.balancer
    }

    /// Every instance, by id.
    #[must_use]
    pub fn instances(&self) -> Vec<Instance> {
        self.fleet.state().members.values().map(|member| member.instance.clone()).collect()
    }

    /// The effects that reached the place, oldest first.
    #[must_use]
    pub fn effects(&self) -> Vec<EffectSeen> {
        self.fleet.state().effects.iter().cloned().collect()
    }

    /// How often the dead-man lease has returned traffic to stable.
    #[must_use]
    pub fn lapses(&self) -> u32 {
        self.fleet.state().lapses
    }

    /// Stops the balancer, lets requests under way end, and stops every instance.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the fleet closing; call it again to wait for the end.
    pub async fn close(&self) {
        self.fleet.close().await;
    }

    fn check(&self, desired: &DesiredState) -> Result<(), TargetError> {
        let refuse = |why: String| Err(TargetError::definitive(why));
        if !desired.weights_are_whole() {
            let sum: u64 = desired.weights.values().map(|w| u64::from(*w)).sum();
            return refuse(format!("the weights sum to {sum}, and the whole is {}", desired.max_weight));
        }
        let served = |revision| desired.capacity.get(revision).copied().unwrap_or(0) > 0;
        let weighted = desired.weights.iter().filter(|(_, weight)| **weight > 0).map(|(revision, _)| revision);
        let routed = desired.routes.iter().map(|route| &route.to);
        let mut wanted =
            weighted.chain(routed).chain(desired.mirror.iter().map(|mirror| &mirror.to)).chain(&desired.preview);
        if let Some(revision) = wanted.find(|revision| !served(revision)) {
            return refuse(format!("{revision} is to get traffic and no capacity; ask for at least one instance"));
        }
        let in_all = desired.capacity.values().map(|n| u64::from(*n)).sum::<u64>();
        let most = self.fleet.config.most_instances;
        if in_all > u64::from(most) {
            return refuse(format!("{in_all} instances are wanted, and this place runs at most {most}"));
        }
        if desired.mirror.as_ref().is_some_and(|mirror| mirror.percent > 100) {
            return refuse("a mirror of more than 100 percent".to_owned());
        }
        let able = self.balancer.capabilities();
        let unsupported = [
            (desired.experiment.is_some(), "experiments"),
            (desired.preview.is_some() && !able.preview, "second address"),
            (!desired.routes.is_empty() && !able.routes, "routes by header or cookie"),
            (desired.mirror.is_some() && !able.mirror, "mirror"),
            (!desired.flags.is_empty(), "feature flags"),
        ];
        if let Some((_, what)) = unsupported.into_iter().find(|(asked, _)| *asked) {
            return refuse(format!("this place has no {what}"));
        }
        self.balancer.check(desired).or_else(refuse)
    }

    /// Takes the goal over; tells whether anything changes.
    fn set(&self, state: &mut State, desired: &DesiredState, renew: bool) -> bool {
        let desired = DesiredState { based_on: None, ..desired.clone() };
        let renewed = renew && Fleet::replace_given_up(state);
        state.settled = None;
        let changed = state.goal != desired || renewed;
        if changed {
            state.goal = desired;
            state.version += 1;
        }
        self.fleet.wake();
        changed
    }
}

/// How often traffic and instances are read until both are of one moment. Few changes follow upon each other; a place that never
/// stands still is told as it was seen last.
const MOST_LOOKS: u32 = 32;

/// Traffic and instances as one state.
fn together(state: &State, routing: Routing, version: u64) -> TargetState {
    let mut seen = TargetState {
        weights: routing.weights,
        max_weight: if routing.max_weight == 0 { 100 } else { routing.max_weight },
        routes: routing.routes,
        mirror: routing.mirror,
        preview: routing.preview,
        version: Some(version),
        ..TargetState::default()
    };
    for (revision, wanted) in state.goal.capacity.iter().filter(|(_, wanted)| **wanted > 0) {
        seen.revisions.insert(revision.clone(), RevisionState { desired: *wanted, ..RevisionState::default() });
    }
    for member in state.members.values() {
        let revision = seen.revisions.entry(member.instance.revision.clone()).or_default();
        revision.ready += u32::from(member.instance.phase == InstancePhase::Ready);
        revision.terminating += u32::from(member.instance.is_leaving());
    }
    seen
}

impl<B> Drop for ProcessFleet<B> {
    fn drop(&mut self) {
        self.fleet.state().closing = true;
        self.reconciler.abort();
        // Without their senders the supervisors see the end and stop their instances.
        self.fleet.state().members.clear();
    }
}

#[async_trait]
impl<B: Balancer> Target for ProcessFleet<B> {
    fn name(&self) -> TargetName {
        self.fleet.config.name.clone()
    }

    fn capabilities(&self) -> Capabilities {
        let Capabilities { weights, routes, mirror, preview, .. } = self.balancer.capabilities();
        Capabilities {
            weights,
            capacity: true,
            routes,
            mirror,
            preview,
            fence: true,
            compare_and_apply: true,
            dead_man_lease: self.fleet.config.dead_man.is_some(),
            ..Capabilities::default()
        }
    }

    async fn observe(&self) -> Result<TargetState, TargetError> {
        self.fleet.state().last_call = self.fleet.clock.monotonic();
        let mut looks = 0;
        loop {
            let (routing, version) = self.fleet.read_back().await.map_err(|error| {
                TargetError::transient(format!("what is in force at {} could not be read", self.fleet.config.name))
                    .because(error)
            })?;
            let state = self.fleet.state();
            looks += 1;
            // Instances that changed while the balancer was read are of another moment than the traffic: put together they would tell
            // of a revision that serves and has nobody.
            if state.version == version || looks == MOST_LOOKS {
                return Ok(together(&state, routing, version));
            }
        }
    }

    async fn apply(&self, desired: &DesiredState, cx: &EffectContext) -> Result<Applied, TargetError> {
        if desired.based_on.is_some() {
            // Somebody else may have changed the balancer since; that makes another version.
            self.fleet.read_back().await.map_err(|error: BalancerError| {
                TargetError::transient("it could not be seen whether the place has changed").because(error)
            })?;
        }
        // All under one lock: no other call comes between the comparison of fences and the new goal.
        let mut state = self.fleet.state();
        if state.closing {
            return Err(TargetError::transient("the place is closing"));
        }
        if let Some(seen) = state.fence.filter(|seen| cx.fence < *seen) {
            return Err(TargetError::older_fence(cx.fence, seen));
        }
        state.fence = Some(cx.fence);
        state.last_call = self.fleet.clock.monotonic();
        if let Some(based_on) = desired.based_on.filter(|based_on| *based_on != state.version) {
            let now = state.version;
            return Err(TargetError::transient(format!(
                "the place has changed since it was observed (version {based_on}, now {now}); observe it again"
            )));
        }
        self.check(desired)?;
        // A repeat of the same effect is no reason to try again what was given up.
        let renew = !state.effects.iter().any(|seen| seen.key == cx.key);
        effects::note(&mut state.effects, &cx.key, cx.fence, desired);
        Ok(if self.set(&mut state, desired, renew) { Applied::changed() } else { Applied::unchanged() })
    }
}
