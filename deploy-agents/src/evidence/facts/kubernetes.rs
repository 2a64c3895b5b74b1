//! Facts of Kubernetes objects.

use serde::{Deserialize, Serialize};

use crate::evidence::{Doubt, Pointer, Sourced};

/// What the objects of a cluster say about themselves.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KubernetesFacts {
    /// Deployments, stateful sets and daemon sets.
    pub workloads: Vec<Workload>,
    /// Pods.
    pub pods: Vec<Pod>,
    /// Endpoint slices.
    pub endpoints: Vec<Endpoints>,
    /// What keeps the objects from being taken at their word.
    pub doubts: Vec<Doubt>,
}

/// A workload: what is wanted of it, and what is there.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Workload {
    /// `Deployment`, `StatefulSet` or `DaemonSet`.
    pub kind: String,
    /// Its namespace, empty where it does not say.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Which statement of what is wanted is the latest.
    pub generation: Option<Sourced<u64>>,
    /// Which of them the status speaks of.
    pub observed_generation: Option<Sourced<u64>>,
    /// How many pods are wanted.
    pub desired: Option<Sourced<u64>>,
    /// How many there are.
    pub total: Option<Sourced<u64>>,
    /// How many of them are of the latest statement.
    pub updated: Option<Sourced<u64>>,
    /// How many are ready.
    pub ready: Option<Sourced<u64>>,
    /// How many have been ready for long enough.
    pub available: Option<Sourced<u64>>,
    /// How many are still missing.
    pub unavailable: Option<Sourced<u64>>,
    /// Whether somebody paused it.
    pub paused: bool,
    /// What it says about its condition.
    pub conditions: Vec<Condition>,
    /// The images that are wanted.
    pub images: Vec<Sourced<String>>,
    /// Where it stands.
    pub at: Pointer,
}

/// How far a workload has come.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// What is wanted is there.
    Complete,
    /// It is on its way.
    Underway(String),
    /// The status speaks of an older statement of what is wanted: it says nothing about the latest.
    Stale(String),
    /// Somebody paused it: it will not go on by itself.
    Paused,
    /// It made no progress for longer than allowed.
    Stuck(String),
}

impl Workload {
    /// How far it has come, by the rules of `kubectl rollout status`, and by two more: a status without an observed
    /// generation is stale, and a paused workload is never complete.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let number = |n: &Option<Sourced<u64>>| n.as_ref().map(|n| n.value);
        let (Some(wanted), Some(seen)) = (number(&self.generation), number(&self.observed_generation)) else {
            return Progress::Stale("it does not say which statement its status is about".to_owned());
        };
        if seen < wanted {
            return Progress::Stale(format!("its status is about statement {seen}, the latest is {wanted}"));
        }
        if let Some(stuck) = self.conditions.iter().find(|c| c.reason == "ProgressDeadlineExceeded") {
            return Progress::Stuck(stuck.message.clone());
        }
        if self.paused {
            return Progress::Paused;
        }
        let Some(desired) = number(&self.desired) else {
            return Progress::Underway("it does not say how many are wanted".to_owned());
        };
        // Counts of nothing are left out of a status.
        let count = |n: &Option<Sourced<u64>>| number(n).unwrap_or(0);
        let (updated, total) = (count(&self.updated), count(&self.total));
        if updated < desired {
            return Progress::Underway(format!("{updated} of {desired} are of the latest statement"));
        }
        if total > updated {
            return Progress::Underway(format!("{} of an older statement are still there", total - updated));
        }
        if self.kind == "Deployment" || self.kind == "DaemonSet" {
            let available = count(&self.available);
            if available < desired {
                return Progress::Underway(format!("{available} of {desired} are available"));
            }
        }
        let ready = count(&self.ready);
        if ready < desired {
            return Progress::Underway(format!("{ready} of {desired} are ready"));
        }
        Progress::Complete
    }
}

/// What an object says about one condition of itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Condition {
    /// Which, for example `Available`.
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, as a word.
    pub reason: String,
    /// Why, for people.
    pub message: String,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
    /// Whether its condition `Ready` is true.
    pub ready: bool,
    /// Whether it is being taken away.
    pub terminating: bool,
    /// Its containers.
    pub containers: Vec<Container>,
    /// Where it stands.
    pub at: Pointer,
}

/// A container of a pod.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Container {
    /// Its name.
    pub name: String,
    /// The image that was asked for.
    pub image: String,
    /// The digest of the image that runs, `sha256:` and 64 digits, where the node says.
    pub digest: Option<Sourced<String>>,
    /// Whether it is ready.
    pub ready: bool,
    /// How often it was started again.
    pub restarts: Option<Sourced<u64>>,
    /// Why it waits, for example `CrashLoopBackOff`, or why it ended, empty if it runs.
    pub reason: String,
}

/// An endpoint slice: who gets traffic.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Endpoints {
    /// Its namespace.
    pub namespace: String,
    /// The service that it belongs to.
    pub service: String,
    /// How many endpoints get traffic. One that does not say counts as ready, as the format asks.
    pub ready: u64,
    /// How many do not.
    pub not_ready: u64,
    /// How many are being taken away.
    pub terminating: u64,
    /// Where it stands.
    pub at: Pointer,
}
