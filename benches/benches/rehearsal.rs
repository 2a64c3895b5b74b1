//! A canary of a day rehearsed in virtual time, looked at each minute: what it takes with the threshold judge, and what with the sequential
//! one beside the judge's own work on the same batches.

use std::sync::Arc;
use std::time::Duration;

use deploy_benches::{line, middle, release, somebody, spent};
use deploy_core::machine::Outcome;
use deploy_core::monitor::{Arm, Batch, BatchKey, Comparison, Counts, MeasureRequest, Measurement, Reading, Window};
use deploy_core::name::{BlockName, MetricName, RevisionName, TargetName};
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{Plan, RollbackTo};
use deploy_core::real::Real;
use deploy_core::simulation::{Answers, Simulation};
use deploy_core::strategy::Strategy;
use deploy_core::target::{DesiredState, RevisionState, TargetState};
use deploy_core::testing::scripted::ScriptedTarget;
use deploy_core::time::{RunTime, Timestamp};
use deploy_strategies::analysis::sequential::{Look, Sequential, Watch, Watched};
use deploy_strategies::analysis::threshold::{
    Bound, Condition, ErrorPolicy, Limit, MetricLimits, NoData, OnError, Threshold,
};
use deploy_strategies::analysis::{Absence, Analysis, Judge};
use deploy_strategies::canary::{Canary, Step};

const STEPS: [u32; 4] = [5, 10, 25, 50];
const MINUTE: Duration = Duration::from_secs(60);
const PASSES: usize = 5;

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
    let sequential = Sequential::new(STEPS.len() as u32, vec![Watched::required(errors.clone(), Watch::errors())]);

    let (time, looks) = rehearse(&canary(threshold));
    line(&format!("threshold judge, {looks} records: ms"), time, "≤ 50", time <= 50.0);

    let (time, looks) = rehearse(&canary(Judge::Sequential(sequential.clone())));
    let own = own_work(&sequential, &errors);
    let what = format!("sequential judge, {looks} records: {time:.1} ms; ratio to the judge's own {own:.1} ms");
    line(&what, time / own, "≤ 1.5", time / own <= 1.5);
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

/// Milliseconds, and how many records there were.
fn rehearse(canary: &Canary) -> (f64, usize) {
    let plan = plan(canary);
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
    let mut records = 0;
    let passes = (0..PASSES).map(|_| {
        let simulation = Simulation::new(Arc::clone(&plan), 1)
            .target(TargetName::new("eu-west").expect("a name"), there.clone())
            .answers(Answers::new(|request, now, there| Ok(minute(request, now, there))));
        let (time, finished) = spent(|| simulation.run(&Only(canary)).expect("the engine goes on"));
        assert_eq!(finished.outcome, Some(Outcome::Succeeded), "{finished:?}");
        assert!(finished.at >= RunTime(24 * 3_600_000), "it ended after {:?}", finished.at);
        records = finished.records.len();
        time
    });
    let passes = passes.collect();
    (middle(passes).as_secs_f64() * 1e3, records)
}

fn plan(canary: &Canary) -> Arc<Plan> {
    let place = ScriptedTarget::new(TargetName::new("eu-west").expect("a name")).holding(DesiredState::alone(
        RevisionName::new("v1").expect("a name"),
        4,
        100,
    ));
    let p = Pipeline::builder("rehearsal");
    p.rollback(RollbackTo::Previous);
    p.phase("rollout").rollout("canary", canary.clone(), place).observe_every(MINUTE).add();
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
        let (events, bad) = counted(there.weight(revision), now.0 / 60_000);
        let counts = Counts::new(events, bad).expect("fewer than all");
        request.metrics.iter().map(move |metric| Measurement::new(metric.clone(), arm, window, Reading::Counts(counts)))
    };
    let candidate = arm(Arm::Candidate, &request.candidate);
    candidate.chain(request.baseline.iter().flat_map(|baseline| arm(Arm::Baseline, baseline))).collect()
}

/// Events and bad ones of an arm with this weight of a hundred, a little different from minute to minute.
fn counted(weight: u32, minute: u64) -> (u64, u64) {
    let events = 60 * u64::from(weight);
    (events, events / 100 + (minute * 7 + u64::from(weight)) % 3)
}

/// Milliseconds that the judge needs for the same batches and as many looks, alone.
fn own_work(judge: &Sequential, errors: &MetricName) -> f64 {
    use deploy_core::monitor::Paired;

    let batches: Vec<Batch> = (0..24 * 60_u64)
        .map(|number| {
            let stage = number / (6 * 60);
            let weight = STEPS[stage as usize];
            let counts = |weight| {
                let (events, bad) = counted(weight, number);
                Counts::new(events, bad).expect("fewer than all")
            };
            let window = Window::ending(Timestamp(60_000 * (number as i64 + 1)), MINUTE);
            let paired = Paired::Counts { candidate: counts(weight), baseline: counts(100 - weight) };
            let batch = Batch::new(BatchKey::new(stage as u32, number), window).metric(errors.clone(), paired);
            let share = Real::new(f64::from(weight) / 100.0).expect("finite");
            match judge.traffic(&batch, share) {
                Some(traffic) => batch.traffic(traffic),
                None => batch,
            }
        })
        .collect();
    let pass = || {
        let mut state = judge.begin().expect("figures that make sense");
        for batch in &batches {
            judge.take(&mut state, batch).expect("a batch that fits");
            let look = Look { stage: batch.key.stage, observed_for: Duration::from_secs(600) };
            judge.verdict(&state, &look).expect("its own state");
        }
    };
    middle((0..PASSES).map(|_| spent(pass).0).collect()).as_secs_f64() * 1e3
}
