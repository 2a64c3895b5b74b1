//! The rules in use, on the same minutes: what the sequential judge is compared with.

use std::collections::BTreeMap;

use deploy_core::monitor::{Counts, Histogram};
use deploy_core::name::MetricName;
use deploy_strategies::analysis::kayenta::{
    Classifier, Direction, Kayenta, KayentaMetric, KayentaResult, Missing, Outliers, Points, Weights,
};

/// The rules, in the order of the table.
pub(crate) const NAMES: [&str; 6] = [
    "a test at 5 % each minute",
    "Kayenta at the end of each step",
    "Kayenta each minute from the 5th",
    "tight limits, more than 3 failures",
    "loose limits, more than 3 failures",
    "tight limits, 5 failed checks (Flagger)",
];

/// The minute of the rollback, from 1, by each rule.
pub(crate) type Aborted = [Option<usize>; NAMES.len()];

/// What the rules know of one rollout.
#[derive(Debug)]
pub(crate) struct Peers {
    judge: Kayenta,
    /// By metric: error percentage and 99 % quantile, minute by minute.
    points: BTreeMap<MetricName, Points>,
    names: [MetricName; 2],
    counts: [Counts; 2],
    latency: [Histogram; 2],
    /// Failures of the tight limits, of the loose ones, by metric; and ticks with any tight one.
    tight: [u32; 2],
    loose: [u32; 2],
    ticks: u32,
    aborted: Aborted,
}

/// The 99 % quantile of latencies that are log-normal around 100 with a spread of 0.6.
const USUAL: f64 = 403.8;

impl Peers {
    pub(crate) fn new() -> Self {
        let names = ["errors", "latency"].map(|name| MetricName::new(name).expect("a name"));
        let metric = |name: &MetricName| KayentaMetric {
            name: name.clone(),
            classifier: Classifier { direction: Direction::Increase, ..Classifier::default() },
            missing: Missing::Remove,
            outliers: Outliers::Keep,
            groups: vec!["all".to_owned()],
            muted: false,
            quantile: 0.99,
        };
        // Any metric that is higher fails it: kinder to harm than its users' usual 75.
        let judge = Kayenta {
            metrics: names.iter().map(metric).collect(),
            weights: Weights::default(),
            pass: 100.0,
            marginal: 100.0,
            after: std::time::Duration::ZERO,
        };
        Self {
            judge,
            points: names.iter().map(|name| (name.clone(), Points { experiment: vec![], control: vec![] })).collect(),
            names,
            counts: [Counts::default(); 2],
            latency: [Histogram::new(), Histogram::new()],
            tight: [0; 2],
            loose: [0; 2],
            ticks: 0,
            aborted: [None; NAMES.len()],
        }
    }

    /// Takes a minute in, from 1: counts and latencies of the candidate and of the baseline.
    pub(crate) fn take(&mut self, minute: usize, counts: [Counts; 2], latency: [&Histogram; 2]) {
        let percent = counts.map(|counts| counts.ratio().map_or(f64::NAN, |ratio| 100.0 * ratio));
        let slow = latency.map(|histogram| histogram.quantile(0.99).unwrap_or(f64::NAN));
        for (name, [candidate, baseline]) in self.names.iter().zip([percent, slow]) {
            let points = self.points.get_mut(name).expect("both are there");
            points.experiment.push(candidate);
            points.control.push(baseline);
        }
        for arm in 0..2 {
            self.counts[arm] = self.counts[arm].plus(counts[arm]);
            self.latency[arm].merge(latency[arm]).expect("few");
        }
        let [c, b] = self.counts;
        let errors = rank_z(&[(c.events() - c.bad(), b.events() - b.bad()), (c.bad(), b.bad())]);
        let bins: Vec<(u64, u64)> = both(&self.latency[0], &self.latency[1]);
        self.note(0, minute, errors > 1.96 || rank_z(&bins) > 1.96);
        let needed = [1, 2].map(|rule| self.aborted[rule].is_none());
        let (end, later) = (minute.is_multiple_of(10) && needed[0], minute >= 5 && needed[1]);
        if end || later {
            let fails = self.judge.judge(|name| self.points.get(name)).result != KayentaResult::Pass;
            self.note(1, minute, fails && end);
            self.note(2, minute, fails && later);
        }
        let failed = |errors: f64, times: f64| [percent[0] > errors, slow[0] > times * USUAL];
        let (tight, loose) = (failed(1.25, 1.10), failed(2.5, 1.5));
        for metric in 0..2 {
            self.tight[metric] += u32::from(tight[metric]);
            self.loose[metric] += u32::from(loose[metric]);
        }
        self.ticks += u32::from(tight.contains(&true));
        self.note(3, minute, self.tight.iter().any(|failures| *failures > 3));
        self.note(4, minute, self.loose.iter().any(|failures| *failures > 3));
        self.note(5, minute, self.ticks >= 5);
    }

    pub(crate) fn aborted(&self) -> Aborted {
        self.aborted
    }

    fn note(&mut self, rule: usize, minute: usize, aborts: bool) {
        if aborts {
            self.aborted[rule].get_or_insert(minute);
        }
    }
}

/// The bins of two histograms side by side.
fn both(candidate: &Histogram, baseline: &Histogram) -> Vec<(u64, u64)> {
    let mut bins: BTreeMap<_, (u64, u64)> = BTreeMap::new();
    candidate.filled().for_each(|(edge, count)| bins.entry(edge).or_default().0 += u64::from(count));
    baseline.filled().for_each(|(edge, count)| bins.entry(edge).or_default().1 += u64::from(count));
    bins.into_values().collect()
}

/// Mann-Whitney's statistic, standardised, with continuity and ties corrected, of values that are counted by size.
fn rank_z(bins: &[(u64, u64)]) -> f64 {
    let (mut m, mut n, mut u, mut ties) = (0.0, 0.0, 0.0, 0.0);
    for (candidate, baseline) in bins {
        let (candidate, baseline) = (*candidate as f64, *baseline as f64);
        u += candidate * (n + 0.5 * baseline);
        m += candidate;
        n += baseline;
        ties += (candidate + baseline).powi(3) - (candidate + baseline);
    }
    let all = m + n;
    let variance = m * n / 12.0 * ((all + 1.0) - ties / (all * (all - 1.0)));
    let distance = u - m * n / 2.0;
    if variance > 0.0 { (distance - 0.5 * distance.signum()) / variance.sqrt() } else { 0.0 }
}
