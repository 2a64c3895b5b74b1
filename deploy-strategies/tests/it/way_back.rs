//! Ways back to named revisions: what is skipped, what is refused.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::driver::{Engine, RuntimeClock, StartError};
use deploy_core::journal::MemoryJournal;
use deploy_core::machine::Outcome;
use deploy_core::name::TargetName;
use deploy_core::operator::Principal;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{PlanError, RollbackTo};
use deploy_core::strategy::{Promotion, ReasonCode, Strategy};
use deploy_core::target::{DesiredState, Target as _};
use deploy_core::testing::scripted::ScriptedTarget;
use deploy_core::time::Timestamp;
use deploy_strategies::blue_green::{BlueGreen, Promote};
use deploy_strategies::canary::{Canary, Step};
use deploy_strategies::rolling::{Amount, Batch, Rolling};
use deploy_strategies::share::Percent;
use deploy_strategies::way_back::{LoopGuard, RollbackWindow, WithHistory};

use crate::bar::Bar;
use crate::closed_loop::{End, Loop};
use crate::exploration::unrouted;
use crate::model::{Place, release, revision, serving};

const LONG: Duration = Duration::from_secs(3_600);

fn canary() -> Canary {
    Canary::builder().step(Step::weight(10).soak(LONG)).step(Step::weight(50).approval("go on?")).build().unwrap()
}

/// v5 serves, and v1 to v4 did before it.
fn known(strategy: impl Strategy) -> WithHistory {
    let history = ["v1", "v2", "v3", "v4", "v5"].map(revision);
    WithHistory::new(strategy, history).window(RollbackWindow::new(3))
}

/// Goes from v5 to `to`; nobody answers anything. At most 20 looks.
fn goes(strategy: &WithHistory, to: &str, routed: bool) -> (End, String) {
    let from = if routed {
        serving("v5", 4)
    } else {
        deploy_core::target::TargetState { revisions: serving("v5", 4).revisions, ..unrouted(0) }
    };
    let bar = Bar { least: 3, most: 8, with_ending: false };
    let mut run = Loop::new(strategy, release(to), Place::new(&from, 1, 0), bar);
    for _ in 0..20 {
        if let Some(end) = run.look(Promotion::None) {
            return (end, run.story());
        }
        run.tick();
    }
    (End::Unfinished, run.story())
}

#[test]
fn what_ran_here_a_short_while_ago_comes_back_without_the_steps() {
    let strategy = known(canary());
    for (to, end) in [("v4", End::Complete), ("v3", End::Complete), ("v2", End::Unfinished), ("v6", End::Unfinished)] {
        let (came, story) = goes(&strategy, to, true);
        assert_eq!(came, end, "{to}: {story}");
        assert_eq!(
            story.contains("back in the history of this place, within the rollback window of 3"),
            end == End::Complete,
            "{story}"
        );
        assert!(!story.contains("operator"), "{story}");
        let stages = strategy.outline(&release(to), &serving("v5", 4)).stages.len();
        assert_eq!(stages, if end == End::Complete { 1 } else { 3 });
    }
}

#[test]
fn every_strategy_takes_the_fast_path_within_its_limits() {
    let half = Batch::upto(Amount::Percent(Percent::new(50).unwrap())).soak(LONG);
    let all = Batch::upto(Amount::Percent(Percent::ALL));
    let rolling = Rolling::builder().surge(Amount::Count(1)).unavailable(Amount::Count(1)).min_healthy(Duration::ZERO);
    let rolling = rolling.batches(vec![half, all]).build().unwrap();
    let switch = BlueGreen::builder().promote(Promote::after(LONG)).scale_down_delay(Duration::ZERO).build().unwrap();
    for (strategy, routed) in [(known(rolling), false), (known(switch), true)] {
        let (end, story) = goes(&strategy, "v3", routed);
        assert_eq!(end, End::Complete, "{story}");
        let (end, story) = goes(&strategy, "v2", routed);
        assert_eq!(end, End::Unfinished, "{story}");
    }
}

#[test]
fn an_operator_is_still_an_operator() {
    let strategy = known(canary());
    let bar = Bar { least: 4, most: 8, with_ending: false };
    let mut run = Loop::new(&strategy, release("v6"), Place::new(&serving("v5", 4), 1, 0), bar);
    run.look(Promotion::Full);
    assert_eq!(run.last().reason.code, ReasonCode::PromotedFullyByOperator);
}

/// A rollback that is asked for is a run of its own: the engine plans it, and refuses it before anything is recorded.
#[tokio::test(start_paused = true)]
async fn a_run_goes_back_to_a_named_revision_and_never_to_one_that_failed_here() {
    let mut guard = LoopGuard::default();
    guard.failed(revision("v4"));
    let name = TargetName::new("site").unwrap();
    let place = Arc::new(ScriptedTarget::new(name).holding(DesiredState::alone(revision("v5"), 4, 100)));
    let p = Pipeline::builder("back");
    p.rollback(RollbackTo::Previous);
    p.phase("out").rollout("canary", known(canary()).guard(guard), Arc::clone(&place)).add();
    let pipeline = p.build().unwrap();
    let clock = Arc::new(RuntimeClock::new(Timestamp(1_700_000_000_000)));
    let journal = Arc::new(MemoryJournal::new(Arc::<RuntimeClock>::clone(&clock)));
    let engine = Engine::builder(journal).clock(clock).pipeline(pipeline.clone()).build();
    let ada = || Principal::new("ada", "example.org");

    let refused = engine.start(pipeline.name(), release("v4"), ada()).await.unwrap_err();
    let StartError::Plan(PlanError::Objection { reason, .. }) = refused else { panic!("{refused}") };
    assert_eq!(reason, "v4 has failed here; going back to it would fail again");

    let run = engine.start(pipeline.name(), release("v3"), ada()).await.unwrap();
    assert_eq!(run.wait().await.unwrap().outcome, Outcome::Succeeded);
    assert_eq!(place.observe().await.unwrap().weight(&revision("v3")), 100);
}
