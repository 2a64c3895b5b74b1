//! Describes a flag's rollout and checks the description.

use std::collections::BTreeSet;
use std::time::Duration;

use deploy_core::name::{BlockName, FlagName};
use deploy_core::operator::ApprovalRequest;
use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::FlagRollout;
use crate::analysis::Analysis;
use crate::hold::OnInconclusive;
use crate::named::named;
use crate::refusal::{Problems, Refused};
use crate::share::Percent;
use crate::{date, span};

/// One step of a flag's rollout.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlagStep {
    /// How many users have the flag then.
    pub percent: Percent,
    /// For how long it is observed. Default: not at all.
    #[serde(default, with = "span", skip_serializing_if = "Duration::is_zero")]
    pub soak: Duration,
    /// Who is asked at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalRequest>,
    /// What is measured in it; all of it has to be good before the next one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub analysis: Vec<Analysis>,
}

impl FlagStep {
    /// A step to this percentage, followed by the next one at once.
    #[must_use]
    pub fn percent(percent: Percent) -> Self {
        Self { percent, soak: Duration::ZERO, approval: None, analysis: Vec::new() }
    }

    /// The same step, observed for this long.
    #[must_use]
    pub fn soak(mut self, soak: Duration) -> Self {
        self.soak = soak;
        self
    }

    /// The same step; a person is asked this at its end.
    #[must_use]
    pub fn approval(mut self, question: impl Into<String>) -> Self {
        self.approval = Some(ApprovalRequest::new(question));
        self
    }

    /// The same step with one more analysis.
    #[must_use]
    pub fn analysis(mut self, analysis: Analysis) -> Self {
        self.analysis.push(analysis);
        self
    }
}

/// Another flag that has to be on before this one is raised.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prerequisite {
    /// Which.
    pub flag: FlagName,
    /// How many users have to have it. Default: all of them, so that nobody gets the one without the other.
    #[serde(default = "everybody")]
    pub at_least: Percent,
}

const fn everybody() -> Percent {
    Percent::ALL
}

/// The description of a flag's rollout, as it stands in a file. [`build`](Self::build) checks it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlagRolloutBuilder {
    /// How plans and records name it. Default: `flag-rollout`.
    #[serde(default = "default_name")]
    pub name: BlockName,
    /// The flag.
    pub flag: FlagName,
    /// In order, each larger than the one before. Those that do not exceed what is there at the beginning are passed over.
    pub steps: Vec<FlagStep>,
    /// The flags that have to be on before each step. While one is not, the percentage stays where it is; past the progress
    /// deadline it goes back. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<Prerequisite>,
    /// When the flag should be gone from the code. A rollout is not begun from then on, and one under way says so. Default: never.
    #[serde(default, with = "date::optional", skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// What happens when an analysis cannot tell. Default: a person is asked, for 24 h.
    #[serde(default)]
    pub on_inconclusive: OnInconclusive,
    /// How long nothing may move while the place or measurements are waited for. Default: 10 min.
    #[serde(default = "ten_minutes", with = "span")]
    pub progress_deadline: Duration,
}

fn default_name() -> BlockName {
    named("flag-rollout")
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

impl FlagRolloutBuilder {
    pub(super) fn of(flag: FlagName) -> Self {
        Self {
            name: default_name(),
            flag,
            steps: Vec::new(),
            requires: Vec::new(),
            expires: None,
            on_inconclusive: OnInconclusive::default(),
            progress_deadline: ten_minutes(),
        }
    }

    /// The same rollout under another name.
    #[must_use]
    pub fn name(mut self, name: BlockName) -> Self {
        self.name = name;
        self
    }

    /// The same rollout with one more step.
    #[must_use]
    pub fn step(mut self, step: FlagStep) -> Self {
        self.steps.push(step);
        self
    }

    /// The same rollout, each step of which waits until this flag is on for everybody.
    #[must_use]
    pub fn requires(self, flag: FlagName) -> Self {
        self.requires_at_least(flag, Percent::ALL)
    }

    /// The same rollout, each step of which waits until so many users have this flag.
    #[must_use]
    pub fn requires_at_least(mut self, flag: FlagName, at_least: Percent) -> Self {
        self.requires.push(Prerequisite { flag, at_least });
        self
    }

    /// The same rollout of a flag that should be gone from the code by then.
    #[must_use]
    pub fn expires(mut self, date: Timestamp) -> Self {
        self.expires = Some(date);
        self
    }

    /// The same rollout with another answer to doubt.
    #[must_use]
    pub fn on_inconclusive(mut self, then: OnInconclusive) -> Self {
        self.on_inconclusive = then;
        self
    }

    /// Checks the description.
    ///
    /// # Errors
    ///
    /// [`Refused`] with every problem: its place, what is wrong, what is allowed.
    pub fn build(self) -> Result<FlagRollout, Refused> {
        let mut problems = Problems::default();
        problems.require(!self.steps.is_empty(), "steps", "there is none", "at least one");
        problems.deadline(self.progress_deadline);
        problems.doubt(&self.on_inconclusive);
        for (i, step) in self.steps.iter().enumerate() {
            let before = i.checked_sub(1).map_or(0, |i| self.steps[i].percent.get());
            let at = format!("steps[{i}].percent");
            let wrong = format!("{} does not exceed {before}", step.percent);
            problems.require(step.percent.get() > before, at, wrong, format!("{} to 100", (before + 1).min(100)));
            problems.analyses(&format!("steps[{i}].analysis"), &step.analysis, &[]);
            problems.asked(&format!("steps[{i}].approval"), step.approval.as_ref());
        }
        let mut named = BTreeSet::new();
        for (i, required) in self.requires.iter().enumerate() {
            let at = format!("requires[{i}].flag");
            problems.require(required.flag != self.flag, &at, "it would wait for itself", "another flag");
            let once = named.insert(&required.flag);
            problems.require(once, &at, format!("{} stands here twice", required.flag), "each flag once");
            let some = required.at_least.get() > 0;
            problems.require(some, format!("requires[{i}].at_least"), "it is 0, which is always so", "1 to 100");
        }
        problems.finish("a flag rollout")?;
        Ok(FlagRollout::of(self))
    }
}

impl TryFrom<FlagRolloutBuilder> for FlagRollout {
    type Error = Refused;
    fn try_from(spec: FlagRolloutBuilder) -> Result<Self, Refused> {
        spec.build()
    }
}

impl From<FlagRollout> for FlagRolloutBuilder {
    fn from(rollout: FlagRollout) -> Self {
        rollout.into_spec()
    }
}
