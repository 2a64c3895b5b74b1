//! Describes a rolling update and checks the description.

use std::num::NonZeroU32;
use std::time::Duration;

use deploy_core::name::BlockName;
use deploy_core::operator::ApprovalRequest;
use serde::{Deserialize, Serialize};

use super::Rolling;
use super::arithmetic::{Allowance, Amount};
use crate::analysis::Analysis;
use crate::hold::OnInconclusive;
use crate::named::named;
use crate::refusal::{Problems, Refused};
use crate::share::Percent;
use crate::span;

/// A stretch of a rolling update, after which it stands still for a while or for a person.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// How many instances are of the new revision at its end, all earlier batches counted; a share is rounded up.
    pub upto: Amount,
    /// For how long it is observed whole. Default: not at all.
    #[serde(default, with = "span", skip_serializing_if = "Duration::is_zero")]
    pub soak: Duration,
    /// Who is asked at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalRequest>,
    /// What is measured while the batch stands whole; all of it has to be good before the next one, and before the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub analysis: Vec<Analysis>,
}

impl Batch {
    /// A batch up to so many, followed by the next one at once.
    #[must_use]
    pub fn upto(upto: Amount) -> Self {
        Self { upto, soak: Duration::ZERO, approval: None, analysis: Vec::new() }
    }

    /// The same batch, observed for this long.
    #[must_use]
    pub fn soak(mut self, soak: Duration) -> Self {
        self.soak = soak;
        self
    }

    /// The same batch with one more analysis.
    #[must_use]
    pub fn analysis(mut self, analysis: Analysis) -> Self {
        self.analysis.push(analysis);
        self
    }

    /// The same batch; a person is asked this at its end.
    #[must_use]
    pub fn approval(mut self, question: impl Into<String>) -> Self {
        self.approval = Some(ApprovalRequest::new(question));
        self
    }
}

/// The description of a rolling update, as it stands in a file. [`build`](Self::build) checks it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RollingBuilder {
    /// How plans and records name it. Default: `rolling`.
    pub name: BlockName,
    /// How many instances the service has. Default: what an autoscaler wants; otherwise as many as before; on a first
    /// install one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<NonZeroU32>,
    /// How many more than wanted there may be, those on their way out counted; a share is rounded up. Default: 25 %, as
    /// Kubernetes has it.
    pub surge: Amount,
    /// How many fewer may be ready; a share is rounded down. Default: 25 %, as Kubernetes has it.
    pub unavailable: Amount,
    /// For how long an instance has to be ready before it counts. Default: 10 s, as Nomad has it: a crash at start-up shows
    /// by then.
    #[serde(with = "span")]
    pub min_healthy: Duration,
    /// In order, each larger than the one before. Default: everything in one.
    pub batches: Vec<Batch>,
    /// How many instances of a batch may fail to become ready; a share is rounded up. Default: none.
    pub may_fail: Amount,
    /// How many instances stay at the old revision for good. Default: none.
    pub partition: u32,
    /// What is measured from the first ready instance of the new revision to the end, over all batches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub background: Vec<Analysis>,
    /// What happens when an analysis cannot tell. Default: a person is asked, for 24 h.
    pub on_inconclusive: OnInconclusive,
    /// How long nothing may move. Default: 10 min, as Kubernetes has it.
    #[serde(with = "span")]
    pub progress_deadline: Duration,
}

impl Default for RollingBuilder {
    fn default() -> Self {
        let percent = |n| Percent::new(n).map_or(Amount::Count(1), Amount::Percent);
        Self {
            name: named("rolling"),
            instances: None,
            surge: percent(25),
            unavailable: percent(25),
            min_healthy: Duration::from_secs(10),
            batches: vec![Batch::upto(percent(100))],
            may_fail: Amount::Count(0),
            partition: 0,
            background: Vec::new(),
            on_inconclusive: OnInconclusive::default(),
            progress_deadline: Duration::from_secs(600),
        }
    }
}

impl RollingBuilder {
    /// One after another, never more than wanted, each healthy before the next: for instances with an order of their own.
    #[must_use]
    pub fn ordered() -> Self {
        Self { surge: Amount::Count(0), unavailable: Amount::Count(1), ..Self::default() }
    }

    /// The same update under another name.
    #[must_use]
    pub fn name(mut self, name: BlockName) -> Self {
        self.name = name;
        self
    }

    /// The same update of a service with this many instances.
    #[must_use]
    pub fn instances(mut self, instances: NonZeroU32) -> Self {
        self.instances = Some(instances);
        self
    }

    /// The same update with so many more at a time.
    #[must_use]
    pub fn surge(mut self, surge: Amount) -> Self {
        self.surge = surge;
        self
    }

