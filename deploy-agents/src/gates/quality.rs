//! The quality gates of a release, ready made.

use std::fmt;

use deploy_core::evidence::Verification;
use deploy_core::name::{BlockName, CheckName, NameError};

use super::GoNoGo;
use crate::checks::Catalogue;

/// A gate that stands in every release, by the checks of the catalogue that it asks for. Thresholds are the catalogue's.
///
/// | gate | opens when | checks |
/// |---|---|---|
/// | [`Build`](Self::Build) | the pipeline built this commit, and every required job ran and succeeded | `build-success` |
/// | [`Tests`](Self::Tests) | every test that ran passed, at least one did | `tests-pass` |
/// | [`Coverage`](Self::Coverage) | more than 90 % of lines ran, and enough of the changed ones | `coverage` |
/// | [`Security`](Self::Security) | no critical vulnerability is open in this artifact | `no-critical-vulnerability` |
/// | [`ServiceLevel`](Self::ServiceLevel) | latency and errors are within bounds, and some of the error budget is left | `service-level`, `error-budget` |
/// | [`Health`](Self::Health) | every declared health check said yes, of every instance, and there is one | `health` |
///
/// ```
/// use deploy_agents::checks::{Catalogue, Thresholds};
/// use deploy_agents::gates::QualityGate;
///
/// let catalogue = Catalogue::standard(&Thresholds::default());
/// let gates = QualityGate::ALL.into_iter().map(|gate| gate.over(&catalogue)).collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(gates.len(), 6);
/// // A catalogue that lacks a check cannot make the gate that asks for it.
/// assert!(QualityGate::Health.over(&Catalogue::new()).is_err());
/// # Ok::<(), deploy_agents::gates::QualityGateError>(())
/// ```
///
/// Rows: M171, M172, M173, M174, M175.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum QualityGate {
    /// Everything that must be built was built.
    Build,
    /// Every test passed.
    Tests,
    /// Enough of the code was run by tests.
    Coverage,
    /// Nothing critical is open.
    Security,
    /// Service levels are kept.
    ServiceLevel,
    /// Every health check passes.
    Health,
}

/// A quality gate that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QualityGateError {
    /// Add the check to the catalogue, or start from the standard one.
    #[error("the {gate} needs the check {check}, and the catalogue has none of that name")]
    NoCheck {
        /// The gate.
        gate: QualityGate,
        /// The check.
        check: &'static str,
    },
    /// A name of a gate is none; it is ours to mend.
    #[error("the {gate} has no name")]
    Name {
        /// The gate.
        gate: QualityGate,
        /// What was wrong.
        source: NameError,
    },
}

impl QualityGate {
    /// All of them, in the order in which a release meets them.
    pub const ALL: [Self; 6] =
        [Self::Build, Self::Tests, Self::Coverage, Self::Security, Self::ServiceLevel, Self::Health];

    /// The name of its block.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Build => "build-gate",
            Self::Tests => "test-gate",
            Self::Coverage => "coverage-gate",
            Self::Security => "security-gate",
            Self::ServiceLevel => "service-level-gate",
            Self::Health => "health-gate",
        }
    }

    /// The checks that it asks for, each of which has a veto.
    #[must_use]
    pub fn checks(self) -> &'static [&'static str] {
        match self {
            Self::Build => &["build-success"],
            Self::Tests => &["tests-pass"],
            Self::Coverage => &["coverage"],
            Self::Security => &["no-critical-vulnerability"],
            Self::ServiceLevel => &["service-level", "error-budget"],
            Self::Health => &["health"],
        }
    }

    /// The gate itself, over receipts of the catalogue's checks.
    ///
    /// # Errors
    ///
    /// [`QualityGateError::NoCheck`] if the catalogue lacks one of its checks: then no receipt of it could ever be there.
    pub fn over(self, catalogue: &Catalogue) -> Result<GoNoGo, QualityGateError> {
        let name = BlockName::new(self.name()).map_err(|source| QualityGateError::Name { gate: self, source })?;
        let checks = self.checks().iter().map(|check| self.find(catalogue, check).map(|found| found.name().clone()));
        Ok(GoNoGo::new(name, checks.collect::<Result<Vec<CheckName>, _>>()?))
    }

    /// What the step in front of it must have verified: one mandatory verification for each check.
    ///
    /// # Errors
    ///
    /// As [`over`](Self::over).
    pub fn verifications(self, catalogue: &Catalogue) -> Result<Vec<Verification>, QualityGateError> {
        self.checks().iter().map(|check| self.find(catalogue, check).map(|found| found.verification())).collect()
    }

    fn find<'a>(
        self,
        catalogue: &'a Catalogue,
        check: &'static str,
    ) -> Result<&'a crate::checks::CatalogueCheck, QualityGateError> {
        catalogue.check(check).ok_or(QualityGateError::NoCheck { gate: self, check })
    }
}

impl fmt::Display for QualityGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
