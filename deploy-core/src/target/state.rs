//! What is there, and what should be there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::{FlagName, RevisionName};
use crate::real::Real;

/// What runs at a target now, read back from the place itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TargetState {
    /// Every revision with instances, by name.
    pub revisions: BTreeMap<RevisionName, RevisionState>,
    /// Who gets how much traffic, in parts of `max_weight`. Revisions without an entry get none.
    pub weights: BTreeMap<RevisionName, u32>,
    /// The whole that the weights are parts of; 100 unless the place says otherwise. Zero where nothing is routed.
    pub max_weight: u32,
    /// Header and cookie routes in force, first match first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Where requests are copied to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
    /// The revision shown under the second address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<RevisionName>,
    /// Percentages of feature flags, 0 to 100.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub flags: BTreeMap<FlagName, Real>,
    /// How many instances somebody else (an autoscaler) wants in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted_by_others: Option<u32>,
    /// Counts changes of the place, where it counts them: for compare-and-apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// The instances of one revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RevisionState {
    /// How many are asked for.
    pub desired: u32,
    /// How many are healthy and can serve.
    pub ready: u32,
    /// How many are on their way out and still take room.
    pub terminating: u32,
}

impl TargetState {
    /// The revision that gets the most traffic; the first by name of those that get the same. Nothing on a first install.
    #[must_use]
    pub fn serving(&self) -> Option<&RevisionName> {
        let most = *self.weights.values().max().filter(|w| **w > 0)?;
        self.weights.iter().find(|(_, w)| **w == most).map(|(name, _)| name)
    }

    /// The weight of a revision; zero if it has none.
    #[must_use]
    pub fn weight(&self, revision: &RevisionName) -> u32 {
        self.weights.get(revision).copied().unwrap_or(0)
    }

    /// The instances of a revision; none if it is not there.
    #[must_use]
    pub fn revision(&self, revision: &RevisionName) -> RevisionState {
        self.revisions.get(revision).copied().unwrap_or_default()
    }

    /// The full statement that would keep this state as it is.
    #[must_use]
    pub fn as_desired(&self) -> DesiredState {
        DesiredState {
            capacity: self
                .revisions
                .iter()
                .filter(|(_, r)| r.desired > 0)
                .map(|(n, r)| (n.clone(), r.desired))
                .collect(),
            weights: self.weights.iter().filter(|(_, w)| **w > 0).map(|(n, w)| (n.clone(), *w)).collect(),
            max_weight: self.max_weight,
            routes: self.routes.clone(),
            mirror: self.mirror.clone(),
            experiment: None,
            preview: self.preview.clone(),
            flags: self.flags.clone(),
            based_on: None,
        }
    }

    /// Whether traffic, routes and flags are as `desired` says and every wanted instance is ready, with none left over.
    #[must_use]
    pub fn satisfies(&self, desired: &DesiredState) -> bool {
        let fresh = desired.experiment.as_ref().map(Experiment::revision);
        let mut names = self.revisions.keys().chain(desired.capacity.keys()).chain(fresh.as_ref());
        self.routes_as(desired)
            && names.all(|name| {
                let (is, wanted) = (self.revision(name), desired.instances(name));
                is.desired == wanted && is.ready >= wanted && is.terminating == 0
            })
    }

    /// Whether as many instances of each revision are asked for as `desired` says, ready or not.
    #[must_use]
    pub fn counts_as(&self, desired: &DesiredState) -> bool {
        let mut names = self.revisions.keys().chain(desired.capacity.keys());
        names.all(|name| self.revision(name).desired == desired.instances(name))
    }

    /// Whether traffic, routes and flags are as `desired` says, whatever the instances do.
    #[must_use]
    pub fn routes_as(&self, desired: &DesiredState) -> bool {
        let mut revisions = self.weights.keys().chain(desired.weights.keys());
        revisions.all(|name| self.weight(name) == desired.weights.get(name).copied().unwrap_or(0))
            && self.routes == desired.routes
            && self.mirror == desired.mirror
            && self.preview == desired.preview
            && self.flags == desired.flags
    }
}

