use std::time::Duration;

use deploy_core::monitor::{Advice, Arm, Batch, BatchKey, Counts, Histogram, JudgementResult, Paired, Traffic, Window};
use deploy_core::name::{MetricName, StratumName};
use deploy_core::real::Real;
use deploy_core::time::Timestamp;

use super::{Look, Role, Sequential, SequentialError, SequentialState, Series, Watch, Watched, WithinMargin, Worse};
use crate::analysis::proportion::Proportions;
use crate::analysis::taken::Taken;
use crate::analysis::verdict::{Cause, Verdict};

fn metric(name: &str) -> MetricName {
    MetricName::new(name).expect("a name")
}

fn counts(events: u64, bad: u64) -> Counts {
    Counts::new(events, bad).expect("fewer bad than all")
}

fn judge() -> Sequential {
    Sequential::new(4, vec![Watched::required(metric("errors"), Watch::errors())])
}

fn plain(stage: u32, window: u64) -> Batch {
    let end = i64::try_from(window).expect("few") * 60_000 + 60_000;
    Batch::new(BatchKey::new(stage, window), Window::ending(Timestamp(end), Duration::from_secs(60)))
}

/// One minute of errors: (events, bad) of the candidate and of the baseline.
fn minute(stage: u32, window: u64, candidate: (u64, u64), baseline: (u64, u64)) -> Batch {
    let paired =
        Paired::Counts { candidate: counts(candidate.0, candidate.1), baseline: counts(baseline.0, baseline.1) };
    plain(stage, window).metric(metric("errors"), paired)
}

fn after(judge: &Sequential, batches: &[Batch]) -> SequentialState {
    let mut state = judge.begin().expect("a configuration that makes sense");
    for batch in batches {
        judge.take(&mut state, batch).expect("a batch that fits");
    }
    state
}

fn verdict(judge: &Sequential, batches: &[Batch]) -> Verdict {
    let stage = batches.last().map_or(0, |batch| batch.key.stage);
    let look = Look { stage, observed_for: Duration::from_secs(600) };
    judge.verdict(&after(judge, batches), &look).expect("its own state")
}

fn sizes(values: impl IntoIterator<Item = f64>) -> Histogram {
    let mut histogram = Histogram::new();
    for value in values {
        histogram.insert(value).expect("a size");
    }
    histogram
}

/// A spread of latencies around 100, `factor` times as slow.
fn spread(events: u32, factor: f64) -> Histogram {
    sizes((0..events).map(|i| factor * 100.0 * (1.6 * (f64::from(i * 37 % events) / f64::from(events) - 0.5)).exp()))
}

// What the field gets wrong.

/// Errors in a few intervals against none at all: 4 of 600 against 0 of 5,400. A rank test of the six points passes it.
#[test]
fn sparse_errors_are_found() {
    let errors = [0, 1, 2, 1, 0, 0];
    let batches: Vec<Batch> = (0..).zip(errors).map(|(window, bad)| minute(0, window, (100, bad), (5400, 0))).collect();
    let verdict = verdict(&judge(), &batches);
    assert_eq!((verdict.result, verdict.advice), (JudgementResult::Fail, Advice::RollBack), "{verdict}");
}

/// A hundredfold in seven of ten minutes is more than half of the minutes and less than what a rank test needs.
#[test]
fn seven_of_ten_minutes_at_a_hundredfold_are_found() {
    let batches: Vec<Batch> = (0..10).map(|w| minute(0, w, (500, if w < 7 { 50 } else { 0 }), (9500, 9))).collect();
    assert_eq!(verdict(&judge(), &batches).cause, Cause::Harm);
    // And the first of these minutes is enough.
    assert_eq!(verdict(&judge(), &batches[..1]).cause, Cause::Harm);
}

/// Twice the errors at two in a hundred thousand: the unit of a ratio has no place in counts.
#[test]
fn tiny_error_ratios_are_told_apart() {
    let batches: Vec<Batch> = (0..40).map(|w| minute(0, w, (1_000_000, 40), (1_000_000, 20))).collect();
    assert_eq!(verdict(&judge(), &batches).cause, Cause::Harm);
    let same: Vec<Batch> = (0..40).map(|w| minute(0, w, (1_000_000, 20), (1_000_000, 20))).collect();
    assert_eq!(verdict(&judge(), &same).cause, Cause::Proven);
}

