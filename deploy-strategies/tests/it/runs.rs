//! Strategies in runs of the engine, in virtual time: what planning refuses, what a plan limits, and waves over many targets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::driver::{Engine, RunHandle, RuntimeClock, StartError};
use deploy_core::journal::{Journal, MemoryJournal};
use deploy_core::machine::{Event, Outcome};
use deploy_core::name::{FlagName, RunId, StepName, TargetName};
use deploy_core::operator::Principal;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{PlanError, RollbackTo, StepId};
use deploy_core::strategy::{ReasonCode, Strategy};
use deploy_core::target::{DesiredState, Target};
use deploy_core::testing::scripted::ScriptedTarget;
use deploy_core::time::Timestamp;
use deploy_strategies::all_at_once::AllAtOnce;
use deploy_strategies::canary::{Canary, Step};
use deploy_strategies::flags::{FlagRollout, FlagStep};
use deploy_strategies::rolling::Amount;
use deploy_strategies::share::Percent;
use deploy_strategies::waves::Waves;
use futures::StreamExt as _;

use crate::model::{release, revision};

/// Wall time at which every run here begins.
const BEGAN: &str = "2026-12-01T00:00:00Z";

fn engine(pipeline: &Pipeline) -> (Engine, Arc<dyn Journal>) {
    let clock = Arc::new(RuntimeClock::new(Timestamp::parse(BEGAN).unwrap()));
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new(Arc::<RuntimeClock>::clone(&clock)));
    (Engine::builder(Arc::clone(&journal)).clock(clock).pipeline(pipeline.clone()).build(), journal)
}

fn ada() -> Principal {
    Principal::new("ada", "example.org")
}

fn cell(name: &TargetName) -> Arc<ScriptedTarget> {
    Arc::new(ScriptedTarget::new(name.clone()).holding(DesiredState::alone(revision("v1"), 2, 100)))
}

async fn events(run: &RunHandle) -> Vec<Event> {
    let mut events = vec![];
    let mut stream = Box::pin(run.events(0));
    while let Some(record) = stream.next().await {
        let event = record.unwrap().event;
        let over = matches!(event, Event::Ended(_));
        events.push(event);
        if over {
            break;
        }
    }
    events
}

/// Rows: M170.
#[tokio::test(start_paused = true)]
async fn a_flag_past_its_date_is_refused_before_anything_is_recorded() {
    let pipeline = |date: &str| {
        let ramp = FlagRollout::builder(FlagName::new("new-search").unwrap());
        let ramp = ramp.step(FlagStep::percent(Percent::ALL)).expires(Timestamp::parse(date).unwrap());
        let p = Pipeline::builder("ramp");
        p.rollback(RollbackTo::Previous);
        let place = cell(&TargetName::new("site").unwrap());
        p.phase("ramp").rollout("ramp", ramp.build().unwrap(), place).add();
        p.build().unwrap()
    };
    let expired = pipeline("2026-11-30T00:00:00Z");
    let (engine, journal) = engine(&expired);
    let id = RunId::generate();
    let refused = engine.start_as(id.clone(), expired.name(), release("v1"), ada()).await.unwrap_err();
    let StartError::Plan(PlanError::Objection { strategy, reason }) = refused else { panic!("{refused}") };
    assert_eq!(strategy.as_str(), "flag-rollout");
    assert!(reason.contains("new-search expired at 2026-11-30"), "{reason}");
    assert!(journal.entry(&id).await.unwrap().is_none());

    let current = pipeline("2026-12-24T00:00:00Z");
    let (engine, _) = self::engine(&current);
    let run = engine.start(current.name(), release("v1"), ada()).await.unwrap();
    assert_eq!(run.wait().await.unwrap().outcome, Outcome::Succeeded);
}

/// Rows: M61.
#[tokio::test(start_paused = true)]
async fn a_plan_limits_how_much_users_meet_before_a_revision_is_proven() {
    let run = |most: Option<Duration>| async move {
        let canary = Canary::builder().step(Step::weight(50).soak(Duration::from_secs(600))).build().unwrap();
        let place = cell(&TargetName::new("site").unwrap());
        let p = Pipeline::builder("limited");
        p.rollback(RollbackTo::Previous);
        let rollout = p.phase("out").rollout("canary", canary, Arc::clone(&place));
        match most {
            Some(most) => rollout.blast_radius(most).add(),
            None => rollout.add(),
        };
        let pipeline = p.build().unwrap();
        let plan = pipeline.plan(release("v2"), ada()).unwrap().to_string();
        assert_eq!(plan.contains("goes back when users have met more than 1m"), most.is_some(), "{plan}");
        let (engine, _) = engine(&pipeline);
        let run = engine.start(pipeline.name(), release("v2"), ada()).await.unwrap();
        let end = run.wait().await.unwrap();
        (end, events(&run).await, place.observe().await.unwrap())
    };
    let (end, ..) = run(None).await;
    assert_eq!(end.outcome, Outcome::Succeeded, "{}", end.because);
    let (end, events, place) = run(Some(Duration::from_secs(60))).await;
    assert_eq!(end.outcome, Outcome::RolledBack, "{}", end.because);
    let reasons = events.iter().filter_map(|event| match event {
        Event::Looked(looked) => Some((&looked.decision.reason, looked.decision.exposure)),
        _ => None,
    });
    let (reason, met) = reasons.clone().find(|(reason, _)| reason.code == ReasonCode::BlastRadius).unwrap();
    assert!(reason.sentence.contains("the plan allows 1m"), "{reason}");
    let seconds = met.of_everything().as_secs();
    assert!((60..=66).contains(&seconds), "it is noticed at the next look: {met}");
    assert_eq!(place.weight(&revision("v1")), 100);
}

