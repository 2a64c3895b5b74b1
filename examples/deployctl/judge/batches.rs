//! Windows of both files as a judge takes them.

use std::time::Duration;

use deploy_core::monitor::{Arm as Side, Batch, BatchKey, Paired, Window};
use deploy_core::name::MetricName;
use deploy_core::time::Timestamp;
use deploy_strategies::analysis::Judge;
use deploy_strategies::analysis::sequential::{Look, Watch};

use super::args::Args;
use super::both::{Arm, BASELINE, Both, CANDIDATE, Cut, Kind, Metric, sizes};
use super::outcome::Failure;

/// Batches in the order of their windows.
#[derive(Debug)]
pub(crate) struct Batches {
    /// The numbers of the windows of the batches, as they stand in the files.
    pub(crate) windows: Vec<u64>,
    /// One of each window, or of each stratum in it. Windows are numbered one after another: what is missing from both files is not there.
    pub(crate) batches: Vec<Batch>,
}

/// What is wrong with strata for all methods but one.
pub(crate) const ONE_STRATUM: &str =
    "this method compares all traffic at once and knows no strata: give it the rows of one, or use --method sequential";

/// What the values of a window are to a judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Sizes, one for each event, however many or few a window has.
    Sizes,
    /// One number for the window.
    Single,
}

impl Batches {
    /// The windows that have something of what the judge looks at. A window that only one file has is a pair that is missing; for a judge
    /// that looks at the candidate alone it is not.
    pub(crate) fn of(args: &Args, judge: &Judge, both: &Both) -> Result<Self, Failure> {
        both.numbered()?;
        if let Some(place) = both.stratified().filter(|_| !judge.stratifies()) {
            return Err(place.wrong(ONE_STRATUM));
        }
        let asked = judge.metrics();
        let mut metrics = Vec::new();
        for name in &asked {
            let metric = both.metrics.get(name).ok_or_else(|| {
                let there: Vec<&str> = both.metrics.keys().map(MetricName::as_str).collect();
                Failure::Arguments(format!("the judge wants {name}; the files have {}", there.join(", ")))
            })?;
            metrics.push((name, metric, shape(judge, name, metric)?));
        }
        let cuts = both.cuts(&asked);
        let windows: Vec<u64> = cuts.iter().map(|cut| cut.window).collect();
        let mut batches = Vec::with_capacity(windows.len());
        let (mut at, mut before) = (0, windows.first().copied());
        for cut @ Cut { window: number, stratum } in &cuts {
            if before != Some(*number) {
                (at, before) = (at + 1, Some(*number));
            }
            let end = number.checked_add(1).and_then(|n| n.checked_mul(args.window)).and_then(|s| s.checked_mul(1_000));
            let end = end.and_then(|ms| i64::try_from(ms).ok());
            let end =
                end.ok_or_else(|| Failure::Arguments(format!("window {number} lies outside of all calendars")))?;
            let window = Window::ending(Timestamp(end), Duration::from_secs(args.window));
            let key = BatchKey { stratum: stratum.clone(), ..BatchKey::new(both.stage(*number), at) };
            let mut batch = Batch::new(key, window);
            for (name, metric, shape) in &metrics {
                let Some(arms) = metric.windows.get(cut) else { continue };
                let candidate = arms[CANDIDATE].as_ref();
                // A judge of the candidate alone never looks at the baseline's half of a pair.
                let baseline = if judge.needs_baseline() { arms[BASELINE].as_ref() } else { candidate };
                batch = batch.metric((*name).clone(), paired(name, *shape, candidate, baseline)?);
            }
            batches.push(batch);
        }
        Ok(Self { windows, batches })
    }

    /// The number of each window, and its first batch.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (u64, &Batch)> {
        let all = self.windows.iter().copied().zip(&self.batches);
        let mut before = None;
        all.filter(move |(window, _)| before.replace(*window) != Some(*window))
    }

    /// A look at the newest stage, at the end of its last window.
    pub(crate) fn look(&self) -> Look {
        let stage = self.batches.last().map_or(0, |batch| batch.key.stage);
        let from = self.newest().next().map_or(0, |batch| batch.window.from.0);
        let to = self.batches.last().map_or(0, |batch| batch.window.to.0);
        Look { stage, observed_for: Duration::from_millis(u64::try_from(to.saturating_sub(from)).unwrap_or(0)) }
    }

    /// The batches of the newest stage.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Batch> {
        let stage = self.batches.last().map_or(0, |batch| batch.key.stage);
        self.batches.iter().filter(move |batch| batch.key.stage == stage)
    }
}

/// What the values of a metric are. The sequential judge says it; to the others a metric has samples if any window has two of them.
fn shape(judge: &Judge, name: &MetricName, metric: &Metric) -> Result<Shape, Failure> {
    let any = if metric.second().is_some() { Shape::Sizes } else { Shape::Single };
    let Judge::Sequential(judge) = judge else { return Ok(any) };
    let Some(watched) = judge.metrics.iter().find(|watched| watched.metric == *name) else { return Ok(any) };
    match (&watched.watch, metric.kind) {
        (Watch::Errors { .. }, Kind::Values) => Err(metric
            .place
            .wrong(format!("{name} is watched as errors by the judge, and here is a value, not counts"))),
        (Watch::Latency { .. } | Watch::Values { .. }, Kind::Counts) => {
            Err(metric.place.wrong(format!("{name} is watched as values by the judge, and here are counts")))
        }
        (Watch::Errors { .. }, Kind::Counts) => Ok(any),
        (Watch::Latency { .. }, Kind::Values) => Ok(Shape::Sizes),
        (Watch::Values { .. }, Kind::Values) => match metric.second() {
            Some(second) => {
                Err(second.wrong(format!("a second value of {name} in a window, where the judge takes one of each")))
            }
            None => Ok(Shape::Single),
        },
    }
}

fn paired(name: &MetricName, shape: Shape, candidate: Option<&Arm>, baseline: Option<&Arm>) -> Result<Paired, Failure> {
    Ok(match (candidate, baseline) {
        (Some(Arm::Counts(candidate, _)), Some(Arm::Counts(baseline, _))) => {
            Paired::Counts { candidate: *candidate, baseline: *baseline }
        }
        (Some(Arm::Values(candidate)), Some(Arm::Values(baseline))) => match (shape, &candidate[..], &baseline[..]) {
            (Shape::Single, [(candidate, _)], [(baseline, _)]) => {
                Paired::Values { candidate: *candidate, baseline: *baseline }
            }
            _ => Paired::Histograms { candidate: sizes(name, candidate)?, baseline: sizes(name, baseline)? },
        },
        (candidate, baseline) => {
            let absent = [(Side::Candidate, candidate.is_none()), (Side::Baseline, baseline.is_none())];
            Paired::Missing { arms: absent.into_iter().filter(|(_, absent)| *absent).map(|(side, _)| side).collect() }
        }
    })
}