/// Errors rise sixfold in both arms while the candidate's share grows: pooled, the candidate looks worse by far.
#[test]
fn a_drift_common_to_both_arms_is_no_harm() {
    let shares = [0.05, 0.10, 0.25, 0.50];
    let batches: Vec<Batch> = (0..40u32)
        .map(|w| {
            let share = shares[w as usize / 10];
            let (c, b) = ((6000.0 * share) as u64, (6000.0 * (1.0 - share)) as u64);
            let rate = 0.005 * 6f64.powf(f64::from(w) / 40.0);
            let bad = |n: u64| (n as f64 * rate).round() as u64;
            minute(w / 10, u64::from(w), (c, bad(c)), (b, bad(b)))
        })
        .collect();
    let margins_off = Sequential {
        alpha: 0.05,
        metrics: vec![Watched::required(
            metric("errors"),
            Watch::Errors { margin: 1.0, rule_out: 1.5, negligible: None },
        )],
        ..judge()
    };
    for looks in 1..=batches.len() {
        assert_ne!(verdict(&margins_off, &batches[..looks]).cause, Cause::Harm, "after {looks}");
    }
    let pooled = batches.iter().fold((Counts::default(), Counts::default()), |sum, batch| {
        let Paired::Counts { candidate, baseline } = batch.metrics[&metric("errors")] else { panic!("counts") };
        (sum.0.plus(candidate), sum.1.plus(baseline))
    });
    let pooled = Proportions::of(pooled.0, pooled.1).expect("events");
    assert!(pooled.normal().greater < 1e-6, "the pooled test is fooled: {}", pooled.normal().greater);
}

/// Twenty good minutes, then errors double with the load: what was shown before does not stand in the way, and what was
/// proven at 10 % of the traffic promotes nothing at 25 %.
#[test]
fn harm_that_begins_late_is_found_and_old_proof_does_not_promote() {
    let shares = [300, 600, 1500];
    let batches: Vec<Batch> = (0..28u64)
        .map(|w| {
            let c = shares[w as usize / 10];
            let factor = if w >= 20 { 2 } else { 1 };
            minute(w as u32 / 10, w, (c, c / 100 * factor), (6000 - c, (6000 - c) / 100))
        })
        .collect();
    let judge = judge();
    assert_eq!(verdict(&judge, &batches[..20]).cause, Cause::Proven);
    let after = |looks: usize| verdict(&judge, &batches[..looks]);
    assert_eq!(after(21).cause, Cause::Undecided);
    let found = (21..=28).find(|looks| after(*looks).cause == Cause::Harm);
    assert!(found.is_some_and(|looks| looks <= 26), "{found:?}");
}

/// Few requests: neither rolled back nor promoted.
#[test]
fn little_traffic_is_no_verdict_and_never_a_promotion() {
    let batches: Vec<Batch> = (0..10).map(|w| minute(0, w, (6, 0), (114, 1))).collect();
    let verdict = verdict(&judge(), &batches);
    assert_eq!((verdict.cause, verdict.result), (Cause::LowTraffic, JudgementResult::Inconclusive));
}

// Errors of the first kind.

/// I12: over many rollouts of one build against itself, with a look each minute and no margins, the share of rollbacks
/// stays below α.
#[test]
fn the_false_alarm_rate_is_at_most_alpha() {
    let judge = Sequential {
        alpha: 0.05,
        metrics: vec![Watched::required(
            metric("errors"),
            Watch::Errors { margin: 1.0, rule_out: 1.5, negligible: None },
        )],
        ..judge()
    };
    let mut random = Random(7);
    let (mut alarms, runs) = (0, 200);
    for _ in 0..runs {
        let mut state = judge.begin().expect("a configuration that makes sense");
        let mut alarmed = false;
        for window in 0..16u64 {
            let share = [0.05, 0.10, 0.25, 0.50][window as usize / 4];
            let (mut c, mut b, mut bad_c, mut bad_b) = (0, 0, 0, 0);
            for _ in 0..400 {
                let bad = u64::from(random.next() < 0.03);
                if random.next() < share {
                    (c, bad_c) = (c + 1, bad_c + bad);
                } else {
                    (b, bad_b) = (b + 1, bad_b + bad);
                }
            }
            let batch = minute(window as u32 / 4, window, (c, bad_c), (b, bad_b));
            judge.take(&mut state, &batch).expect("a batch that fits");
            alarmed |= judge.totals(&state).expect("its own state").ln_harm >= 20f64.ln();
        }
        alarms += u32::from(alarmed);
    }
    assert!(alarms <= runs / 20, "{alarms} of {runs}");
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
}

// The table of verdicts.

