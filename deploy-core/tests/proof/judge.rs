//! What must hold of a run that has ended, whatever happened on the way. Each breach is a sentence.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deploy_core::journal::{Envelope, Journal, verify_run};
use deploy_core::machine::{Event, Machine, Mode, Outcome, Record};
use deploy_core::name::RunId;
use deploy_core::plan::{StepId, Work};

use crate::ledger::Ledger;
use crate::world::revision;

/// What a run did to the world.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) records: u64,
    /// Effects that the receiver accepted.
    pub(crate) effects: u64,
    /// Of these, how many were there already under the same key.
    pub(crate) repeats: u64,
    /// Effects that the receiver refused, because it had seen a newer fence.
    pub(crate) refused: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.records += other.records;
        self.effects += other.effects;
        self.repeats += other.repeats;
        self.refused += other.refused;
    }
}

pub(crate) async fn records(journal: &dyn Journal, run: &RunId) -> Vec<Record> {
    let stored = journal.read(run, 0, usize::MAX).await.expect("readable");
    let open = |bytes: &[u8]| Record::open(&Envelope::parse(bytes).expect("an envelope")).expect("a record");
    stored.iter().map(|stored| open(&stored.bytes)).collect()
}

/// A machine that is nothing but the fold of its records.
pub(crate) fn fold(run: &RunId, records: &[Record]) -> Machine {
    let Some(Event::Started(started)) = records.first().map(|record| &record.event) else {
        panic!("a run begins with its plan")
    };
    let mut machine = Machine::new(Arc::clone(&started.plan), run);
    records.iter().for_each(|record| machine.apply(record));
    machine
}

/// Everything that is wrong with a run that should have ended so.
pub(crate) async fn breaches(
    journal: &dyn Journal,
    ledger: &Ledger,
    run: &RunId,
    expected: Outcome,
) -> (Vec<String>, Counts) {
    let mut wrong = ledger.remarks();
    if let Err(error) = verify_run(journal, run, None).await {
        wrong.push(format!("the chain is broken: {error}"));
    }
    let entry = journal.entry(run).await.expect("readable").expect("there");
    if entry.outcome.as_deref() != Some(expected.as_str()) {
        wrong.push(format!("it ended as {:?} and not as {expected}", entry.outcome));
    }
    if entry.holds_lock {
        wrong.push("it holds its lock after its end".to_owned());
    }
    let records = records(journal, run).await;
    wrong.extend(of_records(run, &records));
    wrong.extend(of_effects(ledger, run, &records, expected));
    let effects = ledger.effects();
    let accepted: Vec<_> = effects.iter().filter(|effect| effect.accepted).map(|effect| &effect.key).collect();
    let keys: BTreeSet<_> = accepted.iter().filter(|key| !key.contains("rollout")).collect();
    let plain = accepted.iter().filter(|key| !key.contains("rollout")).count();
    let counts = Counts {
        records: records.len() as u64,
        effects: accepted.len() as u64,
        repeats: (plain - keys.len()) as u64,
        refused: (effects.len() - accepted.len()) as u64,
    };
    (wrong, counts)
}

/// Where the clocks are right, run time never runs ahead of them: what a host was away counts once.
pub(crate) fn of_clocks(records: &[Record]) -> Vec<String> {
    let began = records.first().map(|record| record.at).unwrap_or_default();
    let ahead = records.iter().filter(|r| r.at.run.since(began.run) > r.at.wall.since(began.wall));
    ahead
        .map(|r| format!("record {}: run time {} is ahead of the clock, {:?}", r.position, r.at.run, r.at.wall))
        .collect()
}

