//! Verdicts that the field is known to get wrong: each test shows the rule in use being wrong, and ours being right on the same numbers.

use std::time::Duration;

use deploy_core::monitor::{Advice, Batch, BatchKey, Comparison, Counts, Histogram, Paired, Window};
use deploy_core::name::MetricName;
use deploy_core::real::Real;
use deploy_core::time::Timestamp;
use deploy_strategies::analysis::Judge;
use deploy_strategies::analysis::proportion::Proportions;
use deploy_strategies::analysis::sequential::{Look, Sequential, Watch, Watched};
use deploy_strategies::analysis::threshold::{
    Bound, Condition, ErrorPolicy, Limit, MetricLimits, NoData, OnError, Threshold,
};
use deploy_strategies::analysis::verdict::Cause;

fn errors() -> MetricName {
    MetricName::new("errors").unwrap()
}

fn counts(events: u64, bad: u64) -> Counts {
    Counts::new(events, bad).unwrap()
}

fn window(number: u64) -> Window {
    Window::ending(Timestamp(60_000 * i64::try_from(number + 1).unwrap()), Duration::from_secs(60))
}

/// A minute of errors: (events, bad) of the candidate and of the baseline.
fn minute(stage: u32, number: u64, candidate: (u64, u64), baseline: (u64, u64)) -> Batch {
    let paired =
        Paired::Counts { candidate: counts(candidate.0, candidate.1), baseline: counts(baseline.0, baseline.1) };
    Batch::new(BatchKey::new(stage, number), window(number)).metric(errors(), paired)
}

fn ours() -> Judge {
    Judge::Sequential(Sequential::new(4, vec![Watched::required(errors(), Watch::errors())]))
}

/// The same without a margin and at 5 %, so that it may be compared with tests at 5 %.
fn ours_without_margin() -> Judge {
    let watch = Watch::Errors { margin: 1.0, rule_out: 1.5, negligible: None };
    let mut judge = Sequential::new(4, vec![Watched::required(errors(), watch)]);
    judge.alpha = 0.05;
    Judge::Sequential(judge)
}

/// Kayenta as its users set it up: more is worse, 95 passes, 75 is marginal.
fn kayenta() -> Judge {
    serde_json::from_value(serde_json::json!({"kayenta": {
        "metrics": [{"name": "errors", "groups": ["errors"], "classifier": {"direction": "increase"}}],
        "pass": 95.0, "marginal": 75.0
    }}))
    .unwrap()
}

/// A limit on the candidate alone that may be broken so often in a row, as Argo Rollouts' users write it.
fn failure_limit(at_most: f64, times: u32) -> Judge {
    let mut limits = MetricLimits::new(
        errors(),
        Condition::success(Bound::new(Comparison::AtMost, Real::new(at_most).unwrap())),
        Limit::more_than(times),
        ErrorPolicy::consecutive(Limit::more_than(4), OnError::Inconclusive),
        NoData::Inconclusive,
    );
    limits.consecutive_failure_limit = None;
    Judge::Threshold(Threshold::new(vec![limits]).unwrap())
}

fn advice(judge: &Judge, batches: &[Batch]) -> Advice {
    let stage = batches.last().map_or(0, |batch| batch.key.stage);
    judge.judge(batches, &Look { stage, observed_for: Duration::from_secs(600) }).unwrap().advice
}

/// SplitMix64 (G. Steele, D. Lea, C. Flood 2014): the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A standard normal number (G. Box and M. Muller 1958).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.next()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.next()).cos()
    }
}

/// Kayenta's issue 426: errors in half of the intervals against none at all.
#[test]
fn sparse_errors_pass_a_rank_test_and_are_found_by_ours() {
    let batches: Vec<Batch> =
        (0..).zip([0, 1, 2, 1, 0, 0]).map(|(w, bad)| minute(0, w, (100, bad), (5_400, 0))).collect();
    assert_eq!(advice(&kayenta(), &batches), Advice::Promote);
    assert_eq!(advice(&ours(), &batches), Advice::RollBack);
}