#[test]
fn a_good_release_is_promoted_once_it_is_proven_and_not_before() {
    let judge = judge();
    let good = |minutes: u64| (0..minutes).map(|w| minute(0, w, (3000, 30), (3000, 30))).collect::<Vec<_>>();
    let batches = good(10);
    let verdict = verdict(&judge, &batches);
    assert_eq!((verdict.cause, verdict.advice), (Cause::Proven, Advice::Promote), "{verdict}");
    // Too early by the clock.
    let look = Look { stage: 0, observed_for: Duration::from_secs(299) };
    let early = judge.verdict(&after(&judge, &batches), &look).expect("its own state");
    assert_eq!((early.cause, early.result), (Cause::TooShort, JudgementResult::Inconclusive));
    // The next stage begins without proof, and before its first batch without data.
    let look = Look { stage: 1, observed_for: Duration::from_secs(600) };
    let next = judge.verdict(&after(&judge, &batches), &look).expect("its own state");
    assert_eq!(next.cause, Cause::NoData);
}

#[test]
fn certain_but_small_harm_holds_or_is_shown() {
    let batches: Vec<Batch> = (0..60).map(|w| minute(0, w, (30_000, 330), (30_000, 300))).collect();
    let hold = verdict(&judge(), &batches);
    assert_eq!((hold.cause, hold.advice), (Cause::WithinMargin, Advice::Warn), "{hold}");
    let promote = Sequential { within_margin: WithinMargin::Promote, ..judge() };
    let shown = verdict(&promote, &batches);
    assert_eq!(shown.cause, Cause::Proven);
    assert_eq!(shown.explanations[0].advice, Advice::Warn);
}

#[test]
fn what_was_not_measured_is_neither_good_nor_bad() {
    let judge = judge();
    assert_eq!(verdict(&judge, &[]).cause, Cause::NoData);
    let mut batches: Vec<Batch> = (0..10).map(|w| minute(0, w, (3000, 30), (3000, 30))).collect();
    // Three windows without the candidate: what was there before is stale.
    batches
        .extend((10..13).map(|w| plain(0, w).metric(metric("errors"), Paired::Missing { arms: vec![Arm::Candidate] })));
    let stale = verdict(&judge, &batches);
    assert_eq!((stale.cause, stale.result), (Cause::NoData, JudgementResult::Inconclusive));
    assert!(stale.because.contains("errors"), "{stale}");
    let alone: Vec<Batch> = (0..10).map(|w| minute(0, w, (3000, 30), (0, 0))).collect();
    assert_eq!(verdict(&judge, &alone).cause, Cause::NoBaseline);
}

#[test]
fn a_candidate_that_loses_its_records_is_held_and_never_promoted() {
    let batches: Vec<Batch> = (0..30)
        .map(|w| {
            let traffic = Traffic { candidate: 2700, baseline: 3000, share: Real::new(0.5).expect("finite") };
            minute(0, w, (2700, 27), (3000, 30)).traffic(traffic)
        })
        .collect();
    let verdict = verdict(&judge(), &batches);
    assert_eq!((verdict.cause, verdict.advice), (Cause::SampleRatio, Advice::Warn), "{verdict}");
}

#[test]
fn latency_is_judged_by_what_is_slower_than_before() {
    let judge = Sequential::new(1, vec![Watched::required(metric("latency"), Watch::latency())]);
    let run = |factor: f64| {
        let batches: Vec<Batch> = (0..12)
            .map(|w| {
                let paired = Paired::Histograms { candidate: spread(1500, factor), baseline: spread(1500, 1.0) };
                plain(0, w).metric(metric("latency"), paired)
            })
            .collect();
        verdict(&judge, &batches)
    };
    assert_eq!(run(1.0).cause, Cause::Proven);
    assert_eq!(run(1.4).cause, Cause::Harm);
    // Within the margin of 10 % it is no reason to roll back, however certain.
    let small = run(1.06);
    assert_eq!(small.cause, Cause::WithinMargin, "{small}");
    assert_eq!(small.explanations.len(), 3);
    assert!(small.explanations[2].subject.contains("99"), "{}", small.explanations[2].subject);
}

