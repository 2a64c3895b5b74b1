//! Every decision tells why: a code, a sentence with evidence, when it is asked again or who is asked, and what would have changed it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::monitor::{MeasureRequest, Measurement};
use deploy_core::name::FlagName;
use deploy_core::real::Real;
use deploy_core::strategy::{Decision, Exposure, Next, Promotion, ReasonCode, Strategy};
use deploy_core::time::RunTime;
use deploy_strategies::all_at_once::AllAtOnce;
use deploy_strategies::blue_green::{BlueGreen, Promote};
use deploy_strategies::canary::{Canary, Step};
use deploy_strategies::flags::{FlagRollout, FlagStep};
use deploy_strategies::rolling::{Amount, Batch, Rolling};
use deploy_strategies::share::Percent;
use deploy_strategies::waves::Contained;
use proptest::prelude::*;

use crate::bar::Bar;
use crate::canary_analysis::{BAD, GOOD, error_ratio};
use crate::cases::say;
use crate::closed_loop::{Answers, End, Loop};
use crate::model::{Place, release, revision, serving};

/// Panics if something is missing.
pub(crate) fn hold(decision: &Decision, now: RunTime, story: &dyn Fn() -> String) {
    let (reason, text) = (&decision.reason, &decision.reason.sentence);
    assert!(!text.trim().is_empty(), "{}: no sentence: {}", reason.code, story());
    assert!(!reason.otherwise.trim().is_empty(), "{text}: what would have changed it? {}", story());
    let figures = text.chars().any(|c| c.is_ascii_digit());
    assert!(figures || !decision.judgements.is_empty(), "{text}: no evidence: {}", story());
    match &decision.next {
        Next::WakeAt(at) => assert!(*at > now, "{text}: asked again at {at}, and it is {now}: {}", story()),
        Next::Await(request) => {
            let asked = !request.question.trim().is_empty() && request.quorum > 0 && !request.expires_after.is_zero();
            assert!(asked, "{text}: who is asked, and for how long? {}", story());
        }
        Next::Complete | Next::RollBack => {}
    }
    assert!(decision.stage.of > 0 && !decision.stage.name.is_empty(), "{text}: no stage: {}", story());
    let met = decision.exposure.of_everything();
    assert!(met <= Duration::from_millis(now.0), "{text}: {met:?} in {now}: {}", story());
}

const FLAG: &str = "new-search";

fn flag(name: &str) -> FlagName {
    FlagName::new(name).unwrap()
}

fn every_strategy() -> Vec<Arc<dyn Strategy>> {
    let soak = Duration::from_secs(30);
    let deadline = Duration::from_secs(120);
    let half = Percent::new(50).unwrap();
    let canary = || {
        let first = Step::weight(5).soak(soak).analysis(error_ratio());
        let asks = Step::weight(50).approval("half of the users next; go on?").experiment(NonZeroU32::MIN, 10);
        Canary::builder().step(first).step(asks).background(0, error_ratio()).progress_deadline(deadline)
    };
    let by_instances = Canary::builder().step(Step::weight(34).soak(soak)).step(Step::weight(67).approval("go on?"));
    let batches = vec![
        Batch::upto(Amount::Percent(half)).soak(soak).analysis(error_ratio()),
        Batch::upto(Amount::Percent(Percent::ALL)).approval("was it worth it?"),
    ];
    let switch = BlueGreen::builder().before(error_ratio()).promote(Promote::by_person("switch?")).after(error_ratio());
    let ramp = FlagRollout::builder(flag(FLAG)).requires_at_least(flag("new-index"), half);
    let ramp = ramp.step(FlagStep::percent(Percent::new(1).unwrap()).soak(soak).analysis(error_ratio()));
    vec![
        Arc::new(AllAtOnce::new().progress_deadline(deadline)),
        Arc::new(canary().build().unwrap()),
        Arc::new(by_instances.by_instances(Amount::Count(1), Amount::Count(1)).build().unwrap()),
        Arc::new(Rolling::builder().batches(batches).progress_deadline(deadline).build().unwrap()),
        Arc::new(switch.scale_down_delay(soak).progress_deadline(deadline).build().unwrap()),
        Arc::new(ramp.step(FlagStep::percent(Percent::ALL).approval("everybody?")).build().unwrap()),
        Arc::new(Contained::new(Arc::new(canary().build().unwrap()))),
    ]
}