    /// The same update with so many fewer at a time.
    #[must_use]
    pub fn unavailable(mut self, unavailable: Amount) -> Self {
        self.unavailable = unavailable;
        self
    }

    /// The same update; an instance counts once it has been ready for this long.
    #[must_use]
    pub fn min_healthy(mut self, span: Duration) -> Self {
        self.min_healthy = span;
        self
    }

    /// The same update in these batches.
    #[must_use]
    pub fn batches(mut self, batches: Vec<Batch>) -> Self {
        self.batches = batches;
        self
    }

    /// The same update, of whose instances so many may fail to become ready.
    #[must_use]
    pub fn may_fail(mut self, may_fail: Amount) -> Self {
        self.may_fail = may_fail;
        self
    }

    /// The same update, which leaves so many instances at the old revision.
    #[must_use]
    pub fn partition(mut self, partition: u32) -> Self {
        self.partition = partition;
        self
    }

    /// The same update with an analysis over all batches.
    #[must_use]
    pub fn background(mut self, analysis: Analysis) -> Self {
        self.background.push(analysis);
        self
    }

    /// The same update with another answer to doubt.
    #[must_use]
    pub fn on_inconclusive(mut self, then: OnInconclusive) -> Self {
        self.on_inconclusive = then;
        self
    }

    /// The same update; it goes back when nothing has moved for this long.
    #[must_use]
    pub fn progress_deadline(mut self, deadline: Duration) -> Self {
        self.progress_deadline = deadline;
        self
    }

    /// Checks the description.
    ///
    /// # Errors
    ///
    /// [`Refused`] with every problem: its place, what is wrong, what is allowed.
    pub fn build(self) -> Result<Rolling, Refused> {
        let mut problems = Problems::default();
        problems.moves("unavailable", self.surge, self.unavailable);
        let patient = self.progress_deadline > self.min_healthy;
        problems.require(
            patient,
            "progress_deadline",
            "no instance could count before it passes",
            format!("more than min_healthy, {}", span::write(self.min_healthy)),
        );
        problems.doubt(&self.on_inconclusive);
        problems.require(!self.batches.is_empty(), "batches", "there is none", "at least one");
        for (i, batch) in self.batches.iter().enumerate() {
            let beside: Vec<&Analysis> = self.background.iter().collect();
            problems.analyses(&format!("batches[{i}].analysis"), &batch.analysis, &beside);
            problems.asked(&format!("batches[{i}].approval"), batch.approval.as_ref());
            let some = !batch.upto.is_zero();
            problems.require(some, format!("batches[{i}].upto"), "it is nothing", "more than 0");
            let grows = i == 0 || grows(self.batches[i - 1].upto, batch.upto);
            problems.require(
                grows,
                format!("batches[{i}].upto"),
                "it is not more than the one before",
                "growing batches",
            );
        }
        for (k, analysis) in self.background.iter().enumerate() {
            analysis.check(&mut problems, &format!("background[{k}]"));
        }
        let last = self.batches.last().map(|batch| batch.upto);
        let whole = last.is_none_or(|upto| {
            upto == Amount::Percent(Percent::ALL) || self.instances.is_some_and(|n| upto == Amount::Count(n.get()))
        });
        problems.require(
            whole,
            format!("batches[{}].upto", self.batches.len().saturating_sub(1)),
            "the last batch is not everything",
            "100 percent; for instances that stay as they are use partition",
        );
        if let Some(instances) = self.instances {
            let moves = self.partition < instances.get();
            problems.require(
                moves,
                "partition",
                format!("all {instances} would stay"),
                format!("0 to {}", instances.get() - 1),
            );
        }
        problems.finish("a rolling update")?;
        Ok(Rolling { spec: self })
    }

    pub(super) fn allowance(&self, size: u32) -> Allowance {
        Allowance::of(self.surge, self.unavailable, size)
    }

    /// How many instances are of the new revision at the end of a batch.
    pub(super) fn batch_goal(&self, batch: usize, size: u32) -> u32 {
        let most = size.saturating_sub(self.partition);
        self.batches.get(batch).map_or(most, |batch| batch.upto.rounded_up(size).min(most))
    }
}

fn grows(before: Amount, now: Amount) -> bool {
    match (before, now) {
        (Amount::Count(a), Amount::Count(b)) => b > a,
        (Amount::Percent(a), Amount::Percent(b)) => b > a,
        // A count and a share can be compared only when the size is known.
        _ => true,
    }
}

impl TryFrom<RollingBuilder> for Rolling {
    type Error = Refused;
    fn try_from(spec: RollingBuilder) -> Result<Self, Refused> {
        spec.build()
    }
}

impl From<Rolling> for RollingBuilder {
    fn from(rolling: Rolling) -> Self {
        rolling.spec
    }
}
