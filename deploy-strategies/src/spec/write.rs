//! From a strategy to a text.

#[cfg(feature = "yaml")]
use super::SpecError;
use super::StrategySpec;

impl StrategySpec {
    /// The strategy as JSON, with every field that differs from nothing written out.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Maps of names, numbers and texts can always be written.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The strategy as YAML.
    ///
    /// # Errors
    ///
    /// [`SpecError`] if a text in it cannot be written as YAML.
    #[cfg(feature = "yaml")]
    pub fn to_yaml(&self) -> Result<String, SpecError> {
        serde_saphyr::to_string(self).map_err(|error| SpecError::one(None, "", error.to_string()))
    }
}
