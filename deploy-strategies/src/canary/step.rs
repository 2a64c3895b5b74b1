//! One step of a canary.

use std::num::NonZeroU32;
use std::time::Duration;

use deploy_core::operator::ApprovalRequest;
use deploy_core::target::RouteMatch;
use serde::{Deserialize, Serialize};

use super::capacity::CanaryCapacity;
use crate::analysis::Analysis;
use crate::share::Percent;
use crate::span;

/// One step: a weight, and what has to be so before the next one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// How much traffic the new revision gets, in parts of the canary's `weights_of` (100 unless it says otherwise).
    pub weight: u32,
    /// What the step is called. Default: the weight in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For how long the weight is observed in place, with every instance ready. Default: not at all.
    #[serde(default, with = "span", skip_serializing_if = "Duration::is_zero")]
    pub soak: Duration,
    /// Who is asked after the soak and the analysis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalRequest>,
    /// Requests that go to the new revision whatever its weight: each route names headers or cookies that a request must all
    /// carry. Only while the new revision's instances are ready. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Vec<RouteMatch>>,
    /// The share of the requests that is copied to the new revision, whose answers nobody sees. Only what may be done twice should be
    /// mirrored: the copies really happen. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Percent>,
    /// A fresh baseline beside the new revision, with which analyses of this step compare instead of the old instances, so that
    /// both are equally warm. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<FreshBaseline>,
    /// How many instances the new revision has. Default: the canary's own rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CanaryCapacity>,
    /// What is measured in this step, from its beginning; all of it has to be good before the next one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub analysis: Vec<Analysis>,
}

impl Step {
    /// A step of this weight, with nothing to wait for but ready instances.
    #[must_use]
    pub fn weight(weight: u32) -> Self {
        Self {
            weight,
            name: None,
            soak: Duration::ZERO,
            approval: None,
            routes: Vec::new(),
            mirror: None,
            experiment: None,
            capacity: None,
            analysis: Vec::new(),
        }
    }

    /// The same step with a name of its own.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The same step, observed for this long.
    #[must_use]
    pub fn soak(mut self, soak: Duration) -> Self {
        self.soak = soak;
        self
    }

    /// The same step; a person is asked this at its end. For roles, quorum and expiry set [`Step::approval`].
    #[must_use]
    pub fn approval(mut self, question: impl Into<String>) -> Self {
        self.approval = Some(ApprovalRequest::new(question));
        self
    }

    /// The same step; requests with this header, exactly, go to the new revision.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.routes.push(vec![RouteMatch::Header { name: name.into(), value: value.into() }]);
        self
    }

    /// The same step; requests with this cookie, exactly, go to the new revision.
    #[must_use]
    pub fn cookie(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.routes.push(vec![RouteMatch::Cookie { name: name.into(), value: value.into() }]);
        self
    }

    /// The same step; this share of the requests is copied to the new revision.
    #[must_use]
    pub fn mirror(mut self, share: Percent) -> Self {
        self.mirror = Some(share);
        self
    }

    /// The same step with a fresh baseline: so many instances of the old revision, with so much traffic of their own.
    #[must_use]
    pub fn experiment(mut self, instances: NonZeroU32, weight: u32) -> Self {
        self.experiment = Some(FreshBaseline { instances, weight });
        self
    }

    /// Whether the new revision meets any requests in it.
    pub(super) fn meets_requests(&self) -> bool {
        self.weight > 0 || !self.routes.is_empty() || self.mirror.is_some()
    }

    /// The same step with its own count of instances.
    #[must_use]
    pub fn capacity(mut self, capacity: CanaryCapacity) -> Self {
        self.capacity = Some(capacity);
        self
    }

    /// The same step with one more analysis.
    #[must_use]
    pub fn analysis(mut self, analysis: Analysis) -> Self {
        self.analysis.push(analysis);
        self
    }

    /// What it is called.
    pub(super) fn title(&self, of: u32) -> String {
        let percent = f64::from(self.weight) * 100.0 / f64::from(of.max(1));
        self.name.clone().unwrap_or_else(|| format!("{percent} %"))
    }
}

/// Fresh instances of the revision that served before, beside the new one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreshBaseline {
    /// How many of them.
    pub instances: NonZeroU32,
    /// How much traffic they get, in parts of the canary's `weights_of`: as much as the new revision for a fair comparison.
    pub weight: u32,
}

/// An analysis that goes on over several steps.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Background {
    /// From which step on, counted from 0.
    #[serde(default)]
    pub from_step: u32,
    /// What is measured, to the end of the rollout.
    pub analysis: Analysis,
}
