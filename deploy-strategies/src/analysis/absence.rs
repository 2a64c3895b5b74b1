//! What it means that there was nothing to be judged.

use std::time::Duration;

use deploy_core::strategy::ReasonCode;
use deploy_core::time::{RunTime, Spell};
use serde::{Deserialize, Serialize};

use super::Standing;
use super::threshold::{ErrorPolicy, Limit, NoData, OnError};
use crate::refusal::Problems;

/// What absence of data and errors of the question mean for a judge that compares batches. Neither has a default: whoever
/// writes the analysis knows. (A threshold judge has both for each of its metrics.)
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Absence {
    /// What it means that a metric that decides is not there.
    pub no_data: NoData,
    /// How many errors of the question are too many, and what follows.
    pub errors: ErrorPolicy,
}

impl Absence {
    /// Both policies.
    #[must_use]
    pub const fn new(no_data: NoData, errors: ErrorPolicy) -> Self {
        Self { no_data, errors }
    }

    /// Both are a doubt: no data, and more than `errors` errors in a row. A person decides, or what the strategy says to doubt.
    #[must_use]
    pub const fn doubt(errors: u32) -> Self {
        Self::new(NoData::Inconclusive, ErrorPolicy::consecutive(Limit::more_than(errors), OnError::Inconclusive))
    }
}

impl Absence {
    /// Adds what is wrong with it. `ignorable`: whether the judge can do without data at all.
    pub(super) fn check(&self, problems: &mut Problems, at: &str, ignorable: bool) {
        let own = self.errors.limit.is_some() || self.errors.consecutive_limit.is_some();
        problems.require(
            own,
            format!("{at}.errors"),
            "neither limit nor consecutive_limit is given, so errors would go on for ever",
            "limit, consecutive_limit or both",
        );
        if let NoData::Ignore { reason } = &self.no_data {
            problems.require(
                ignorable,
                format!("{at}.no_data"),
                "a comparison without data would count as passed",
                "fail, inconclusive or hold; a metric that need not be there does not decide",
            );
            let given = !reason.trim().is_empty();
            problems.require(
                given,
                format!("{at}.no_data.ignore.reason"),
                "it is empty",
                "why absence does not matter",
            );
        }
    }
}

/// What is remembered of questions that could not be asked or answered, and of data that were not there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Absent {
    /// Errors in all.
    #[serde(skip_serializing_if = "is_zero")]
    errors: u32,
    /// Errors in a row.
    #[serde(skip_serializing_if = "is_zero")]
    row: u32,
    /// What was wrong with the last answer; empty if nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    note: String,
    /// Since when the author's `hold` is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<RunTime>,
}

/// The most characters that are kept of what was wrong with an answer.
const LONGEST_NOTE: usize = 120;

impl Absent {
    /// An answer came in, or did not.
    pub(super) fn answered(&mut self, result: Result<(), &str>) {
        match result {
            Ok(()) => {
                self.row = 0;
                self.note.clear();
            }
            Err(note) => {
                self.errors = self.errors.saturating_add(1);
                self.row = self.row.saturating_add(1);
                self.note = note.chars().take(LONGEST_NOTE).collect();
            }
        }
    }

    /// What was wrong with the last answer; empty if nothing.
    pub(super) fn note(&self) -> &str {
        &self.note
    }

    /// Notes since when a hold is in force; `absent`: whether a metric that decides is not there.
    pub(super) fn settle(&mut self, policy: &Absence, absent: bool, now: RunTime) {
        let held = self.hold(policy, absent).is_some();
        self.since = if held { Some(self.since.unwrap_or(now)) } else { None };
    }

    /// The hold that is called for, if one is, and why.
    fn hold(&self, policy: &Absence, absent: bool) -> Option<(Duration, ReasonCode)> {
        match (self.too_many(policy), policy.errors.on_error, &policy.no_data) {
            (true, OnError::Hold { at_most }, _) => Some((at_most, ReasonCode::AnalysisErrors)),
            (false, _, NoData::Hold { at_most }) if absent => Some((*at_most, ReasonCode::NoData)),
            _ => None,
        }
    }

    fn too_many(&self, policy: &Absence) -> bool {
        let reached = |limit: Option<Limit>, count: u32| limit.is_some_and(|limit| limit.reached(count));
        reached(policy.errors.limit, self.errors) || reached(policy.errors.consecutive_limit, self.row)
    }