/// Ten cells: one, then two at a time.
struct Cells {
    pipeline: Pipeline,
    cells: BTreeMap<TargetName, Arc<ScriptedTarget>>,
}

impl Cells {
    fn new(may_fail: u32, broken: &[&str]) -> Self {
        let names: Vec<TargetName> = (1..=6).map(|i| TargetName::new(format!("cell-{i}")).unwrap()).collect();
        let cells: BTreeMap<_, _> = names.iter().map(|name| (name.clone(), cell(name))).collect();
        for name in broken {
            cells[&TargetName::new(name).unwrap()].break_revision(revision("v2"));
        }
        let waves = Waves::growing(&names, &[Amount::Count(1), Amount::Count(3)], Duration::from_secs(3_600)).unwrap();
        let waves = waves.may_fail(Amount::Count(may_fail));
        let strategy: Arc<dyn Strategy> = Arc::new(AllAtOnce::new().progress_deadline(Duration::from_secs(60)));
        let p = Pipeline::builder("cells");
        p.rollback(RollbackTo::Previous);
        p.width(1);
        let place = |name: &TargetName| Some((Arc::clone(&strategy), Arc::clone(&cells[name]) as Arc<dyn Target>));
        waves.add(p.phase("out"), &StepName::new("go").unwrap(), place, |rollout| rollout).unwrap();
        Self { pipeline: p.build().unwrap(), cells }
    }

    /// Runs it; answers how it ended, which cells have the new revision, and in which order rollouts were begun and undone.
    async fn run(&self) -> (Outcome, String, Vec<&str>, Vec<String>, Vec<String>) {
        let (engine, _) = engine(&self.pipeline);
        let run = engine.start(self.pipeline.name(), release("v2"), ada()).await.unwrap();
        let end = run.wait().await.unwrap();
        let plan = self.pipeline.plan(release("v2"), ada()).unwrap();
        let rollout = |id: StepId| {
            let path = plan.step(id).unwrap().path.as_str().to_owned();
            path.ends_with("/go").then_some(path)
        };
        let (mut begun, mut undone) = (vec![], vec![]);
        for event in events(&run).await {
            match event {
                Event::Opened(opened) => begun.extend(rollout(opened.step)),
                Event::UndoOpened(opened) => undone.extend(rollout(opened.of.step)),
                _ => {}
            }
        }
        let mut new = vec![];
        for (name, cell) in &self.cells {
            let seen = cell.observe().await.unwrap();
            match seen.weight(&revision("v2")) {
                0 => assert_eq!(seen.revision(&revision("v2")).desired, 0, "{name} still has some of it"),
                _ => new.push(name.as_str()),
            }
        }
        (end.outcome, end.because, new, begun, undone)
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_fails_within_the_budget_goes_back_alone_and_the_others_go_on() {
    let cells = Cells::new(1, &["cell-2"]);
    let (outcome, because, new, _, undone) = cells.run().await;
    assert_eq!(outcome, Outcome::Succeeded, "{because}");
    assert_eq!(new, ["cell-1", "cell-3", "cell-4", "cell-5", "cell-6"]);
    assert!(undone.is_empty(), "{undone:?}");
}

#[tokio::test(start_paused = true)]
async fn past_the_budget_everything_that_was_begun_goes_back_in_reverse_and_nothing_else_begins() {
    let cells = Cells::new(1, &["cell-2", "cell-4"]);
    let (outcome, because, new, begun, mut undone) = cells.run().await;
    assert_eq!(outcome, Outcome::RolledBack, "{because}");
    assert!(because.contains("2 of 6 targets failed, 1 may"), "{because}");
    assert!(new.is_empty(), "{new:?}");
    undone.reverse();
    assert_eq!(undone, begun, "every one that was begun, the last one first");
    assert!(begun.len() >= 4, "{begun:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_budget_the_first_target_that_fails_stops_all_of_it() {
    let cells = Cells::new(0, &["cell-3"]);
    let (outcome, because, new, begun, mut undone) = cells.run().await;
    assert_eq!(outcome, Outcome::RolledBack, "{because}");
    assert!(new.is_empty(), "{new:?}");
    undone.reverse();
    assert_eq!(undone, begun);
    assert!(!begun.iter().any(|path| path.contains("wave-3")), "the last wave never began: {begun:?}");
}
