//! The search: which states there are, and how one leads to another.

use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::rules::{self, Rules};
use super::world::Judged;
use super::{Exploration, Limits, Violation, canonical, name, property, transition, world};
use crate::machine::{Answer, Command, Event, Input, Machine, Mode, Record, Reply, StepState, Try};
use crate::name::{BlockName, InputId, NameError, RunId};
use crate::operator::{Act, OperatorInput, Principal, Settlement};
use crate::plan::{Plan, StepId, Work};
use crate::target::TargetState;
use crate::testing::plans::{self, UNIT};
use crate::time::{Now, RunTime, Timestamp};

/// One state of the search: the machine and what lies outside it.
#[derive(Debug, Clone)]
struct Node {
    machine: Machine,
    now: RunTime,
    there: BTreeMap<StepId, TargetState>,
    undo_opened: u64,
    inputs: u32,
    late: Option<(Try, Answer)>,
    repeated: Option<(Try, Answer)>,
}

/// What can happen in a state.
#[derive(Debug, Clone)]
struct Action {
    input: Input,
    at: RunTime,
    says: Judged,
    there: Option<(StepId, TargetState)>,
    hold: Hold,
    /// Whether it happens by itself: no operator, no stop of the driver, no late answer.
    by_itself: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    Nothing,
    TheAnswer,
    WhatIsDisplaced,
    DeliversLate,
    DeliversRepeated,
}

#[derive(Debug, Default)]
struct Vertex {
    parent: usize,
    turn: String,
    depth: usize,
    to: Vec<(usize, bool)>,
    ended: bool,
}

struct Fixed {
    run: RunId,
    voice: BlockName,
    nameless: InputId,
    people: [Principal; 2],
}

impl Fixed {
    fn new() -> Result<Self, NameError> {
        Ok(Self {
            run: RunId::new("run")?,
            voice: BlockName::new("voice")?,
            nameless: InputId::new("x")?,
            people: [Principal::new("ann", "tests"), Principal::new("bob", "tests")],
        })
    }
}

/// The walk, breadth first, and what it has seen.
pub(super) struct Search<'a> {
    plan: &'a Arc<Plan>,
    rules: &'a dyn Rules,
    limits: Limits,
    fixed: Fixed,
    seen: HashMap<u128, usize>,
    graph: Vec<Vertex>,
    found: Exploration,
}

type Found = Result<Exploration, Box<Violation>>;

impl<'a> Search<'a> {
    /// A search that has not begun.
    pub(super) fn new(plan: &'a Arc<Plan>, rules: &'a dyn Rules, limits: Limits) -> Result<Self, Box<Violation>> {
        let fixed = Fixed::new().map_err(|e| {
            let property = "the explorer's own names".to_owned();
            Box::new(Violation { property, how: e.to_string(), path: Vec::new() })
        })?;
        Ok(Self { plan, rules, limits, fixed, seen: HashMap::new(), graph: Vec::new(), found: Exploration::default() })
    }

