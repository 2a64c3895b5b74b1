//! Checks of speed and service levels.

use deploy_core::evidence::Refusal;
use deploy_core::release::Release;
use deploy_strategies::analysis::rank::compare;
use serde::{Deserialize, Serialize};

use super::assessment::{Assessment, Assessor, Figure};
use super::document::{Document, Read};
use super::thresholds::Thresholds;
use crate::evidence::facts::{LatencyKind, LoadFacts};

/// Latency and failures of a load test are within the service level, on enough requests, and every limit of the test itself
/// was kept.
///
/// Rows: M41, M156, M174.
#[must_use]
pub fn service_level(loads: &[LoadFacts], t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    for load in loads {
        found.doubts(&load.doubts);
        let least = t.requests_at_least.max(1);
        match (&load.requests, load.asked()) {
            (Some(requests), _) => {
                let figure = Figure::count("requests", requests.value).limit(format!("at least {least}"));
                found.figure(figure.at(requests.at.clone()));
                found.require(requests.value >= least, || {
                    format!("{} requests; at least {least} are needed", requests.value)
                });
            }
            // oha counts answers by status, and what was not answered by its reason.
            (None, Some(asked)) => {
                let at = load.statuses.values().next().map(|count| count.at.clone());
                found.figure(Figure::count("requests", asked).limit(format!("at least {least}")).at(at));
                found.require(asked >= least, || format!("{asked} requests; at least {least} are needed"));
            }
            (None, None) => found.fail(format!("{} does not say how many requests it made", load.tool)),
        }
        failures(&mut found, load, t.failed_share_at_most);
        let p99 = load.latencies.iter().find(|latency| latency.which == LatencyKind::PerMille(990));
        match p99 {
            Some(p99) => {
                let (seconds, most) = (p99.value.seconds(), t.latency_p99_at_most);
                let figure =
                    Figure::number("p99", seconds * 1000.0, "ms").limit(format!("at most {} ms", most * 1000.0));
                found.figure(figure.at(p99.value.number.at.clone()));
                // Not a number is never within.
                let within = seconds <= most;
                found.require(within, || {
                    format!(
                        "the 99th percentile is {:.1} ms; at most {} ms is allowed",
                        seconds * 1000.0,
                        most * 1000.0
                    )
                });
            }
            None => found.fail(format!("{} does not say its 99th percentile", load.tool)),
        }
        for broken in load.thresholds.iter().filter(|threshold| !threshold.kept) {
            found.fail(format!("{} did not keep {} ({})", broken.metric, broken.expression, broken.at));
        }
    }
    found.finish()
}

fn failures(found: &mut Assessor, load: &LoadFacts, most: f64) {
    match load.failed_share() {
        Some(share) => {
            let at = load.statuses.values().next().map(|n| n.at.clone());
            let at = at.or_else(|| load.bad_statuses.as_ref().map(|n| n.at.clone()));
            let at = at.or_else(|| load.declared_failed.as_ref().map(|n| n.at.clone()));
            let figure =
                Figure::number("requests failed", share * 100.0, "%").limit(format!("at most {} %", most * 100.0));
            found.figure(figure.at(at));
            let within = share <= most;
            found.require(within, || {
                format!("{:.3} % of requests failed; at most {} % may", share * 100.0, most * 100.0)
            });
        }
        None => found.fail(format!("{} does not say how many requests failed", load.tool)),
    }
}

/// Not one request failed while the release went out.
///
/// Rows: M65, M151, M176.
#[must_use]
pub fn zero_downtime(loads: &[LoadFacts], t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    for load in loads {
        found.doubts(&load.doubts);
        failures(&mut found, load, 0.0);
        let requests = load.requests.as_ref().map_or(0, |requests| requests.value);
        let least = t.requests_at_least.max(1);
        let at = load.requests.as_ref().map(|requests| requests.at.clone());
        found.figure(Figure::count("requests during the rollout", requests).limit(format!("at least {least}")).at(at));
        found.require(requests >= least, || format!("{requests} requests stood on it; at least {least} are needed"));
    }
    found.finish()
}

