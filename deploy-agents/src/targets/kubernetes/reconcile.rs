//! Brings a cluster towards what is wanted.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use deploy_core::name::RevisionName;
use deploy_core::target::{DesiredState, TargetError, TargetState};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::api::{Api, Kind};
use super::config::{KubernetesConfig, KubernetesTraffic};
use super::read::{Found, REVISION, RouteStanding, TARGET, backends, deployment, standing};
use crate::targets::haproxy::gather;
use crate::targets::processes::reconcile::{Standing, Step, View, plan};
use crate::targets::proxy::Routing;
use crate::wait::pause;

/// What a Service selects when it is to select nothing.
const NOBODY: &str = "nobody";

/// A place in a cluster, and what is wanted there.
pub(super) struct Cluster {
    pub(super) api: Api,
    pub(super) config: KubernetesConfig,
    pub(super) goal: Mutex<Option<DesiredState>>,
    pub(super) wake: Notify,
    /// The goal whose traffic was in force once. From then on a change by somebody else is theirs: it is told, and undone only when
    /// an engine applies again.
    pub(super) settled: Mutex<Option<DesiredState>>,
    /// The weights that every gateway had taken when that was last seen.
    in_force: Mutex<Option<BTreeMap<String, u64>>>,
}

/// What is there.
pub(super) struct Seen {
    found: Vec<Found>,
    routing: Routing,
    /// What the gateways make of the HTTPRoute.
    standing: RouteStanding,
    /// Whether the HTTPRoute says what is wanted, in force or not.
    written: bool,
}

impl Seen {
    /// Why what is there cannot be told, if it cannot.
    pub(super) fn refused(&self) -> Option<&str> {
        match &self.standing {
            RouteStanding::Refused(why) => Some(why),
            RouteStanding::InForce | RouteStanding::Pending => None,
        }
    }

    pub(super) fn state(&self) -> TargetState {
        let mut state = TargetState {
            weights: self.routing.weights.clone(),
            max_weight: self.routing.max_weight,
            preview: self.routing.preview.clone(),
            ..TargetState::default()
        };
        for found in self.found.iter().filter(|found| found.state != Default::default()) {
            state.revisions.insert(found.revision.clone(), found.state);
        }
        state
    }

    /// The pods as the plan sees them, each with its revision.
    fn views(&self) -> Vec<View> {
        let mut views = Vec::new();
        for found in &self.found {
            let state = found.state;
            let missing = if found.given_up { Standing::Unwell } else { Standing::Starting };
            for (count, standing) in [
                (state.ready, Standing::Ready),
                (state.desired - state.ready, missing),
                (state.terminating, Standing::Leaving),
            ] {
                for _ in 0..count {
                    let id = views.len() as u64;
                    views.push(View { id, revision: found.revision.clone(), standing });
                }
            }
        }
        views
    }
}

impl Cluster {
    pub(super) fn new(api: Api, config: KubernetesConfig) -> Self {
        Self {
            api,
            config,
            goal: Mutex::default(),
            wake: Notify::new(),
            settled: Mutex::default(),
            in_force: Mutex::default(),
        }
    }

    /// Looks as often as is declared, and at once when something else is wanted.
    pub(super) async fn reconcile(self: std::sync::Arc<Self>) {
        loop {
            let goal = self.goal.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(goal) = goal
                && let Err(error) = self.step(&goal).await
            {
                tracing::warn!(target = %self.config.name, %error, "the cluster is not as wanted");
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = pause(self.config.look_every) => {}
            }
        }
    }