/// What is slow is chosen from a hundred values of the baseline, however many windows they take.
#[test]
fn latency_is_judged_where_no_window_has_a_hundred_requests() {
    // The slowest hundredth of so few is hardly anything to prove by.
    let halves = Watch::Latency { quantiles: vec![0.5], margin: 0.1, rule_out: 1.5 };
    let judge = Sequential::new(1, vec![Watched::required(metric("latency"), halves)]);
    // Ninety of the 1,500 of each: a window has no more, and none has the same.
    let few = |number: u64, factor: f64| {
        let values = (0..90).map(|i| (i * 1_493 + number * 7_919) % 1_500);
        sizes(values.map(|at| factor * 100.0 * (1.6 * (at as f64 / 1_500.0 - 0.5)).exp()))
    };
    let window = |number, factor| {
        let paired = Paired::Histograms { candidate: few(number, factor), baseline: few(number + 1, 1.0) };
        plain(0, number).metric(metric("latency"), paired)
    };
    let run = |windows: u64, factor: f64| -> Vec<Batch> { (0..windows).map(|number| window(number, factor)).collect() };
    let first = verdict(&judge, &run(1, 1.0));
    assert_eq!(first.cause, Cause::LowTraffic, "{first}");
    assert!(
        first.explanations.iter().all(|e| e.because.contains("from 100 values of the baseline, of which there are 90")),
        "{first}"
    );
    assert_eq!(verdict(&judge, &run(60, 5.0)).cause, Cause::Harm);
    assert_eq!(verdict(&judge, &run(4, 1.0)).cause, Cause::Undecided);
    assert_eq!(verdict(&judge, &run(60, 1.0)).cause, Cause::Proven);
    // While they are gathered, a state that is written and read goes on as it was, and is not much longer.
    let gathered = after(&judge, &run(1, 1.0));
    let text = serde_json::to_string(&gathered).expect("written");
    assert!(text.len() < 3_000, "{}", text.len());
    let mut read: SequentialState = serde_json::from_str(&text).expect("read");
    judge.take(&mut read, &window(1, 1.0)).expect("a batch that fits");
    assert_eq!(
        serde_json::to_string(&read).expect("written"),
        serde_json::to_string(&after(&judge, &run(2, 1.0))).expect("written")
    );
    assert!(
        !serde_json::to_string(&read).expect("written").contains("gathered"),
        "it is chosen, and they are forgotten"
    );
}

/// Bytes, microseconds, nanoseconds: a size is told from ten times as much in any of them.
#[test]
fn sizes_of_any_unit_are_told_apart() {
    let judge = Sequential::new(1, vec![Watched::required(metric("size"), Watch::latency())]);
    for unit in [1e-3, 1.0, 1e3, 1e6, 1e9] {
        let run = |factor: f64| -> Vec<Batch> {
            let paired = || Paired::Histograms { candidate: spread(200, factor * unit), baseline: spread(200, unit) };
            (0..300).map(|number| plain(0, number).metric(metric("size"), paired())).collect()
        };
        assert_eq!(verdict(&judge, &run(10.0)).cause, Cause::Harm, "{unit}");
        assert_eq!(verdict(&judge, &run(1.0)).cause, Cause::Proven, "{unit}");
    }
}

/// Numbers that nobody counts cost no more time than those that somebody does.
#[test]
fn the_most_events_that_can_be_counted_are_judged() {
    let most = Counts::MOST;
    let batches = |bad| (0..3).map(|number| minute(0, number, (most, bad), (most, most / 2))).collect::<Vec<_>>();
    assert_eq!(verdict(&judge(), &batches(most / 2)).cause, Cause::Proven);
    assert_eq!(verdict(&judge(), &batches(most / 4 * 3)).cause, Cause::Harm);
}

#[test]
fn values_are_judged_window_by_window() {
    let watch = Watch::Values { range: 1.0, worse: Worse::Smaller, margin: 0.02, rule_out: 0.2 };
    let judge = Sequential::new(1, vec![Watched::required(metric("hit_ratio"), watch)]);
    let run = |candidate: f64| {
        let real = |value: f64| Real::new(value).expect("finite");
        let batches: Vec<Batch> = (0..60)
            .map(|w| {
                let paired = Paired::Values { candidate: real(candidate), baseline: real(0.9) };
                plain(0, w).metric(metric("hit_ratio"), paired)
            })
            .collect();
        verdict(&judge, &batches)
    };
    assert_eq!(run(0.9).cause, Cause::Proven);
    assert_eq!(run(0.5).cause, Cause::Harm);
    // What is no longer measured is stale.
    let real = |value: f64| Real::new(value).expect("finite");
    let mut batches: Vec<Batch> = (0..60)
        .map(|w| plain(0, w).metric(metric("hit_ratio"), Paired::Values { candidate: real(0.9), baseline: real(0.9) }))
        .collect();
    batches.extend((60..63).map(|w| plain(0, w)));
    assert_eq!(verdict(&judge, &batches).cause, Cause::NoData);
}

#[test]
fn an_advisory_metric_decides_nothing() {
    let mut judge = judge();
    judge.metrics.push(Watched::advisory(metric("retries"), Watch::errors()));
    let batches: Vec<Batch> = (0..10)
        .map(|w| {
            let bad = Paired::Counts { candidate: counts(3000, 900), baseline: counts(3000, 30) };
            minute(0, w, (3000, 30), (3000, 30)).metric(metric("retries"), bad)
        })
        .collect();
    let verdict = verdict(&judge, &batches);
    assert_eq!(verdict.cause, Cause::Proven);
    assert_eq!(verdict.explanations[1].result, JudgementResult::Fail);
    assert!(!verdict.explanations[1].decides);
    let over = Duration::from_secs(600);
    assert_eq!(verdict.judgements(deploy_core::time::RunTime::START, over).len(), 1);
}

