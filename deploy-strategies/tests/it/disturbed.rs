//! Every course that a rollout takes on a place whose instances start and end in known times, while up to two disturbances
//! happen at any moment: an instance dies, a second party changes how many are wanted, instances on their way out take their
//! time. What the strategy is shown may be up to three looks old. All promises hold in each of them, and from the last disturbance
//! on every course comes to an end.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deploy_core::release::Release;
use deploy_core::strategy::{Decision, Memory, Next, Situation, Strategy};
use deploy_core::target::{DesiredState, TargetState};
use deploy_core::time::RunTime;
use deploy_strategies::all_at_once::AllAtOnce;
use deploy_strategies::blue_green::{BlueGreen, Promote};
use deploy_strategies::canary::{Canary, StableCapacity, Step};
use deploy_strategies::rolling::{Amount, Batch, Rolling};
use deploy_strategies::share::Percent;

use crate::bar::{Bar, Shown};
use crate::cases::say;
use crate::closed_loop::limits;
use crate::exploration::{EVERY, timeless, unrouted};
use crate::model::{Place, release, revision, serving};

/// How old what is shown may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    /// Always so many looks old.
    Always(usize),
    /// At each look anything from fresh to so many looks old, but never older than what was shown before.
    Upto(usize),
}

/// One place to explore.
#[derive(Clone)]
struct Course<'a> {
    name: String,
    strategy: &'a dyn Strategy,
    from: TargetState,
    /// How many fewer than wanted may be ready, and how many more than wanted there may be.
    fewer: u32,
    more: u32,
    with_ending: bool,
    age: Age,
    /// How many looks an instance takes to start, and to end.
    start: u32,
    end: u32,
    disturbances: u8,
}

/// Everything that decides how it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    place: Place,
    /// What was there at earlier looks that may still be shown, oldest first, each with what was asked for right then.
    past: VecDeque<(TargetState, Option<DesiredState>)>,
    last: Option<(DesiredState, Memory, u32)>,
    going_back: bool,
    left: u8,
    /// The fewest and the most that were ever wanted.
    wanted: (u32, u32),
}

/// What happens to the place between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disturbance {
    Dies(bool),
    Wanted(i64),
    Scaled(bool, i64),
    Lingers,
    Abort,
}

const DISTURBANCES: [Disturbance; 9] = [
    Disturbance::Dies(false),
    Disturbance::Dies(true),
    Disturbance::Wanted(-1),
    Disturbance::Wanted(2),
    Disturbance::Scaled(false, -1),
    Disturbance::Scaled(true, -1),
    Disturbance::Scaled(true, 1),
    Disturbance::Lingers,
    Disturbance::Abort,
];

impl World {
    /// The same world disturbed; nothing where there is nothing to disturb. Somebody who scales one revision by hand is believed at
    /// once, so that is explored only where what is shown is fresh.
    fn disturbed(&self, course: &Course<'_>, disturbance: Disturbance) -> Option<Self> {
        let mut world = Self { left: self.left.checked_sub(1)?, ..self.clone() };
        let side = |new: bool| revision(if new { "v2" } else { "v1" });
        match disturbance {
            Disturbance::Dies(new) => world.place.kill(&side(new)),
            Disturbance::Wanted(by) => {
                let size = course.from.revisions.values().map(|r| r.desired).sum::<u32>();
                let wanted = u32::try_from(i64::from(size) + by).ok().filter(|wanted| *wanted > 0)?;
                world.place.state.wanted_by_others = Some(wanted);
                world.wanted = (self.wanted.0.min(wanted), self.wanted.1.max(wanted));
            }
            Disturbance::Scaled(..) if course.age != Age::Always(0) => return None,
            Disturbance::Scaled(new, by) => {
                let desired = world.place.instances.get(&side(new))?.desired;
                world.place.scale(&side(new), u32::try_from(i64::from(desired) + by).ok()?);
            }
            Disturbance::Lingers => {
                world.place.instances.values_mut().flat_map(|i| &mut i.ending).for_each(|t| *t += 2)
            }
            Disturbance::Abort => world.going_back = self.last.is_some(),
        }
        (world.place != self.place || world.going_back != self.going_back).then_some(world)
    }

    /// What may be shown now: by age, with what was asked for since.
    fn shown(&self, age: Age) -> Vec<usize> {
        match age {
            Age::Always(age) => vec![self.past.len().min(age)],
            Age::Upto(oldest) => (0..=self.past.len().min(oldest)).collect(),
        }
    }
}