    /// What follows from it, and a sentence; nothing where there is nothing to say.
    pub(super) fn standing(&self, policy: &Absence, absent: bool, now: RunTime) -> Option<(Standing, String)> {
        if let Some((at_most, code)) = self.hold(policy, absent) {
            let waited = self.since.map_or(Duration::ZERO, |since| now.since(since));
            let said = format!("held for {} of {}", Spell(waited), Spell(at_most));
            let standing = if waited >= at_most { Standing::Unclear(code) } else { Standing::Holding(code) };
            return Some((standing, said));
        }
        if self.too_many(policy) {
            let said = format!("{} errors in a row, {} in all", self.row, self.errors);
            let standing = match policy.errors.on_error {
                OnError::RollBack => Standing::Bad(ReasonCode::AnalysisErrors),
                OnError::Inconclusive | OnError::Hold { .. } => Standing::Unclear(ReasonCode::AnalysisErrors),
            };
            return Some((standing, said));
        }
        if !absent {
            return None;
        }
        Some(match &policy.no_data {
            NoData::Fail => (Standing::Bad(ReasonCode::NoData), "no data, which counts as bad".to_owned()),
            NoData::Ignore { reason } => (Standing::Good, format!("no data, which is ignored: {reason}")),
            NoData::Inconclusive | NoData::Hold { .. } => {
                (Standing::Unclear(ReasonCode::NoData), "no data, which is inconclusive".to_owned())
            }
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use deploy_core::strategy::ReasonCode;
    use deploy_core::time::RunTime;

    use super::{Absence, Absent};
    use crate::analysis::Standing;
    use crate::analysis::threshold::{ErrorPolicy, Limit, NoData, OnError};

    const MINUTE: Duration = Duration::from_secs(60);

    fn policy(no_data: NoData, on_error: OnError) -> Absence {
        Absence::new(no_data, ErrorPolicy::consecutive(Limit::more_than(1), on_error))
    }

    fn standing(policy: &Absence, errors: u32, absent: bool, looks: &[u64]) -> Option<Standing> {
        let mut state = Absent::default();
        (0..errors).for_each(|_| state.answered(Err("no route to host")));
        looks.iter().for_each(|now| state.settle(policy, absent, RunTime(*now)));
        state.standing(policy, absent, RunTime(*looks.last().expect("a look"))).map(|(standing, _)| standing)
    }

    #[test]
    fn each_policy_means_what_it_says() {
        let holds = NoData::Hold { at_most: MINUTE };
        let ignored = NoData::Ignore { reason: "no traffic at night".to_owned() };
        for (no_data, want) in [
            (NoData::Fail, Standing::Bad(ReasonCode::NoData)),
            (NoData::Inconclusive, Standing::Unclear(ReasonCode::NoData)),
            (holds, Standing::Holding(ReasonCode::NoData)),
            (ignored, Standing::Good),
        ] {
            let policy = policy(no_data, OnError::RollBack);
            assert_eq!(standing(&policy, 1, true, &[0]), Some(want));
            assert_eq!(standing(&policy, 1, false, &[0]), None, "one error is not more than one");
            assert_eq!(standing(&policy, 2, true, &[0]), Some(Standing::Bad(ReasonCode::AnalysisErrors)));
        }
    }

    #[test]
    fn a_hold_ends_and_begins_anew_only_after_it_was_over() {
        let policy = policy(NoData::Hold { at_most: MINUTE }, OnError::Hold { at_most: 2 * MINUTE });
        assert_eq!(standing(&policy, 0, true, &[0, 59_999]), Some(Standing::Holding(ReasonCode::NoData)));
        assert_eq!(standing(&policy, 0, true, &[0, 60_000]), Some(Standing::Unclear(ReasonCode::NoData)));
        assert_eq!(standing(&policy, 2, false, &[0, 60_000]), Some(Standing::Holding(ReasonCode::AnalysisErrors)));
        assert_eq!(standing(&policy, 2, false, &[0, 120_000]), Some(Standing::Unclear(ReasonCode::AnalysisErrors)));
        let mut state = Absent::default();
        state.settle(&policy, true, RunTime(0));
        state.settle(&policy, false, RunTime(30_000));
        state.settle(&policy, true, RunTime(61_000));
        let now = state.standing(&policy, true, RunTime(61_000)).map(|(standing, _)| standing);
        assert_eq!(now, Some(Standing::Holding(ReasonCode::NoData)));
    }
}
