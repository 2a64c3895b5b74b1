//! Drivers that stop: after every record, twice, and between an append and its acknowledgement.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deploy_core::effect::EffectKey;
use deploy_core::journal::Envelope;
use deploy_core::machine::{AfterFailure, Event, Mode, Outcome, Record};
use deploy_core::name::{BlockName, TargetName};
use deploy_core::plan::{Plan, StepPath, Work};
use deploy_core::simulation::{Faults, Finished, Simulation};
use deploy_core::testing::explore::{Judged, ScriptedStrategy};
use deploy_core::testing::plans::{self, Sketch, TaskShape};

/// The strategy that every rollout here uses: straight on, one stage after the other.
/// Two stretches of work with all that a release has: long work with a check and an undo, an approval, a rollout, a soak,
/// and two tasks beside each other at the end.
fn reference() -> Arc<Plan> {
    let yes = deploy_core::agent::Repeatable::Yes;
    let task = TaskShape { repeatable: yes, attempts: 3, ..TaskShape::default() };
    let sketch = || -> Result<Arc<Plan>, deploy_core::name::NameError> {
        Ok(Sketch::new("reference")?
            .gate("enter", &[], true)?
            .task("build", &[0], TaskShape { checked: true, ..task })?
            .task("migrate", &[1], task)?
            .approval("approve", &[2], 1)?
            .rollout("roll", &[3])?
            .soak("soak", &[4])?
            .task("notes", &[5], task)?
            .task("tell", &[5], TaskShape { undo: None, ..task })?
            .gate("leave", &[6, 7], false)?
            .change(|plan| {
                for step in &mut plan.steps {
                    step.timeout *= 60;
                    match &mut step.work {
                        Work::Approval(request) => request.expires_after *= 360,
                        Work::Task { undo: Some(undo), .. } => undo.timeout *= 60,
                        Work::Rollout(rollout) => {
                            rollout.undo_timeout *= 60;
                            rollout.errors_at_most = 9;
                        }
                        Work::Task { undo: None, .. } | Work::Gate { .. } | Work::Soak { .. } => {}
                    }
                }
            })
            .done())
    };
    sketch().expect("fixed names")
}

fn path(name: &str) -> StepPath {
    StepPath::new(format!("p/{name}")).expect("a path")
}

fn simulation(seed: u64) -> Simulation {
    Simulation::new(reference(), seed)
        .target(TargetName::new("roll").expect("a name"), plans::before().expect("fixed names"))
        .polls(path("build"), 2)
}

fn run(simulation: Simulation) -> Finished {
    let straight_on = ScriptedStrategy::new(BlockName::new("roll").expect("a name"), Judged::Promote);
    simulation.run(&straight_on).expect("the engine goes on")
}