fn decide(course: &Course<'_>, release: &Release, world: &World, observed: &TargetState) -> Decision {
    let nothing = Memory::empty();
    let (wanted, memory) = match &world.last {
        Some((want, memory, _)) => (Some(want), memory),
        None => (None, &nothing),
    };
    let situation = Situation::first(release, observed)
        .from(&course.from)
        .wanted(wanted)
        .memory(memory)
        .at(RunTime(0), if world.last.is_some() { EVERY } else { Duration::ZERO })
        .observe_every(EVERY);
    if world.going_back { course.strategy.revert(&situation) } else { course.strategy.decide(&situation) }
}

/// Takes one look at a world, shown what was there `age` looks ago: the next world, or nothing at the end.
fn look(course: &Course<'_>, release: &Release, world: &World, age: usize) -> Option<World> {
    let now = world.place.observe();
    let at = world.past.len() - age;
    let observed = world.past.get(at).map_or(&now, |(state, _)| state);
    let decision = decide(course, release, world, observed);
    let size = world.wanted;
    let bar =
        Bar { least: size.0.saturating_sub(course.fewer), most: size.1 + course.more, with_ending: course.with_ending };
    let mut next = world.clone();
    if decision.next == Next::RollBack {
        // What it wants is not asked for: the way back is decided by the run.
        assert!(!world.going_back, "{}: a way back that goes back: {world:?}", course.name);
        let want = world.last.as_ref().map_or_else(|| observed.as_desired(), |(want, _, _)| want.clone());
        next.last = Some((want, timeless(&decision.memory), decision.stage.index));
        next.going_back = true;
        if matches!(course.age, Age::Upto(_)) {
            next.past.drain(..at);
        }
        return Some(next);
    }
    let since: Vec<&DesiredState> = world.past.iter().skip(at).filter_map(|(_, want)| want.as_ref()).collect();
    let shown = Shown {
        observed,
        since: &since,
        last: world.last.as_ref().map(|(want, _, _)| want),
        from: &course.from,
        release,
    };
    let story = || format!("{}\n{world:?}\n{decision:?}", course.name);
    bar.hold_traffic(&shown, &decision.want, &story);
    // The engine states again only what is new, or seen to be otherwise.
    let stated = world.last.as_ref().is_none_or(|(want, _, _)| *want != decision.want)
        || !observed.counts_as(&decision.want)
        || !observed.routes_as(&decision.want);
    if stated {
        bar.hold_capacity(&shown, &decision.want, &story);
    }
    match &decision.next {
        // The engine believes that it is complete only when it sees so.
        Next::Complete if !observed.satisfies(&decision.want) => {}
        Next::Complete => {
            let alone = revision(if world.going_back { "v1" } else { "v2" });
            let left = observed.revisions.iter().filter(|(_, r)| r.desired > 0).map(|(name, _)| name);
            assert_eq!(left.collect::<Vec<_>>(), [&alone], "{}: {world:?}", course.name);
            return None;
        }
        Next::WakeAt(at) => assert!(*at > RunTime(0), "{}: {world:?}", course.name),
        Next::RollBack | Next::Await(_) => panic!("{}: nobody is there to be asked: {world:?}", course.name),
    }
    let oldest = match course.age {
        Age::Always(age) | Age::Upto(age) => age,
    };
    next.past.push_back((now, stated.then(|| decision.want.clone())));
    // Never older than what was shown, and never older than may be.
    let forget = match course.age {
        Age::Always(_) => next.past.len().saturating_sub(oldest),
        Age::Upto(_) => at.max(next.past.len().saturating_sub(oldest)),
    };
    next.past.drain(..forget);
    if stated {
        next.place.apply(&decision.want);
    }
    next.place.tick();
    next.last = Some((decision.want.clone(), timeless(&decision.memory), decision.stage.index));
    Some(next)
}