/// No benchmark is slower than before beyond the margin, as far as the samples can tell: a rank test of the new times, made
/// faster by the margin, against the old ones.
///
/// The chance of a false alarm is that of [`Thresholds::slowdown_alpha`] for each benchmark. Every execution must have ended
/// well, and with fewer than four samples on either side nothing can be told.
///
/// Rows: M9, M154, M156, M178, M207.
#[must_use]
pub fn no_slowdown(new: &[LoadFacts], old: &[LoadFacts], t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    for load in new.iter().chain(old) {
        found.doubts(&load.doubts);
    }
    let before: Vec<_> = old.iter().flat_map(|load| &load.benchmarks).collect();
    let now: Vec<_> = new.iter().flat_map(|load| &load.benchmarks).collect();
    found.require(!now.is_empty(), || "nothing was timed".to_owned());
    for lost in before.iter().filter(|old| !now.iter().any(|new| new.name == old.name)) {
        found.fail(format!("{} was timed before and is not any more ({})", lost.name, lost.at));
    }
    for benchmark in now {
        let name = &benchmark.name;
        if let Some(code) = benchmark.exit_codes.iter().find(|code| **code != Some(0)) {
            let code = code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
            found.fail(format!("{name} ended with {code}: its times say nothing ({})", benchmark.at));
            continue;
        }
        let Some(old) = before.iter().find(|old| old.name == *name) else {
            found.remark(format!("{name} was not timed before ({})", benchmark.at));
            continue;
        };
        let factor = 1.0 + t.slowdown_at_most / 100.0;
        let seconds = |samples: &[f64], unit: crate::evidence::facts::TimeUnit, by: f64| -> Vec<f64> {
            samples.iter().map(|sample| unit.seconds(*sample) / by).collect()
        };
        let (mine, theirs) = (seconds(&benchmark.samples, benchmark.unit, 1.0), seconds(&old.samples, old.unit, 1.0));
        if mine.len() < 4 || theirs.len() < 4 {
            found.refuse(Refusal::Missing(format!(
                "{name} was timed {} times, before {} times; 4 are needed ({})",
                mine.len(),
                theirs.len(),
                benchmark.at
            )));
            continue;
        }
        let (median, was) = (median(&mine), median(&theirs));
        let change = (median / was - 1.0) * 100.0;
        let figure = Figure::number(format!("{name} slower by"), change, "%");
        found.figure(figure.limit(format!("at most {} %", t.slowdown_at_most)).at(benchmark.at.clone()));
        let scaled = seconds(&benchmark.samples, benchmark.unit, factor);
        match compare(&scaled, &theirs) {
            Ok((_, chances)) => {
                found.require(chances.greater > t.slowdown_alpha, || {
                    format!(
                        "{name} is slower by {change:.1} %: beyond {} % with a chance of {:.4} by luck ({})",
                        t.slowdown_at_most, chances.greater, benchmark.at
                    )
                });
            }
            // Equal to the last bit: no slower than the margin.
            Err(deploy_strategies::analysis::sample::SampleError::AllEqual) => {}
            Err(error) => found.refuse(Refusal::Unparseable(format!("{name}: {error} ({})", benchmark.at))),
        }
    }
    found.finish()
}

/// The middle; of an even number of samples, between the two in the middle. There must be one at least.
pub(super) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

/// How much of the error budget is left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorBudget {
    /// The share of requests that must be good, from 0 to 1.
    pub objective: f64,
    /// How many requests there were in the window.
    pub total: u64,
    /// How many of them were not good.
    pub bad: u64,
}

impl ErrorBudget {
    /// The share of the budget that is left: 1 where nothing was spent, below 0 where too much was. Nothing where there were
    /// no requests or the objective leaves no budget.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of requests stay far below 2^52")]
    pub fn left(&self) -> Option<f64> {
        let budget = (1.0 - self.objective) * self.total as f64;
        (self.total > 0 && budget > 0.0 && self.bad <= self.total).then(|| 1.0 - self.bad as f64 / budget)
    }
}

impl Document for ErrorBudget {
    const KIND: &'static str = "error-budget";
}

/// Enough of the error budget is left to risk a release.
///
/// Rows: M174.
#[must_use]
pub fn error_budget(budget: &Read<ErrorBudget>, t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    let least = t.error_budget_at_least;
    match budget.document.left() {
        None => {
            found.refuse(Refusal::Unparseable(format!("these numbers give no budget ({})", budget.at("/objective"))))
        }
        Some(left) => {
            let figure =
                Figure::number("error budget left", left * 100.0, "%").limit(format!("at least {} %", least * 100.0));
            found.figure(figure.at(budget.at("/bad")));
            found.require(left >= least, || {
                format!("{:.1} % of the error budget is left; at least {} % must be", left * 100.0, least * 100.0)
            });
        }
    }
    found.finish()
}

