//! The driver: one thread, virtual time, a vector for a journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::attendant;
use super::faults::{AppendFault, Draw, EffectFault};
use super::finished::{Finished, SimulationError};
use super::random::Random;
use super::setup::Simulation;
use super::world::World;
use crate::agent::Certainty;
use crate::effect::{EffectKey, Fence};
use crate::gate::GateDecision;
use crate::machine::{Answer, Call, Command, Fault, IllegalInput, Input, Machine, Mode, Record, Strategies, Try};
use crate::name::{InputId, RunId};
use crate::operator::{Act, OperatorInput, Principal};
use crate::time::{Now, RunTime, Timestamp};

/// How long simulated work asks to be left alone between two polls.
pub(super) const POLL_AFTER: Duration = Duration::from_secs(5);
/// How long every call takes.
const LATENCY: Duration = Duration::from_millis(20);
/// How late a late answer is: later than any attempt of an ordinary plan may take.
const LATE: Duration = Duration::from_secs(3 * 60 * 60);
/// How long a driver is gone when it stops.
const ABSENT: Duration = Duration::from_secs(30);
/// How long the attendant takes to notice that a run waits for somebody.
const NOTICES_AFTER: Duration = Duration::from_secs(60);
/// When simulated runs begin: a fixed day, so that nothing in them depends on today.
const EPOCH: Timestamp = Timestamp(1_767_225_600_000);
/// A run that takes more turns than this does not end.
pub(super) const TURNS_AT_MOST: u32 = 20_000;

impl Simulation {
    /// Drives the run to its end.
    ///
    /// # Errors
    ///
    /// [`SimulationError`]: the engine is at fault.
    pub fn run(self, strategies: &dyn Strategies) -> Result<Finished, SimulationError> {
        let mut driver = self.driver(strategies);
        driver.begin()?;
        driver.drive()?;
        driver.check()?;
        Ok(Finished {
            outcome: match &driver.machine.state().mode {
                Mode::Ended { outcome, .. } => Some(*outcome),
                Mode::Forward | Mode::Undoing { .. } => None,
            },
            records: driver.journal,
            world: driver.world,
            at: driver.now,
            stops: driver.stopped,
            machine: driver.machine,
        })
    }

    fn driver(self, strategies: &dyn Strategies) -> Driver<'_> {
        let mut queue = BTreeMap::new();
        for (n, (at, act)) in (0u64..).zip(self.said) {
            queue.insert((at, n), Happening::Said(act));
        }
        let seed = self.seed;
        let run = self.run;
        let machine = Machine::new(self.plan, &run);
        Driver {
            machine,
            run,
            strategies,
            random: Random::new(seed),
            draw: Draw::new(self.faults),
            stops: self.stops,
            unacknowledged: self.unacknowledged,
            attended: self.attended,
            sequence: u64::try_from(queue.len()).unwrap_or(u64::MAX),
            queue,
            world: self.world,
            journal: Vec::new(),
            written: Vec::new(),
            under_way: BTreeSet::new(),
            now: RunTime::START,
            epoch: 0,
            inputs: 0,
            stopped: 0,
        }
    }
}

/// What is to happen at some time.
#[derive(Debug)]
enum Happening {
    /// An answer arrives, if the driver that asked for it is still there.
    Answer { to: Try, answer: Box<Answer>, driver: u64 },
    /// An effect lands that a driver asked for before it stopped.
    Lands(Box<Command>, EffectKey, Fence),
    /// An operator says something.
    Said(Act),
    /// The driver stops.
    Stop,
}

struct Driver<'a> {
    machine: Machine,
    run: RunId,
    strategies: &'a dyn Strategies,
    random: Random,
    draw: Draw,
    stops: BTreeSet<u64>,
    unacknowledged: BTreeSet<u64>,
    attended: bool,
    queue: BTreeMap<(RunTime, u64), Happening>,
    sequence: u64,
    world: World,
    journal: Vec<Vec<u8>>,
    /// Where records are written before their length is known.
    written: Vec<u8>,
    under_way: BTreeSet<Try>,
    now: RunTime,
    epoch: u64,
    inputs: u64,
    stopped: u32,
}

/// What became of a turn's records.
enum Written {
    Acknowledged,
    /// The machine has run ahead of the journal: it is dropped and rebuilt.
    Dropped,
}

