//! Kayenta's judge on all the points of both files.

use std::collections::BTreeMap;
use std::time::Duration;

use deploy_core::monitor::{Counts, Paired};
use deploy_core::name::MetricName;
use deploy_strategies::analysis::Judge;
use deploy_strategies::analysis::kayenta::{Kayenta, KayentaMetric, Points};
use deploy_strategies::analysis::sequential::Look;
use deploy_strategies::analysis::verdict::Verdict;

use super::args::Args;
use super::batches::Batches;
use super::both::{BASELINE, Both, CANDIDATE, Kind};
use super::outcome::Failure;

/// As many points of each arm Kayenta's own documentation recommends.
const RECOMMENDED: usize = 50;

/// A judgement of all points, with what is to be said of how few they are.
///
/// A judge in a rollout remembers the newest windows; here nothing has to be forgotten. A window is a point, as there; without numbers
/// of windows each value is one, paired with nothing: what is compared are distributions.
pub(crate) fn judged(args: &Args, kayenta: &Kayenta, both: &Both) -> Result<(Verdict, Vec<String>), Failure> {
    let numbered = both.numbered()?;
    // Samples without windows are points of their own, and no sizes of one window.
    let values = |metric: &&KayentaMetric| {
        !numbered && both.metrics.get(&metric.name).is_some_and(|metric| metric.kind == Kind::Values)
    };
    let windowed: Vec<KayentaMetric> = kayenta.metrics.iter().filter(|metric| !values(metric)).cloned().collect();
    let batches = Batches::of(args, &Judge::Kayenta(Kayenta { metrics: windowed, ..kayenta.clone() }), both)?;
    let points: BTreeMap<MetricName, Points> = kayenta
        .metrics
        .iter()
        .map(|metric| {
            let points = match both.metrics.get(&metric.name) {
                Some(rows) if values(&metric) => {
                    Points { experiment: rows.values(CANDIDATE), control: rows.values(BASELINE) }
                }
                _ => of_windows(&batches, metric),
            };
            (metric.name.clone(), points)
        })
        .collect();
    // Without numbers there is one window, which was observed as long as a window is.
    let one = Look { stage: 0, observed_for: Duration::from_secs(args.window) };
    let look = if numbered { batches.look() } else { one };
    let few = points.iter().filter_map(|(name, points)| few(name, points));
    Ok((kayenta.verdict(&points, &look), few.collect()))
}

/// One point of each window of the newest stage, in percent where it is counted; not a number where an arm has none.
fn of_windows(batches: &Batches, metric: &KayentaMetric) -> Points {
    let percent = |counts: &Counts| counts.ratio().map(|ratio| 100.0 * ratio);
    let pairs = batches.newest().map(|batch| match batch.metrics.get(&metric.name) {
        Some(Paired::Values { candidate, baseline }) => (Some(candidate.get()), Some(baseline.get())),
        Some(Paired::Counts { candidate, baseline }) => (percent(candidate), percent(baseline)),
        Some(Paired::Histograms { candidate, baseline }) => {
            (candidate.quantile(metric.quantile), baseline.quantile(metric.quantile))
        }
        Some(Paired::Missing { .. }) | None => (None, None),
    });
    let point = |point: Option<f64>| point.unwrap_or(f64::NAN);
    let (experiment, control) = pairs.map(|(candidate, baseline)| (point(candidate), point(baseline))).unzip();
    Points { experiment, control }
}

fn few(name: &MetricName, points: &Points) -> Option<String> {
    let count = |points: &[f64]| points.iter().filter(|point| point.is_finite()).count();
    let (candidate, baseline) = (count(&points.experiment), count(&points.control));
    (candidate.min(baseline) < RECOMMENDED).then(|| {
        format!(
            "{name}: {candidate} points of the candidate and {baseline} of the baseline, where at least {RECOMMENDED} \
             of each are recommended for this judge; with fewer it takes chance for harm, and harm for chance"
        )
    })
}