#[test]
fn a_warming_instance_is_left_out_of_account() {
    let judge = judge();
    let cold: Vec<Batch> =
        (0..3).map(|w| minute(0, w, (500, 250), (5500, 55)).youngest(Duration::from_secs(60 * w))).collect();
    let state = after(&judge, &cold);
    assert_eq!(state.warming(), 3);
    assert!(judge.totals(&state).expect("its own state").ln_harm.abs() < 1e-12);
    let mut state = state;
    let warm = minute(0, 3, (500, 250), (5500, 55)).youngest(Duration::from_secs(180));
    assert_eq!(judge.take(&mut state, &warm), Ok(Taken::Counted));
    assert!(judge.totals(&state).expect("its own state").ln_harm > 10.0);
}

// The state.

/// Forty minutes of two metrics over four stages.
fn forty() -> (Sequential, Vec<Batch>) {
    let metrics = vec![
        Watched::required(metric("errors"), Watch::errors()),
        Watched::required(metric("latency"), Watch::latency()),
    ];
    let batches = (0..40u64)
        .map(|w| {
            let c = [300u32, 600, 1500, 3000][w as usize / 10];
            let candidate = spread(c, 1.0 + w as f64 / 1000.0);
            let paired = Paired::Histograms { candidate, baseline: spread(6000 - c, 1.0) };
            minute(w as u32 / 10, w, (u64::from(c), u64::from(c) / 90), (6000 - u64::from(c), 50 + w % 7))
                .metric(metric("latency"), paired)
                .traffic(Traffic {
                    candidate: u64::from(c),
                    baseline: 6000 - u64::from(c),
                    share: Real::new(f64::from(c) / 6000.0).expect("finite"),
                })
        })
        .collect();
    (Sequential::new(4, metrics), batches)
}

#[test]
fn a_replay_of_the_batches_gives_the_same_bytes_wherever_it_is_interrupted() {
    let (judge, batches) = forty();
    let straight = serde_json::to_string(&after(&judge, &batches)).expect("written");
    let mut state = judge.begin().expect("a configuration that makes sense");
    for batch in &batches {
        // Written and read between any two batches.
        let text = serde_json::to_string(&state).expect("written");
        state = serde_json::from_str(&text).expect("read");
        judge.take(&mut state, batch).expect("a batch that fits");
    }
    assert_eq!(serde_json::to_string(&state).expect("written"), straight);
}

#[test]
fn the_state_is_small() {
    let (judge, batches) = forty();
    let text = serde_json::to_string(&after(&judge, &batches)).expect("written");
    let written: serde_json::Value = serde_json::from_str(&text).expect("read");
    let series: Vec<usize> =
        written["series"].as_array().expect("series").iter().map(|series| series.to_string().len()).collect();
    // Errors are one series, the latency with its three quantiles three.
    assert!(series[0] <= 2048 && series[1..].iter().sum::<usize>() <= 2048, "{series:?}");
    let rest = text.len() - series.iter().sum::<usize>();
    assert!(rest <= 512, "{rest} bytes beside the metrics");
}

#[test]
fn a_batch_counts_once_and_what_comes_late_counts_too() {
    let judge = judge();
    let (one, two) = (minute(0, 0, (500, 9), (5500, 55)), minute(0, 1, (500, 7), (5500, 55)));
    let mut state = after(&judge, &[one.clone(), two]);
    let before = state.clone();
    assert_eq!(judge.take(&mut state, &one), Ok(Taken::Repeated));
    assert_eq!(state, before);
    let mut late = minute(0, 0, (20, 10), (0, 0));
    late.key.part = 1;
    late.metrics.insert(metric("errors"), Paired::Counts { candidate: counts(20, 10), baseline: counts(80, 1) });
    assert_eq!(judge.take(&mut state, &late), Ok(Taken::Counted));
    assert_ne!(state, before);
    assert_eq!(judge.take(&mut state, &late), Ok(Taken::Repeated));
}

#[test]
fn late_data_of_an_earlier_stage_count_as_harm_and_not_as_proof() {
    let judge = judge();
    let batches: Vec<Batch> = (0..4).map(|w| minute(w as u32 / 2, w, (500, 5), (5500, 55))).collect();
    let mut state = after(&judge, &batches);
    let before = judge.totals(&state).expect("its own state");
    let mut late = minute(0, 1, (500, 40), (5500, 55));
    late.key.part = 1;
    judge.take(&mut state, &late).expect("a batch that fits");
    let now = judge.totals(&state).expect("its own state");
    assert!(now.ln_harm > before.ln_harm + 5.0);
    assert!((now.ln_proof - before.ln_proof).abs() < 1e-12);
}

