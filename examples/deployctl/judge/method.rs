//! From rows to a judgement, by the method that was asked for.

use std::path::Path;
use std::time::Duration;

use deploy_core::monitor::{Batch, Comparison};
use deploy_core::name::MetricName;
use deploy_core::real::Real;
use deploy_strategies::analysis::Judge;
use deploy_strategies::analysis::burn_rate::BurnRate;
use deploy_strategies::analysis::kayenta::{Classifier, Direction, Kayenta, KayentaMetric, Missing, Outliers, Weights};
use deploy_strategies::analysis::sequential::{PowerReport, Sequential, Watch, Watched};
use deploy_strategies::analysis::threshold::{
    Bound, Condition, ErrorPolicy, Limit, MetricLimits, NoData, OnError, Threshold,
};
use deploy_strategies::analysis::verdict::{Explanation, Verdict};

use super::args::{Args, Method};
use super::batches::{Batches, ONE_STRATUM};
use super::both::{BASELINE, Both, CANDIDATE, Kind, Metric};
use super::fixed::{self, Asked};
use super::kayenta;
use super::outcome::Failure;
use super::record::Record;
use super::trace::Traced;

/// A judgement, with what is shown beside it.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) method: String,
    pub(crate) verdict: Verdict,
    /// What whoever reads the judgement has to know about it.
    pub(crate) warnings: Vec<String>,
    /// What was known after each window, where that is asked.
    pub(crate) traced: Traced,
    pub(crate) power: Vec<PowerReport>,
}

pub(crate) fn judge(args: &Args, baseline: &[Record], candidate: &[Record]) -> Result<Judged, Failure> {
    let both = Both::of(baseline, candidate)?;
    if let Some(path) = &args.config {
        return by_judge(args, &configured(path)?, &both);
    }
    let alpha = args.alpha.unwrap_or(0.01);
    let asked = Asked { alpha, tolerance: args.tolerance };
    match args.method {
        Method::Sequential => by_judge(args, &sequential(args, &both)?, &both),
        Method::Kayenta => by_judge(args, &as_kayenta(&both), &both),
        Method::BurnRate => by_judge(args, &burn_rate(args, &both)?, &both),
        Method::Threshold => by_judge(args, &threshold(args, &both)?, &both),
        Method::Rank => at_once(args, &both, Kind::Values, |name, metric| {
            Ok(fixed::rank(name, &metric.values(CANDIDATE), &metric.values(BASELINE), asked))
        }),
        Method::Means => at_once(args, &both, Kind::Values, |name, metric| {
            Ok(fixed::means(name, &metric.values(CANDIDATE), &metric.values(BASELINE), asked))
        }),
        Method::Proportions => at_once(args, &both, Kind::Counts, |name, metric| {
            Ok(fixed::proportions(name, metric.counts(CANDIDATE)?, metric.counts(BASELINE)?, asked))
        }),
    }
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

fn sequential(args: &Args, both: &Both) -> Result<Judge, Failure> {
    let mut watched = Vec::new();
    for (name, metric) in &both.metrics {
        let watch = match (metric.kind, metric.second()) {
            (Kind::Counts, _) => args.negligible.map_or_else(Watch::errors, |share| Watch::errors().negligible(share)),
            (Kind::Values, Some(_)) if metric.has_windows() => Watch::latency(),
            (Kind::Values, Some(_)) => {
                return Err(Failure::Arguments(format!(
                    "{name} is one window of samples, and what is slow has to be chosen before it is judged: \
                     number the windows, or use --method rank"
                )));
            }
            (Kind::Values, None) => {
                return Err(Failure::Arguments(format!(
                    "{name} is one number a window, of which the range is not known: use --method rank, means or \
                     kayenta, or say the range in a --config"
                )));
            }
        };
        watched.push(Watched::required(name.clone(), watch));
    }
    let stages = both.last_stage().saturating_add(1);
    let mut judge = Sequential::new(stages, watched);
    judge.alpha = args.alpha.unwrap_or(judge.alpha);
    // All that there is stands in the files: nothing is gained by waiting.
    judge.least_observed = Duration::ZERO;
    Ok(Judge::Sequential(judge))
}

fn as_kayenta(both: &Both) -> Judge {
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
        metrics: both.metrics.keys().map(metric).collect(),
        weights: Weights::default(),
        pass: 95.0,
        marginal: 75.0,
        after: Duration::ZERO,
    })
}

fn burn_rate(args: &Args, both: &Both) -> Result<Judge, Failure> {
    let needed = || Failure::Arguments("--method burn-rate needs --objective, for example 0.999".to_owned());
    let objective = args.objective.ok_or_else(needed)?;
    let mut counted = both.metrics.iter().filter(|(_, metric)| metric.kind == Kind::Counts);
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
    let limits = both.metrics.keys().map(|metric| MetricLimits {
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
fn by_judge(args: &Args, judge: &Judge, both: &Both) -> Result<Judged, Failure> {
    let arguments = |error: &dyn std::fmt::Display| Failure::Arguments(error.to_string());
    let method = name(judge).to_owned();
    judge.check().map_err(|error| match &args.config {
        Some(path) => Failure::Arguments(format!("{}: {error}", path.display())),
        None => arguments(&error),
    })?;
    if let Judge::Kayenta(kayenta) = judge {
        if let Some(place) = both.stratified() {
            return Err(place.wrong(ONE_STRATUM));
        }
        let (verdict, warnings) = kayenta::judged(args, kayenta, both)?;
        return Ok(Judged { method, verdict, warnings, traced: Traced::default(), power: Vec::new() });
    }
    let batches = Batches::of(args, judge, both)?;
    let look = batches.look();
    let verdict = judge.judge(&batches.batches, &look).map_err(|error| arguments(&error))?;
    let mut judged = Judged { method, verdict, warnings: Vec::new(), traced: Traced::default(), power: Vec::new() };
    if let Judge::Sequential(sequential) = judge {
        judged.traced = Traced::of(sequential, &batches).map_err(|error| arguments(&error))?;
        let mut state = sequential.begin().map_err(|error| arguments(&error))?;
        for window in batches.batches.chunk_by(Batch::is_of_the_window_of) {
            sequential.take_window(&mut state, window).map_err(|error| arguments(&error))?;
        }
        judged.power = sequential.power(&state, 1.5, look.observed_for).map_err(|error| arguments(&error))?;
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

/// Hands all that there is of each metric to a test, which takes numbers of this kind.
fn at_once(
    args: &Args,
    both: &Both,
    kind: Kind,
    test: impl Fn(MetricName, &Metric) -> Result<Explanation, Failure>,
) -> Result<Judged, Failure> {
    let method = format!("{:?}", args.method).to_lowercase();
    if let Some(place) = both.staged() {
        let what = format!("--method {method} takes all rows together and knows no stages: give it those of one stage");
        return Err(place.wrong(what));
    }
    if let Some(place) = both.stratified() {
        return Err(place.wrong(ONE_STRATUM));
    }
    let all = both.metrics.iter().map(|(name, metric)| match metric.kind {
        of if of == kind => test(name.clone(), metric),
        Kind::Counts => Err(metric.place.wrong(format!("{name} is counted: use --method proportions"))),
        Kind::Values => Err(metric.place.wrong(format!("{name} has values: use --method rank or means"))),
    });
    let verdict = fixed::whole(all.collect::<Result<_, Failure>>()?);
    Ok(Judged { method, verdict, warnings: Vec::new(), traced: Traced::default(), power: Vec::new() })
}