/// Nobody answers the monitor's questions.
const SILENT: Answers = |_: &MeasureRequest, _: RunTime| -> Result<Vec<Measurement>, String> { Ok(Vec::new()) };
/// The monitor cannot be asked.
const LOST: Answers = |_: &MeasureRequest, _: RunTime| Err("the monitor does not answer after 5 s".to_owned());

/// What happens at a look, drawn by chance.
#[derive(Debug, Clone, Copy)]
enum Happening {
    Nothing,
    Dies(bool),
    Scaled(u32),
    Says(Promotion),
    Flag(u32),
    Other(u32),
}

fn happening() -> impl Strategy_<Value = Happening> {
    prop_oneof![
        6 => Just(Happening::Nothing),
        1 => any::<bool>().prop_map(Happening::Dies),
        1 => (1..9_u32).prop_map(Happening::Scaled),
        2 => prop::sample::select(vec![Promotion::Skip, Promotion::Full]).prop_map(Happening::Says),
        1 => (0..=100_u32).prop_map(Happening::Flag),
        1 => (0..=100_u32).prop_map(Happening::Other),
    ]
}

use proptest::strategy::Strategy as Strategy_;

/// How many random runs each strategy is walked through here. The runs in a closed loop of each strategy's own tests are held
/// against the same.
const RUNS: u32 = 2_000;

#[test]
fn every_decision_of_every_strategy_says_why_on_what_until_when_and_what_would_have_changed_it() {
    let mut seen: BTreeMap<String, (u32, BTreeSet<ReasonCode>)> = BTreeMap::new();
    let all = every_strategy();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(RUNS));
    let runs = (
        prop::collection::vec(happening(), 60),
        prop::sample::select(vec![GOOD, GOOD, BAD, SILENT, LOST]),
        (1..6_u32, 0..3_u32, 0..3_u32),
        prop::option::of(0..60_usize),
        (any::<bool>(), any::<bool>()),
    );
    let seen_here = std::cell::RefCell::new(&mut seen);
    let walked = runner.run(&runs, |(happenings, monitor, (size, start, end), abort, (broken, first))| {
        for strategy in &all {
            let mut from = serving("v1", size);
            from.flags.insert(flag("new-index"), Real::from(60));
            if first {
                (from.revisions, from.weights) = ([].into(), [].into());
            }
            let mut place = Place::new(&from, start, end);
            if broken {
                place.broken.push(revision("v2"));
            }
            let bar = Bar { least: 0, most: 1_000, with_ending: false };
            let mut run = Loop::new(&**strategy, release("v2"), place, bar);
            run.monitor = monitor;
            let name = strategy.name().to_string();
            for (at, happening) in happenings.iter().enumerate() {
                run.going_back |= abort == Some(at) && at > 0;
                let mut promotion = Promotion::None;
                match *happening {
                    Happening::Nothing => {}
                    Happening::Dies(new) => run.place.kill(&revision(if new { "v2" } else { "v1" })),
                    Happening::Scaled(count) => run.place.state.wanted_by_others = Some(count),
                    Happening::Says(what) => promotion = what,
                    Happening::Flag(percent) => {
                        run.place.state.flags.insert(flag(FLAG), Real::from(percent));
                    }
                    Happening::Other(percent) => {
                        run.place.state.flags.insert(flag("new-index"), Real::from(percent));
                    }
                }
                // Each decision is held against what it has to tell where it is taken.
                let end = run.look(promotion);
                let mut seen = seen_here.borrow_mut();
                let (count, codes) = seen.entry(name.clone()).or_default();
                *count += 1;
                codes.insert(run.last().reason.code);
                if end.is_some() {
                    break;
                }
                run.tick();
            }
        }
        Ok(())
    });
    walked.unwrap();
    for (name, (decisions, codes)) in &seen {
        let codes: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
        say(&format!("{name}: {decisions} decisions, {} reasons: {}", codes.len(), codes.join(", ")));
    }
    let codes: BTreeSet<ReasonCode> = seen.values().flat_map(|(_, codes)| codes).copied().collect();
    for code in [
        ReasonCode::WaitingForInstances,
        ReasonCode::Soaking,
        ReasonCode::WaitingForMeasurements,
        ReasonCode::WaitingForApproval,
        ReasonCode::Advanced,
        ReasonCode::PromotedByOperator,
        ReasonCode::PromotedFullyByOperator,
        ReasonCode::RolledOut,
        ReasonCode::AnalysisFailed,
        ReasonCode::ProgressDeadline,
        ReasonCode::FirstInstall,
        ReasonCode::Restoring,
        ReasonCode::Restored,
        ReasonCode::KillSwitch,
        ReasonCode::WaitingForPrerequisite,
    ] {
        assert!(codes.contains(&code), "{code} was never told, so nobody knows whether it tells enough");
    }
}

