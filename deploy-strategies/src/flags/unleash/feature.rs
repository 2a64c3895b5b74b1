//! The description of a flag, as the server sends it. What is not known here is passed over, as the specification asks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::constraint::Constraint;

/// A flag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// Whether it is switched on at all.
    #[serde(default)]
    pub enabled: bool,
    /// Any one that holds turns it on; none at all, too.
    #[serde(default)]
    pub strategies: Vec<ToggleStrategy>,
    /// What those who have it get.
    #[serde(default)]
    pub variants: Vec<Variant>,
    /// What other flags have to say first.
    #[serde(default)]
    pub dependencies: Vec<Dependency>,
}

/// One way to turn a flag on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToggleStrategy {
    /// Which way; an unknown one never holds.
    pub name: String,
    /// Its settings.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// All of them have to hold.
    #[serde(default)]
    pub constraints: Vec<Constraint>,
    /// Constraints that are kept elsewhere; an unknown one never holds.
    #[serde(default)]
    pub segments: Vec<i64>,
    /// What those who have it by this way get; before the flag's own.
    #[serde(default)]
    pub variants: Vec<Variant>,
}

/// Constraints under a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// The number.
    pub id: i64,
    /// All of them have to hold.
    #[serde(default)]
    pub constraints: Vec<Constraint>,
}

/// One thing that a user may get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// Its weight among all.
    #[serde(default)]
    pub weight: u32,
    /// What stays the same for the same user; that of the first variant counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stickiness: Option<String>,
    /// What it carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Payload>,
    /// Who gets it whatever the weights say.
    #[serde(default)]
    pub overrides: Vec<Override>,
}

/// What a variant carries.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Payload {
    /// What it is, for example `string` or `json`.
    #[serde(rename = "type")]
    pub kind: String,
    /// As text.
    pub value: String,
}

/// Who gets a variant whatever the weights say.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// The field of the context.
    pub context_name: String,
    /// Any one of these.
    #[serde(default)]
    pub values: Vec<String>,
}

/// What another flag has to say first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dependency {
    /// The other flag. It may have no dependency of its own.
    pub feature: String,
    /// Whether it has to be on.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Which variants of it are meant; none: any.
    #[serde(default)]
    pub variants: Vec<String>,
}

fn yes() -> bool {
    true
}