    /// Goes through all of it.
    pub(super) fn run(mut self) -> Found {
        let mut machine = Machine::new(Arc::clone(self.plan), &self.fixed.run);
        let now = Now { wall: Timestamp(1_000), run: RunTime::START };
        let _ = machine.start(now);
        let there = plans::before().unwrap_or_default();
        let rollouts = (0u32..).map(StepId).zip(&self.plan.steps).filter(|(_, p)| matches!(p.work, Work::Rollout(_)));
        let root = Node {
            machine,
            now: now.run,
            there: rollouts.map(|(id, _)| (id, there.clone())).collect(),
            undo_opened: 0,
            inputs: 0,
            late: None,
            repeated: None,
        };
        self.seen.insert(self.key(&root), 0);
        self.graph.push(Vertex::default());
        let mut queue = VecDeque::from([(0usize, root)]);
        while let Some((at, node)) = queue.pop_front() {
            self.check_state(at, &node)?;
            for action in self.actions(&node) {
                let Some((next, records)) = self.take(at, &node, &action)? else { continue };
                if records.is_empty() && !matches!(action.hold, Hold::DeliversLate | Hold::DeliversRepeated) {
                    continue;
                }
                self.found.turns += 1;
                let fresh = self.graph.len();
                let key = self.key(&next);
                let to = match self.seen.entry(key) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(place) => {
                        place.insert(fresh);
                        if let Err(broken) = replayed(self.rules, &node.machine, &records, &next.machine) {
                            return Err(self.violation(at, broken.property, broken.how, Some(&action)));
                        }
                        let depth = self.graph[at].depth + 1;
                        self.found.depth = self.found.depth.max(depth);
                        let ended = matches!(next.machine.state().mode, Mode::Ended { .. });
                        let turn = told(&action);
                        self.graph.push(Vertex { parent: at, turn, depth, to: Vec::new(), ended });
                        queue.push_back((fresh, next));
                        fresh
                    }
                };
                // Work under way goes on during a pause, which ends when an operator says so.
                let paused = node.machine.state().paused.is_some();
                let forth = action.by_itself && !records.is_empty() && !paused;
                self.graph[at].to.push((to, forth));
            }
            if self.graph.len() > self.limits.states_at_most {
                return Err(self.violation(
                    at,
                    "the search ends",
                    format!("more than {} states", self.graph.len()),
                    None,
                ));
            }
        }
        self.found.states = self.graph.len();
        self.an_end_is_reachable()?;
        self.nothing_goes_round()?;
        Ok(self.found)
    }

    fn violation(&self, at: usize, property: &str, how: String, last: Option<&Action>) -> Box<Violation> {
        let mut path: Vec<String> = last.map(told).into_iter().collect();
        let mut here = at;
        while here != 0 {
            path.push(self.graph[here].turn.clone());
            here = self.graph[here].parent;
        }
        path.reverse();
        Box::new(Violation { property: property.to_owned(), how, path })
    }

    fn key(&self, node: &Node) -> u128 {
        let state = canonical::canonical(node.machine.state(), node.now, &self.fixed.nameless);
        // All answers of one kind to one step are as late as each other.
        let held = |held: &Option<(Try, Answer)>| {
            held.as_ref().map(|(of, answer)| (of.step, of.undo, std::mem::discriminant(answer)))
        };
        let ended = matches!(state.mode, Mode::Ended { .. });
        let there = if ended { None } else { Some((&node.there, node.undo_opened)) };
        let all = (state, there, held(&node.late), held(&node.repeated));
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            salt.hash(&mut hasher);
            all.hash(&mut hasher);
            u128::from(hasher.finish())
        };
        half(0) << 64 | half(1)
    }

    fn check_state(&mut self, at: usize, node: &Node) -> Result<(), Box<Violation>> {
        let bad = |s: &Self, p: &str, how: String| Err(s.violation(at, p, how, None));
        if let Err(broken) = property::state(self.rules, &node.machine, node.now) {
            return bad(self, broken.property, broken.how);
        }
        let now = wall_beside(node.now);
        let settled = self.rules.settle(&node.machine, now);
        if !settled.is_empty() {
            return bad(self, "a turn goes on until nothing follows", format!("{settled:?} follows still"));
        }
        let state = node.machine.state();
        let text = serde_json::to_string(state).unwrap_or_default();
        match serde_json::from_str::<crate::machine::State>(&text) {
            Ok(back) if back == *state => {}
            Ok(_) => return bad(self, "I1 a snapshot reads back the same", text),
            Err(e) => return bad(self, "I1 a snapshot reads back the same", e.to_string()),
        }
        if let Mode::Ended { outcome, .. } = &state.mode {
            *self.found.ends.entry(outcome.to_string()).or_default() += 1;
        }
        Ok(())
    }

    /// Takes one turn and holds everything it did against the properties. Nothing if it was refused or changed nothing.
    fn take(&mut self, at: usize, node: &Node, action: &Action) -> Result<Option<(Node, Vec<Record>)>, Box<Violation>> {
        let mut machine = node.machine.clone();
        let mut broken = None;
        let mut opened = node.undo_opened;
        let (transitions, kinds) = (&mut self.found.transitions, &mut self.found.kinds);
        let seen = |before: &Machine, record: &Record, after: &Machine| {
            kinds.insert(record.event.kind());
            for (x, y) in before.state().steps.iter().zip(&after.state().steps) {
                let same = name(&x.state) == name(&y.state);
                let t = transition::of(&action.input, record, &x.state, &y.state);
                if !same || matches!(record.event, Event::Held(_) | Event::Looked(_) | Event::Running(_)) && x != y {
                    transitions.insert(t);
                }
            }
            if broken.is_none() {
                broken = property::record(&action.input, before, record, after, opened).err();
            }
            if let Event::UndoOpened(e) = &record.event {
                opened |= 1 << e.of.step.0;
            }
        };
        let voice = world::ScriptedStrategy::new(self.fixed.voice.clone(), action.says);
        let now = wall_beside(action.at);
        let result = rules::turn(self.rules, &mut machine, &action.input, now, &voice, seen);
        let bad = |s: &Self, p: &str, how: String| Err(s.violation(at, p, how, Some(action)));
        if let Some(b) = broken {
            return bad(self, b.property, b.how);
        }
        let stale = match &action.input {
            Input::Answered { to, .. } => {
                node.machine.state().steps.get(to.step.index()).and_then(|s| s.state.of()) != Some(*to)
            }
            Input::Admitted { .. } | Input::Attached { .. } | Input::Operator(_) | Input::Wake => false,
        };
        let (reply, records) = match result {
            Ok(done) => done,
            Err(other) if stale => {
                return bad(self, "an answer to another name changes nothing", other.to_string());
            }
            Err(crate::machine::IllegalInput::Refused { .. }) => return Ok(None),
            Err(other) => return bad(self, "no input of a driver is impossible", other.to_string()),
        };
        if records.len() >= 1_000 {
            return bad(self, "a turn ends", format!("{} records in one turn", records.len()));
        }
        if stale && (reply != Reply::Ignored || !records.is_empty()) {
            return bad(self, "an answer to another name changes nothing", format!("{reply:?}, {records:?}"));
        }
        if matches!(action.input, Input::Operator(_)) {
            self.told_again(at, &machine, action)?;
        }
        let mut next = Node {
            machine,
            now: action.at,
            there: node.there.clone(),
            undo_opened: opened,
            inputs: node.inputs + u32::from(matches!(action.input, Input::Operator(_))),
            late: node.late.clone(),
            repeated: node.repeated.clone(),
        };
        if let Some((id, there)) = &action.there {
            next.there.insert(*id, there.clone());
        }
        match (action.hold, &action.input) {
            (Hold::TheAnswer, Input::Answered { to, answer }) => next.repeated = Some((*to, (**answer).clone())),
            (Hold::WhatIsDisplaced, _) => match displaced(node, &next, action) {
                Some(held) => next.late = Some(held),
                None => return Ok(None),
            },
            (Hold::DeliversLate, _) => next.late = None,
            (Hold::DeliversRepeated, _) => next.repeated = None,
            (Hold::Nothing | Hold::TheAnswer, _) => {}
        }
        Ok(Some((next, records)))
    }

    /// A repeated id changes nothing, whatever came of it the first time.
    fn told_again(&self, at: usize, machine: &Machine, action: &Action) -> Result<(), Box<Violation>> {
        let voice = world::ScriptedStrategy::new(self.fixed.voice.clone(), Judged::Continue);
        match self.rules.decide(machine, &action.input, wall_beside(action.at), &voice) {
            Ok(decided) if decided.events.is_empty() && decided.reply == Reply::Ignored => Ok(()),
            other => {
                Err(self.violation(at, "I14 an input is taken once", format!("a second time: {other:?}"), Some(action)))
            }
        }
    }

    fn actions(&self, node: &Node) -> Vec<Action> {
        let state = node.machine.state();
        let mut all = Vec::new();
        let ended = matches!(state.mode, Mode::Ended { .. });
        let mut held = |held: &Option<(Try, Answer)>, hold: Hold| {
            if let Some((to, answer)) = held {
                let input = Input::Answered { to: *to, answer: Box::new(answer.clone()) };
                let (at, says) = (node.now, Judged::Promote);
                all.push(Action { input, at, says, there: None, hold, by_itself: false });
            }
        };
        held(&node.late, Hold::DeliversLate);
        held(&node.repeated, Hold::DeliversRepeated);
        // Time passes during a pause, whatever happens then.
        let soon = if state.paused.is_some() { node.now + UNIT } else { node.now };
        let quiet = |input: Input, at: RunTime, by_itself: bool| Action {
            input,
            at,
            says: Judged::Continue,
            there: None,
            hold: Hold::Nothing,
            by_itself,
        };
        if state.epoch.is_none() && !ended {
            all.push(quiet(Input::Admitted { epoch: 1 }, soon, true));
        }
        let wake = self.rules.wake_at(&node.machine);
        if let Some(wake) = wake {
            all.push(quiet(Input::Wake, soon.max(wake), true));
        }
        if !ended {
            let epoch = state.epoch.map(|e| e + 1);
            all.push(quiet(Input::Attached { epoch, absent: world::ABSENT }, node.now + world::ABSENT, false));
        }
        for command in self.under_way(node) {
            let at = soon.max(command.not_before);
            if wake.is_some_and(|w| at > w) {
                continue;
            }
            for way in world::ways(&node.machine, &command, node.there.get(&command.of.step)) {
                let repeats = self.limits.holds_answers && node.repeated.is_none() && world::says_done(&way.answer);
                let action = Action {
                    input: Input::Answered { to: command.of, answer: Box::new(way.answer) },
                    at,
                    says: way.says,
                    there: way.there.map(|t| (command.of.step, t)),
                    hold: Hold::Nothing,
                    by_itself: true,
                };
                if repeats {
                    all.push(Action { hold: Hold::TheAnswer, ..action.clone() });
                }
                all.push(action);
            }
        }
        all.extend(self.said(node).map(|input| quiet(Input::Operator(input), soon, false)));
        if self.limits.holds_answers && node.late.is_none() {
            let displacing = all.iter().filter(|a| a.hold == Hold::Nothing).cloned();
            let more: Vec<_> = displacing.map(|a| Action { hold: Hold::WhatIsDisplaced, ..a }).collect();
            all.extend(more);
        }
        all
    }

    /// What may be under way: what is asked for now, and what was before the pause began.
    fn under_way(&self, node: &Node) -> Vec<Command> {
        let mut commands = self.rules.commands(&node.machine);
        if node.machine.state().paused.is_some() {
            let mut state = node.machine.state().clone();
            state.paused = None;
            if let Ok(unpaused) = Machine::from_state(Arc::clone(self.plan), state) {
                let known: BTreeSet<_> = commands.iter().map(|c| c.of).collect();
                commands.extend(self.rules.commands(&unpaused).into_iter().filter(|c| !known.contains(&c.of)));
            }
        }
        commands
    }

    fn said(&self, node: &Node) -> impl Iterator<Item = OperatorInput> {
        let state = node.machine.state();
        let mut acts: Vec<(usize, Act)> =
            [Act::Pause, Act::Resume, Act::Abort, Act::RollBack, Act::Acknowledge].map(|a| (0, a)).to_vec();
        let kept = state.early.len() >= self.limits.early_at_most;
        for (step, planned) in state.steps.iter().zip(&self.plan.steps) {
            let path = || planned.path.clone();
            let settled = !step.state.is_open() && !matches!(step.state, StepState::Waiting { .. });
            let early = matches!(step.state, StepState::Waiting { .. })
                || matches!(&step.state, StepState::Rolling(r) if r.asking.is_none());
            if settled || early && kept && !matches!(step.state, StepState::Rolling(_)) {
                continue;
            }
            if !(early && kept) {
                acts.push((0, Act::Approve { step: path() }));
                if matches!(&planned.work, Work::Approval(request) if request.quorum > 1) {
                    acts.push((1, Act::Approve { step: path() }));
                }
                acts.push((0, Act::Reject { step: path() }));
            }
            acts.push((0, Act::Promote { step: path() }));
            if !early {
                acts.push((0, Act::PromoteFully { step: path() }));
            }
            acts.push((0, Act::Retry { step: path() }));
            acts.push((0, Act::Waive { step: path(), check: None, expires: Timestamp(i64::MAX) }));
            for wanted in &planned.verifications {
                let check = Some(wanted.check.clone());
                acts.push((0, Act::Waive { step: path(), check, expires: Timestamp(i64::MAX) }));
            }
            for as_ in [Settlement::Finished, Settlement::NeverStarted, Settlement::Failed] {
                acts.push((0, Act::Settle { step: path(), as_ }));
            }
        }
        let id = InputId::new(format!("i{}", node.inputs)).unwrap_or_else(|_| self.fixed.nameless.clone());
        let people = self.fixed.people.clone();
        acts.into_iter().map(move |(who, act)| OperatorInput {
            id: id.clone(),
            who: people[who].clone(),
            why: "as scripted".to_owned(),
            act,
        })
    }

    /// I2: from every state some way leads to an end.
    fn an_end_is_reachable(&self) -> Result<(), Box<Violation>> {
        let mut back: Vec<Vec<usize>> = vec![Vec::new(); self.graph.len()];
        for (from, vertex) in self.graph.iter().enumerate() {
            for (to, _) in &vertex.to {
                back[*to].push(from);
            }
        }
        let mut reaches = vec![false; self.graph.len()];
        let mut queue: Vec<usize> = (0..self.graph.len()).filter(|v| self.graph[*v].ended).collect();
        while let Some(v) = queue.pop() {
            if !std::mem::replace(&mut reaches[v], true) {
                queue.extend(back[v].iter().filter(|u| !reaches[**u]));
            }
        }
        match reaches.iter().position(|r| !r) {
            None => Ok(()),
            Some(stuck) => {
                let how = "no way leads from here to an end".to_owned();
                Err(self.violation(stuck, "I2 from every state an end is reachable", how, None))
            }
        }
    }

    /// D17: what happens by itself comes to an end, or to somebody who is asked, in a bounded number of turns.
    fn nothing_goes_round(&self) -> Result<(), Box<Violation>> {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            New,
            Open,
            Shut,
        }
        let mut marks = vec![Mark::New; self.graph.len()];
        for root in 0..self.graph.len() {
            if marks[root] != Mark::New {
                continue;
            }
            let mut stack = vec![(root, 0usize)];
            marks[root] = Mark::Open;
            while let Some((v, edge)) = stack.pop() {
                let forth = self.graph[v].to.get(edge);
                let Some((to, by_itself)) = forth else {
                    marks[v] = Mark::Shut;
                    continue;
                };
                stack.push((v, edge + 1));
                if !by_itself {
                    continue;
                }
                match marks[*to] {
                    Mark::New => {
                        marks[*to] = Mark::Open;
                        stack.push((*to, 0));
                    }
                    Mark::Open => {
                        let round: Vec<_> = stack
                            .iter()
                            .skip_while(|(u, _)| u != to)
                            .map(|(u, _)| self.graph[*u].turn.clone())
                            .collect();
                        let how = format!("by itself it comes round to this state again: {}", round.join(" / "));
                        return Err(self.violation(*to, "D17 what happens by itself ends", how, None));
                    }
                    Mark::Shut => {}
                }
            }
        }
        Ok(())
    }
}