impl Driver<'_> {
    fn begin(&mut self) -> Result<(), SimulationError> {
        let mut records = vec![self.machine.start(self.clocks())];
        self.epoch += 1;
        let epoch = self.epoch;
        let now = self.clocks();
        self.machine.turn(&Input::Admitted { epoch }, now, self.strategies, &mut records)?;
        self.commit(&records)
    }

    fn clocks(&self) -> Now {
        Now { wall: EPOCH.after(self.now.since(RunTime::START)), run: self.now }
    }

    fn drive(&mut self) -> Result<(), SimulationError> {
        for _ in 0..TURNS_AT_MOST {
            if matches!(self.machine.state().mode, Mode::Ended { .. }) {
                return Ok(());
            }
            let starts = self.start_what_is_due();
            let next = self.queue.first_key_value().map(|(key, _)| key.0);
            let wake = self.machine.wake_at();
            let Some(at) = [next, wake, starts].into_iter().flatten().min() else {
                if !self.attended {
                    return Ok(());
                }
                let act = attendant::says(&self.machine, &self.world).ok_or(SimulationError::Stuck(self.now))?;
                self.now = self.now + NOTICES_AFTER;
                self.say(act)?;
                continue;
            };
            if self.attended
                && at > self.now + NOTICES_AFTER
                && let Some(act) = attendant::says(&self.machine, &self.world)
            {
                self.now = self.now + NOTICES_AFTER;
                self.say(act)?;
                continue;
            }
            self.now = self.now.max(at);
            if next.is_some_and(|n| n <= at) {
                if let Some((_, happening)) = self.queue.pop_first() {
                    self.happens(happening)?;
                }
            } else if wake.is_some_and(|w| w <= at) {
                self.turn(&Input::Wake)?;
            }
        }
        let newest = self.journal.iter().rev().take(12).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        Err(SimulationError::Endless(newest.collect::<Vec<_>>().join(" / ")))
    }

    fn happens(&mut self, happening: Happening) -> Result<(), SimulationError> {
        match happening {
            Happening::Answer { to, answer, driver } if driver == self.epoch => {
                self.under_way.remove(&to);
                self.turn(&Input::Answered { to, answer })
            }
            // It was told to a driver that is gone.
            Happening::Answer { .. } => Ok(()),
            Happening::Lands(command, key, fence) => {
                self.world_does(&command, &key, fence);
                Ok(())
            }
            Happening::Said(act) => self.say(act),
            Happening::Stop => self.restart(),
        }
    }

    fn say(&mut self, act: Act) -> Result<(), SimulationError> {
        self.inputs += 1;
        let id = InputId::new(format!("said-{}", self.inputs)).unwrap_or_else(|_| InputId::generate());
        let who = Principal::new("attendant", "simulation");
        let input = OperatorInput { id, who, why: "as simulated".to_owned(), act };
        match self.turn(&Input::Operator(input)) {
            Err(SimulationError::Illegal(IllegalInput::Refused { .. })) => Ok(()),
            other => other,
        }
    }

    fn turn(&mut self, input: &Input) -> Result<(), SimulationError> {
        let mut records = Vec::new();
        let now = self.clocks();
        self.machine.turn(input, now, self.strategies, &mut records)?;
        if records.is_empty() { Ok(()) } else { self.commit(&records) }
    }

    /// Appends, and goes on only when that is acknowledged.
    fn commit(&mut self, records: &[Record]) -> Result<(), SimulationError> {
        match self.append(records)? {
            Written::Dropped => self.restart(),
            Written::Acknowledged => {
                let stops = records.iter().any(|r| self.stops.remove(&r.position));
                if stops { self.restart() } else { Ok(()) }
            }
        }
    }

    fn append(&mut self, records: &[Record]) -> Result<Written, SimulationError> {
        let fault = if self.journal.is_empty() { AppendFault::None } else { self.draw.append(&mut self.random) };
        if fault == AppendFault::Fails {
            return Ok(Written::Dropped);
        }
        for record in records {
            self.written.clear();
            record.write_to(&mut self.written)?;
            self.journal.push(self.written.clone());
        }
        let unacknowledged = records.iter().any(|r| self.unacknowledged.remove(&r.position));
        Ok(if unacknowledged || fault == AppendFault::Unknown { Written::Dropped } else { Written::Acknowledged })
    }

    /// The driver is gone, with all that it knew; another one takes the run up from its records.
    fn restart(&mut self) -> Result<(), SimulationError> {
        // Until one of them has said so durably, nobody has looked.
        let gone_since = self.now;
        loop {
            self.stopped += 1;
            self.under_way.clear();
            self.now = self.now + ABSENT;
            self.machine = self.rebuilt()?;
            if matches!(self.machine.state().mode, Mode::Ended { .. }) {
                return Ok(());
            }
            self.epoch += 1;
            let mut records = Vec::new();
            let now = self.clocks();
            let absent = self.now.since(gone_since);
            let input = Input::Attached { epoch: Some(self.epoch), absent };
            self.machine.turn(&input, now, self.strategies, &mut records)?;
            match self.append(&records)? {
                Written::Acknowledged if !records.iter().any(|r| self.stops.remove(&r.position)) => return Ok(()),
                Written::Acknowledged | Written::Dropped => {}
            }
        }
    }

    /// Every stored record is read back, and what they give must be what is live.
    fn check(&self) -> Result<(), SimulationError> {
        if self.rebuilt()? == self.machine {
            Ok(())
        } else {
            Err(SimulationError::Differs { records: self.journal.len() })
        }
    }

    fn rebuilt(&self) -> Result<Machine, SimulationError> {
        let mut machine = Machine::new(Arc::clone(self.machine.plan()), &self.run);
        for bytes in &self.journal {
            machine.apply(&Record::read::<SimulationError>(bytes)?);
        }
        Ok(machine)
    }

    /// Starts every command that is due and not under way; tells when the next one is due.
    fn start_what_is_due(&mut self) -> Option<RunTime> {
        let mut next: Option<RunTime> = None;
        for command in self.machine.commands() {
            if self.under_way.contains(&command.of) {
                continue;
            }
            if command.not_before > self.now {
                next = Some(next.map_or(command.not_before, |n| n.min(command.not_before)));
                continue;
            }
            self.under_way.insert(command.of);
            self.start(&command);
        }
        next
    }

    fn start(&mut self, command: &Command) {
        let effect = matches!(command.call, Call::Perform | Call::Apply(_) | Call::Poll(_) | Call::Lookup);
        let fault = if effect { self.draw.effect(&mut self.random) } else { EffectFault::None };
        let at = self.now + LATENCY;
        let refuse = |certainty, text: &str| Some(Fault::new(certainty, text));
        let (happens, instead, times, at) = match fault {
            EffectFault::None => (true, None, 1, at),
            EffectFault::Lost => (true, None, 0, at),
            EffectFault::Doubled => (true, None, 2, at),
            EffectFault::Late => (true, None, 1, at + LATE),
            EffectFault::Definitive => (false, refuse(Certainty::Definitive, "it was refused"), 1, at),
            EffectFault::Transient => (false, refuse(Certainty::Transient, "it was busy"), 1, at),
            EffectFault::Unknown { happens } => (happens, refuse(Certainty::Unknown, "the line was cut"), 1, at),
            EffectFault::StopBefore | EffectFault::StopInFlight => (false, None, 0, at),
            EffectFault::StopAfter => (true, None, 0, at),
        };
        if stops(fault) {
            self.enqueue(at, Happening::Stop);
        }
        if fault == EffectFault::StopInFlight
            && let (Some(key), Some(fence)) = (self.machine.effect_key(command.of), self.machine.fence(command))
        {
            self.enqueue(at + ABSENT + LATENCY * 3, Happening::Lands(Box::new(command.clone()), key, fence));
        }
        let real = happens.then(|| self.effect(command));
        let answer = match (instead, real) {
            (Some(fault), _) => failed(command, fault),
            (None, Some(answer)) => answer,
            (None, None) => return,
        };
        // A question about what became of an attempt does not fail for good, nor does a lost line leave it open for ever.
        let times = if matches!(command.call, Call::Perform) { times } else { times.max(u32::from(!stops(fault))) };
        let (to, driver) = (command.of, self.epoch);
        for n in 1..times {
            let answer = Box::new(answer.clone());
            self.enqueue(at + LATENCY * n, Happening::Answer { to, answer, driver });
        }
        if times > 0 {
            self.enqueue(at, Happening::Answer { to, answer: Box::new(answer), driver });
        }
    }

    fn enqueue(&mut self, at: RunTime, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), happening);
    }

    /// Lets the world do what a command asks for.
    fn effect(&mut self, command: &Command) -> Answer {
        match (self.machine.effect_key(command.of), self.machine.fence(command)) {
            (Some(key), Some(fence)) => self.world_does(command, &key, fence),
            _ => failed(command, Fault::new(Certainty::Definitive, "the run does not hold its lock")),
        }
    }

    fn world_does(&mut self, command: &Command, key: &EffectKey, fence: Fence) -> Answer {
        let machine = &self.machine;
        let step = command.of.step;
        match &command.call {
            Call::Perform => Answer::Performed(self.world.perform(machine, key, fence)),
            Call::Poll(_) => Answer::Performed(self.world.poll(machine, key)),
            Call::Lookup => Answer::LookedUp(Ok(self.world.lookup(machine, key))),
            Call::Cancel(_) => Answer::Cancelled(self.world.cancel(machine, key)),
            Call::Verify => Answer::Verified(World::verify(machine, step)),
            Call::Evaluate => Answer::Evaluated(Ok(GateDecision::Go)),
            Call::Look(asked) => Answer::Looked(Ok(self.world.look(machine, step, asked, self.now))),
            Call::Apply(want) => Answer::Applied(self.world.apply(machine, key, fence, step, want)),
        }
    }
}

