//! All flags and segments, and the answers to questions about them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::context::Context;
use super::feature::{Dependency, Feature, Segment, ToggleStrategy};
use super::variant::{ChosenVariant, choose};

/// All flags and segments.
///
/// ```
/// use deploy_strategies::flags::unleash::{Context, State};
///
/// let state: State = serde_json::from_str(r#"{"features": [
///     {"name": "search", "enabled": true, "strategies": [
///         {"name": "flexibleRollout", "parameters": {"rollout": "30", "stickiness": "userId", "groupId": "search"}}
///     ]}
/// ]}"#)?;
/// let share = (0..1_000).filter(|i| state.is_enabled("search", &Context::user(i.to_string()))).count();
/// assert!((250..350).contains(&share), "{share} of 1000");
/// assert!(!state.is_enabled("unknown", &Context::user("1")));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "RawState", into = "RawState")]
pub struct State {
    features: BTreeMap<String, Feature>,
    segments: BTreeMap<i64, Segment>,
}

/// Whether a flag is on, and by what.
enum Admitted<'a> {
    No,
    /// It has no ways of its own: it is on for everybody.
    ForAll,
    By(&'a ToggleStrategy),
}

impl Admitted<'_> {
    fn is_on(&self) -> bool {
        !matches!(self, Self::No)
    }
}

/// As the server sends it: either whole, or as the changes that build it.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct RawState {
    features: Vec<Feature>,
    segments: Vec<Segment>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<Change>,
}

/// One change of the flags and segments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Change {
    /// These and no others.
    Hydration {
        /// The flags.
        #[serde(default)]
        features: Vec<Feature>,
        /// The segments.
        #[serde(default)]
        segments: Vec<Segment>,
    },
    /// A flag is new or other than it was.
    FeatureUpdated {
        /// The flag.
        feature: Feature,
    },
    /// A flag is gone.
    FeatureRemoved {
        /// Its name.
        feature_name: String,
    },
    /// A segment is new or other than it was.
    SegmentUpdated {
        /// The segment.
        segment: Segment,
    },
    /// A segment is gone.
    SegmentRemoved {
        /// Its number.
        segment_id: i64,
    },
}

impl State {
    /// Takes in a change.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Hydration { features, segments } => {
                self.features = features.into_iter().map(|feature| (feature.name.clone(), feature)).collect();
                self.segments = segments.into_iter().map(|segment| (segment.id, segment)).collect();
            }
            Change::FeatureUpdated { feature } => drop(self.features.insert(feature.name.clone(), feature)),
            Change::FeatureRemoved { feature_name } => drop(self.features.remove(&feature_name)),
            Change::SegmentUpdated { segment } => drop(self.segments.insert(segment.id, segment)),
            Change::SegmentRemoved { segment_id } => drop(self.segments.remove(&segment_id)),
        }
    }

    /// Whether a flag is on for a context. An unknown flag is off.
    #[must_use]
    pub fn is_enabled(&self, feature: &str, context: &Context) -> bool {
        self.features.get(feature).is_some_and(|feature| self.admitted(feature, context).is_on())
    }

    /// Which variant a context gets.
    #[must_use]
    pub fn variant(&self, feature: &str, context: &Context) -> ChosenVariant {
        let Some(feature) = self.features.get(feature) else { return ChosenVariant::none(false) };
        let of_strategy = match self.admitted(feature, context) {
            Admitted::No => return ChosenVariant::none(false),
            Admitted::ForAll => None,
            Admitted::By(strategy) => Some(strategy).filter(|strategy| !strategy.variants.is_empty()),
        };
        let chosen = match of_strategy {
            Some(strategy) => {
                let group = strategy.parameters.get("groupId").filter(|group| !group.is_empty());
                let stickiness = strategy.parameters.get("stickiness").filter(|s| !s.is_empty());
                let group = group.unwrap_or(&feature.name);
                choose(&strategy.variants, group, stickiness.map(String::as_str), context)
            }
            None => choose(&feature.variants, &feature.name, None, context),
        };
        chosen.unwrap_or_else(|| ChosenVariant::none(true))
    }

    /// Whether a flag is on for a context, and by what.
    fn admitted<'a>(&self, feature: &'a Feature, context: &Context) -> Admitted<'a> {
        let parents = || feature.dependencies.iter().all(|dependency| self.parent_says(dependency, context));
        if !feature.enabled || !parents() {
            return Admitted::No;
        }
        if feature.strategies.is_empty() {
            return Admitted::ForAll;
        }
        let by = feature.strategies.iter().find(|strategy| self.holds(strategy, feature, context));
        by.map_or(Admitted::No, Admitted::By)
    }

    fn holds(&self, strategy: &ToggleStrategy, feature: &Feature, context: &Context) -> bool {
        let segments = strategy.segments.iter().all(|id| {
            let segment = self.segments.get(id);
            segment.is_some_and(|segment| segment.constraints.iter().all(|constraint| constraint.holds(context)))
        });
        segments
            && strategy.constraints.iter().all(|constraint| constraint.holds(context))
            && strategy.admits(&feature.name, context)
    }

    fn parent_says(&self, dependency: &Dependency, context: &Context) -> bool {
        let Some(parent) = self.features.get(&dependency.feature) else { return false };
        if !parent.dependencies.is_empty() {
            return false;
        }
        let on = self.admitted(parent, context).is_on();
        if !dependency.enabled {
            return !on;
        }
        on && (dependency.variants.is_empty()
            || dependency.variants.contains(&self.variant(&parent.name, context).name))
    }
}

impl From<RawState> for State {
    fn from(raw: RawState) -> Self {
        let mut state = Self::default();
        state.apply(Change::Hydration { features: raw.features, segments: raw.segments });
        for change in raw.events {
            state.apply(change);
        }
        state
    }
}

impl From<State> for RawState {
    fn from(state: State) -> Self {
        Self {
            features: state.features.into_values().collect(),
            segments: state.segments.into_values().collect(),
            events: Vec::new(),
        }
    }
}