/// A full statement of what should be there. What it does not mention should not be there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DesiredState {
    /// How many instances of each revision.
    pub capacity: BTreeMap<RevisionName, u32>,
    /// Who gets how much traffic; sums to `max_weight`, or is empty where nothing is routed.
    pub weights: BTreeMap<RevisionName, u32>,
    /// The whole that the weights are parts of.
    pub max_weight: u32,
    /// Header and cookie routes, first match first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Where to copy requests to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
    /// A fresh baseline beside the candidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiment: Option<Experiment>,
    /// The revision to show under the second address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<RevisionName>,
    /// Percentages of feature flags, 0 to 100.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub flags: BTreeMap<FlagName, Real>,
    /// The version of the observation that this is based on, for compare-and-apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub based_on: Option<u64>,
}

impl DesiredState {
    /// One revision alone, with `instances` instances and all the traffic.
    #[must_use]
    pub fn alone(revision: RevisionName, instances: u32, max_weight: u32) -> Self {
        Self {
            capacity: BTreeMap::from([(revision.clone(), instances)]),
            weights: BTreeMap::from([(revision, max_weight)]),
            max_weight,
            ..Self::default()
        }
    }

    /// Whether it says the same, whatever observations the two are based on.
    #[must_use]
    pub fn says_as(&self, other: &Self) -> bool {
        let like = |statement: &Self| Self { based_on: None, ..statement.clone() };
        self.based_on == other.based_on && self == other || like(self) == like(other)
    }

    /// How many instances of a revision are wanted, those of a fresh baseline under its own name.
    #[must_use]
    pub fn instances(&self, revision: &RevisionName) -> u32 {
        let fresh = self.experiment.as_ref().filter(|experiment| experiment.revision() == *revision);
        fresh.map_or_else(|| self.capacity.get(revision).copied().unwrap_or(0), |experiment| experiment.instances)
    }

    /// Whether the weights sum to the whole, or there are none at all.
    #[must_use]
    pub fn weights_are_whole(&self) -> bool {
        self.weights.is_empty()
            || self.weights.values().map(|w| u64::from(*w)).sum::<u64>() == u64::from(self.max_weight)
    }
}

/// Sends requests that match to a revision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Route {
    /// What a request must carry; all of it.
    pub matches: Vec<RouteMatch>,
    /// Where it then goes.
    pub to: RevisionName,
}

/// One thing that a request must carry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteMatch {
    /// A header with exactly this value.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// A cookie with exactly this value.
    Cookie {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
}

/// Copies a share of the requests to a revision whose answers nobody sees.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Mirror {
    /// Where the copies go.
    pub to: RevisionName,
    /// Which share, 0 to 100.
    pub percent: u32,
}

/// A fresh baseline beside the candidate, so that both are equally warm.
///
/// It is a revision of its own, under the name that [`Experiment::revision`] tells: its instances, its weight and what is measured of
/// it stand under that name, apart from those that served before. `weight` repeats its entry in [`DesiredState::weights`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Experiment {
    /// The revision that the fresh instances run.
    pub baseline: RevisionName,
    /// How many of them.
    pub instances: u32,
    /// How much traffic they get, in parts of `max_weight`.
    pub weight: u32,
}

impl Experiment {
    /// What the fresh instances are called: the revision that they run, and `-baseline`.
    ///
    /// # Panics
    ///
    /// Never: a name with letters added to a shortened beginning stays a name.
    #[must_use]
    pub fn revision(&self) -> RevisionName {
        Self::revision_of(&self.baseline)
    }

    /// What the fresh instances of a revision are called.
    ///
    /// # Panics
    ///
    /// Never: a name with letters added to a shortened beginning stays a name.
    #[must_use]
    pub fn revision_of(baseline: &RevisionName) -> RevisionName {
        const ENDING: &str = "-baseline";
        let name = baseline.as_str();
        let room = crate::name::LONGEST_NAME.saturating_sub(ENDING.len());
        let beginning = name.get(..name.len().min(room)).unwrap_or(name);
        RevisionName::new(format!("{beginning}{ENDING}")).expect("the beginning of a name and letters are a name")
    }
}
