//! A canary of a day rehearsed in virtual time, looked at each minute: what it takes with the threshold judge, and what with the sequential
//! one beside the judge's own work on the same batches.

use std::sync::Arc;
use std::time::Duration;

use deploy_benches::{line, middle, release, somebody, spent};
use deploy_core::machine::Outcome;
use deploy_core::monitor::{
    Arm, Batch, BatchKey, Comparison, Counts, Histogram, MeasureRequest, Measurement, Paired, Reading, Window,
};
use deploy_core::name::{BlockName, MetricName, RevisionName, TargetName};
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{Plan, RollbackTo};
use deploy_core::real::Real;
use deploy_core::simulation::{Answers, Simulation};
use deploy_core::strategy::Strategy;
use deploy_core::target::{DesiredState, RevisionState, TargetState};
use deploy_core::testing::scripted::{ScriptedMonitor, ScriptedTarget};
use deploy_core::time::{RunTime, Timestamp};
use deploy_strategies::analysis::sequential::{Look, Sequential, Watch, Watched};
use deploy_strategies::analysis::threshold::{
    Bound, Condition, ErrorPolicy, Limit, MetricLimits, NoData, OnError, Threshold,
};
use deploy_strategies::analysis::{Absence, Analysis, Judge};
use deploy_strategies::canary::{Canary, Step};

const STEPS: [u32; 4] = [5, 10, 25, 50];
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const PASSES: usize = 11;

fn main() {
    println!("rehearsal of a canary of 24 h, a look each minute, processor time, middle of {PASSES} passes\n");
    let errors = MetricName::new("errors").expect("a name");
    let limits = MetricLimits::new(
        errors.clone(),
        Condition::success(Bound::new(Comparison::AtMost, Real::new(0.05).expect("finite"))),
        Limit::more_than(3),
        ErrorPolicy::consecutive(Limit::more_than(4), OnError::Inconclusive),
        NoData::Inconclusive,
    );
    let threshold = Judge::Threshold(Threshold::new(vec![limits]).expect("limits that make sense"));
    let latency = MetricName::new("latency").expect("a name");
    let watched = [Watched::required(errors, Watch::errors()), Watched::required(latency, Watch::latency())];

    let threshold = canary(threshold);
    let mut rehearsal = Rehearsal::of(&threshold);
    let times = (0..PASSES).map(|_| rehearsal.pass()).collect();
    let what = format!("threshold judge, {} records: ms", rehearsal.records);
    let time = ms(middle(times));
    line(&what, time, "≤ 50", time <= 50.0);

    // As a release is watched: errors and latency. Errors alone are here for comparison: there the engine, not the judge, is what
    // takes the time.
    for (what, watched, target) in [("errors and latency", &watched[..], true), ("errors alone", &watched[..1], false)]
    {
        let judge = Sequential::new(STEPS.len() as u32, watched.to_vec());
        let (canary, own) = (canary(Judge::Sequential(judge.clone())), Own::of(&judge));
        let mut rehearsal = Rehearsal::of(&canary);
        // One beside the other, so that both meet the same machine.
        let (times, owns): (Vec<_>, Vec<_>) = (0..PASSES).map(|_| (rehearsal.pass(), own.pass())).unzip();
        let least = |times: &[Duration]| ms(times.iter().copied().min().expect("some passes"));
        let (least_time, least_own) = (least(&times), least(&owns));
        let (time, own, records) = (ms(middle(times)), ms(middle(owns)), rehearsal.records);
        let what = format!("sequential judge of {what}, {records} records: {time:.1} ms; ratio to its own {own:.1} ms");
        if target {
            line(&what, time / own, "≤ 1.5", time / own <= 1.5);
        } else {
            println!("{what} {:.2}", time / own);
        }
        // What else the machine does only adds: where these are far below the middle ones, it was not alone.
        println!("  the fastest passes: {least_time:.1} ms; ratio to {least_own:.1} ms {:.2}", least_time / least_own);
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Four steps of six hours, with the judge at work through all of them.
fn canary(judge: Judge) -> Canary {
    let monitor = BlockName::new("metrics").expect("a name");
    let analysis = Analysis::new(monitor, judge.clone());
    let analysis = match judge {
        Judge::Threshold(_) => analysis,
        _ => analysis.absence(Absence::doubt(4)),
    };
    let step = |weight| Step::weight(weight).soak(Duration::from_secs(6 * 3600));
    let builder = STEPS.iter().fold(Canary::builder(), |builder, weight| builder.step(step(*weight)));
    builder.background(0, analysis).build().expect("a canary")
}

/// A canary that is rehearsed again and again.
struct Rehearsal<'a> {
    canary: &'a Canary,
    plan: Arc<Plan>,
    there: TargetState,
    /// How many there were in the last pass.
    records: usize,
}

impl<'a> Rehearsal<'a> {
    fn of(canary: &'a Canary) -> Self {
        let there = TargetState {
            revisions: [(
                RevisionName::new("v1").expect("a name"),
                RevisionState { desired: 4, ready: 4, ..RevisionState::default() },
            )]
            .into(),
            weights: [(RevisionName::new("v1").expect("a name"), 100)].into(),
            max_weight: 100,
            ..TargetState::default()
        };
        Self { canary, plan: plan(canary), there, records: 0 }
    }

    fn pass(&mut self) -> Duration {
        let simulation = Simulation::new(Arc::clone(&self.plan), 1)
            .target(TargetName::new("eu-west").expect("a name"), self.there.clone())
            .answers(Answers::new(|request, now, there| Ok(minute(request, now, there))));
        let (time, finished) = spent(|| simulation.run(&Only(self.canary)).expect("the engine goes on"));
        assert_eq!(finished.outcome, Some(Outcome::Succeeded), "{:?}", finished.machine.state().mode);
        assert!(finished.at >= RunTime(24 * 3_600_000), "{:?}", finished.machine.state().mode);
        self.records = finished.records.len();
        time
    }
}

fn plan(canary: &Canary) -> Arc<Plan> {
    let place = ScriptedTarget::new(TargetName::new("eu-west").expect("a name")).holding(DesiredState::alone(
        RevisionName::new("v1").expect("a name"),
        4,
        100,
    ));
    let p = Pipeline::builder("rehearsal");
    p.rollback(RollbackTo::Previous);
    // Named only: in a simulation the answers come from the world.
    let monitor = ScriptedMonitor::new(BlockName::new("metrics").expect("a name"), []);
    p.phase("rollout")
        .rollout("canary", canary.clone(), place)
        .monitor(monitor)
        .observe_every(MINUTE)
        .timeout(2 * DAY)
        .add();
    let pipeline = p.build().expect("a valid pipeline");
    Arc::new(pipeline.plan(release(1), somebody()).expect("a plan"))
}

/// The strategy that a plan of this bench names.
struct Only<'a>(&'a Canary);

