//! What an incident taught, as a change of what is asked of releases.

use std::collections::BTreeMap;
use std::fmt;

use deploy_core::digest::Digest;
use deploy_core::name::CheckName;
use deploy_core::operator::Principal;
use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::checks::{Document, Upgrade, kind};
use crate::crew::Crew;

/// Policies and improvements were first kept without the number of their format, in the shape that format 1 has.
const NUMBERED: &[Upgrade] = &[|_| Ok(())];

/// What is asked of releases at some time: the checks with what each passes on, those that do not apply, and the thresholds.
///
/// ```
/// use deploy_agents::checks::Thresholds;
/// use deploy_agents::crew::{Crew, EvidenceFolder};
/// use deploy_agents::workflows::{Policy, PolicyChange};
///
/// let before = Policy::of(&Crew::new(EvidenceFolder::new("reports"), Thresholds::default()));
/// let mut stricter = Thresholds::default();
/// stricter.latency_p99_at_most = 0.3;
/// let after = Policy::of(&Crew::new(EvidenceFolder::new("reports"), stricter));
/// assert_ne!(before.version(), after.version());
/// let changes: Vec<String> = after.since(&before).iter().map(PolicyChange::to_string).collect();
/// assert!(changes.contains(&"latency_p99_at_most is 0.3, and was 0.5".to_owned()));
/// ```
///
/// Each role of a workflow states in its report under which policy it judged, as evidence of kind `policy`: so a run tells it for ever
/// ([`Dossier::policies`](crate::dossier::Dossier::policies), [`RunFacts::policies`](crate::checks::runs::RunFacts::policies)). As a
/// document ([`read`](crate::checks::read), [`write`](crate::checks::write)) it has a format; one of an earlier format is brought to the
/// newest, and its version stays the same.
///
/// Rows: M131.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    checks: BTreeMap<CheckName, String>,
    not_applicable: BTreeMap<CheckName, String>,
    thresholds: BTreeMap<String, Value>,
}

impl Document for Policy {
    const KIND: &'static str = kind::POLICY;
    const UPGRADES: &'static [Upgrade] = NUMBERED;
}

impl Document for Improvement {
    const KIND: &'static str = "improvement";
    const UPGRADES: &'static [Upgrade] = NUMBERED;
}

/// One difference between two policies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PolicyChange {
    /// A check is asked that was not.
    Added(CheckName),
    /// A check passes on something else.
    Changed(CheckName),
    /// A check is no longer asked, or does not apply any more.
    Dropped(CheckName),
    /// A number is another one.
    Threshold {
        /// Which.
        name: String,
        /// What it was; null where it is new.
        from: Value,
        /// What it is; null where it is gone.
        to: Value,
    },
}

impl Policy {
    /// What this crew asks now.
    #[must_use]
    pub fn of(crew: &Crew) -> Self {
        let checks = crew.catalogue().checks().map(|check| (check.name().clone(), check.passes().to_owned())).collect();
        let thresholds = match serde_json::to_value(crew.thresholds()) {
            Ok(Value::Object(all)) => all.into_iter().collect(),
            // They are plain numbers and texts.
            _ => BTreeMap::new(),
        };
        Self { checks, not_applicable: crew.excused().clone(), thresholds }
    }

    /// Its version: equal for equal policies, and for no others.
    #[must_use]
    pub fn version(&self) -> Digest {
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// What is different from an earlier policy, in order of names.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Vec<PolicyChange> {
        let asked = |policy: &Self, name: &CheckName| {
            policy.checks.get(name).filter(|_| !policy.not_applicable.contains_key(name)).cloned()
        };
        let mut names: Vec<&CheckName> = self.checks.keys().chain(earlier.checks.keys()).collect();
        names.sort();
        names.dedup();
        let checks = names.into_iter().filter_map(|name| match (asked(earlier, name), asked(self, name)) {
            (None, Some(_)) => Some(PolicyChange::Added(name.clone())),
            (Some(_), None) => Some(PolicyChange::Dropped(name.clone())),
            (Some(before), Some(now)) => (before != now).then(|| PolicyChange::Changed(name.clone())),
            (None, None) => None,
        });
        let mut numbers: Vec<&String> = self.thresholds.keys().chain(earlier.thresholds.keys()).collect();
        numbers.sort();
        numbers.dedup();
        let of = |policy: &Self, name: &String| policy.thresholds.get(name).cloned().unwrap_or(Value::Null);
        let numbers = numbers.into_iter().filter_map(|name| {
            let (from, to) = (of(earlier, name), of(self, name));
            (from != to).then(|| PolicyChange::Threshold { name: name.clone(), from, to })
        });
        checks.chain(numbers).collect()
    }
}

impl fmt::Display for PolicyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(check) => write!(f, "{check} is asked"),
            Self::Changed(check) => write!(f, "{check} passes on something else"),
            Self::Dropped(check) => write!(f, "{check} is no longer asked"),
            Self::Threshold { name, from, to } => write!(f, "{name} is {to}, and was {from}"),
        }
    }
}

/// Something that is to be better after an incident. It is done when what is asked of releases has changed, and not before: a
/// good intention stops no release.
///
/// Rows: M119.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Improvement {
    /// The incident: where to read about it.
    pub incident: String,
    /// What is to be better.
    pub action: String,
    /// Who sees to it.
    pub owner: String,
    /// What was asked when it was written down.
    pub under: Policy,
    /// What became of it; absent: it is open.
    #[serde(default)]
    pub closed: Option<ClosedImprovement>,
}

/// How an improvement was closed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ClosedImprovement {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: Principal,
    /// The version of the policy that has it.
    pub version: Digest,
    /// What is different.
    pub changes: Vec<PolicyChange>,
}

/// Why an improvement stays open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImprovementError {
    /// Nothing changed: add the check, or the threshold, that would have stopped it.
    #[error("nothing that is asked of releases has changed since; the policy is still {0}")]
    NothingChanged(Digest),
    /// Less is asked than before, and nothing more: that is no improvement.
    #[error("since then only less is asked: {0}")]
    OnlyLess(String),
    /// It was closed before.
    #[error("it was closed before, at {0}")]
    Closed(Timestamp),
}

impl Improvement {
    /// Something that is to be better, written down under this policy.
    pub fn new(
        incident: impl Into<String>,
        action: impl Into<String>,
        owner: impl Into<String>,
        under: Policy,
    ) -> Self {
        Self { incident: incident.into(), action: action.into(), owner: owner.into(), under, closed: None }
    }

    /// Closes it, with what is different now.
    ///
    /// # Errors
    ///
    /// [`ImprovementError`] where nothing is, or only less is asked.
    pub fn close(&mut self, now: &Policy, at: Timestamp, by: Principal) -> Result<(), ImprovementError> {
        if let Some(closed) = &self.closed {
            return Err(ImprovementError::Closed(closed.at));
        }
        let (version, changes) = (now.version(), now.since(&self.under));
        if changes.is_empty() {
            return Err(ImprovementError::NothingChanged(version));
        }
        if changes.iter().all(|change| matches!(change, PolicyChange::Dropped(_))) {
            let less: Vec<String> = changes.iter().map(ToString::to_string).collect();
            return Err(ImprovementError::OnlyLess(less.join(", ")));
        }
        self.closed = Some(ClosedImprovement { at, by, version, changes });
        Ok(())
    }
}