/// Spinnaker's issue 6278: seven of ten intervals at a hundredfold.
#[test]
fn seven_of_ten_points_at_a_hundredfold_pass_a_rank_test_and_are_found_by_ours() {
    let harmed = |points: u64| -> Vec<Batch> {
        (0..10).map(|w| minute(0, w, (10_000, if w < points { 1_000 } else { 10 }), (10_000, 10))).collect()
    };
    assert_eq!(advice(&kayenta(), &harmed(7)), Advice::Promote);
    assert_eq!(advice(&kayenta(), &harmed(8)), Advice::RollBack, "it is the share of points that counts, not the harm");
    assert_eq!(advice(&ours(), &harmed(7)), Advice::RollBack);
    assert_eq!(advice(&ours(), &harmed(7)[..1]), Advice::RollBack, "one such minute is enough");
}

/// The tolerance of Kayenta's solver is absolute: at some ten in a million it sees nothing, whatever doubles.
#[test]
fn tiny_error_ratios_pass_a_solver_with_an_absolute_tolerance_and_are_told_apart_by_ours() {
    let bad = |w: u64, factor: u64| factor * 3 * (w % 10);
    let values = |unit: f64| -> Vec<Batch> {
        let real = |bad: u64| Real::new(unit * bad as f64 / 1e6).unwrap();
        let paired = |w| Paired::Values { candidate: real(bad(w, 2)), baseline: real(bad(w, 1)) };
        (0..60).map(|w| Batch::new(BatchKey::new(0, w), window(w)).metric(errors(), paired(w))).collect()
    };
    assert_eq!(advice(&kayenta(), &values(1.0)), Advice::Promote, "twice the errors, as a ratio");
    assert_eq!(advice(&kayenta(), &values(1e6)), Advice::RollBack, "the same in parts per million");
    let counted = |factor: u64| -> Vec<Batch> {
        (0..60).map(|w| minute(0, w, (1_000_000, bad(w, factor)), (1_000_000, bad(w, 1)))).collect()
    };
    assert_eq!(advice(&ours(), &counted(2)), Advice::RollBack);
    assert_eq!(advice(&ours(), &counted(1)), Advice::Promote);
}

/// Errors rise sixfold in both arms while the candidate's share grows: harm that is not the candidate's.
#[test]
fn a_drift_common_to_both_arms_fails_limits_and_pooled_tests_and_not_ours() {
    let shares = [0.05, 0.10, 0.25, 0.50];
    let batches: Vec<Batch> = (0..40_u32)
        .map(|w| {
            let share = shares[w as usize / 10];
            let (c, b) = ((6_000.0 * share) as u64, (6_000.0 * (1.0 - share)) as u64);
            let rate = 0.005 * 6f64.powf(f64::from(w) / 40.0);
            let bad = |n: u64| (n as f64 * rate).round() as u64;
            minute(w / 10, u64::from(w), (c, bad(c)), (b, bad(b)))
        })
        .collect();
    assert_eq!(advice(&failure_limit(0.015, 3), &batches), Advice::RollBack, "a limit on the candidate alone");
    let pooled = batches.iter().fold((Counts::default(), Counts::default()), |sum, batch| {
        let Paired::Counts { candidate, baseline } = batch.metrics[&errors()] else { panic!("counts") };
        (sum.0.plus(candidate), sum.1.plus(baseline))
    });
    assert!(Proportions::of(pooled.0, pooled.1).unwrap().normal().greater < 1e-6, "a test of the sums");
    let ours = ours_without_margin();
    for looks in 1..=batches.len() {
        assert_ne!(advice(&ours, &batches[..looks]), Advice::RollBack, "after {looks}");
    }
}

/// Twenty good minutes, then twice the errors with more load.
#[test]
fn harm_that_begins_late_passes_a_judgement_over_the_whole_and_is_found_by_ours() {
    let shares = [300, 600, 1_500];
    let mut random = Random(3);
    let batches: Vec<Batch> = (0..27_u64)
        .map(|w| {
            let c = shares[w as usize / 10];
            let mut bad =
                |n: u64, rate: f64| (n as f64 * rate + (n as f64 * rate).sqrt() * random.normal()).max(0.0) as u64;
            let candidate = bad(c, if w >= 20 { 0.02 } else { 0.01 });
            minute(w as u32 / 10, w, (c, candidate), (6_000 - c, bad(6_000 - c, 0.01)))
        })
        .collect();
    // Kayenta's lifetime is one series of points: seven bad ones of 27 do not move it. Every batch is of one stage to it.
    let whole: Vec<Batch> =
        batches.iter().map(|batch| Batch { key: BatchKey::new(0, batch.key.window), ..batch.clone() }).collect();
    assert_eq!(advice(&kayenta(), &whole), Advice::Promote);
    assert_eq!(advice(&ours(), &batches), Advice::RollBack);
    // And what was proven before the harm began promotes nothing once there is more load.
    let look = Look { stage: 2, observed_for: Duration::from_secs(600) };
    for looks in 21..=batches.len() {
        assert_ne!(ours().judge(&batches[..looks], &look).unwrap().cause, Cause::Proven, "after {looks} minutes");
    }
}