/// D1, D2, D18, I7, I14, S2, S10: what the records alone tell.
pub(crate) fn of_records(run: &RunId, records: &[Record]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, record) in records.iter().enumerate() {
        if record.position != at as u64 {
            wrong.push(format!("record {} stands at {at}", record.position));
        }
    }
    let ends: Vec<_> = records.iter().filter(|r| matches!(r.event, Event::Ended(_))).map(|r| r.position).collect();
    if ends != [records.len() as u64 - 1] {
        wrong.push(format!("it ends at {ends:?}, and has {} records", records.len()));
    }
    let machine = fold(run, records);
    if machine != fold(run, records) {
        wrong.push("the same records give two states".to_owned());
    }
    if !matches!(machine.state().mode, Mode::Ended { .. }) {
        wrong.push("its records do not add up to an end".to_owned());
    }
    let mut taken = BTreeSet::new();
    let mut results = BTreeSet::new();
    let (mut opened, mut undo_opened, mut undone) = (Vec::new(), Vec::new(), Vec::new());
    for record in records {
        match &record.event {
            Event::Took(took) if !taken.insert(took.input.id.clone()) => {
                wrong.push(format!("input {} was taken twice", took.input.id));
            }
            Event::Opened(event) => opened.push(event.step),
            Event::UndoOpened(event) if !undo_opened.contains(&event.of.step) => undo_opened.push(event.of.step),
            Event::UndoPassed(event) => undone.push(event.step),
            Event::Completed(event) => {
                if !results.insert((event.of.step, event.of.undo, event.of.iteration, event.of.attempt)) {
                    wrong.push(format!("a result of {} was recorded twice", event.of.step.index()));
                }
                if event.of.undo {
                    undone.push(event.of.step);
                }
            }
            _ => {}
        }
    }
    if let Some(turned) = records.iter().find(|r| matches!(r.event, Event::TurnedBack(_))) {
        let undoable = |id: &StepId| match &machine.plan().step(*id).expect("a step").work {
            Work::Task { undo, .. } => undo.is_some(),
            Work::Rollout(_) => true,
            Work::Gate { .. } | Work::Approval(_) | Work::Soak { .. } => false,
        };
        // A step that had done nothing yet when the run turned back is passed by; that it had no effect, the receiver tells.
        let passed_by = |id: &StepId| undone.contains(id) && !undo_opened.contains(id);
        let mut started: Vec<_> = opened.iter().copied().filter(undoable).filter(|id| !passed_by(id)).collect();
        started.reverse();
        if undo_opened != started {
            wrong.push(format!("undo was begun as {undo_opened:?}, and not as {started:?}"));
        }
        for step in &started {
            let rolled_back = matches!(machine.plan().step(*step).expect("a step").work, Work::Rollout(_));
            let times = undone.iter().filter(|id| *id == step).count();
            if !rolled_back && times != 1 {
                wrong.push(format!("step {} was undone {times} times", step.index()));
            }
        }
        if records[turned.position as usize..].len() > 200 {
            wrong.push("the way back took more than 200 records".to_owned());
        }
    }
    wrong
}

/// D7, D8, D10, S3, S8: what the receiver saw, compared with the records.
fn of_effects(ledger: &Ledger, run: &RunId, records: &[Record], expected: Outcome) -> Vec<String> {
    let mut wrong = Vec::new();
    let effects = ledger.effects();
    let mut newest = 0;
    let mut contents: BTreeMap<&str, &str> = BTreeMap::new();
    for effect in effects.iter().filter(|effect| effect.accepted) {
        if effect.fence.epoch < newest {
            wrong.push(format!("{} was accepted at fence {} after epoch {newest}", effect.key, effect.fence));
        }
        newest = newest.max(effect.fence.epoch);
        if !effect.content.starts_with("place:")
            && contents.insert(&effect.key, &effect.content).is_some_and(|before| before != effect.content)
        {
            wrong.push(format!("{} was asked to do two things", effect.key));
        }
    }
    let machine = fold(run, records);
    let calls: BTreeSet<String> = ledger.calls().into_iter().collect();
    for (at, step) in machine.plan().steps.iter().enumerate() {
        for (undo, way) in [(false, "do"), (true, "undo")] {
            let prefix = format!("{run}/{}/{way}/0/", step.path);
            let keys = calls.iter().filter(|key| key.starts_with(&prefix)).count();
            let failed = |record: &&Record| match &record.event {
                Event::AttemptFailed(event) => event.of.step.index() == at && event.of.undo == undo,
                _ => false,
            };
            let failures = records.iter().filter(failed).count();
            if keys > 1 + failures {
                wrong.push(format!("{} was performed under {keys} keys after {failures} failures", step.path));
            }
            let done = effects.iter().any(|effect| effect.accepted && effect.key.starts_with(&prefix));
            if let (Work::Task { .. }, Outcome::Succeeded, false) = (&step.work, expected, undo)
                && !done
            {
                wrong.push(format!("{} is recorded as done, and its effect never arrived", step.path));
            }
            if let (Work::Task { undo: Some(_), .. }, true, false) = (&step.work, undo, done)
                && expected != Outcome::Succeeded
                && effects.iter().any(|e| e.accepted && e.key.starts_with(&format!("{run}/{}/do/", step.path)))
            {
                wrong.push(format!("{} had its effect and was never undone", step.path));
            }
        }
    }
    if let Some(place) = ledger.place()
        && effects.iter().any(|effect| effect.content.starts_with("place:"))
    {
        let serves = if expected == Outcome::Succeeded { "v2" } else { "v1" };
        if place.weight(&revision(serves)) != 100 {
            wrong.push(format!("{serves} does not serve alone at the end: {:?}", place.weights));
        }
    }
    wrong
}