    /// What is there now.
    pub(super) async fn see(&self) -> Result<Seen, TargetError> {
        let list = self.api.list(Kind::Deployment, TARGET, self.config.name.as_str()).await?;
        let found: Result<Vec<Found>, String> = list.iter().map(deployment).collect();
        let found = found.map_err(TargetError::definitive)?;
        let goal = self.goal.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default();
        let whole = if goal.max_weight == 0 { 100 } else { goal.max_weight };
        let mut routing = Routing { max_weight: whole, ..Routing::default() };
        let (mut stands, mut as_wanted) = (RouteStanding::InForce, true);
        match &self.config.traffic {
            KubernetesTraffic::Replicas => routing.max_weight = 0,
            KubernetesTraffic::Selector { service } => {
                let selected = self.selected(service).await?;
                routing.weights = selected.into_iter().map(|revision| (revision, whole)).collect();
            }
            KubernetesTraffic::Route { route, rule, backend, .. } => {
                let object = self.api.get(Kind::Route, route).await?;
                let written = backends(&object, *rule);
                let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
                stands = standing(&object);
                let weighted = goal.weights.iter().filter(|(_, weight)| **weight > 0);
                as_wanted =
                    weighted.map(|(r, w)| (named(backend, r), u64::from(*w))).collect::<BTreeMap<_, _>>() == written;
                if stands == RouteStanding::InForce {
                    *in_force = Some(written);
                }
                let nobody = BTreeMap::new();
                let in_force = match (&*in_force, &stands) {
                    (Some(in_force), _) => in_force,
                    (None, RouteStanding::Refused(_)) => &nobody,
                    (None, _) => {
                        return Err(TargetError::transient(format!(
                            "no gateway has taken the HTTPRoute {route} yet, so that nobody knows what is in force"
                        )));
                    }
                };
                let sums = in_force.iter().filter_map(|(name, weight)| Some((revision_of(backend, name)?, *weight)));
                routing.weights = gather(&sums.collect(), whole);
            }
        }
        if let Some(service) = &self.config.preview {
            routing.preview = self.selected(service).await?;
        }
        Ok(Seen { found, routing, standing: stands, written: as_wanted })
    }

    async fn selected(&self, service: &str) -> Result<Option<RevisionName>, TargetError> {
        let object = self.api.get(Kind::Service, service).await?;
        let revision = object["spec"]["selector"][REVISION].as_str().filter(|text| *text != NOBODY);
        Ok(revision.and_then(|text| RevisionName::new(text).ok()))
    }

    /// One look, and what follows from it.
    async fn step(&self, goal: &DesiredState) -> Result<(), TargetError> {
        let seen = self.see().await?;
        if seen.standing == RouteStanding::Pending {
            // Nothing is built upon weights that may still change.
            return Ok(());
        }
        let is_settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(goal);
        if let Some(why) = seen.refused() {
            // What is wanted may be what is refused, or somebody else's; then nothing can be done about it here.
            let serves =
                |revision: &RevisionName| seen.found.iter().any(|f| f.revision == *revision && f.state.ready > 0);
            if is_settled || seen.written || !goal.weights.keys().all(serves) {
                return Err(TargetError::transient(format!("a gateway refuses the HTTPRoute: {why}")));
            }
            return self.route(goal, &seen.routing).await;
        }
        let mut steps = plan(goal, &seen.views(), &seen.routing);
        if seen.state().routes_as(goal) {
            *self.settled.lock().unwrap_or_else(PoisonError::into_inner) = Some(goal.clone());
        } else if is_settled {
            // Somebody else has changed the traffic. Only what brings capacity up is done meanwhile.
            steps.retain(|step| matches!(step, Step::Start { .. }));
        }
        let (views, mut scale) = (seen.views(), BTreeMap::new());
        let desired = |revision: &RevisionName| {
            seen.found.iter().find(|found| found.revision == *revision).map(|found| found.state.desired)
        };
        let mut ready = views.iter().filter(|view| view.standing == Standing::Ready).count();
        for step in steps {
            match step {
                Step::Start { revision, count } => match desired(&revision) {
                    Some(now) => *scale.entry(revision).or_insert(now) += count,
                    None => self.install(&revision, count).await?,
                },
                Step::Route => self.route(goal, &seen.routing).await?,
                Step::Retire { id } => {
                    let Some(view) = views.iter().find(|view| view.id == id) else { continue };
                    let is_ready = view.standing == Standing::Ready;
                    // Where nobody splits by weight every ready pod serves, and the last of them stays until another is.
                    if is_ready && ready <= 1 && !goal.capacity.is_empty() {
                        continue;
                    }
                    ready -= usize::from(is_ready);
                    let now = desired(&view.revision).unwrap_or(0);
                    let left = scale.entry(view.revision.clone()).or_insert(now);
                    *left = left.saturating_sub(1);
                }
            }
        }
        for (revision, replicas) in scale {
            let found = seen.found.iter().find(|found| found.revision == revision);
            if let Some(found) = found.filter(|found| found.state.desired != replicas) {
                let change = json!({"spec": {"replicas": replicas}});
                self.api.merge(Kind::Deployment, &found.name, &change).await?;
            }
        }
        for found in &seen.found {
            let is_empty = found.is_fresh && found.state == Default::default();
            let serves = seen.routing.serving().contains(&found.revision);
            if is_empty && !serves && !goal.capacity.contains_key(&found.revision) {
                self.remove(found).await?;
            }
        }
        Ok(())
    }

