//! Walks every course of a place, depth first. What a disturbance leads to has one disturbance less ahead of it, so a course that
//! comes back to a world that it is still in goes on for ever without any; if none does, every course ends.

use std::collections::HashMap;
use std::fmt;
use std::ops::AddAssign;
use std::rc::Rc;

use super::print::Print;
use super::world::{Answer, Course, DISTURBANCES, World};

/// How many answers are kept: most worlds differ in what a strategy does not see.
const ANSWERS: usize = 200_000;

/// A world whose courses are not all walked yet.
const OPEN: u16 = u16::MAX;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Walked {
    pub(super) worlds: usize,
    /// How many of them are ends.
    pub(super) ends: usize,
    /// How many looks the longest course takes.
    pub(super) longest: u16,
}

impl AddAssign for Walked {
    fn add_assign(&mut self, other: Self) {
        self.worlds += other.worlds;
        self.ends += other.ends;
        self.longest = self.longest.max(other.longest);
    }
}

impl fmt::Display for Walked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} worlds, {} ends, at most {} looks and disturbances", self.worlds, self.ends, self.longest)
    }
}

/// A world on the way, and where it may still go.
struct Frame {
    print: Print,
    onward: Vec<World>,
    longest: u16,
}

/// Walks every course and holds each statement against the bar. Panics with a story where a promise is broken or a course does not end.
pub(super) fn walk(course: &Course<'_>) -> Walked {
    let mut walk = Walk { course, seen: HashMap::new(), answers: HashMap::new(), ends: 0 };
    let start = World::beginning(course);
    let first = walk.enter(Print::of(&start), &start);
    let mut way = vec![first];
    let mut longest = 0;
    while let Some(frame) = way.last_mut() {
        let Some(world) = frame.onward.pop() else {
            let looks = frame.longest;
            walk.seen.insert(frame.print, looks);
            way.pop();
            longest = looks;
            if let Some(before) = way.last_mut() {
                before.longest = before.longest.max(looks.saturating_add(1));
            }
            continue;
        };
        let print = Print::of(&world);
        match walk.seen.get(&print) {
            Some(&OPEN) => panic!("{}: it goes on for ever: {}", course.name, story(course, &world)),
            Some(looks) => frame.longest = frame.longest.max(looks.saturating_add(1).min(OPEN - 1)),
            None => {
                let next = walk.enter(print, &world);
                way.push(next);
            }
        }
    }
    Walked { worlds: walk.seen.len(), ends: walk.ends, longest }
}

struct Walk<'a> {
    course: &'a Course<'a>,
    /// How many looks the longest course from a world takes; [`OPEN`] while that is not known.
    seen: HashMap<Print, u16>,
    answers: HashMap<Print, Rc<Answer>>,
    ends: usize,
}

impl Walk<'_> {
    fn enter(&mut self, print: Print, world: &World) -> Frame {
        self.seen.insert(print, OPEN);
        let course = self.course;
        let mut onward = Vec::new();
        for age in world.ages(course.age) {
            let observed = world.shown(age);
            let question = world.question(&observed);
            let asked = question.print();
            if self.answers.len() >= ANSWERS {
                self.answers.clear();
            }
            let answer = Rc::clone(self.answers.entry(asked).or_insert_with(|| Rc::new(question.ask(course))));
            match world.look(course, age, &observed, &answer) {
                Some(next) => onward.push(next),
                None => self.ends += 1,
            }
        }
        if world.left > 0 {
            // The disturbance comes right before the look, whose outcome is that of the disturbed world.
            onward.extend(DISTURBANCES.iter().filter_map(|disturbance| world.disturbed(course, *disturbance)));
        }
        Frame { print, onward, longest: 0 }
    }
}

/// The next looks of a world that does not come to an end.
fn story(course: &Course<'_>, world: &World) -> String {
    let mut text = format!("{world:?}");
    let mut world = world.clone();
    for _ in 0..40 {
        let age = *world.ages(course.age).end();
        let (now, observed) = (world.place.observe(), world.shown(age));
        let answer = world.question(&observed).ask(course);
        let decision = &answer.decision;
        text.push_str(&format!(
            "\n{:?} {:?}\n   -> {} {:?} {:?}",
            now.revisions, now.weights, decision.reason, decision.want.capacity, decision.want.weights
        ));
        match world.look(course, age, &observed, &answer) {
            Some(next) => world = next,
            None => break,
        }
    }
    text
}
