//! Where a step stands in a plan.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The place of a step in its plan, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub u32);

impl StepId {
    /// As an index.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The path of a step: names joined by `/`, for example `execute/rollout` or `wave-2/eu-west/rollout`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StepPath(Arc<str>);

/// A text that is not a step path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a step path; write names joined by /, for example deploy/rollout")]
pub struct StepPathError(String);

impl StepPath {
    /// Parses a path.
    ///
    /// # Errors
    ///
    /// [`StepPathError`] if a part is not a name.
    pub fn new(text: impl AsRef<str>) -> Result<Self, StepPathError> {
        let text = text.as_ref();
        let named = text.split('/').all(|part| crate::name::StepName::new(part).is_ok());
        if named { Ok(Self(Arc::from(text))) } else { Err(StepPathError(text.chars().take(96).collect())) }
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for StepPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0)
    }
}

impl TryFrom<String> for StepPath {
    type Error = StepPathError;
    fn try_from(text: String) -> Result<Self, StepPathError> {
        Self::new(text)
    }
}

impl std::str::FromStr for StepPath {
    type Err = StepPathError;
    fn from_str(text: &str) -> Result<Self, StepPathError> {
        Self::new(text)
    }
}

impl From<StepPath> for String {
    fn from(path: StepPath) -> Self {
        path.0.as_ref().to_owned()
    }
}