impl deploy_core::machine::Strategies for Only<'_> {
    fn strategy(&self, name: &BlockName) -> Option<&dyn Strategy> {
        (*name == self.0.name()).then_some(self.0)
    }
}

/// A minute of 6,000 requests, one in a hundred of which fails, split by the weights that are there.
fn minute(request: &MeasureRequest, now: RunTime, there: &TargetState) -> Vec<Measurement> {
    let window = Window::ending(Timestamp(now.0 as i64), request.lookback);
    let arm = |arm, revision: &RevisionName| {
        let (counts, latency) = measured(there.weight(revision), now.0 / 60_000);
        request.metrics.iter().map(move |metric| {
            let reading = if metric.as_str() == "latency" {
                Reading::Histogram(latency.clone())
            } else {
                Reading::Counts(counts)
            };
            Measurement::new(metric.clone(), arm, window, reading)
        })
    };
    let candidate = arm(Arm::Candidate, &request.candidate);
    candidate.chain(request.baseline.iter().flat_map(|baseline| arm(Arm::Baseline, baseline))).collect()
}

/// What an arm with this weight of a hundred measured, a little different from minute to minute: events, bad ones among them, and times
/// around 100 in sixteen sizes.
fn measured(weight: u32, minute: u64) -> (Counts, Histogram) {
    let events = 60 * weight;
    let bad = u64::from(events / 100) + (minute * 7 + u64::from(weight)) % 3;
    let counts = Counts::new(u64::from(events), bad.saturating_sub(1)).expect("fewer than all");
    let mut latency = Histogram::new();
    for size in 0..16_u32 {
        let more = u32::try_from((minute * 5 + u64::from(size)) % 2).expect("small");
        latency.insert_many(50.0 * 1.1_f64.powi(size.cast_signed()), weight * (3 + more)).expect("few");
    }
    // A tail, so that something is slower than the 99 % quantile.
    latency.insert_many(1_000.0, weight / 5).expect("few");
    (counts, latency)
}

/// The judge alone: the same batches, and as many looks.
struct Own<'a> {
    judge: &'a Sequential,
    batches: Vec<Batch>,
}

impl<'a> Own<'a> {
    fn of(judge: &'a Sequential) -> Self {
        let batches: Vec<Batch> = (0..24 * 60_u64)
            .map(|number| {
                let stage = number / (6 * 60);
                let weight = STEPS[stage as usize];
                let ((c, ch), (b, bh)) = (measured(weight, number), measured(100 - weight, number));
                let window = Window::ending(Timestamp(60_000 * (number as i64 + 1)), MINUTE);
                let batch = judge.metrics.iter().fold(
                    Batch::new(BatchKey::new(stage as u32, number), window),
                    |batch, watched| {
                        let paired = match watched.watch {
                            Watch::Latency { .. } => Paired::Histograms { candidate: ch.clone(), baseline: bh.clone() },
                            _ => Paired::Counts { candidate: c, baseline: b },
                        };
                        batch.metric(watched.metric.clone(), paired)
                    },
                );
                let share = Real::new(f64::from(weight) / 100.0).expect("finite");
                match judge.traffic(&batch, share) {
                    Some(traffic) => batch.traffic(traffic),
                    None => batch,
                }
            })
            .collect();
        Self { judge, batches }
    }

    fn pass(&self) -> Duration {
        let all = || {
            let mut state = self.judge.begin().expect("figures that make sense");
            for batch in &self.batches {
                self.judge.take(&mut state, batch).expect("a batch that fits");
                let look = Look { stage: batch.key.stage, observed_for: Duration::from_secs(600) };
                self.judge.verdict(&state, &look).expect("its own state");
            }
        };
        spent(all).0
    }
}
