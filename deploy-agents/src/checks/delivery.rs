//! How a service is delivered, in the five figures of DORA, and the check that holds them against targets.

use std::fmt;
use std::time::Duration;

use deploy_core::evidence::Refusal;
use deploy_core::time::{Spell, Timestamp};
use serde::{Deserialize, Serialize};

use super::assessment::{Assessment, Assessor, Figure};
use super::document::{Document, Read};
use super::performance::median;
use super::thresholds::Thresholds;

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What went out to production in a span of time, and what became of it.
///
/// ```
/// use deploy_agents::checks::delivery::{Deployment, DeliveryHistory};
/// use deploy_core::time::Timestamp;
///
/// let at = |text| Timestamp::parse(text).expect("a time");
/// let history = DeliveryHistory {
///     from: at("2026-11-01T00:00:00Z"),
///     to: at("2026-11-15T00:00:00Z"),
///     deployments: vec![
///         Deployment::new("run-1", at("2026-11-03T10:00:00Z")).change(at("2026-11-02T10:00:00Z")),
///         Deployment::new("run-2", at("2026-11-04T10:00:00Z")).change(at("2026-11-04T08:00:00Z"))
///             .failed(at("2026-11-04T10:05:00Z"), Some(at("2026-11-04T10:35:00Z"))),
///         Deployment::new("run-3", at("2026-11-12T10:00:00Z")).unplanned(),
///     ],
/// };
/// let figures = history.figures();
/// assert_eq!(figures.deployments_per_week, Some(1.5));
/// assert_eq!(figures.change_fail_rate, Some(1.0 / 3.0));
/// assert_eq!(figures.recovery.map(|time| time.as_secs()), Some(30 * 60));
/// assert_eq!(figures.lead_time.map(|time| time.as_secs()), Some(13 * 60 * 60));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryHistory {
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
    /// Everything that went out to production in it, whatever became of it.
    pub deployments: Vec<Deployment>,
}

/// Something that went out to production.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// What it is called where deployments are kept: the id of its run.
    pub id: String,
    /// When users could have it.
    pub at: Timestamp,
    /// When each change that it brought was committed.
    #[serde(default)]
    pub committed_at: Vec<Timestamp>,
    /// What it broke, if it had to be taken back or mended at once.
    #[serde(default)]
    pub failure: Option<DeploymentFailure>,
    /// Whether nobody had planned it: it only mends what users met.
    #[serde(default)]
    pub unplanned: bool,
}

/// A deployment that had to be taken back or mended at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentFailure {
    /// When it was noticed.
    pub at: Timestamp,
    /// When users were served well again; absent: they are not yet.
    #[serde(default)]
    pub recovered_at: Option<Timestamp>,
}

impl Document for DeliveryHistory {
    const KIND: &'static str = "delivery-history";
}

/// The five figures of software delivery, as DORA defines them. What there is nothing to tell from is absent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeliveryFigures {
    /// Deployment frequency: the middle of the numbers of the whole weeks, counted back from the end.
    pub deployments_per_week: Option<f64>,
    /// Change lead time: the middle over all changes of the time from commit to production.
    #[serde(with = "deploy_core::time::option_duration_ms")]
    pub lead_time: Option<Duration>,
    /// Change fail rate: the share of deployments that had to be taken back or mended at once, from 0 to 1.
    pub change_fail_rate: Option<f64>,
    /// Failed deployment recovery time: the middle over the failed ones. One that nobody has recovered from counts until the end of
    /// the span: it takes at least so long.
    #[serde(with = "deploy_core::time::option_duration_ms")]
    pub recovery: Option<Duration>,
    /// Deployment rework rate: the share of deployments that nobody had planned, from 0 to 1.
    pub rework_rate: Option<f64>,
}

