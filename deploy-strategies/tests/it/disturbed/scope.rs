//! Which places are explored: sizes, how old what is shown may be, and the limits that each strategy promises.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use deploy_core::strategy::Strategy;

use super::walk::{Walked, walk};
use super::world::{Age, Course};
use crate::cases::say;
use crate::exploration::unrouted;
use crate::model::{release, serving};

/// A strategy and its limits.
pub(super) struct Side<'a> {
    pub(super) name: String,
    pub(super) strategy: &'a dyn Strategy,
    pub(super) routed: bool,
    pub(super) fewer: Fewer,
    /// How many more than wanted there may be, those on their way out counted; nothing: as many again.
    pub(super) more: Option<u32>,
}

/// How many fewer than wanted may be ready.
#[derive(Clone, Copy)]
pub(super) enum Fewer {
    Count(u32),
    /// What the traffic needs, and at least one.
    AllButOne,
}

/// How many instances the places have that are explored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Where what is shown is fresh.
    fresh: RangeInclusive<u32>,
    /// Where it is up to three looks old.
    stale: RangeInclusive<u32>,
    /// Whether it is then sometimes older and sometimes newer, up to this many looks.
    upto: usize,
}

impl Sizes {
    /// What a test run has time for; with `EXPLORE=all` all that is promised, with `EXPLORE=8/3-4` up to eight instances where what is
    /// shown is fresh, and three or four where it is not.
    pub(super) fn asked() -> Self {
        let asked = std::env::var("EXPLORE").unwrap_or_default();
        let (fresh, stale) = match asked.as_str() {
            "" => return Self { fresh: 1..=3, stale: 1..=2, upto: 1 },
            "all" => ("12", "6"),
            sizes => sizes.split_once('/').expect("EXPLORE is `all` or two sizes, for example 8/3-4"),
        };
        let range = |sizes: &str| {
            let (least, most) = sizes.split_once('-').unwrap_or(("1", sizes));
            least.parse().unwrap()..=most.parse().unwrap()
        };
        Self { fresh: range(fresh), stale: range(stale), upto: 3 }
    }

    /// Whether it is more than a test run has time for.
    pub(super) fn many(&self) -> bool {
        self.upto > 1
    }

    fn scopes(self) -> impl Iterator<Item = (u32, Age)> {
        let fresh = self.fresh.map(|size| (size, Age::Always(0)));
        let ages = [Age::Always(1), Age::Always(3), Age::Upto(self.upto)];
        fresh.chain(self.stale.flat_map(move |size| ages.map(|age| (size, age))))
    }
}

/// Explores all of them in every scope and says how many worlds there were in all.
pub(super) fn explore_all(title: &str, sides: &[Side<'_>]) {
    let sizes = Sizes::asked();
    let many = sizes.many();
    let mut courses = vec![];
    for (size, age) in sizes.scopes() {
        for side in sides {
            let course = Course {
                name: format!("{}, {size} instances, {age:?}", side.name),
                strategy: side.strategy,
                release: release("v2"),
                from: if side.routed { serving("v1", size) } else { unrouted(size) },
                fewer: match side.fewer {
                    Fewer::Count(count) => count,
                    Fewer::AllButOne => u32::MAX,
                },
                more: side.more.unwrap_or(size + 2),
                with_ending: side.more.is_some(),
                age,
                start: 1,
                end: 1,
                disturbances: 2,
            };
            courses.push((size, age, course));
        }
    }
    let courses = courses.as_slice();
    let next = AtomicUsize::new(0);
    let counts = Mutex::new(vec![Walked::default(); courses.len()]);
    // A long exploration leaves the other cores to others.
    let threads = if many { 1 } else { 2 };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some((.., course)) = courses.get(at) else { break };
                    let walked = walk(course);
                    assert!(walked.ends > 0, "{}: nothing was seen to end", course.name);
                    if many {
                        say(&format!("{}: {walked}", course.name));
                    }
                    counts.lock().unwrap()[at] = walked;
                }
            });
        }
    });
    let counts = counts.into_inner().unwrap();
    let mut scopes: BTreeMap<(String, u32), Walked> = BTreeMap::new();
    for (walked, (size, age, _)) in counts.iter().zip(courses) {
        *scopes.entry((format!("{age:?}"), *size)).or_default() += *walked;
    }
    if many {
        for ((age, size), walked) in &scopes {
            say(&format!("{title}, {age}, {size} instances: {walked}"));
        }
    }
    let mut all = Walked::default();
    counts.iter().for_each(|walked| all += *walked);
    say(&format!("{title}: {} places, {all}; none goes on for ever", courses.len()));
}