/// The stories that are interrupted: one that succeeds, and one that goes all the way back after its last step failed.
type Story = (&'static str, Outcome, fn() -> Simulation);

fn stories() -> Vec<Story> {
    fn back() -> Simulation {
        simulation(1).failing(path("tell"), 9)
    }
    vec![("forth", Outcome::Succeeded, || simulation(1)), ("back", Outcome::RolledBack, back)]
}

fn records(finished: &Finished) -> Vec<Record> {
    let open = |bytes: &Vec<u8>| Record::open(&Envelope::parse(bytes).expect("an envelope")).expect("a record");
    finished.records.iter().map(open).collect()
}

/// What must be so of every run, however it was interrupted.
fn check(finished: &Finished, may_repeat: Option<u32>, what: &str) {
    let records = records(finished);
    for (n, record) in (0u64..).zip(&records) {
        assert_eq!(record.position, n, "{what}: a gap in the records");
    }
    // D8: one key, and one more for each recorded definitive failure.
    let mut failures: BTreeMap<(u32, bool, u32), usize> = BTreeMap::new();
    let mut keys: BTreeMap<(u32, bool, u32), BTreeSet<u32>> = BTreeMap::new();
    let mut opened = Vec::new();
    let mut undone = Vec::new();
    for record in &records {
        match &record.event {
            Event::AttemptFailed(e) => {
                if let AfterFailure::Retry { of, .. } = &e.then {
                    *failures.entry((of.step.0, of.undo, of.iteration)).or_default() +=
                        usize::from(of.attempt != e.of.attempt);
                }
            }
            Event::Opened(e) => opened.push(e.step),
            Event::UndoOpened(e) => undone.push(e.of.step),
            _ => {}
        }
    }
    for key in finished.world.effects.keys() {
        let step = finished.machine.plan().find(&key.step).expect("a step");
        keys.entry((step.0, key.undo, key.iteration)).or_default().insert(key.attempt);
    }
    let rollout = finished.machine.plan().find(&path("roll")).map(|id| id.0);
    for (of, attempts) in keys.iter().filter(|(of, _)| Some(of.0) != rollout) {
        let most = 1 + failures.get(of).copied().unwrap_or(0);
        assert!(attempts.len() <= most, "{what}: step {} has keys {attempts:?} with {most} allowed", of.0);
    }
    // I7, D18: reverse of recorded start, once each.
    let mut expected: Vec<_> = opened.iter().rev().filter(|id| undone.contains(id)).copied().collect();
    expected.dedup();
    assert_eq!(undone, expected, "{what}: undone out of order, or twice");
    // S2: once for each key while nothing goes wrong, and at most once more for each time that a driver stopped.
    for (key, count) in finished.world.effects.iter().filter(|(key, _)| key.step != path("roll")) {
        if may_repeat.is_some_and(|most| count.asked > 1 + most) {
            panic!("{what}: {key} was asked for {} times", count.asked);
        }
    }
    let ends = records.iter().filter(|r| matches!(r.event, Event::Ended(_))).count();
    assert_eq!(ends, 1, "{what}: {ends} ends");
}

fn tasks(keys: &BTreeSet<EffectKey>) -> BTreeSet<EffectKey> {
    keys.iter().filter(|k| k.step != path("roll")).cloned().collect()
}

fn same_as(expected: &Finished, got: &Finished, what: &str) {
    check(got, Some(got.stops), what);
    assert_eq!(got.outcome, expected.outcome, "{what}: {:?}", got.machine.state().mode);
    assert_eq!(tasks(&got.effect_keys()), tasks(&expected.effect_keys()), "{what}");
    assert_eq!(got.world.targets, expected.world.targets, "{what}");
}

/// How often a property was put to the test, for whoever reads the run of the tests.
#[expect(clippy::print_stdout, reason = "a figure for whoever reads the run of the tests")]
fn counted(what: &str) {
    println!("{what}");
}

#[test]
fn a_driver_that_stops_after_any_record_changes_no_outcome() {
    let mut cases = 0;
    for (name, outcome, story) in stories() {
        let whole = run(story());
        check(&whole, Some(0), name);
        assert_eq!(whole.outcome, Some(outcome), "{name}: {:?}", whole.machine.state().mode);
        for position in 0..whole.records.len() as u64 {
            let got = run(story().stop_after(position));
            assert!(got.stops == 1, "{name}: it did not stop after record {position}");
            same_as(&whole, &got, &format!("{name}, stopped after record {position}"));
            let got = run(story().unacknowledged(position));
            same_as(&whole, &got, &format!("{name}, record {position} not acknowledged"));
            cases += 2;
        }
    }
    counted(&format!("{cases} stops"));
}

#[test]
fn a_second_stop_during_recovery_changes_no_outcome_either() {
    let mut cases = 0;
    for (name, _, story) in stories() {
        let whole = run(story());
        for first in 0..whole.records.len() as u64 {
            for second in first + 1..first + 6 {
                let got = run(story().stop_after(first).stop_after(second));
                same_as(&whole, &got, &format!("{name}, stopped after records {first} and {second}"));
                cases += 1;
            }
        }
    }
    counted(&format!("{cases} pairs of stops"));
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let faulty = |seed| run(simulation(seed).faults(Faults::of_every_kind())).digest();
    assert_eq!(faulty(7), faulty(7));
    let different: BTreeSet<_> = (0..20).map(faulty).collect();
    assert!(different.len() > 10, "twenty seeds gave {} different runs", different.len());
}

#[test]
fn stops_and_repeated_answers_change_no_outcome_whatever_their_schedule() {
    for (name, _, story) in stories() {
        let whole = run(story());
        for seed in 0..200 {
            let plan = story().faults(Faults::that_change_nothing()).seed(seed);
            same_as(&whole, &run(plan), &format!("{name}, seed {seed}"));
        }
    }
}

/// `cargo test --release -p deploy-core --test it schedules_a_second -- --ignored --nocapture`
#[test]
#[ignore = "a figure, not a proof; run it with --release"]
#[expect(clippy::disallowed_methods, reason = "the rate is the result")]
fn schedules_a_second() {
    let small = Sketch::new("four").and_then(|sketch| {
        let task = TaskShape { attempts: 3, ..TaskShape::default() };
        Ok(sketch
            .task("build", &[], task)?
            .approval("approve", &[0], 1)?
            .rollout("roll", &[1])?
            .soak("soak", &[2])?
            .done())
    });
    let small = small.expect("fixed names");
    let began = std::time::Instant::now();
    let (mut schedules, mut records) = (0_u32, 0);
    while schedules < 20_000 {
        let finished = Simulation::new(Arc::clone(&small), u64::from(schedules))
            .target(TargetName::new("roll").expect("a name"), plans::before().expect("fixed names"))
            .faults(Faults::of_every_kind());
        records += run(finished).records.len();
        schedules += 1;
    }
    let rate = f64::from(schedules) / began.elapsed().as_secs_f64();
    counted(&format!("{rate:.0} schedules a second on one core, {records} records in {schedules} runs of four steps"));
}

#[test]
fn every_schedule_of_faults_leads_to_an_end_and_keeps_the_invariants() {
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    let (mut stops, mut refused) = (0, 0);
    for seed in 0..300 {
        let finished = run(simulation(seed).faults(Faults::of_every_kind()));
        check(&finished, None, &format!("seed {seed}"));
        refused += finished.world.refused;
        assert!(matches!(finished.machine.state().mode, Mode::Ended { .. }));
        *ends.entry(finished.outcome.map(|o| o.to_string()).unwrap_or_default()).or_default() += 1;
        stops += finished.stops;
    }
    counted(&format!("{ends:?}, {stops} stops, {refused} calls refused for an older fence"));
    assert!(refused > 0, "no effect ever landed after a takeover");
    assert!(ends.len() > 1, "all schedules ended alike: {ends:?}");
}