/// What the figures of delivery are held against. In a file, what is left out has its default.
///
/// The defaults are where the report of DORA of 2024 draws the line of its *high* cluster; it draws none for rework.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DeliveryTargets {
    /// The fewest deployments in a week. Default 1.
    pub per_week_at_least: f64,
    /// The longest lead time. Default 7 days.
    #[serde(with = "deploy_core::time::duration_ms")]
    pub lead_time_at_most: Duration,
    /// The largest share of deployments that fail, from 0 to 1. Default 0.2.
    pub fail_rate_at_most: f64,
    /// The longest recovery. Default 1 day.
    #[serde(with = "deploy_core::time::duration_ms")]
    pub recovery_at_most: Duration,
    /// The largest share of deployments that nobody had planned, from 0 to 1. Default 1: none.
    pub rework_rate_at_most: f64,
}

impl Default for DeliveryTargets {
    fn default() -> Self {
        Self {
            per_week_at_least: 1.0,
            lead_time_at_most: WEEK,
            fail_rate_at_most: 0.2,
            recovery_at_most: Duration::from_secs(24 * 60 * 60),
            rework_rate_at_most: 1.0,
        }
    }
}

impl fmt::Display for DeliveryTargets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "at least {} deployments a week, changes out within {}, at most {} % of deployments fail and {} % were not planned, \
             recovered from within {}",
            self.per_week_at_least,
            Spell(self.lead_time_at_most),
            self.fail_rate_at_most * 100.0,
            self.rework_rate_at_most * 100.0,
            Spell(self.recovery_at_most)
        )
    }
}

impl Deployment {
    /// A planned deployment that went well and brought no change that is known.
    pub fn new(id: impl Into<String>, at: Timestamp) -> Self {
        Self { id: id.into(), at, committed_at: Vec::new(), failure: None, unplanned: false }
    }

    /// The same with one more change that was committed then.
    #[must_use]
    pub fn change(mut self, committed_at: Timestamp) -> Self {
        self.committed_at.push(committed_at);
        self
    }

    /// The same, which failed.
    #[must_use]
    pub fn failed(mut self, at: Timestamp, recovered_at: Option<Timestamp>) -> Self {
        self.failure = Some(DeploymentFailure { at, recovered_at });
        self
    }

    /// The same, which nobody had planned.
    #[must_use]
    pub fn unplanned(mut self) -> Self {
        self.unplanned = true;
        self
    }
}

impl DeliveryHistory {
    /// The five figures.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of deployments stay far below 2^52")]
    pub fn figures(&self) -> DeliveryFigures {
        let all = &self.deployments;
        let share = |count: usize| (!all.is_empty()).then(|| count as f64 / all.len() as f64);
        let lead = |deployment: &Deployment| {
            let out = deployment.at;
            deployment.committed_at.iter().map(move |committed| out.since(*committed)).collect::<Vec<_>>()
        };
        let failures = || all.iter().filter_map(|deployment| deployment.failure);
        let recovery = |failure: DeploymentFailure| failure.recovered_at.unwrap_or(self.to).since(failure.at);
        DeliveryFigures {
            deployments_per_week: middle(&self.weeks()),
            lead_time: middle_time(all.iter().flat_map(lead)),
            change_fail_rate: share(failures().count()),
            recovery: middle_time(failures().map(recovery)),
            rework_rate: share(all.iter().filter(|deployment| deployment.unplanned).count()),
        }
    }

    /// How many deployments there were in each whole week, counted back from the end.
    fn weeks(&self) -> Vec<f64> {
        let weeks = usize::try_from(self.to.since(self.from).as_secs() / WEEK.as_secs()).unwrap_or(0);
        let mut counts = vec![0_u32; weeks.min(10_000)];
        for deployment in self.deployments.iter().filter(|deployment| deployment.at < self.to) {
            // The last moment of a week is the one before it ends.
            let before = self.to.since(deployment.at).saturating_sub(Duration::from_millis(1));
            let week = usize::try_from(before.as_secs() / WEEK.as_secs()).unwrap_or(usize::MAX);
            if let Some(count) = counts.get_mut(week) {
                *count += 1;
            }
        }
        counts.into_iter().map(f64::from).collect()
    }
}

