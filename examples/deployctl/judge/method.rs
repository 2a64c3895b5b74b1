//! From rows to a judgement, by the method that was asked for.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use deploy_core::monitor::{Batch, BatchKey, Comparison, Counts, Histogram, Paired, Window};
use deploy_core::name::MetricName;
use deploy_core::real::Real;
use deploy_core::time::Timestamp;
use deploy_strategies::analysis::Judge;
use deploy_strategies::analysis::burn_rate::BurnRate;
use deploy_strategies::analysis::kayenta::{Classifier, Direction, Kayenta, KayentaMetric, Missing, Outliers, Weights};
use deploy_strategies::analysis::sequential::{Look, PowerReport, Sequential, Watch, Watched};
use deploy_strategies::analysis::svg::confidence_sequence;
use deploy_strategies::analysis::threshold::{
    Bound, Condition, ErrorPolicy, Limit, MetricLimits, NoData, OnError, Threshold,
};
use deploy_strategies::analysis::verdict::Verdict;

use super::args::{Args, Method};
use super::fixed::{self, Asked};
use super::outcome::Failure;
use super::record::{Number, Record};

/// A judgement, with what is shown beside it.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) method: String,
    pub(crate) verdict: Verdict,
    pub(crate) pictures: Vec<String>,
    pub(crate) power: Vec<PowerReport>,
}

/// What one arm has of one metric.
#[derive(Debug, Clone, PartialEq)]
enum Arm {
    Values(Vec<Real>),
    Counts(Counts),
}

/// By metric and window: candidate and baseline.
type Both = BTreeMap<MetricName, BTreeMap<u64, [Option<Arm>; 2]>>;

pub(crate) fn judge(args: &Args, baseline: &[Record], candidate: &[Record]) -> Result<Judged, Failure> {
    let mut both = Both::new();
    gather(&mut both, candidate, 0)?;
    gather(&mut both, baseline, 1)?;
    if let Some(path) = &args.config {
        return by_judge(args, configured(path)?, &both);
    }
    let alpha = args.alpha.unwrap_or(0.01);
    let asked = Asked { alpha, tolerance: args.tolerance };
    match args.method {
        Method::Sequential => by_judge(args, sequential(args, &both)?, &both),
        Method::Kayenta => by_judge(args, kayenta(&both), &both),
        Method::BurnRate => by_judge(args, burn_rate(args, &both)?, &both),
        Method::Threshold => by_judge(args, threshold(args, &both)?, &both),
        Method::Rank => fixed(args, &both, |metric, c, b| fixed::rank(metric, c, b, asked)),
        Method::Means => fixed(args, &both, |metric, c, b| fixed::means(metric, c, b, asked)),
        Method::Proportions => {
            let all = both.iter().map(|(metric, windows)| {
                let [candidate, baseline] = [0, 1].map(|arm| counts_of(metric, windows, arm));
                Ok(fixed::proportions(metric.clone(), candidate?, baseline?, asked))
            });
            Ok(plain(args, fixed::whole(all.collect::<Result<_, Failure>>()?)))
        }
    }
}

/// Sorts rows by metric and window, for the candidate (0) or the baseline (1).
fn gather(both: &mut Both, records: &[Record], arm: usize) -> Result<(), Failure> {
    for record in records {
        let slot = &mut both.entry(record.metric.clone()).or_default().entry(record.window).or_default()[arm];
        match (slot.as_mut(), record.number) {
            (None, Number::Value(value)) => *slot = Some(Arm::Values(vec![value])),
            (None, Number::Counts(counts)) => *slot = Some(Arm::Counts(counts)),
            (Some(Arm::Values(values)), Number::Value(value)) => values.push(value),
            (Some(Arm::Counts(sum)), Number::Counts(counts)) => *sum = sum.plus(counts),
            _ => {
                let (metric, window) = (&record.metric, record.window);
                return Err(Failure::Arguments(format!("{metric} has both values and counts in window {window}")));
            }
        }
    }
    Ok(())
}

fn configured(path: &Path) -> Result<Judge, Failure> {
    let text = std::fs::read_to_string(path).map_err(|source| Failure::File { path: path.to_owned(), source })?;
    serde_json::from_str(&text).map_err(|error| Failure::Malformed {
        path: path.to_owned(),
        line: error.line().max(1),
        column: error.column().max(1),
        wrong: error.to_string(),
    })
}

/// Whether a metric is counted, and whether any window has more than one value.
fn kind(windows: &BTreeMap<u64, [Option<Arm>; 2]>) -> (bool, bool) {
    let arms = || windows.values().flatten().flatten();
    let counted = arms().any(|arm| matches!(arm, Arm::Counts(_)));
    let many = arms().any(|arm| matches!(arm, Arm::Values(values) if values.len() > 1));
    (counted, many)
}

