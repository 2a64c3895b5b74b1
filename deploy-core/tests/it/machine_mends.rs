//! Mistakes that the machine once made and that no property of the explorer speaks of.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::agent::{Certainty, Repeatable};
use deploy_core::machine::{
    Answer, Fault, Found, Input, Look, Machine, Mode, Outcome, Progress, Record, Reported, StepState,
};
use deploy_core::name::{BlockName, InputId, RevisionName, RunId};
use deploy_core::operator::{Act, OperatorInput, Principal, Settlement};
use deploy_core::plan::{Plan, StepId, StepPath};
use deploy_core::testing::explore::{Judged, ScriptedStrategy};
use deploy_core::testing::plans::{self, Sketch, TaskShape, UNIT};
use deploy_core::time::{Now, RunTime, Timestamp};

/// A machine moved by hand.
struct Bench {
    machine: Machine,
    now: RunTime,
    says: ScriptedStrategy,
    said: u32,
}

const FIRST: StepId = StepId(0);

impl Bench {
    fn new(plan: Arc<Plan>) -> Self {
        let name = BlockName::new("s").expect("a name");
        let machine = Machine::new(plan, &RunId::new("bench").expect("a name"));
        let mut bench =
            Self { machine, now: RunTime::START, says: ScriptedStrategy::new(name, Judged::Continue), said: 0 };
        bench.turn(&Input::Admitted { epoch: 1 });
        bench
    }

    fn turn(&mut self, input: &Input) -> Vec<Record> {
        let mut out = Vec::new();
        let now = Now { wall: Timestamp(1_000).after(self.now.since(RunTime::START)), run: self.now };
        self.machine.turn(input, now, &self.says, &mut out).expect("a possible input");
        out
    }

    fn strategy_says(&mut self, says: Judged) {
        self.says = ScriptedStrategy::new(BlockName::new("s").expect("a name"), says);
    }

    fn answer(&mut self, answer: Answer) -> Vec<Record> {
        let command = self.machine.command(FIRST).expect("a command is under way");
        self.now = self.now.max(command.not_before);
        self.turn(&Input::Answered { to: command.of, answer: Box::new(answer) })
    }

    fn say(&mut self, act: impl FnOnce(StepPath) -> Act) -> Vec<Record> {
        self.said += 1;
        let id = InputId::new(format!("i{}", self.said)).expect("a name");
        let path = self.machine.plan().steps[0].path.clone();
        let input = OperatorInput { id, who: Principal::new("ann", "tests"), why: "to see".to_owned(), act: act(path) };
        self.turn(&Input::Operator(input))
    }

    fn look(&mut self, weights: &[(&str, u32)]) -> Vec<Record> {
        let mut observed = plans::before().expect("fixed names");
        observed.weights =
            weights.iter().map(|(name, weight)| (RevisionName::new(name).expect("a name"), *weight)).collect();
        self.answer(Answer::Looked(Ok(Look { observed, measured: Vec::new() })))
    }

    fn wait(&mut self, units: u32) {
        self.now = self.now + UNIT * units;
    }

    fn step(&self) -> &StepState {
        &self.machine.state().steps[0].state
    }
}

fn failed(certainty: Certainty) -> Answer {
    Answer::Performed(Err(Fault::new(certainty, "it did not work")))
}

fn done() -> Answer {
    Answer::Performed(Ok(Progress::Done(Reported::default())))
}

fn one(shape: TaskShape) -> Arc<Plan> {
    Sketch::new("one").and_then(|s| s.task("t", &[], shape)).expect("fixed names").done()
}

#[test]
fn a_person_who_says_that_the_undo_is_finished_ends_the_run_as_rolled_back() {
    let mut bench = Bench::new(one(TaskShape { undo: Some(Repeatable::No), ..TaskShape::default() }));
    bench.say(|_| Act::RollBack);
    bench.answer(Answer::Cancelled(Some(Ok(Progress::Done(Reported::default())))));
    bench.answer(failed(Certainty::Unknown));
    bench.answer(Answer::LookedUp(Ok(Found::Unknown)));
    assert!(matches!(bench.step(), StepState::Parked { .. }), "{:?}", bench.step());
    bench.say(|step| Act::Settle { step, as_: Settlement::Finished });
    let mode = &bench.machine.state().mode;
    assert!(matches!(mode, Mode::Ended { outcome: Outcome::RolledBack, .. }), "{mode:?}");
}

