//! A service in a Kubernetes cluster. Feature `kubernetes`.

mod api;
mod config;
mod read;
mod reconcile;

use std::fmt;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use deploy_core::effect::Fence;
use deploy_core::name::TargetName;
use deploy_core::target::{Applied, Capabilities, DesiredState, EffectContext, Target, TargetError, TargetState};
use serde_json::json;

use self::api::{Api, Kind};
use self::config::is_label;
pub use self::config::{KubernetesConfig, KubernetesTraffic};
use self::read::FENCE;
use self::reconcile::Cluster;

/// A service in a Kubernetes cluster: one Deployment for each revision, and what splits the traffic between them.
///
/// | [`KubernetesTraffic`] | what a revision gets | strategies |
/// |---|---|---|
/// | `Replicas` | as many pods as it has | those that ask for capacity alone: rolling, all at once, a canary by instances |
/// | `Selector` | all of the traffic or none | blue-green, all at once |
/// | `Route` | a weight in an HTTPRoute | all |
///
/// [`apply`](Target::apply) sets the goal and returns; a task brings the cluster towards it: capacity up, then traffic to
/// revisions whose pods are ready, then capacity down. Traffic never rises on a revision without a ready pod, and the last ready
/// pod of what serves is never taken away. Deployments that are empty and no longer wanted are deleted, with what stands beside
/// them; they are made anew from the same template when they are wanted again.
///
/// - A Deployment's status is read for the generation that it speaks of. Pods of another template, and pods beyond the wanted
///   number, are not counted as ready.
/// - An HTTPRoute is in force when every gateway has accepted this generation of it. Until then the weights that were in force
///   before are told. A gateway's refusal is told with its reason.
/// - With `Selector` and `Route` the newest fence is kept at the Service or HTTPRoute, so that it outlives this process; an older one is
///   refused. It is written with the object's resource version, so that of two engines one loses.
/// - Where a Service's selector was changed, the cluster takes a moment to tell its nodes. That is not seen.
///
/// Once the wanted traffic is in force, a change by somebody else is told and left alone until an engine applies again: whether it is
/// undone is the engine's decision, and the plan's.
///
/// The goal lives in this process. When it ends, the cluster stays as it is until an engine applies again.
pub struct KubernetesTarget {
    cluster: Arc<Cluster>,
    reconciler: tokio::task::JoinHandle<()>,
}