#[test]
fn batches_of_two_strata_are_the_same_in_either_order_up_to_rounding() {
    let judge = judge();
    let mut east = minute(0, 0, (300, 7), (2700, 20));
    east.key.stratum = Some(StratumName::new("east").expect("a name"));
    let mut west = minute(0, 0, (100, 3), (2900, 90));
    west.key.stratum = Some(StratumName::new("west").expect("a name"));
    let one = judge.totals(&after(&judge, &[east.clone(), west.clone()])).expect("its own state");
    let other = judge.totals(&after(&judge, &[west, east])).expect("its own state");
    assert!((one.ln_harm - other.ln_harm).abs() < 1e-9);
    assert!(one.ln_harm != 0.0);
}

/// The same batch of a part of the traffic.
fn of(stratum: &str, batch: Batch) -> Batch {
    let stratum = Some(StratumName::new(stratum).expect("a name"));
    Batch { key: BatchKey { stratum, ..batch.key.clone() }, ..batch }
}

#[test]
fn a_part_that_falls_silent_is_not_made_up_for_by_the_others() {
    let judge = Sequential { least_observed: Duration::ZERO, ..judge() };
    let missing = |w| plain(0, w).metric(metric("errors"), Paired::Missing { arms: vec![Arm::Candidate] });
    let well = |w| minute(0, w, (500, 5), (5500, 55));
    let after = |windows: &[Vec<Batch>]| {
        let mut state = judge.begin().expect("a configuration that makes sense");
        for window in windows {
            assert_eq!(judge.take_window(&mut state, window), Ok(Taken::Counted));
        }
        judge.verdict(&state, &Look { stage: 0, observed_for: Duration::from_secs(600) }).expect("its own state")
    };
    let both = |w| vec![of("east", well(w)), of("west", well(w))];
    let quiet = |w| vec![of("east", minute(0, w, (0, 0), (0, 0))), of("west", well(w))];
    // Whichever of them falls silent, whichever is taken first.
    let silent = |w, a: &str, b: &str| vec![of(a, missing(w)), of(b, well(w))];
    for (a, b) in [("east", "west"), ("west", "east")] {
        for turned in [false, true] {
            let mut windows: Vec<Vec<Batch>> = (0..5).map(both).chain((5..8).map(|w| silent(w, a, b))).collect();
            if turned {
                windows.iter_mut().for_each(|window| window.reverse());
            }
            let verdict = after(&windows);
            assert_eq!(verdict.cause, Cause::NoData, "{verdict}");
            assert!(verdict.because.contains(&format!("errors of {a} any more")), "{verdict}");
            assert_ne!(after(&windows[..7]).cause, Cause::NoData, "two windows are not three");
            windows.push(both(8));
            assert_ne!(after(&windows).cause, Cause::NoData, "it is back");
        }
    }
    let nights: Vec<Vec<Batch>> = (0..8).map(quiet).collect();
    assert_ne!(after(&nights).cause, Cause::NoData, "nothing happened there, which is known");
    // Some metrics may be measured of all traffic, others by parts.
    let mixed = |w| vec![plain(0, w).metric(metric("load"), Paired::Missing { arms: Vec::new() }), of("east", well(w))];
    let mixed: Vec<Vec<Batch>> = (0..8).map(mixed).collect();
    assert_ne!(after(&mixed).cause, Cause::NoData);
}

#[test]
fn the_stratum_that_moved_most_is_named() {
    let judge = Sequential { least_observed: Duration::ZERO, ..judge() };
    let batches: Vec<Batch> = (0..10)
        .flat_map(|w| {
            let search = of("search", minute(0, w, (5_000, 51), (5_000, 49)));
            [of("checkout", minute(0, w, (200, 15), (200, 1))), search]
        })
        .collect();
    let verdict = verdict(&judge, &batches);
    // Fifteen times as many at a small endpoint are a third more of all.
    assert_eq!(verdict.cause, Cause::WithinMargin, "{verdict}");
    // (15 - 8) in each of ten windows.
    let because = &verdict.explanations[0].because;
    assert!(because.contains("most of the difference is in checkout: 70.0 bad ones more"), "{because}");
    let search = verdict.explanations[0].inputs.iter().find(|input| input.name.starts_with("search"));
    assert!(search.is_some_and(|input| (input.value.get() - 10.0).abs() < 1e-6), "{search:?}");
    // What it remembers of them is written, read, and forgotten with the stage.
    let state = after(&judge, &batches);
    let text = serde_json::to_string(&state).expect("written");
    let read: SequentialState = serde_json::from_str(&text).expect("read");
    assert_eq!(read, state);
    let next: Vec<Batch> = batches.into_iter().chain([of("search", minute(1, 10, (500, 5), (500, 5)))]).collect();
    let explanation = &self::verdict(&judge, &next).explanations[0];
    assert!(!explanation.because.contains("most of the difference"), "{}", explanation.because);
    let checkout = explanation.inputs.iter().find(|input| input.name.starts_with("checkout"));
    assert!(checkout.is_some_and(|input| input.value.get() == 0.0), "{checkout:?}");
}