/// What a release was meant to change, and what it did change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SuccessMetrics {
    /// The revision.
    pub revision: String,
    /// How long it has been out, in seconds.
    pub baked_seconds: u64,
    /// How long it had to be, in seconds.
    pub bake_seconds: u64,
    /// The metrics.
    pub metrics: Vec<SuccessMetric>,
}

/// One metric of success.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SuccessMetric {
    /// What.
    pub name: String,
    /// The smallest value that is a success.
    #[serde(default)]
    pub at_least: Option<f64>,
    /// The largest value that is a success.
    #[serde(default)]
    pub at_most: Option<f64>,
    /// What was measured; absent: nothing.
    #[serde(default)]
    pub measured: Option<f64>,
}

impl Document for SuccessMetrics {
    const KIND: &'static str = "success-metrics";
}

/// After its bake time, every metric of the release is within what was called a success.
///
/// Rows: M213.
#[must_use]
pub fn success_metrics(metrics: &Read<SuccessMetrics>, release: &Release) -> Assessment {
    let mut found = Assessor::new();
    let file = &metrics.document;
    if file.revision != release.revision.as_str() {
        found.refuse(Refusal::Foreign(format!(
            "they are about revision {}, the release is {}",
            file.revision, release.revision
        )));
    }
    let figure =
        Figure::count("baked, in seconds", file.baked_seconds).limit(format!("at least {}", file.bake_seconds));
    found.figure(figure.at(metrics.at("/baked_seconds")));
    if file.baked_seconds < file.bake_seconds {
        found
            .refuse(Refusal::Unfinished(format!("it was out for {} s of {} s", file.baked_seconds, file.bake_seconds)));
    }
    found.require(!file.metrics.is_empty(), || "nobody said what a success would be".to_owned());
    for (index, metric) in file.metrics.iter().enumerate() {
        let at = metrics.at(format!("/metrics/{index}/measured"));
        let name = &metric.name;
        let Some(value) = metric.measured else {
            found.refuse(Refusal::Missing(format!("{name} was not measured ({at})")));
            continue;
        };
        found.require(metric.at_least.is_some() || metric.at_most.is_some(), || {
            format!("nobody said what a good {name} is")
        });
        let within = metric.at_least.is_none_or(|low| value >= low) && metric.at_most.is_none_or(|high| value <= high);
        found.figure(Figure::number(name, value, "").at(at.clone()));
        found.require(within, || format!("{name} is {value} ({at})"));
    }
    found.finish()
}

/// The functions that must be tried after a release, and the tests that try them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmokePlan {
    /// The functions.
    pub functions: Vec<SmokeFunction>,
}

/// One function, and the tests that try it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmokeFunction {
    /// What.
    pub name: String,
    /// The tests, by name.
    pub tests: Vec<String>,
}

impl Document for SmokePlan {
    const KIND: &'static str = "smoke-plan";
}

/// Every declared test ran and passed, so that every critical function was tried.
///
/// Rows: M31, M40, M153, M206.
#[must_use]
pub fn smoke(plan: &Read<SmokePlan>, reports: &[crate::evidence::facts::TestFacts], t: &Thresholds) -> Assessment {
    use crate::evidence::facts::TestOutcome;
    let mut found = Assessor::new();
    found.include("smoke", super::code::tests_pass(reports, t));
    let declared: std::collections::BTreeSet<&String> = plan.document.functions.iter().flat_map(|f| &f.tests).collect();
    found.require(!declared.is_empty(), || "no smoke test is declared".to_owned());
    let ran = |name: &str| {
        reports
            .iter()
            .flat_map(|r| &r.cases)
            .any(|case| case.name == name && matches!(case.outcome, TestOutcome::Passed | TestOutcome::Flaky))
    };
    let executed = declared.iter().filter(|name| ran(name)).count() as u64;
    let figure = Figure::count("declared tests that passed", executed).limit(format!("all {}", declared.len()));
    found.figure(figure.at(plan.at("/functions")));
    for (index, function) in plan.document.functions.iter().enumerate() {
        let at = plan.at(format!("/functions/{index}"));
        found.require(!function.tests.is_empty(), || format!("nothing tries {} ({at})", function.name));
        for test in function.tests.iter().filter(|test| !ran(test)) {
            found.fail(format!("{test} did not pass, so that {} was not tried ({at})", function.name));
        }
    }
    found.finish()
}