    async fn install(&self, revision: &RevisionName, replicas: u32) -> Result<(), TargetError> {
        for (kind, object) in self.config.beside_of(revision) {
            self.api.create(kind, &object).await?;
        }
        self.api.create(Kind::Deployment, &self.config.deployment_of(revision, replicas)).await
    }

    async fn remove(&self, found: &Found) -> Result<(), TargetError> {
        self.api.delete(Kind::Deployment, &found.name).await?;
        for (kind, object) in self.config.beside_of(&found.revision) {
            if let Some(name) = object["metadata"]["name"].as_str() {
                self.api.delete(kind, name).await?;
            }
        }
        Ok(())
    }

    async fn route(&self, goal: &DesiredState, now: &Routing) -> Result<(), TargetError> {
        let weighted = || goal.weights.iter().filter(|(_, weight)| **weight > 0);
        if let Some(service) = self.config.preview.as_ref().filter(|_| goal.preview != now.preview) {
            self.select(service, goal.preview.as_ref()).await?;
        }
        match &self.config.traffic {
            KubernetesTraffic::Replicas => Ok(()),
            KubernetesTraffic::Selector { service } => self.select(service, weighted().next().map(|(r, _)| r)).await,
            KubernetesTraffic::Route { route, rule, backend, port } => {
                let object = self.api.get(Kind::Route, route).await?;
                let mut rules = object["spec"]["rules"].clone();
                let Some(there) = rules.get_mut(*rule) else {
                    return Err(TargetError::definitive(format!("the HTTPRoute {route} has no rule {rule}")));
                };
                let one = |(revision, weight): (&RevisionName, &u32)| json!({"name": named(backend, revision), "port": port, "weight": weight});
                // Whatever else stands in the rule stays: matches, filters, timeouts.
                there["backendRefs"] = weighted().map(one).collect::<Vec<Value>>().into();
                let version = &object["metadata"]["resourceVersion"];
                let change = json!({"metadata": {"resourceVersion": version}, "spec": {"rules": rules}});
                let after = self.api.merge(Kind::Route, route, &change).await?;
                if backends(&after, *rule).len() != weighted().count() {
                    return Err(TargetError::unknown(format!(
                        "the HTTPRoute {route} was written, and reads back otherwise"
                    )));
                }
                Ok(())
            }
        }
    }

    async fn select(&self, service: &str, revision: Option<&RevisionName>) -> Result<(), TargetError> {
        let selected = revision.map_or(NOBODY, RevisionName::as_str);
        let change = json!({"spec": {"selector": {TARGET: self.config.name.as_str(), REVISION: selected}}});
        let after = self.api.merge(Kind::Service, service, &change).await?;
        if after["spec"]["selector"][REVISION] != selected {
            return Err(TargetError::unknown(format!("the Service {service} was written, and reads back otherwise")));
        }
        Ok(())
    }
}

/// The name of a revision's backend.
fn named(pattern: &str, revision: &RevisionName) -> String {
    pattern.replace("{revision}", revision.as_str())
}

/// The revision that a backend's name is made of.
fn revision_of(pattern: &str, name: &str) -> Option<RevisionName> {
    let (before, after) = pattern.split_once("{revision}")?;
    RevisionName::new(name.strip_prefix(before)?.strip_suffix(after)?).ok()
}
