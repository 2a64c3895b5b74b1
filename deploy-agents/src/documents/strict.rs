//! The enums of the engine as documents have them: unknown fields are refused in them too.

use deploy_core::plan::{OnFailure, RollbackTo};
use serde::{Deserialize, Deserializer};

/// The way back.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) enum WayBack {
    /// To what was there before.
    Previous,
    /// To nothing: the new revision is removed again.
    Remove,
    /// Nowhere.
    None {
        /// Why there is no way back.
        reason: String,
    },
}

/// What the failure of a step means.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) enum Failure {
    /// The run goes back.
    RollBack,
    /// The run goes on.
    Continue {
        /// Why it does not matter.
        reason: String,
    },
}

pub(super) fn way_back<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RollbackTo, D::Error> {
    Ok(match WayBack::deserialize(deserializer)? {
        WayBack::Previous => RollbackTo::Previous,
        WayBack::Remove => RollbackTo::Remove,
        WayBack::None { reason } => RollbackTo::None { reason },
    })
}

pub(super) fn failure<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OnFailure>, D::Error> {
    let failure = Option::<Failure>::deserialize(deserializer)?;
    Ok(failure.map(|failure| match failure {
        Failure::RollBack => OnFailure::RollBack,
        Failure::Continue { reason } => OnFailure::Continue { reason },
    }))
}