#[test]
fn another_configuration_is_refused() {
    let judge = judge();
    let mut state = judge.begin().expect("a configuration that makes sense");
    let other = Sequential { alpha: 0.05, ..judge };
    let refused = other.take(&mut state, &minute(0, 0, (1, 0), (1, 0)));
    assert!(matches!(refused, Err(SequentialError::ConfigurationChanged { .. })));
}

#[test]
fn a_batch_that_does_not_fit_changes_nothing() {
    let judge = judge();
    let mut state = judge.begin().expect("a configuration that makes sense");
    let before = state.clone();
    let sizes = Paired::Histograms { candidate: Histogram::new(), baseline: Histogram::new() };
    let wrong = plain(0, 0).metric(metric("errors"), sizes);
    assert!(matches!(judge.take(&mut state, &wrong), Err(SequentialError::Kind { .. })));
    assert_eq!(state, before);
}

#[test]
fn figures_that_make_no_sense_are_refused() {
    let refused = |change: fn(&mut Sequential)| {
        let mut judge = judge();
        change(&mut judge);
        judge.begin().is_err()
    };
    assert!(refused(|judge| judge.alpha = 0.0));
    assert!(refused(|judge| judge.beta = f64::NAN));
    assert!(refused(|judge| judge.damping = 1.5));
    assert!(refused(|judge| judge.stages = 0));
    assert!(refused(|judge| judge.metrics[0].role = Role::Advisory));
    assert!(refused(|judge| judge.metrics[0].role = Role::Required { weight: 0.0 }));
    assert!(refused(|judge| judge.metrics[0].watch = Watch::Errors { margin: 0.5, rule_out: 1.5, negligible: None }));
    let unordered = Watch::Latency { quantiles: vec![0.9, 0.9], margin: 0.1, rule_out: 1.5 };
    let mut judge = judge();
    judge.metrics[0].watch = unordered;
    assert!(judge.begin().is_err());
}

#[test]
fn a_configuration_is_written_with_its_defaults_left_out() {
    let text = r#"{"metrics":[{"metric":"errors","watch":{"kind":"errors"}}],"stages":4}"#;
    let read: Sequential = serde_json::from_str(text).expect("read");
    assert_eq!(read, judge());
}

// What it says.

#[test]
fn a_trace_holds_what_was_known_after_each_batch() {
    let (judge, batches) = forty();
    let trace = judge.trace(&batches).expect("batches that fit");
    assert_eq!((trace.totals.len(), trace.lines.len()), (40, 4));
    let totals = judge.totals(&after(&judge, &batches)).expect("its own state");
    assert_eq!(trace.totals[39].1, totals);
    for line in &trace.lines {
        // Bounds only ever come closer.
        for pair in line.points.windows(2) {
            assert!(pair[1].low >= pair[0].low);
            assert!(pair[0].high.is_none_or(|before| pair[1].high.is_some_and(|now| now <= before)));
        }
    }
    let svg = crate::analysis::svg::confidence_sequence(&trace.lines[0], 1.2, trace.decided);
    assert!(svg.contains("errors"));
}

/// A rollback is decided at the first look that advises it; a promotion of an earlier stage decides nothing about a later one.
#[test]
fn a_trace_says_when_it_was_decided() {
    let judge = judge();
    let stage = |of: u32, bad: u64| (0..12).map(move |w| minute(of, u64::from(of) * 12 + w, (600, bad), (5_400, 54)));
    let decided = |batches: &[Batch]| judge.trace(batches).expect("batches that fit").decided;
    let harmed: Vec<Batch> = stage(0, 24).collect();
    let first = (1..=12).find(|looks| verdict(&judge, &harmed[..*looks]).advice == Advice::RollBack).expect("found");
    let at = harmed[first - 1].window.to;
    assert!(first < 12);
    assert_eq!(decided(&harmed).map(|decided| (decided.at, decided.advice)), Some((at, Advice::RollBack)));
    let good: Vec<Batch> = stage(0, 6).collect();
    assert_eq!(decided(&good).map(|decided| decided.advice), Some(Advice::Promote));
    let onwards: Vec<Batch> = stage(0, 6).chain(stage(1, 6).take(2)).collect();
    assert_eq!(decided(&onwards), None, "the second stage is open");
}