/// Releases compared with themselves, looked at every minute: how often good ones are taken back.
///
/// Rows: M178.
#[test]
fn a_fixed_test_looked_at_again_and_again_takes_good_releases_back_and_ours_does_not() {
    let ours = ours_without_margin();
    let (runs, looks, mut repeated, mut sequential) = (60, 30_u64, 0, 0);
    for seed in 0..runs {
        let mut random = Random(seed);
        let mut state = ours.begin().unwrap();
        let (mut sum, mut fooled, mut taken_back) = ((Counts::default(), Counts::default()), false, false);
        for w in 0..looks {
            let mut bad = |n: u64| (0..n).filter(|_| random.next() < 0.03).count() as u64;
            let (c, b) = ((200, bad(200)), (200, bad(200)));
            sum = (sum.0.plus(counts(c.0, c.1)), sum.1.plus(counts(b.0, b.1)));
            fooled |= Proportions::of(sum.0, sum.1).unwrap().normal().differs <= 0.05;
            ours.take(&mut state, &minute(0, w, c, b)).unwrap();
            let look = Look { stage: 0, observed_for: Duration::from_secs(60 * (w + 1)) };
            taken_back |= ours.verdict(&state, &look).unwrap().advice == Advice::RollBack;
        }
        repeated += u32::from(fooled);
        sequential += u32::from(taken_back);
    }
    crate::cases::say(&format!("of {runs} good releases: repeated test {repeated}, sequential judge {sequential}"));
    assert!(repeated >= 12, "the repeated test is wrong in {repeated} of {runs}");
    assert!(sequential <= 3, "the sequential judge is wrong in {sequential} of {runs}");
}

/// 30 % slower is found and 2 % is left alone; a limit on the candidate's own quantile does neither while the load changes.
///
/// Rows: M41.
#[test]
fn a_slower_version_is_found_and_noise_is_not_whatever_the_hour() {
    let latency = MetricName::new("latency").unwrap();
    let judge = Judge::Sequential(Sequential::new(1, vec![Watched::required(latency.clone(), Watch::latency())]));
    let run = |factor: f64| {
        let mut random = Random(11);
        let batches: Vec<Batch> = (0..20_u64)
            .map(|w| {
                // The hour: everything becomes half as slow again, in both arms.
                let hour = 1.0 + 0.5 * w as f64 / 20.0;
                let mut sizes = |n: u32, factor: f64| {
                    let mut histogram = Histogram::new();
                    (0..n)
                        .for_each(|_| histogram.insert(100.0 * hour * factor * (0.6 * random.normal()).exp()).unwrap());
                    histogram
                };
                let paired = Paired::Histograms { candidate: sizes(600, factor), baseline: sizes(5_400, 1.0) };
                Batch::new(BatchKey::new(0, w), window(w)).metric(latency.clone(), paired)
            })
            .collect();
        let mut limits = MetricLimits::new(
            latency.clone(),
            Condition::success(Bound::new(Comparison::AtMost, Real::from(500))),
            Limit::more_than(2),
            ErrorPolicy::consecutive(Limit::more_than(4), OnError::Inconclusive),
            NoData::Inconclusive,
        );
        limits.quantile = Some(Real::new(0.99).unwrap());
        let limit = Judge::Threshold(Threshold::new(vec![limits]).unwrap());
        let look = Look { stage: 0, observed_for: Duration::from_secs(1_200) };
        (judge.judge(&batches, &look).unwrap().advice, limit.judge(&batches, &look).unwrap().advice)
    };
    assert_eq!(run(1.3).0, Advice::RollBack);
    let (sequential, limit) = run(1.02);
    assert_ne!(sequential, Advice::RollBack);
    assert_eq!(limit, Advice::RollBack, "the hour alone breaks the limit");
}
