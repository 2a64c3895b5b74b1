//! Every course that a rollout on a small place can take: at each look any instance may become ready, die, or do neither,
//! and an operator may abort at any time. What holds in all of them is proven for places of that size.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use deploy_core::name::RevisionName;
use deploy_core::release::Release;
use deploy_core::strategy::{Decision, Memory, Next, Promotion, Situation, Strategy};
use deploy_core::target::{DesiredState, RevisionState, TargetState};
use deploy_core::time::RunTime;
use deploy_strategies::all_at_once::AllAtOnce;
use deploy_strategies::blue_green::{BlueGreen, Promote};
use deploy_strategies::canary::{Canary, StableCapacity, Step};
use deploy_strategies::rolling::{Amount, Batch, Rolling};
use deploy_strategies::share::Percent;
use serde_json::Value;

use crate::bar::{Bar, Shown};
use crate::cases::say;

use crate::model::{release, revision, serving};

/// How many instances, and whether any of them may die at any time. Where nobody dies, they still start at any pace.
const SIZES: [(u32, bool); 5] = [(1, true), (2, true), (3, true), (4, true), (12, false)];

pub(crate) const EVERY: Duration = Duration::from_secs(10);

/// A place as the strategy sees it; nothing else of it matters, since any instance may become ready at any time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    state: TargetState,
    /// What was wanted last, and what is remembered.
    last: Option<(DesiredState, Memory, u32)>,
    going_back: bool,
}

struct Explored {
    states: usize,
    complete: usize,
    rolled_back: usize,
}

/// The same memory with times as distances: when the last look was is now, and a wait is never longer than any limit here.
pub(crate) fn timeless(memory: &Memory) -> Memory {
    fn walk(value: &mut Value) {
        let Value::Object(fields) = value else { return };
        for (name, field) in fields {
            match (name.as_str(), field.as_u64()) {
                ("seen" | "met", Some(_)) => *field = 0.into(),
                ("soaked" | "quiet" | "stood", Some(ms)) => *field = ms.min(30_000).into(),
                _ => walk(field),
            }
        }
    }
    let mut value: Value = memory.read().unwrap().unwrap_or_default();
    walk(&mut value);
    Memory::of(&value).unwrap()
}

/// Whatever the place may turn into by the next look, having taken this statement: each revision has any number of ready
/// instances up to what is asked for, and instances on their way out are gone or still there.
fn futures(state: &TargetState, want: &DesiredState, deaths: bool) -> Vec<TargetState> {
    let mut all = vec![TargetState {
        revisions: [].into(),
        weights: want.weights.clone(),
        preview: want.preview.clone(),
        ..state.clone()
    }];
    let names: BTreeSet<&RevisionName> = state.revisions.keys().chain(want.capacity.keys()).collect();
    for name in names {
        let (was, desired) = (state.revision(name), want.capacity.get(name).copied().unwrap_or(0));
        let kept = was.ready.min(desired);
        let mut next = vec![];
        for ready in (if deaths { 0 } else { kept })..=desired {
            // Those that were taken away end by the next look or the one after it.
            let endings = if was.desired > desired { vec![0, was.desired - desired] } else { vec![0] };
            for terminating in endings {
                for place in &all {
                    let mut place = place.clone();
                    if desired > 0 || terminating > 0 {
                        place.revisions.insert(name.clone(), RevisionState { desired, ready, terminating });
                    }
                    next.push(place);
                }
            }
        }
        all = next;
    }
    all
}

fn decide(strategy: &dyn Strategy, release: &Release, from: &TargetState, world: &World) -> Decision {
    let promotion = Promotion::None;
    let nothing = Memory::empty();
    let (wanted, memory) = match &world.last {
        Some((want, memory, _)) => (Some(want), memory),
        None => (None, &nothing),
    };
    // Time is told as distances alone, so that the same place at another hour is the same world.
    let situation = Situation::first(release, &world.state)
        .from(from)
        .wanted(wanted)
        .memory(memory)
        .at(RunTime(0), if world.last.is_some() { EVERY } else { Duration::ZERO })
        .observe_every(EVERY)
        .promotion(promotion);
    if world.going_back { strategy.revert(&situation) } else { strategy.decide(&situation) }
}