#[test]
fn an_explanation_has_the_numbers_and_what_would_change_them() {
    let judge = judge();
    let batches: Vec<Batch> = (0..10).map(|w| minute(0, w, (300, 3), (5700, 57))).collect();
    let verdict = verdict(&judge, &batches);
    assert_eq!(verdict.cause, Cause::Undecided);
    let text = verdict.to_string();
    for part in ["30 of 3000 (1.00 %)", "570 of 57000", "more requests", "odds ratio 1.00, between", "of 100", "of 20"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    let json = serde_json::to_string(&verdict).expect("written");
    assert_eq!(serde_json::from_str::<Verdict>(&json).expect("read"), verdict);
}

/// What a person reads, to the letter.
#[test]
fn the_text_of_a_verdict() {
    let batches: Vec<Batch> = (0..8).map(|w| minute(0, w, (300, 11), (5700, 57))).collect();
    let text = verdict(&judge(), &batches).to_string();
    let want = "\
roll back: the candidate is worse beyond its margin, foremost in errors: evidence 2.75e14 where 100 decides
  otherwise: at an evidence below 100 it would not be rolled back
- errors: worse beyond its margin; candidate 88 of 2400 (3.67 %), baseline 456 of 45600 (1.00 %) in this stage
    odds ratio 3.77, between 2.20 and 7.50 (99.0 % sure)
    worse beyond the margin: 2.75e14 of 100
    worse at all: 8.45e18 of 100
    no worse than what must be ruled out, this stage: 2.85e-7 of 20.0
    otherwise: less evidence of harm would not fail it
";
    assert_eq!(text, want);
}

fn spotless(negligible: Option<f64>) -> Sequential {
    let watch = Watch::Errors { margin: 1.2, rule_out: 1.5, negligible };
    Sequential::new(1, vec![Watched::required(metric("errors"), watch)])
}

/// Where neither arm has a bad event nothing can be compared, and only who says what is negligible is promoted by that: after the
/// events that it takes, and not before.
#[test]
fn a_service_without_errors_is_promoted_if_it_was_said_what_is_negligible() {
    let clean = |judge: &Sequential, events: u64| {
        let all: Vec<Batch> = (0..10).map(|number| minute(0, number, (events / 10, 0), (events / 10, 0))).collect();
        verdict(judge, &all)
    };
    let said = clean(&spotless(None), 1_000_000);
    assert_eq!((said.cause, said.advice), (Cause::Undecided, Advice::Continue));
    assert!(said.otherwise.contains("negligible"), "{}", said.otherwise);
    let judge = spotless(Some(0.001));
    let short = clean(&judge, 4_000);
    assert_eq!(short.cause, Cause::Undecided, "{}", short.because);
    assert!(short.otherwise.contains("more requests"), "{}", short.otherwise);
    assert_eq!(clean(&judge, 4_400).cause, Cause::Proven);
    // Negligible is no licence: harm beyond the margin is harm.
    let harmed: Vec<Batch> = (0..20).map(|number| minute(0, number, (100_000, 60), (100_000, 10))).collect();
    assert_eq!(verdict(&judge, &harmed).cause, Cause::Harm);
    assert!(spotless(Some(0.0)).check().is_err() && spotless(Some(1.0)).check().is_err());
    assert_eq!(Watch::errors().negligible(0.1), Watch::Errors { margin: 1.2, rule_out: 1.5, negligible: Some(0.1) });
}

/// A candidate whose share of bad events is just what is negligible is shown to be below it no more often than at β, at any of a
/// hundred looks.
#[test]
fn what_is_not_negligible_is_hardly_ever_called_so() {
    const RUNS: u32 = 400;
    let (judge, mut wrong, mut random) = (spotless(Some(0.01)), 0, Random(0));
    for _ in 0..RUNS {
        let mut state = judge.begin().expect("a configuration that makes sense");
        let called = (0..100).any(|number| {
            let bad = u64::try_from((0..50).filter(|_| random.next() < 0.01).count()).expect("few");
            judge.take(&mut state, &minute(0, number, (50, bad), (50, bad))).expect("a batch that fits");
            let Series::Events(events) = &state.series[0] else { panic!("errors are events") };
            events.ln_negligible(0.01) >= -libm::log(judge.beta)
        });
        wrong += u32::from(called);
    }
    // Two standard errors above β.
    assert!(wrong <= 29, "{wrong} of {RUNS} were called negligible that are not");
}