fn sequential(args: &Args, both: &Both) -> Result<Judge, Failure> {
    let mut watched = Vec::new();
    for (metric, windows) in both {
        let watch = match kind(windows) {
            (true, _) => args.negligible.map_or_else(Watch::errors, |share| Watch::errors().negligible(share)),
            (false, true) if windows.len() > 1 => Watch::latency(),
            (false, true) => {
                return Err(Failure::Arguments(format!(
                    "{metric} is one window of samples, and what is slow has to be chosen before it is judged: \
                     number the windows, or use --method rank"
                )));
            }
            (false, false) => {
                return Err(Failure::Arguments(format!(
                    "{metric} is one number a window, of which the range is not known: use --method rank, means or \
                     kayenta, or say the range in a --config"
                )));
            }
        };
        watched.push(Watched::required(metric.clone(), watch));
    }
    let mut judge = Sequential::new(1, watched);
    judge.alpha = args.alpha.unwrap_or(judge.alpha);
    // All that there is stands in the files: nothing is gained by waiting.
    judge.least_observed = Duration::ZERO;
    Ok(Judge::Sequential(judge))
}

fn kayenta(both: &Both) -> Judge {
    let metric = |name: &MetricName| KayentaMetric {
        name: name.clone(),
        classifier: Classifier { direction: Direction::Increase, ..Classifier::default() },
        missing: Missing::Remove,
        outliers: Outliers::Keep,
        groups: vec![name.to_string()],
        muted: false,
        quantile: 0.99,
    };
    Judge::Kayenta(Kayenta {
        metrics: both.keys().map(metric).collect(),
        weights: Weights::default(),
        pass: 95.0,
        marginal: 75.0,
        after: Duration::ZERO,
    })
}

fn burn_rate(args: &Args, both: &Both) -> Result<Judge, Failure> {
    let needed = || Failure::Arguments("--method burn-rate needs --objective, for example 0.999".to_owned());
    let objective = args.objective.ok_or_else(needed)?;
    let mut counted = both.iter().filter(|(_, windows)| kind(windows).0);
    let (Some((metric, _)), None) = (counted.next(), counted.next()) else {
        return Err(Failure::Arguments("--method burn-rate needs one metric of events and bad ones".to_owned()));
    };
    let mut judge = BurnRate::new(metric.clone(), objective);
    judge.alpha = args.alpha.or(judge.alpha);
    Ok(Judge::BurnRate(judge))
}

fn threshold(args: &Args, both: &Both) -> Result<Judge, Failure> {
    let bound = match (args.at_most, args.at_least) {
        (Some(limit), _) => (Comparison::AtMost, limit),
        (None, Some(limit)) => (Comparison::AtLeast, limit),
        (None, None) => {
            return Err(Failure::Arguments("--method threshold needs --at-most or --at-least".to_owned()));
        }
    };
    let arguments = |error: &dyn std::fmt::Display| Failure::Arguments(error.to_string());
    let limit = Real::new(bound.1).map_err(|error| arguments(&error))?;
    let quantile = args.quantile.and_then(|quantile| Real::new(quantile).ok());
    let limits = both.keys().map(|metric| MetricLimits {
        quantile,
        ..MetricLimits::new(
            metric.clone(),
            Condition::success(Bound::new(bound.0, limit)),
            Limit::more_than(0),
            ErrorPolicy::total(Limit::more_than(0), OnError::Inconclusive),
            NoData::Inconclusive,
        )
    });
    Ok(Judge::Threshold(Threshold::new(limits.collect()).map_err(|error| arguments(&error))?))
}

/// Hands the windows to a judge one by one.
fn by_judge(args: &Args, judge: Judge, both: &Both) -> Result<Judged, Failure> {
    let arguments = |error: &dyn std::fmt::Display| Failure::Arguments(error.to_string());
    let asked = judge.metrics();
    if let Some(absent) = asked.iter().find(|metric| !both.contains_key(*metric)) {
        let there: Vec<&str> = both.keys().map(MetricName::as_str).collect();
        return Err(Failure::Arguments(format!("the judge wants {absent}; the files have {}", there.join(", "))));
    }
    let batches = batches(args, both, judge.needs_baseline())?;
    let length = batches.last().map_or(0, |batch| batch.window.to.0);
    let observed_for = Duration::from_millis(u64::try_from(length).unwrap_or(0));
    let look = Look { stage: 0, observed_for };
    let verdict = judge.judge(&batches, &look).map_err(|error| arguments(&error))?;
    let mut judged = Judged { method: name(&judge).to_owned(), verdict, pictures: Vec::new(), power: Vec::new() };
    if let Judge::Sequential(sequential) = &judge {
        let trace = sequential.trace(&batches).map_err(|error| arguments(&error))?;
        let margin = sequential.metrics.iter().find_map(|watched| match watched.watch {
            Watch::Errors { margin, .. } => Some(margin),
            _ => None,
        });
        let shown = trace.lines.iter().filter(|line| !line.points.is_empty());
        let pictures = shown.map(|line| {
            let margin = if line.quantile.is_none() { margin.unwrap_or(1.0) } else { 1.0 };
            confidence_sequence(line, margin, trace.decided)
        });
        judged.pictures = pictures.collect();
        let mut state = sequential.begin().map_err(|error| arguments(&error))?;
        for batch in &batches {
            sequential.take(&mut state, batch).map_err(|error| arguments(&error))?;
        }
        judged.power = sequential.power(&state, 1.5, observed_for).map_err(|error| arguments(&error))?;
    }
    Ok(judged)
}