/// Walks every world that can be reached, holds each statement against the bar, and then shows that an end can be reached
/// from each of them.
fn explore(name: &str, strategy: &dyn Strategy, from: &TargetState, bar: &Bar, deaths: bool) -> Explored {
    let release = release("v2");
    let start = World { state: from.clone(), last: None, going_back: false };
    let mut number: HashMap<World, usize> = HashMap::from([(start.clone(), 0)]);
    let mut before: Vec<Vec<usize>> = vec![vec![]];
    let mut ends = vec![];
    let mut queue = VecDeque::from([start]);
    let mut explored = Explored { states: 0, complete: 0, rolled_back: 0 };
    while let Some(world) = queue.pop_front() {
        let here = number[&world];
        let mut courses = vec![world.clone()];
        if !world.going_back && world.last.is_some() {
            courses.push(World { going_back: true, ..world.clone() });
        }
        for world in courses {
            let decision = decide(strategy, &release, from, &world);
            let shown = Shown {
                observed: &world.state,
                since: &[],
                last: world.last.as_ref().map(|(want, _, _)| want),
                from,
                release: &release,
            };
            bar.hold(&shown, &decision.want, &|| format!("{world:?}\n{:?}", decision.want));
            match (&decision.next, world.going_back) {
                (Next::Complete, going_back) => {
                    let (explored, alone) =
                        if going_back { (&mut explored.rolled_back, "v1") } else { (&mut explored.complete, "v2") };
                    *explored += 1;
                    let left = world.state.revisions.iter().filter(|(_, r)| r.desired > 0).map(|(name, _)| name);
                    assert_eq!(left.collect::<Vec<_>>(), [&revision(alone)], "{world:?}");
                    ends.push(here);
                    continue;
                }
                (Next::WakeAt(at), _) => assert!(*at > RunTime(0), "{world:?}"),
                (Next::Await(_) | Next::RollBack, _) => {}
            }
            let going_back = world.going_back || decision.next == Next::RollBack;
            let mut decision = decision;
            if decision.next == Next::RollBack {
                // What it wants is not asked for: the way back is decided by the run.
                decision.want =
                    world.last.as_ref().map_or_else(|| world.state.as_desired(), |(want, _, _)| want.clone());
            }
            let memory = timeless(&decision.memory);
            for state in futures(&world.state, &decision.want, deaths) {
                let last = Some((decision.want.clone(), memory.clone(), decision.stage.index));
                let next = World { state, last, going_back };
                let count = number.len();
                let at = *number.entry(next.clone()).or_insert_with(|| {
                    queue.push_back(next);
                    count
                });
                if at == before.len() {
                    before.push(vec![]);
                }
                before[at].push(here);
            }
        }
    }
    // I2: backwards from the ends, everything is met.
    let mut leads_to_an_end = vec![false; before.len()];
    while let Some(at) = ends.pop() {
        if !std::mem::replace(&mut leads_to_an_end[at], true) {
            ends.extend(&before[at]);
        }
    }
    assert!(leads_to_an_end.iter().all(|leads| *leads), "{name}: a world without a way out");
    explored.states = number.len();
    assert!(explored.complete > 0 && explored.rolled_back > 0, "{name}");
    say(&format!(
        "{name}: {} worlds, {} ends out, {} ends back",
        explored.states, explored.complete, explored.rolled_back
    ));
    explored
}

pub(crate) fn unrouted(instances: u32) -> TargetState {
    TargetState { weights: [].into(), max_weight: 0, ..serving("v1", instances) }
}

#[test]
fn all_at_once_keeps_every_promise_in_every_course() {
    let strategy = AllAtOnce::new().scale_down_delay(EVERY).progress_deadline(EVERY);
    for (size, deaths) in SIZES {
        explore(
            &format!("all at once, {size}"),
            &strategy,
            &serving("v1", size),
            &Bar { least: size, most: 2 * size, with_ending: false },
            deaths,
        );
    }
}

/// Rows: M60.
#[test]
fn a_canary_keeps_every_promise_in_every_course() {
    for stable in [StableCapacity::Full, StableCapacity::MatchWeight] {
        let canary = Canary::builder()
            .step(Step::weight(34).soak(EVERY))
            .stable(stable)
            .scale_down_delay(Duration::ZERO)
            .abort_delay(Duration::ZERO)
            .progress_deadline(EVERY)
            .build()
            .unwrap();
        let least = |size| if stable == StableCapacity::Full { size } else { 1 };
        for (size, deaths) in SIZES {
            explore(
                &format!("canary, {stable:?}, {size}"),
                &canary,
                &serving("v1", size),
                &Bar { least: least(size), most: 2 * size, with_ending: false },
                deaths,
            );
        }
    }
}

#[test]
fn blue_green_keeps_every_promise_in_every_course() {
    let strategy = BlueGreen::builder()
        .preview(Amount::Count(1))
        .promote(Promote::after(EVERY))
        .scale_down_delay(Duration::ZERO)
        .abort_delay(Duration::ZERO)
        .progress_deadline(EVERY)
        .build()
        .unwrap();
    for (size, deaths) in SIZES {
        explore(
            &format!("blue-green, {size}"),
            &strategy,
            &serving("v1", size),
            &Bar { least: size, most: 2 * size, with_ending: false },
            deaths,
        );
    }
}

/// Rows: M64, M65.
#[test]
fn a_roll_keeps_every_promise_in_every_course_up_to_twelve_instances() {
    let half = Batch::upto(Amount::Percent(Percent::new(50).unwrap()));
    let all = Batch::upto(Amount::Percent(Percent::new(100).unwrap()));
    let explore = |surge: u32, unavailable: u32, size: u32, deaths: bool| {
        let builder = Rolling::builder().surge(Amount::Count(surge)).unavailable(Amount::Count(unavailable));
        let builder = builder.min_healthy(Duration::ZERO).progress_deadline(EVERY);
        let rolling = builder.batches(vec![half.clone(), all.clone()]).build().unwrap();
        let bar = Bar { least: size - unavailable.min(size), most: size + surge, with_ending: true };
        let name =
            format!("roll of {size}, {surge} more, {unavailable} fewer{}", if deaths { "" } else { ", nobody dies" });
        explore(&name, &rolling, &unrouted(size), &bar, deaths);
    };
    for (surge, unavailable) in [(1, 0), (0, 1), (1, 1), (2, 1)] {
        explore(surge, unavailable, 2, true);
        explore(surge, unavailable, 3, true);
        explore(surge, unavailable, 12, false);
    }
    explore(1, 1, 4, true);
}