fn stops(fault: EffectFault) -> bool {
    matches!(fault, EffectFault::StopBefore | EffectFault::StopAfter | EffectFault::StopInFlight)
}

/// The answer that says that a command failed.
fn failed(command: &Command, fault: Fault) -> Answer {
    match &command.call {
        Call::Perform | Call::Poll(_) => Answer::Performed(Err(fault)),
        Call::Lookup => Answer::LookedUp(Err(fault)),
        Call::Cancel(_) => Answer::Cancelled(Some(Err(fault))),
        Call::Verify => Answer::Verified(Vec::new()),
        Call::Evaluate => Answer::Evaluated(Err(fault)),
        Call::Look(_) => Answer::Looked(Err(fault)),
        Call::Apply(_) => Answer::Applied(Err(fault)),
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::{Simulation, SimulationError};
    use crate::name::{BlockName, TargetName};
    use crate::testing::explore::{Judged, ScriptedStrategy};
    use crate::testing::plans;

    #[test]
    fn records_that_do_not_give_what_was_live_are_found() {
        let name = BlockName::new("roll").expect("a name");
        let straight_on = ScriptedStrategy::new(name, Judged::Promote);
        let mut looks = 0;
        for (what, plan) in plans::small().expect("fixed names") {
            let target = TargetName::new("roll").expect("a name");
            let simulation = Simulation::new(plan, 1).target(target, plans::before().expect("fixed names"));
            let mut driver = simulation.driver(&straight_on);
            driver.begin().expect("it begins");
            driver.drive().expect("it ends");
            driver.check().expect("the same");
            let differs = |driver: &super::Driver<'_>| matches!(driver.check(), Err(SimulationError::Differs { .. }));
            let last = driver.journal.pop().expect("a record");
            assert!(differs(&driver), "{what}: without its last record");
            let mut changed: serde_json::Value = serde_json::from_slice(&last).expect("JSON");
            changed["at"]["wall"] = 1.into();
            driver.journal.push(serde_json::to_vec(&changed).expect("written"));
            assert!(differs(&driver), "{what}: at another time");
            driver.journal.pop();
            driver.journal.push(last);
            driver.check().expect("the same again");
            // What a strategy remembered last stays in the state.
            let looked = driver.journal.iter().rposition(|bytes| bytes.windows(8).any(|part| part == b"\"looked\""));
            let Some(at) = looked else { continue };
            looks += 1;
            let mut changed: serde_json::Value = serde_json::from_slice(&driver.journal[at]).expect("JSON");
            changed["body"]["decision"]["memory"] = serde_json::json!({ "other": 1 });
            driver.journal[at] = serde_json::to_vec(&changed).expect("written");
            assert!(differs(&driver), "{what}: with another memory");
        }
        assert!(looks > 0, "some plan has a rollout");
    }
}