#[test]
fn an_operators_retry_gives_all_attempts_again() {
    let mut bench = Bench::new(one(TaskShape::default()));
    bench.answer(done());
    // Two attempts to undo, both of which did nothing.
    let mut bench = {
        let task = TaskShape { attempts: 1, ..TaskShape::default() };
        let plan =
            Sketch::new("two").and_then(|s| s.task("t", &[], task)?.soak("s", &[0])).expect("fixed names").done();
        bench = Bench::new(plan);
        bench.answer(done());
        bench.say(|_| Act::RollBack);
        bench
    };
    for _ in 0..2 {
        for attempt in 1..=2 {
            assert!(matches!(bench.step(), StepState::Trying { .. }), "attempt {attempt}: {:?}", bench.step());
            bench.answer(failed(Certainty::Transient));
            bench.wait(1);
            bench.turn(&Input::Wake);
        }
        assert!(matches!(bench.step(), StepState::Parked { .. }), "{:?}", bench.step());
        bench.say(|step| Act::Retry { step });
    }
}

#[test]
fn a_rollout_taken_up_after_parking_asks_anew() {
    let plan = Sketch::new("roll").and_then(|s| s.rollout("r", &[])).expect("fixed names").done();
    let mut bench = Bench::new(plan);
    bench.look(&[("old", 100)]);
    bench.answer(Answer::Applied(Ok(())));
    bench.strategy_says(Judged::Await);
    let half = [("new", 50), ("old", 50)];
    bench.look(&half);
    // Somebody else changes it twice: put back once, then a person is wanted, who takes their time.
    bench.look(&[("other", 100)]);
    bench.answer(Answer::Applied(Ok(())));
    bench.look(&half);
    bench.look(&[("other", 100)]);
    assert!(matches!(bench.step(), StepState::Parked { .. }), "{:?}", bench.step());
    bench.wait(100);
    bench.say(|step| Act::Retry { step });
    bench.turn(&Input::Wake);
    assert_eq!(bench.machine.state().mode, Mode::Forward, "an old question expired at once");
}

#[test]
fn what_begins_during_a_pause_is_not_late_by_the_length_of_the_pause() {
    let mut bench = Bench::new(one(TaskShape::default()));
    bench.say(|_| Act::Pause);
    bench.wait(1_000);
    bench.answer(failed(Certainty::Definitive));
    bench.wait(1);
    bench.say(|_| Act::Resume);
    let due = bench.machine.wake_at().expect("a back-off is due");
    assert!(due.since(bench.now) <= UNIT, "due {due}, and it is {}", bench.now);
}

#[test]
fn a_gate_is_asked_before_it_is_given_up_after_a_stop() {
    let plan = Sketch::new("gate").and_then(|s| s.gate("g", &[], true)).expect("fixed names").done();
    let mut bench = Bench::new(plan);
    bench.wait(1_000);
    bench.turn(&Input::Attached { epoch: Some(2), absent: UNIT * 1_000 });
    bench.turn(&Input::Wake);
    assert!(matches!(bench.step(), StepState::Evaluating { .. }), "{:?}", bench.step());
}

#[test]
fn a_stop_counts_from_the_newest_record_on_at_most() {
    let plan = Sketch::new("soak").and_then(|s| s.soak("s", &[])).expect("fixed names").done();
    let mut bench = Bench::new(plan);
    bench.wait(1);
    bench.turn(&Input::Attached { epoch: Some(2), absent: Duration::from_secs(3_600) });
    let due = bench.machine.wake_at().expect("a soak is due");
    assert!(due.since(bench.now) <= UNIT * 2, "due {due}, and it is {}", bench.now);
}

#[test]
fn work_found_running_after_the_run_turned_back_is_stopped() {
    let mut bench = Bench::new(one(TaskShape::default()));
    bench.answer(failed(Certainty::Unknown));
    bench.say(|_| Act::Abort);
    let handle = deploy_core::agent::Handle("job".to_owned());
    bench.answer(Answer::LookedUp(Ok(Found::Running { handle, poll_after: UNIT })));
    assert!(matches!(bench.step(), StepState::Cancelling { handle: Some(_), .. }), "{:?}", bench.step());
}
