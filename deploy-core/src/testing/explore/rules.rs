//! The rules that are explored: those of the machine, or those with a fault planted in them.

use std::fmt::Debug;

use crate::machine::{Command, Decided, Event, IllegalInput, Input, Machine, Record, Reply, Strategies};
use crate::time::{Now, RunTime};

/// The rules of a run. Every default is the machine's own; a planted fault replaces one of them.
pub trait Rules: Debug + Sync {
    /// What the fault is, in a sentence.
    fn fault(&self) -> &'static str;

    /// [`Machine::decide`].
    ///
    /// # Errors
    ///
    /// As the machine's.
    fn decide(
        &self,
        machine: &Machine,
        input: &Input,
        now: Now,
        strategies: &dyn Strategies,
    ) -> Result<Decided, IllegalInput> {
        machine.decide(input, now, strategies)
    }

    /// [`Machine::settle`].
    fn settle(&self, machine: &Machine, now: Now) -> Vec<Event> {
        machine.settle(now)
    }

    /// [`Machine::apply`].
    fn apply(&self, machine: &mut Machine, record: &Record) {
        machine.apply(record);
    }

    /// [`Machine::commands`].
    fn commands(&self, machine: &Machine) -> Vec<Command> {
        machine.commands()
    }

    /// [`Machine::wake_at`].
    fn wake_at(&self, machine: &Machine) -> Option<RunTime> {
        machine.wake_at()
    }
}

/// The machine's own rules.
#[derive(Debug, Clone, Copy)]
pub struct Sound;

impl Rules for Sound {
    fn fault(&self) -> &'static str {
        "none"
    }
}

/// [`Machine::turn`], with these rules.
pub(super) fn turn(
    rules: &dyn Rules,
    machine: &mut Machine,
    input: &Input,
    now: Now,
    strategies: &dyn Strategies,
    mut seen: impl FnMut(&Machine, &Record, &Machine),
) -> Result<(Reply, Vec<Record>), IllegalInput> {
    /// A turn that makes more records than this never ends.
    const AT_MOST: usize = 1_000;
    let decided = rules.decide(machine, input, now, strategies)?;
    let mut out = Vec::new();
    let mut events = decided.events;
    while !events.is_empty() && out.len() < AT_MOST {
        for event in events {
            let at = Now { wall: now.wall, run: now.run.max(machine.state().at.run) };
            let record = Record { position: machine.state().position, at, event };
            let before = machine.clone();
            rules.apply(machine, &record);
            seen(&before, &record, machine);
            out.push(record);
        }
        events = rules.settle(machine, now);
    }
    Ok((decided.reply, out))
}