/// Walks every course, and then shows that none goes on for ever. Answers how many worlds there were.
fn explore(course: &Course<'_>) -> usize {
    let release = release("v2");
    let size = course.from.revisions.values().map(|r| r.desired).sum();
    let start = World {
        place: Place::new(&course.from, course.start, course.end),
        past: VecDeque::new(),
        last: None,
        going_back: false,
        left: course.disturbances,
        wanted: (size, size),
    };
    let mut number: HashMap<World, u32> = HashMap::from([(start.clone(), 0)]);
    // How many undisturbed looks lead on from each world, and from where each is reached without a disturbance.
    let (mut onward, mut before): (Vec<u32>, Vec<Vec<u32>>) = (vec![0], vec![vec![]]);
    let mut queue = VecDeque::from([start]);
    let mut enter =
        |next: World, onward: &mut Vec<u32>, before: &mut Vec<Vec<u32>>, queue: &mut VecDeque<World>| -> u32 {
            if let Some(at) = number.get(&next) {
                return *at;
            }
            let at = u32::try_from(number.len()).unwrap();
            number.insert(next.clone(), at);
            onward.push(0);
            before.push(vec![]);
            queue.push_back(next);
            at
        };
    let mut here = 0;
    while let Some(world) = queue.pop_front() {
        for age in world.shown(course.age) {
            if let Some(next) = look(course, &release, &world, age) {
                let at = enter(next, &mut onward, &mut before, &mut queue);
                onward[here as usize] += 1;
                before[at as usize].push(here);
            }
        }
        if world.left > 0 {
            for world in DISTURBANCES.iter().filter_map(|disturbance| world.disturbed(course, *disturbance)) {
                // The disturbance comes right before the look, whose outcome is that of the disturbed world.
                enter(world, &mut onward, &mut before, &mut queue);
            }
        }
        here += 1;
    }
    // Every undisturbed course ends: taking worlds away from the ends leaves nothing.
    let worlds = onward.len();
    let mut ended: Vec<u32> = (0..).zip(&onward).filter(|(_, n)| **n == 0).map(|(at, _)| at).collect();
    let mut left = worlds;
    while let Some(at) = ended.pop() {
        left -= 1;
        for from in &before[at as usize] {
            onward[*from as usize] -= 1;
            if onward[*from as usize] == 0 {
                ended.push(*from);
            }
        }
    }
    if left > 0 {
        let stuck = onward.iter().position(|n| *n > 0).unwrap();
        let (world, _) = number.iter().find(|(_, at)| **at as usize == stuck).unwrap();
        panic!("{}: {left} worlds go on for ever, the first of them {}", course.name, story(course, &release, world));
    }
    worlds
}

/// The next looks of a world that does not come to an end.
fn story(course: &Course<'_>, release: &Release, world: &World) -> String {
    let mut text = format!("{world:?}");
    let mut world = world.clone();
    for _ in 0..40 {
        let age = *world.shown(course.age).last().unwrap();
        let at = world.past.len() - age;
        let now = world.place.observe();
        let observed = world.past.get(at).map_or(&now, |(state, _)| state);
        let decision = decide(course, release, &world, observed);
        text.push_str(&format!(
            "\n{:?} {:?}\n   -> {} {:?} {:?}",
            now.revisions, now.weights, decision.reason, decision.want.capacity, decision.want.weights
        ));
        match look(course, release, &world, age) {
            Some(next) => world = next,
            None => break,
        }
    }
    text
}

/// A strategy and its limits.
struct Side<'a> {
    name: String,
    strategy: &'a dyn Strategy,
    routed: bool,
    fewer: Fewer,
    /// How many more than wanted there may be, those on their way out counted; nothing: as many again.
    more: Option<u32>,
}

/// How many fewer than wanted may be ready.
#[derive(Clone, Copy)]
enum Fewer {
    Count(u32),
    /// What the traffic needs, and at least one.
    AllButOne,
}

/// Explores all of them in every scope, two at a time, and says how many worlds there were in all.
fn explore_all(title: &str, sides: &[Side<'_>]) {
    let mut courses = vec![];
    for (size, age) in scopes() {
        for side in sides {
            courses.push(Course {
                name: format!("{}, {size} instances, {age:?}", side.name),
                strategy: side.strategy,
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
            });
        }
    }
    let courses = courses.as_slice();
    let next = AtomicUsize::new(0);
    let counts = Mutex::new(vec![0; courses.len()]);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(course) = courses.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let at = courses.iter().position(|c| std::ptr::eq(c, course)).unwrap();
                    let worlds = explore(course);
                    counts.lock().unwrap()[at] = worlds;
                }
            });
        }
    });
    let counts = counts.into_inner().unwrap();
    let (most, largest) = counts.iter().zip(courses).max_by_key(|(n, _)| **n).unwrap();
    let all: usize = counts.iter().sum();
    say(&format!(
        "{title}: {} places, {all} worlds, none goes on for ever; the largest is {} with {most}",
        courses.len(),
        largest.name
    ));
}

fn everything() -> bool {
    std::env::var("EXPLORE").as_deref() == Ok("all")
}

/// Which sizes, how old what is shown may be, and how many disturbances there are. All of it with `EXPLORE=all`; otherwise what
/// a test run has time for.
fn scopes() -> Vec<(u32, Age)> {
    let all = everything();
    let fresh = (1..=12).filter(|size| all || *size <= 3).map(|size| (size, Age::Always(0)));
    let stale = (1..=6).filter(|size| all || *size <= 2);
    let stale = stale
        .flat_map(|size| [Age::Always(1), Age::Always(3), Age::Upto(if all { 3 } else { 1 })].map(|age| (size, age)));
    fresh.chain(stale).collect()
}

