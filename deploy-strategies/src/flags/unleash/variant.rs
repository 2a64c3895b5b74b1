//! Which variant a user gets.

use serde::{Deserialize, Serialize};

use super::context::Context;
use super::feature::{Payload, Variant};
use super::strategy::{normalised, sticky};

/// The seed of the variants' hash, so that who gets the flag and who gets which variant are independent. As the
/// specification has it.
const VARIANT_SEED: u32 = 86_028_157;

/// What a user gets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChosenVariant {
    /// The variant's name; `disabled` where there is none.
    pub name: String,
    /// What it carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Payload>,
    /// Whether there is a variant at all.
    pub enabled: bool,
    /// Whether the flag itself is on.
    pub feature_enabled: bool,
}

impl ChosenVariant {
    /// No variant.
    pub(super) fn none(feature_enabled: bool) -> Self {
        Self { name: "disabled".to_owned(), payload: None, enabled: false, feature_enabled }
    }

    fn of(variant: &Variant) -> Self {
        Self { name: variant.name.clone(), payload: variant.payload.clone(), enabled: true, feature_enabled: true }
    }
}

/// Chooses by override first, then by weight.
pub(super) fn choose(
    variants: &[Variant],
    group: &str,
    stickiness: Option<&str>,
    context: &Context,
) -> Option<ChosenVariant> {
    let total: u32 = variants.iter().map(|variant| variant.weight).sum();
    if total == 0 {
        return None;
    }
    let overridden = variants.iter().find(|variant| {
        variant
            .overrides
            .iter()
            .any(|over| context.field(&over.context_name).is_some_and(|field| over.values.iter().any(|v| v == field)))
    });
    if let Some(variant) = overridden {
        return Some(ChosenVariant::of(variant));
    }
    let own = variants.first().and_then(|variant| variant.stickiness.as_deref());
    let stickiness = stickiness.or(own).unwrap_or("default");
    let id = sticky(context, stickiness).unwrap_or_else(|| context.draw.to_string());
    let place = normalised(&id, group, total, VARIANT_SEED);
    let mut upto = 0;
    let holds = |variant: &&Variant| {
        upto += variant.weight;
        place <= upto
    };
    variants.iter().find(holds).map(ChosenVariant::of)
}
