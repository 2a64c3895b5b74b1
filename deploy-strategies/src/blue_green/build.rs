//! Describes a blue-green switch and checks the description.

use std::num::NonZeroU32;
use std::time::Duration;

use deploy_core::name::BlockName;
use deploy_core::operator::ApprovalRequest;
use serde::{Deserialize, Serialize};

use super::BlueGreen;
use crate::analysis::Analysis;
use crate::hold::OnInconclusive;
use crate::named::named;
use crate::refusal::{Problems, Refused};
use crate::rolling::Amount;
use crate::span;

/// Who switches.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Promote {
    /// Nobody: it happens by itself when the preview has stood for this long and its checks are good.
    Automatic {
        /// How long.
        #[serde(with = "span")]
        after: Duration,
    },
    /// These people, asked when the checks of the preview are good.
    Approved(ApprovalRequest),
}

impl Promote {
    /// By itself, after so long.
    #[must_use]
    pub const fn after(delay: Duration) -> Self {
        Self::Automatic { after: delay }
    }

    /// By any one person, asked this for 24 h.
    #[must_use]
    pub fn by_person(question: impl Into<String>) -> Self {
        Self::Approved(ApprovalRequest::new(question))
    }

    pub(super) fn delay(&self) -> Duration {
        match self {
            Self::Automatic { after } => *after,
            Self::Approved(_) => Duration::ZERO,
        }
    }

    pub(super) fn request(&self) -> Option<&ApprovalRequest> {
        match self {
            Self::Automatic { .. } => None,
            Self::Approved(request) => Some(request),
        }
    }
}

/// The description of a blue-green switch, as it stands in a file. [`build`](Self::build) checks it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BlueGreenBuilder {
    /// How plans and records name it. Default: `blue-green`.
    pub name: BlockName,
    /// How many instances the service has. Default: what an autoscaler wants; otherwise as many as before; on a first
    /// install one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<NonZeroU32>,
    /// How many instances the preview has; a share is rounded up, and there is at least one. Default: all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<Amount>,
    /// What is measured in the preview; all of it has to be good before the switch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Analysis>,
    /// Who switches. Default: it happens by itself at once.
    pub promote: Promote,
    /// What is measured after the switch; all of it has to be good before the old side goes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Analysis>,
    /// What happens when a check cannot tell. Default: a person is asked, for 24 h.
    pub on_inconclusive: OnInconclusive,
    /// How long the old side stays warm after the switch, at least. Default: 30 s, as Argo Rollouts has it.
    #[serde(with = "span")]
    pub scale_down_delay: Duration,
    /// How long the new instances stay after a switch back. Default: 30 s, as Argo Rollouts has it.
    #[serde(with = "span")]
    pub abort_delay: Duration,
    /// How long nothing may move while instances, the place or measurements are waited for. Default: 10 min, as Kubernetes
    /// has it.
    #[serde(with = "span")]
    pub progress_deadline: Duration,
}

impl Default for BlueGreenBuilder {
    fn default() -> Self {
        Self {
            name: named("blue-green"),
            instances: None,
            preview: None,
            before: Vec::new(),
            promote: Promote::after(Duration::ZERO),
            after: Vec::new(),
            on_inconclusive: OnInconclusive::default(),
            scale_down_delay: Duration::from_secs(30),
            abort_delay: Duration::from_secs(30),
            progress_deadline: Duration::from_secs(600),
        }
    }
}

impl BlueGreenBuilder {
    /// The same switch under another name.
    #[must_use]
    pub fn name(mut self, name: BlockName) -> Self {
        self.name = name;
        self
    }

    /// The same switch of a service with this many instances.
    #[must_use]
    pub fn instances(mut self, instances: NonZeroU32) -> Self {
        self.instances = Some(instances);
        self
    }

    /// The same switch with so many instances in the preview.
    #[must_use]
    pub fn preview(mut self, amount: Amount) -> Self {
        self.preview = Some(amount);
        self
    }

    /// The same switch with one more check in the preview.
    #[must_use]
    pub fn before(mut self, analysis: Analysis) -> Self {
        self.before.push(analysis);
        self
    }

    /// The same switch, promoted so.
    #[must_use]
    pub fn promote(mut self, promote: Promote) -> Self {
        self.promote = promote;
        self
    }

    /// The same switch with one more check after it.
    #[must_use]
    pub fn after(mut self, analysis: Analysis) -> Self {
        self.after.push(analysis);
        self
    }

    /// The same switch with another answer to doubt.
    #[must_use]
    pub fn on_inconclusive(mut self, then: OnInconclusive) -> Self {
        self.on_inconclusive = then;
        self
    }

    /// The same switch; the old side stays warm this long at least.
    #[must_use]
    pub fn scale_down_delay(mut self, delay: Duration) -> Self {
        self.scale_down_delay = delay;
        self
    }

    /// The same switch; the new instances stay this long after a switch back.
    #[must_use]
    pub fn abort_delay(mut self, delay: Duration) -> Self {
        self.abort_delay = delay;
        self
    }

    /// The same switch; it goes back when nothing has moved for this long.
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
    pub fn build(self) -> Result<BlueGreen, Refused> {
        let mut problems = Problems::default();
        problems.deadline(self.progress_deadline);
        problems.doubt(&self.on_inconclusive);
        let shown = self.preview.is_none_or(|amount| !amount.is_zero());
        problems.require(
            shown,
            "preview",
            "it is nothing, so there would be nothing to check",
            "at least one instance",
        );
        problems.asked("promote.approved", self.promote.request());
        problems.analyses("before", &self.before, &[]);
        problems.analyses("after", &self.after, &[]);
        problems.finish("a blue-green switch")?;
        Ok(BlueGreen { spec: self })
    }

    /// How many instances the preview has.
    pub(super) fn preview_size(&self, size: u32) -> u32 {
        self.preview.map_or(size, |amount| amount.rounded_up(size).clamp(1, size))
    }
}

impl TryFrom<BlueGreenBuilder> for BlueGreen {
    type Error = Refused;
    fn try_from(spec: BlueGreenBuilder) -> Result<Self, Refused> {
        spec.build()
    }
}

impl From<BlueGreen> for BlueGreenBuilder {
    fn from(strategy: BlueGreen) -> Self {
        strategy.spec
    }
}