/// The blast radius is the share of the users times how long they met it, look by look, and ends with the last step of a canary.
#[test]
fn what_users_met_before_it_was_proven_is_a_figure_in_every_decision() {
    let steps = [(5, 60), (50, 120)];
    let canary = steps.iter().fold(Canary::builder(), |canary, (weight, soak)| {
        canary.step(Step::weight(*weight).soak(Duration::from_secs(*soak)))
    });
    let canary = canary.build().unwrap();
    let bar = Bar { least: 0, most: 1_000, with_ending: false };
    let mut run = Loop::new(&canary, release("v2"), Place::new(&serving("v1", 4), 1, 1), bar);
    let (mut met, mut proven) = (Exposure::NONE, false);
    loop {
        let weight = run.place.observe().weight(&revision("v2"));
        if !proven && run.now > RunTime::START {
            met = met.and(Exposure::of(weight, 100, crate::closed_loop::EVERY));
        }
        let end = run.look(Promotion::None);
        assert_eq!(run.last().exposure, met, "{}", run.story());
        proven = run.last().stage.index as usize >= steps.len();
        if end.is_some() {
            break;
        }
        run.tick();
    }
    // 5 % for 80 s and half of the traffic for 130 s: each soak, a look to see the weight in place, and one until the next is set.
    assert_eq!(met.of_everything(), Duration::from_secs(4 + 65), "{}", run.story());
    assert!(run.last().reason.sentence.contains(&format!("users met {met}")), "{}", run.story());
}

/// While nobody looks users meet the new revision all the same: the time counts for them, and not for its proof.
#[test]
fn what_users_met_while_nobody_looked_is_counted() {
    let soak = Duration::from_secs(60);
    let canary = Canary::builder().step(Step::weight(10).soak(soak)).build().unwrap();
    let bar = Bar { least: 0, most: 1_000, with_ending: false };
    let mut run = Loop::new(&canary, release("v2"), Place::new(&serving("v1", 4), 1, 1), bar);
    while run.place.observe().weight(&revision("v2")) < 10 {
        run.look(Promotion::None);
        run.tick();
    }
    run.look(Promotion::None);
    let before = run.last().exposure;
    run.now = run.now + Duration::from_secs(600);
    run.look(Promotion::None);
    assert_eq!(run.last().exposure, before.and(Exposure::of(10, 100, Duration::from_secs(600))), "{}", run.story());
    assert_eq!(run.last().stage.index, 0, "it is not proven by that: {}", run.story());
}

/// An outline says which stages there are, how long they take at least, and on what that rests; a run takes no less.
#[test]
fn an_outline_says_how_long_it_takes_at_least_and_on_what_that_rests() {
    for strategy in every_strategy() {
        let mut from = serving("v1", 4);
        from.flags.insert(flag("new-index"), Real::from(60));
        let name = strategy.name();
        let outline = strategy.outline(&release("v2"), &from);
        assert!(!outline.stages.is_empty() && !outline.basis.is_empty(), "{name}: {outline:?}");
        let percents: Vec<u32> = outline.stages.iter().filter_map(|stage| stage.percent).collect();
        assert!(percents.is_sorted() && percents.last() == Some(&100), "{name}: {percents:?}");
        let bar = Bar { least: 0, most: 1_000, with_ending: false };
        let mut run = Loop::new(&*strategy, release("v2"), Place::new(&from, 0, 0), bar);
        run.monitor = GOOD;
        assert_eq!(run.run(1_000), End::Complete, "{name}: {}", run.story());
        let took = run.now.since(RunTime::START);
        assert!(took >= outline.at_least(), "{name}: {took:?} instead of {:?}", outline.at_least());
        say(&format!("{name}: {} stages, at least {:?}, took {took:?}", outline.stages.len(), outline.at_least()));
    }
}