#[test]
fn a_roll_comes_to_an_end_whatever_disturbs_it() {
    let strategies: Vec<_> = limits()
        .into_iter()
        .map(|(surge, unavailable)| {
            let half = Batch::upto(Amount::Percent(Percent::new(50).unwrap()));
            let all = Batch::upto(Amount::Percent(Percent::new(100).unwrap()));
            let builder = Rolling::builder().surge(Amount::Count(surge)).unavailable(Amount::Count(unavailable));
            let builder = builder.min_healthy(Duration::ZERO).progress_deadline(5 * EVERY);
            (surge, unavailable, builder.batches(vec![half, all]).build().unwrap())
        })
        .collect();
    let each = strategies.iter().map(|(surge, unavailable, rolling)| Side {
        name: format!("roll, {surge} more, {unavailable} fewer"),
        strategy: rolling,
        routed: false,
        fewer: Fewer::Count(*unavailable),
        more: Some(*surge),
    });
    explore_all("rolling", &each.collect::<Vec<_>>());
}

#[test]
fn a_roll_behind_a_router_comes_to_an_end_whatever_disturbs_it() {
    let strategies: Vec<_> = limits()
        .into_iter()
        .filter(|(surge, unavailable)| everything() || surge + unavailable < 3)
        .map(|(surge, unavailable)| {
            let builder = Rolling::builder().surge(Amount::Count(surge)).unavailable(Amount::Count(unavailable));
            (surge, unavailable, builder.min_healthy(Duration::ZERO).progress_deadline(5 * EVERY).build().unwrap())
        })
        .collect();
    let each = strategies.iter().map(|(surge, unavailable, rolling)| Side {
        name: format!("routed roll, {surge} more, {unavailable} fewer"),
        strategy: rolling,
        routed: true,
        fewer: Fewer::Count(*unavailable),
        more: Some(*surge),
    });
    explore_all("rolling behind a router", &each.collect::<Vec<_>>());
}

#[test]
fn a_canary_comes_to_an_end_whatever_disturbs_it() {
    let canary = |stable| {
        Canary::builder()
            .step(Step::weight(34).soak(EVERY))
            .stable(stable)
            .scale_down_delay(Duration::ZERO)
            .abort_delay(EVERY)
            .progress_deadline(5 * EVERY)
            .build()
            .unwrap()
    };
    let (full, by_weight) = (canary(StableCapacity::Full), canary(StableCapacity::MatchWeight));
    let side = |name: &str, strategy, fewer| Side { name: name.to_owned(), strategy, routed: true, fewer, more: None };
    let each = [
        side("canary", &full as &dyn Strategy, Fewer::Count(0)),
        side("canary by weight", &by_weight, Fewer::AllButOne),
    ];
    explore_all("canary", &each);
}

#[test]
fn a_canary_of_instances_comes_to_an_end_whatever_disturbs_it() {
    let strategies: Vec<_> = limits()
        .into_iter()
        .map(|(surge, unavailable)| {
            let builder = Canary::builder().by_instances(Amount::Count(surge), Amount::Count(unavailable));
            let builder = builder.step(Step::weight(34).soak(EVERY)).progress_deadline(5 * EVERY);
            (surge, unavailable, builder.build().unwrap())
        })
        .collect();
    let each = strategies.iter().map(|(surge, unavailable, canary)| Side {
        name: format!("canary of instances, {surge} more, {unavailable} fewer"),
        strategy: canary,
        routed: false,
        fewer: Fewer::Count(*unavailable),
        more: Some(*surge),
    });
    explore_all("canary of instances", &each.collect::<Vec<_>>());
}

#[test]
fn a_blue_green_switch_comes_to_an_end_whatever_disturbs_it() {
    let switch = BlueGreen::builder()
        .preview(Amount::Count(1))
        .promote(Promote::after(EVERY))
        .scale_down_delay(Duration::ZERO)
        .abort_delay(EVERY)
        .progress_deadline(5 * EVERY)
        .build()
        .unwrap();
    let name = "blue-green".to_owned();
    explore_all("blue-green", &[Side { name, strategy: &switch, routed: true, fewer: Fewer::Count(0), more: None }]);
}

#[test]
fn all_at_once_comes_to_an_end_whatever_disturbs_it() {
    let strategy = AllAtOnce::new().scale_down_delay(EVERY).progress_deadline(5 * EVERY);
    let side = |name: &str, routed| Side {
        name: name.to_owned(),
        strategy: &strategy as &dyn Strategy,
        routed,
        fewer: Fewer::Count(0),
        more: None,
    };
    explore_all("all at once", &[side("all at once", true), side("all at once, not routed", false)]);
}
