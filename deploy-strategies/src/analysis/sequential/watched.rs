//! What is watched, and what counts as harm.

use deploy_core::name::MetricName;
use serde::{Deserialize, Serialize};

/// One metric that is judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    /// Its name.
    pub metric: MetricName,
    /// What it is and what counts as harm.
    pub watch: Watch,
    /// Whether it decides.
    #[serde(default)]
    pub role: Role,
}

/// Whether a metric decides.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It can roll the release back, and no promotion without its proof. The weight, above zero, is its share of α relative to the others.
    Required {
        /// How much of α it may spend, relative to the others.
        weight: f64,
    },
    /// It is shown, with a false discovery rate of α among its like, and decides nothing.
    Advisory,
}

impl Default for Role {
    fn default() -> Self {
        Self::Required { weight: 1.0 }
    }
}

/// What a metric is and what counts as harm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Watch {
    /// Bad events among events.
    Errors {
        /// The odds ratio up to which more of them do not lead to a rollback. 1.2 by default: instances of the same
        /// release differ by that much.
        #[serde(default = "default_error_margin")]
        margin: f64,
        /// The odds ratio that promotion must rule out. 1.5 by default.
        #[serde(default = "default_ruled_out")]
        rule_out: f64,
        /// The share of bad events, between 0 and 1, below which nobody minds them: a candidate that is shown to be below it in a stage
        /// is promoted from it whatever the baseline does. Without it, which is the default, a service of which neither arm has a bad
        /// event is never promoted: nothing can be compared. It takes about `4.2 / negligible` events of the candidate in a
        /// stage; harm beyond the margin leads to a rollback all the same.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        negligible: Option<f64>,
    },
    /// How long each event took, or any other size of which less is better.
    Latency {
        /// The quantiles at which it is watched, each by its own events "slower than". Half, 90 % and 99 % by default.
        #[serde(default = "default_quantiles")]
        quantiles: Vec<f64>,
        /// By what share it may be slower without a rollback. 0.10 by default: instances of the same release differ by
        /// several percent.
        #[serde(default = "default_latency_margin")]
        margin: f64,
        /// The odds ratio of being slower than the quantile that promotion must rule out. 1.5 by default: about 10 to
        /// 15 % in time, where times are log-normal.
        #[serde(default = "default_ruled_out")]
        rule_out: f64,
    },
    /// One number per window and arm, compared window by window.
    Values {
        /// The difference, candidate minus baseline, that no window exceeds in size: larger ones count as this.
        range: f64,
        /// Which direction is harm.
        worse: Worse,
        /// The mean difference in that direction up to which there is no rollback.
        margin: f64,
        /// The mean difference in that direction that promotion must rule out.
        rule_out: f64,
    },
}

/// Which direction of a number is harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Worse {
    /// More is worse.
    Larger,
    /// Less is worse.
    Smaller,
}

impl Watch {
    /// Errors with the default margins.
    #[must_use]
    pub fn errors() -> Self {
        Self::Errors { margin: default_error_margin(), rule_out: default_ruled_out(), negligible: None }
    }

    /// The same errors; below this share of bad events, between 0 and 1, nobody minds them. Of no effect on anything else.
    #[must_use]
    pub fn negligible(mut self, share: f64) -> Self {
        if let Self::Errors { negligible, .. } = &mut self {
            *negligible = Some(share);
        }
        self
    }

    /// Latency with the default quantiles and margins.
    #[must_use]
    pub fn latency() -> Self {
        Self::Latency {
            quantiles: default_quantiles(),
            margin: default_latency_margin(),
            rule_out: default_ruled_out(),
        }
    }
}

impl Watched {
    /// A metric that decides, with the weight of one.
    #[must_use]
    pub fn required(metric: MetricName, watch: Watch) -> Self {
        Self { metric, watch, role: Role::default() }
    }

    /// A metric that is only shown.
    #[must_use]
    pub fn advisory(metric: MetricName, watch: Watch) -> Self {
        Self { metric, watch, role: Role::Advisory }
    }
}

impl Watch {
    /// Of how many series its state consists.
    pub(super) fn series(&self) -> usize {
        match self {
            Self::Latency { quantiles, .. } => quantiles.len(),
            Self::Errors { .. } | Self::Values { .. } => 1,
        }
    }

    /// What it is measured as.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Errors { .. } => "counts",
            Self::Latency { .. } => "sizes",
            Self::Values { .. } => "values",
        }
    }
}

fn default_error_margin() -> f64 {
    1.2
}
fn default_latency_margin() -> f64 {
    0.10
}
fn default_ruled_out() -> f64 {
    1.5
}
fn default_quantiles() -> Vec<f64> {
    vec![0.5, 0.9, 0.99]
}