impl KubernetesTarget {
    /// A place in a cluster. `client` says which cluster, and as whom.
    ///
    /// # Errors
    ///
    /// [`TargetError`] if the templates cannot work; the cluster is not asked yet.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn new(client: kube::Client, config: KubernetesConfig) -> Result<Self, TargetError> {
        if let Some(problem) = config.problem() {
            return Err(TargetError::definitive(problem));
        }
        let api = Api::new(client, config.namespace.clone());
        let cluster = Arc::new(Cluster::new(api, config));
        let reconciler = tokio::spawn(Arc::clone(&cluster).reconcile());
        Ok(Self { cluster, reconciler })
    }

    fn check(&self, desired: &DesiredState) -> Result<(), TargetError> {
        let refuse = |why: String| Err(TargetError::definitive(why));
        let config = &self.cluster.config;
        let weighted: Vec<_> = desired.weights.iter().filter(|(_, weight)| **weight > 0).collect();
        if !desired.weights_are_whole() {
            return refuse(format!("the weights do not sum to {}", desired.max_weight));
        }
        match &config.traffic {
            KubernetesTraffic::Replicas if !weighted.is_empty() => {
                return refuse("this place has no weights: pods share the traffic evenly".to_owned());
            }
            KubernetesTraffic::Selector { service } if weighted.len() > 1 => {
                return refuse(format!("the Service {service} gives all of the traffic to one revision, never a part"));
            }
            _ => {}
        }
        let unsupported = [
            (desired.experiment.is_some(), "experiments"),
            (!desired.routes.is_empty(), "routes by header or cookie"),
            (desired.mirror.is_some(), "mirror"),
            (desired.preview.is_some() && config.preview.is_none(), "second address"),
            (!desired.flags.is_empty(), "feature flags"),
        ];
        if let Some((_, what)) = unsupported.into_iter().find(|(asked, _)| *asked) {
            return refuse(format!("this place has no {what}"));
        }
        let served = |revision| desired.capacity.get(revision).copied().unwrap_or(0) > 0;
        let mut wanted = weighted.iter().map(|(revision, _)| *revision).chain(&desired.preview);
        if let Some(revision) = wanted.find(|revision| !served(*revision)) {
            return refuse(format!("{revision} is to get traffic and no capacity; ask for at least one instance"));
        }
        match desired.capacity.keys().find(|revision| !is_label(revision)) {
            Some(revision) => refuse(format!(
                "{revision} cannot stand in a label: 63 characters at most, letters, digits and . _ -, a letter or digit last"
            )),
            None => Ok(()),
        }
    }

    /// Compares fences at the object that traffic depends on, and keeps the newest there.
    async fn pass_fence(&self, ours: Fence) -> Result<(), TargetError> {
        let (kind, name) = match &self.cluster.config.traffic {
            KubernetesTraffic::Replicas => return Ok(()),
            KubernetesTraffic::Selector { service } => (Kind::Service, service),
            KubernetesTraffic::Route { route, .. } => (Kind::Route, route),
        };
        let object = self.cluster.api.get(kind, name).await?;
        let seen = object["metadata"]["annotations"][FENCE].as_str().and_then(|text| {
            let (epoch, seq) = text.split_once('.')?;
            Some(Fence { epoch: epoch.parse().ok()?, seq: seq.parse().ok()? })
        });
        match seen {
            Some(seen) if ours < seen => Err(TargetError::older_fence(ours, seen)),
            Some(seen) if ours == seen => Ok(()),
            _ => {
                let version = &object["metadata"]["resourceVersion"];
                let change =
                    json!({"metadata": {"resourceVersion": version, "annotations": {FENCE: ours.to_string()}}});
                self.cluster.api.merge(kind, name, &change).await.map(|_| ())
            }
        }
    }
}

impl fmt::Debug for KubernetesTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubernetesTarget").field("config", &self.cluster.config).finish_non_exhaustive()
    }
}

impl Drop for KubernetesTarget {
    fn drop(&mut self) {
        self.reconciler.abort();
    }
}

#[async_trait]
impl Target for KubernetesTarget {
    fn name(&self) -> TargetName {
        self.cluster.config.name.clone()
    }

    fn capabilities(&self) -> Capabilities {
        let config = &self.cluster.config;
        let routed = config.traffic != KubernetesTraffic::Replicas;
        Capabilities {
            weights: matches!(config.traffic, KubernetesTraffic::Route { .. }),
            switch: routed,
            capacity: true,
            preview: config.preview.is_some(),
            fence: routed,
            ..Capabilities::default()
        }
    }

    async fn observe(&self) -> Result<TargetState, TargetError> {
        let seen = self.cluster.see().await?;
        match seen.refused() {
            Some(why) => Err(TargetError::transient(format!("a gateway refuses the HTTPRoute: {why}"))),
            None => Ok(seen.state()),
        }
    }

    async fn apply(&self, desired: &DesiredState, cx: &EffectContext) -> Result<Applied, TargetError> {
        self.check(desired)?;
        self.pass_fence(cx.fence).await?;
        let mut goal = self.cluster.goal.lock().unwrap_or_else(PoisonError::into_inner);
        let desired = DesiredState { based_on: None, ..desired.clone() };
        let changed = goal.as_ref() != Some(&desired);
        *goal = Some(desired);
        *self.cluster.settled.lock().unwrap_or_else(PoisonError::into_inner) = None;
        drop(goal);
        self.cluster.wake.notify_one();
        Ok(if changed { Applied::changed() } else { Applied::unchanged() })
    }
}