/// I1: the records, through their stored bytes, give a replay the state of the live machine. What they are replayed onto was
/// itself compared so when it was found, so that the whole way from the first record on is replayed, one turn at a time.
fn replayed(rules: &dyn Rules, before: &Machine, records: &[Record], live: &Machine) -> Result<(), property::Broken> {
    const I1: &str = "I1 a rebuild gives the same state";
    let wrong = |how: String| property::Broken { property: I1, how };
    let mut rebuilt = before.clone();
    for record in records {
        let bytes = record.seal().map_err(|e| wrong(e.to_string()))?.to_bytes();
        let envelope = crate::journal::Envelope::parse(&bytes).map_err(|e| wrong(e.to_string()))?;
        let back = Record::open(&envelope).map_err(|e| wrong(format!("{e:?}")))?;
        if back != *record {
            return Err(wrong(format!("{back:?} was {record:?}")));
        }
        rules.apply(&mut rebuilt, &back);
    }
    if rebuilt == *live { Ok(()) } else { Err(wrong(format!("after {records:?}"))) }
}

/// A command that was under way and is no longer asked for, with the answer that may still come.
fn displaced(before: &Node, after: &Node, action: &Action) -> Option<(Try, Answer)> {
    let answered = match &action.input {
        Input::Answered { to, .. } => Some(*to),
        _ => None,
    };
    let still: BTreeSet<_> = after.machine.state().steps.iter().filter_map(|s| s.state.of()).collect();
    let gone = before.machine.commands().into_iter().find(|c| Some(c.of) != answered && !still.contains(&c.of))?;
    let ways = world::ways(&before.machine, &gone, before.there.get(&gone.of.step));
    ways.into_iter().map(|w| w.answer).find(world::says_done).map(|answer| (gone.of, answer))
}

/// Both clocks: wall time runs beside run time.
fn wall_beside(run: RunTime) -> Now {
    Now { wall: Timestamp(1_000).after(run.since(RunTime::START)), run }
}

/// An action in one line.
fn told(action: &Action) -> String {
    let what = match &action.input {
        Input::Answered { to, answer } => {
            let late = match action.hold {
                Hold::DeliversLate => "late ",
                Hold::DeliversRepeated => "repeated ",
                Hold::Nothing | Hold::TheAnswer | Hold::WhatIsDisplaced => "",
            };
            let text: String = format!("{answer:?}").chars().take(90).collect();
            let there = action.there.as_ref().map(|(_, t)| format!("{:?}", t.weights)).unwrap_or_default();
            format!("{late}answer to {to}: {text} says {:?} {there}", action.says)
        }
        Input::Operator(input) => format!("operator: {:?} by {}", input.act, input.who.subject),
        other => format!("{other:?}"),
    };
    format!("{} {what}", action.at)
}