/// The middle, where there is anything.
fn middle(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| median(values))
}

fn middle_time(times: impl Iterator<Item = Duration>) -> Option<Duration> {
    let seconds: Vec<f64> = times.map(|time| time.as_secs_f64()).collect();
    middle(&seconds).map(Duration::from_secs_f64)
}

/// The five figures of delivery, computed from what went out, are within their targets.
///
/// Rows: M129.
#[must_use]
pub fn delivery_targets(history: &Read<DeliveryHistory>, now: Timestamp, t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    let (file, targets) = (&history.document, &t.delivery);
    sound(&mut found, history, now);
    if file.deployments.is_empty() {
        let at = history.at("/deployments");
        found.refuse(Refusal::Missing(format!("nothing went out, so that there is nothing to tell ({at})")));
        return found.finish();
    }
    let figures = file.figures();
    let at = history.at("/deployments");
    match figures.deployments_per_week {
        None => {
            let at = history.at("/from");
            found.refuse(Refusal::Unfinished(format!("it is less than a week, which says nothing of weeks ({at})")));
        }
        Some(often) => {
            let least = targets.per_week_at_least;
            found.figure(
                Figure::number("deployments a week", often, "").limit(format!("at least {least}")).at(at.clone()),
            );
            found.require(often >= least, || {
                format!("{often} deployments a week went out; at least {least} must ({at})")
            });
        }
    }
    let mut time = |name: &str, took: Option<Duration>, most: Duration| {
        let Some(took) = took else {
            found.note(format!("there is no {name} to tell ({at})"));
            return;
        };
        found.figure(Figure::text(name, Spell(took)).limit(format!("at most {}", Spell(most))).at(at.clone()));
        found.require(took <= most, || format!("the {name} is {}; it may be {} ({at})", Spell(took), Spell(most)));
    };
    time("lead time", figures.lead_time, targets.lead_time_at_most);
    time("recovery time", figures.recovery, targets.recovery_at_most);
    for (name, rate, most) in [
        ("change fail rate", figures.change_fail_rate, targets.fail_rate_at_most),
        ("rework rate", figures.rework_rate, targets.rework_rate_at_most),
    ] {
        let (rate, most) = (rate.unwrap_or_default() * 100.0, most * 100.0);
        found.figure(Figure::number(name, rate, "%").limit(format!("at most {most} %")).at(at.clone()));
        found.require(rate <= most, || format!("the {name} is {rate:.1} %; it may be {most} % ({at})"));
    }
    found.finish()
}

/// Its times can all be true, and nothing stands there twice.
fn sound(found: &mut Assessor, history: &Read<DeliveryHistory>, now: Timestamp) {
    let file = &history.document;
    if file.to > now.after(Duration::from_secs(60)) {
        let at = history.at("/to");
        found.refuse(Refusal::FutureDated(format!("it goes until {}, and it is {now} ({at})", file.to)));
    }
    let mut ids = std::collections::BTreeSet::new();
    for (index, deployment) in file.deployments.iter().enumerate() {
        let at = || history.at(format!("/deployments/{index}"));
        let id = &deployment.id;
        if !ids.insert(id.as_str()) {
            found.refuse(Refusal::Duplicate(format!("{id} went out twice ({})", at())));
        }
        let within = deployment.at >= file.from && deployment.at < file.to;
        found.require(within, || format!("{id} went out outside of the span that is told of ({})", at()));
        let late = deployment.committed_at.iter().any(|committed| *committed > deployment.at);
        found.require(!late, || format!("{id} brought a change that was committed only later ({})", at()));
        if let Some(failure) = deployment.failure {
            let order = failure.at >= deployment.at && failure.recovered_at.is_none_or(|over| over >= failure.at);
            found
                .require(order, || format!("{id} failed before it was out, or was mended before it failed ({})", at()));
            if failure.recovered_at.is_none() {
                found.remark(format!("nobody has recovered from {id} yet ({})", at()));
            }
        }
    }
}