fn name(judge: &Judge) -> &'static str {
    match judge {
        Judge::Threshold(_) => "threshold",
        Judge::Sequential(_) => "sequential",
        Judge::Kayenta(_) => "kayenta",
        Judge::BurnRate(_) => "burn-rate",
        Judge::ServiceScore(_) => "service-score",
    }
}

/// The windows of both files as batches, in order. A window that only one file has is a pair that is missing; for a judge that looks at
/// the candidate alone it is not.
fn batches(args: &Args, both: &Both, needs_baseline: bool) -> Result<Vec<Batch>, Failure> {
    let numbers: std::collections::BTreeSet<u64> = both.values().flat_map(BTreeMap::keys).copied().collect();
    let mut batches = Vec::new();
    for number in numbers {
        let end = number.checked_add(1).and_then(|n| n.checked_mul(args.window)).and_then(|s| s.checked_mul(1_000));
        let end = end.and_then(|ms| i64::try_from(ms).ok());
        let end = end.ok_or_else(|| Failure::Arguments(format!("window {number} lies outside of all calendars")))?;
        let window = Window::ending(Timestamp(end), Duration::from_secs(args.window));
        let mut batch = Batch::new(BatchKey::new(0, number), window);
        for (metric, windows) in both {
            let Some([candidate, baseline]) = windows.get(&number) else { continue };
            // Such a judge never looks at the baseline's half of a pair.
            let baseline = if needs_baseline { baseline } else { candidate };
            batch = batch.metric(metric.clone(), paired(metric, candidate.as_ref(), baseline.as_ref())?);
        }
        batches.push(batch);
    }
    Ok(batches)
}

fn paired(metric: &MetricName, candidate: Option<&Arm>, baseline: Option<&Arm>) -> Result<Paired, Failure> {
    use deploy_core::monitor::Arm as Side;

    Ok(match (candidate, baseline) {
        (Some(Arm::Counts(candidate)), Some(Arm::Counts(baseline))) => {
            Paired::Counts { candidate: *candidate, baseline: *baseline }
        }
        (Some(Arm::Values(candidate)), Some(Arm::Values(baseline))) => match (&candidate[..], &baseline[..]) {
            ([candidate], [baseline]) => Paired::Values { candidate: *candidate, baseline: *baseline },
            _ => {
                let sizes = |values| Histogram::of(values).map_err(|e| Failure::Arguments(format!("{metric}: {e}")));
                Paired::Histograms { candidate: sizes(candidate)?, baseline: sizes(baseline)? }
            }
        },
        (Some(_), Some(_)) => {
            return Err(Failure::Arguments(format!("{metric} is counted in one file and has values in the other")));
        }
        (candidate, baseline) => {
            let absent = [(Side::Candidate, candidate.is_none()), (Side::Baseline, baseline.is_none())];
            Paired::Missing { arms: absent.into_iter().filter(|(_, absent)| *absent).map(|(side, _)| side).collect() }
        }
    })
}

/// Hands all values of each metric to a test.
fn fixed(
    args: &Args,
    both: &Both,
    test: impl Fn(MetricName, &[f64], &[f64]) -> deploy_strategies::analysis::verdict::Explanation,
) -> Result<Judged, Failure> {
    let all = both.iter().map(|(metric, windows)| {
        let [candidate, baseline] = [0, 1].map(|arm| values_of(metric, windows, arm));
        Ok(test(metric.clone(), &candidate?, &baseline?))
    });
    Ok(plain(args, fixed::whole(all.collect::<Result<_, Failure>>()?)))
}

fn plain(args: &Args, verdict: Verdict) -> Judged {
    let method = format!("{:?}", args.method).to_lowercase();
    Judged { method, verdict, pictures: Vec::new(), power: Vec::new() }
}

fn values_of(metric: &MetricName, windows: &BTreeMap<u64, [Option<Arm>; 2]>, arm: usize) -> Result<Vec<f64>, Failure> {
    let mut all = Vec::new();
    for window in windows.values() {
        match &window[arm] {
            Some(Arm::Values(values)) => all.extend(values.iter().map(|value| value.get())),
            Some(Arm::Counts(_)) => {
                return Err(Failure::Arguments(format!("{metric} is counted: use --method proportions")));
            }
            None => {}
        }
    }
    Ok(all)
}

fn counts_of(metric: &MetricName, windows: &BTreeMap<u64, [Option<Arm>; 2]>, arm: usize) -> Result<Counts, Failure> {
    let mut all = Counts::default();
    for window in windows.values() {
        match &window[arm] {
            Some(Arm::Counts(counts)) => all = all.plus(*counts),
            Some(Arm::Values(_)) => {
                return Err(Failure::Arguments(format!("{metric} has values: use --method rank or means")));
            }
            None => {}
        }
    }
    Ok(all)
}
