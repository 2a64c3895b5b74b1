//! A pipeline as plain data.

use std::collections::BTreeMap;

use deploy_core::journal::QueuePolicy;
use deploy_core::plan::{InFlightPolicy, OnFailure, RollbackTo};
use deploy_core::release::ReleaseKind;
use serde::{Deserialize, Serialize};

use super::{Length, StepWork};
use crate::upgrade::Formats;

/// The format that is read and written here. Documents of earlier formats are brought to it step by step, as far as there were any.
pub const FORMAT: u32 = 1;
/// The steps there from each earlier format. None was released before 1.
pub(super) const FORMATS: Formats = Formats::new(FORMAT, &[]);

/// A pipeline as plain data: phases, steps, gates, rollouts and waits, with every building block by its name.
///
/// It means something together with a [`Registry`](super::Registry), which has the blocks: [`bind`](Self::bind) makes a
/// [`Pipeline`](deploy_core::pipeline::Pipeline) of the two. What is left out is what the builder of pipelines would do.
///
/// Unknown fields are refused. Names are texts here, since one that is none is reported with all else that does not bind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PipelineDocument {
    /// The format of the document: 1.
    pub format: u32,
    /// The name of the pipeline.
    pub name: String,
    /// What it is for, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The way back: `previous`, `remove`, or `none` with the reason. It has no default.
    #[serde(deserialize_with = "super::strict::way_back")]
    #[cfg_attr(feature = "schema", schemars(with = "super::strict::WayBack"))]
    pub rollback: RollbackTo,
    /// Who may wait for the lock: `fifo` (the default), `newest_wins`, `reject` or `priority`.
    #[serde(default, skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "super::schema::Queue"))]
    pub queue: QueuePolicy,
    /// What becomes of a run in flight when a newer one arrives: `finish` (the default) or `supersede`.
    #[serde(default, skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "super::schema::InFlight"))]
    pub in_flight: InFlightPolicy,
    /// How many tasks and rollouts may be under way at once. Default 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Gates that are made for this pipeline, by the name that its phases and steps use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gates: BTreeMap<String, Declared>,
    /// Strategies that are made for this pipeline, by the name that its rollouts use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub strategies: BTreeMap<String, Declared>,
    /// In order.
    pub phases: Vec<PhaseDocument>,
    /// Lists of what must be so, each item bound to checks of the host or to a step at which people say so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checklists: Vec<ChecklistDocument>,
}

/// A block that is made from parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Declared {
    /// What kind it is: the host's registry knows how to make one.
    pub kind: String,
    /// Its parameters. Which there are depends on the kind; unknown ones are refused.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub with: serde_json::Value,
}

/// A phase.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PhaseDocument {
    /// Its name.
    pub name: String,
    /// What it is for, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The agent that answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead: Option<String>,
    /// The agents that help.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supporting: Vec<String>,
    /// The gates that must all open before it begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entry: Vec<String>,
    /// The gates that must all open before it ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exit: Vec<String>,
    /// How long the entry and the exit gate may each hold. Default `1d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_at_most: Option<Length>,
    /// What it hands over when it ends. Agents of later phases that need it get it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promises: Vec<KeyDocument>,
    /// The kinds of release that it is part of. Default: every kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<super::schema::Kind>>"))]
    pub only_for: Option<Vec<ReleaseKind>>,
    /// Its steps. They run as wide as what they wait for allows.
    pub steps: Vec<StepDocument>,
}

/// A deliverable by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyDocument {
    /// Its name.
    pub name: String,
    /// Its version. Default: the one on the card of the agent that hands it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "super::step::RawStep", into = "super::step::RawStep")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "super::step::RawStep"))]
pub struct StepDocument {
    /// Its name, in its phase. Several parts are joined by `/`.
    pub name: String,
    /// What it is for, for people.
    pub about: String,
    /// What it is: in the document, one of `task`, `gate`, `approval`, `soak` and `rollout`.
    pub work: StepWork,
    /// The steps of its phase that must be done before it.
    pub after: Vec<String>,
    /// What its failure means: `roll_back` (the default), or `continue` with the reason.
    pub on_failure: OnFailure,
    /// The kinds of release that it is part of. Default: those of its phase.
    pub only_for: Option<Vec<ReleaseKind>>,
}

/// A list of what must be so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChecklistDocument {
    /// Its title.
    pub title: String,
    /// Its items.
    pub items: Vec<ItemDocument>,
}

/// An item of a list: computed from checks, or said by people at a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ItemDocument {
    /// What must be so.
    pub text: String,
    /// The checks that make it so, all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<String>,
    /// The approval step at which people say so, by its path, where there is no check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
