//! How much is asked of a release.

use std::fmt;

use deploy_core::evidence::{Receipt, Verdict};
use deploy_core::name::CheckName;
use serde::{Deserialize, Serialize};

/// How much is asked of a release: each level asks for all that the one before it asks for, and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValidationLevel {
    /// What no release goes without, however urgent: it builds, its tests pass, nothing critical is open, it is healthy,
    /// there is a way back.
    Minimal,
    /// What an ordinary release is asked for.
    #[default]
    Standard,
    /// What a release of a service with obligations is asked for.
    Strict,
    /// Everything that there is a check for.
    Enterprise,
}

impl ValidationLevel {
    /// All levels, the least first.
    pub const ALL: [Self; 4] = [Self::Minimal, Self::Standard, Self::Strict, Self::Enterprise];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Standard => "standard",
            Self::Strict => "strict",
            Self::Enterprise => "enterprise",
        }
    }
}

impl fmt::Display for ValidationLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How much of a level was carried out, by receipts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LevelExecution {
    /// The level.
    pub level: ValidationLevel,
    /// The checks that ran and read something, or that do not apply for a stated reason.
    pub executed: Vec<CheckName>,
    /// The checks that did not run, and why.
    pub skipped: Vec<(CheckName, String)>,
}

impl LevelExecution {
    /// Whether nothing was skipped.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.skipped.is_empty()
    }

    pub(super) fn of(level: ValidationLevel, wanted: &[CheckName], receipts: &[Receipt]) -> Self {
        let (mut executed, mut skipped) = (Vec::new(), Vec::new());
        for check in wanted {
            let skip = match receipts.iter().rfind(|r| r.check == *check).map(|r| (&r.verdict, r.read.is_empty())) {
                None => Some("it was not run".to_owned()),
                Some((Verdict::NotApplicable { reason }, _)) if reason.trim().is_empty() => {
                    Some("it is said not to apply, without a reason".to_owned())
                }
                Some((Verdict::NotApplicable { .. }, _)) => None,
                Some((Verdict::Inconclusive { refusal }, _)) => Some(refusal.to_string()),
                Some((Verdict::Waived(waiver), _)) => Some(format!("waived by {}: {}", waiver.person, waiver.reason)),
                Some((_, true)) => Some("it read nothing".to_owned()),
                Some((Verdict::Pass | Verdict::Concerns { .. } | Verdict::Fail { .. }, false)) => None,
            };
            match skip {
                None => executed.push(check.clone()),
                Some(why) => skipped.push((check.clone(), why)),
            }
        }
        Self { level, executed, skipped }
    }
}
