//! What to do next, as a pure function of what is wanted and what is there.

use std::collections::BTreeMap;

use deploy_core::name::RevisionName;
use deploy_core::target::DesiredState;

use crate::targets::proxy::Routing;

/// One instance, as far as the decision needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    pub(super) id: u64,
    pub(super) revision: RevisionName,
    pub(super) standing: Standing,
}

/// How an instance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was started for the first time and has not had its chance yet.
    Starting,
    /// It serves.
    Ready,
    /// It has had its chance and does not serve: it crashed, is unwell, or was given up.
    Unwell,
    /// It is on its way out.
    Leaving,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Start this many instances.
    Start { revision: RevisionName, count: u32 },
    /// Put the wanted weights, routes and mirror in force.
    Route,
    /// Drain this instance, then stop it.
    Retire { id: u64 },
}

/// What to do now: capacity up, then traffic, then capacity down.
///
/// - Traffic rises only on revisions that have an instance ready and none that has yet to have its chance.
/// - Nothing is taken away before the wanted traffic is in force.
/// - An instance that is ready is taken away only while every revision that serves keeps one that is.
pub(super) fn plan(goal: &DesiredState, instances: &[View], routing: &Routing) -> Vec<Step> {
    let mut steps = Vec::new();
    let of = |revision: &RevisionName, standing: Standing| {
        instances.iter().filter(|i| i.revision == *revision && i.standing == standing).count()
    };
    let there = |revision: &RevisionName| {
        instances.iter().filter(|i| i.revision == *revision && i.standing != Standing::Leaving).count()
    };
    for (revision, wanted) in &goal.capacity {
        let missing = wanted.saturating_sub(u32::try_from(there(revision)).unwrap_or(u32::MAX));
        if missing > 0 {
            steps.push(Step::Start { revision: revision.clone(), count: missing });
        }
    }
    let wanted = wanted_routing(goal, routing);
    if wanted != *routing {
        let may_rise = |revision: &&RevisionName| {
            let complete = there(revision) >= goal.capacity.get(*revision).map_or(0, |n| *n as usize);
            of(revision, Standing::Ready) > 0 && of(revision, Standing::Starting) == 0 && complete
        };
        if !wanted.raised(routing).iter().all(may_rise) {
            return steps;
        }
        steps.push(Step::Route);
    }
    let all_serve = wanted.serving().iter().all(|revision| of(revision, Standing::Ready) > 0);
    for (revision, surplus) in surplus(goal, instances) {
        let serves = wanted.serving().contains(&revision);
        let mut ready_left = of(&revision, Standing::Ready);
        for victim in victims(&revision, instances).into_iter().take(surplus) {
            if victim.standing == Standing::Ready {
                if !all_serve || (serves && ready_left <= 1) {
                    continue;
                }
                ready_left -= 1;
            }
            steps.push(Step::Retire { id: victim.id });
        }
    }
    steps
}

/// The statement for the balancer: the wanted traffic over the addresses that are there.
pub(super) fn wanted_routing(goal: &DesiredState, now: &Routing) -> Routing {
    Routing {
        upstreams: now.upstreams.clone(),
        weights: goal.weights.iter().filter(|(_, weight)| **weight > 0).map(|(r, w)| (r.clone(), *w)).collect(),
        max_weight: goal.max_weight,
        routes: goal.routes.clone(),
        mirror: goal.mirror.clone(),
        preview: goal.preview.clone(),
    }
}

/// How many instances of each revision there are too many.
fn surplus(goal: &DesiredState, instances: &[View]) -> BTreeMap<RevisionName, usize> {
    let mut there: BTreeMap<RevisionName, usize> = BTreeMap::new();
    for instance in instances.iter().filter(|i| i.standing != Standing::Leaving) {
        *there.entry(instance.revision.clone()).or_default() += 1;
    }
    let wanted = |revision: &RevisionName| goal.capacity.get(revision).map_or(0, |n| *n as usize);
    there.into_iter().map(|(revision, n)| (revision.clone(), n.saturating_sub(wanted(&revision)))).collect()
}

/// Who goes first: those that do not serve, then the youngest.
fn victims<'a>(revision: &RevisionName, instances: &'a [View]) -> Vec<&'a View> {
    let mut victims: Vec<&View> =
        instances.iter().filter(|i| i.revision == *revision && i.standing != Standing::Leaving).collect();
    victims.sort_by_key(|i| (i.standing == Standing::Ready, std::cmp::Reverse(i.id)));
    victims
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use deploy_core::name::RevisionName;
    use deploy_core::target::DesiredState;
    use proptest::prelude::*;

    use super::{Standing, Step, View, plan, wanted_routing};
    use crate::targets::proxy::Routing;

    fn revision(n: usize) -> RevisionName {
        RevisionName::new(format!("v{n}")).expect("a name")
    }

    fn standings() -> impl Strategy<Value = Standing> {
        prop_oneof![Just(Standing::Starting), Just(Standing::Ready), Just(Standing::Unwell), Just(Standing::Leaving)]
    }

    /// Weights of three revisions that sum to 100, or none at all.
    fn weights() -> impl Strategy<Value = BTreeMap<RevisionName, u32>> {
        (0_u32..=100, 0_u32..=100, any::<bool>()).prop_map(|(a, b, none)| {
            let (low, high) = (a.min(b), a.max(b));
            let shares = [low, high - low, 100 - high];
            if none {
                return BTreeMap::new();
            }
            shares.into_iter().enumerate().filter(|(_, w)| *w > 0).map(|(n, w)| (revision(n), w)).collect()
        })
    }

    fn goals() -> impl Strategy<Value = DesiredState> {
        (weights(), prop::collection::vec(0_u32..4, 3)).prop_map(|(weights, capacity)| {
            let capacity = capacity.into_iter().enumerate().map(|(n, c)| (revision(n), c));
            let capacity = capacity.map(|(r, c)| if weights.contains_key(&r) { (r, c.max(1)) } else { (r, c) });
            DesiredState {
                capacity: capacity.filter(|(_, c)| *c > 0).collect(),
                weights,
                max_weight: 100,
                ..DesiredState::default()
            }
        })
    }

    /// Goals that may give weight to a revision without capacity; no place should take them, and none may follow them.
    fn careless_goals() -> impl Strategy<Value = DesiredState> {
        (goals(), prop::collection::vec(any::<bool>(), 3)).prop_map(|(mut goal, kept)| {
            goal.capacity.retain(|name, _| (0..3).any(|n| revision(n) == *name && kept[n]));
            goal
        })
    }

    fn worlds() -> impl Strategy<Value = Vec<View>> {
        prop::collection::vec((0_usize..3, standings()), 0..12).prop_map(|all| {
            let view = |(id, (n, standing)): (usize, (usize, Standing))| View {
                id: id as u64,
                revision: revision(n),
                standing,
            };
            all.into_iter().enumerate().map(view).collect()
        })
    }

    fn ready(world: &[View], name: &RevisionName) -> usize {
        world.iter().filter(|i| i.revision == *name && i.standing == Standing::Ready).count()
    }

    proptest! {
        #[test]
        fn traffic_never_rises_on_a_revision_with_no_ready_instance(goal in goals(), world in worlds(), now in weights()) {
            let routing = Routing { weights: now, max_weight: 100, ..Routing::default() };
            if plan(&goal, &world, &routing).contains(&Step::Route) {
                for name in wanted_routing(&goal, &routing).raised(&routing) {
                    prop_assert!(ready(&world, name) > 0);
                }
            }
        }

        #[test]
        fn the_last_healthy_copy_of_what_serves_is_never_taken_away(goal in careless_goals(), world in worlds(), now in weights()) {
            let routing = Routing { weights: now, max_weight: 100, ..Routing::default() };
            let steps = plan(&goal, &world, &routing);
            let gone: BTreeSet<u64> = steps.iter().filter_map(|s| if let Step::Retire { id } = s { Some(*id) } else { None }).collect();
            let left: Vec<View> = world.iter().filter(|i| !gone.contains(&i.id)).cloned().collect();
            let in_force = if steps.contains(&Step::Route) { wanted_routing(&goal, &routing) } else { routing };
            for name in in_force.serving() {
                prop_assert!(ready(&left, name) > 0 || ready(&world, name) == 0);
            }
            // Nobody that is ready goes while something that serves has nobody.
            let took_ready = world.iter().any(|i| gone.contains(&i.id) && i.standing == Standing::Ready);
            let all_serve = in_force.serving().iter().all(|name| ready(&left, name) > 0);
            prop_assert!(!took_ready || all_serve);
        }

        #[test]
        fn when_every_start_succeeds_the_goal_is_reached_and_then_left_alone(goal in goals(), world in worlds(), now in weights()) {
            let mut routing = Routing { weights: now, max_weight: 100, ..Routing::default() };
            let mut world = world;
            for _ in 0..8 {
                let steps = plan(&goal, &world, &routing);
                if steps.is_empty() { break }
                world.retain(|i| i.standing != Standing::Leaving);
                for instance in &mut world { instance.standing = Standing::Ready; }
                for step in steps {
                    match step {
                        Step::Start { revision, count } => for _ in 0..count {
                            let id = world.iter().map(|i| i.id + 1).max().unwrap_or(0);
                            world.push(View { id, revision: revision.clone(), standing: Standing::Ready });
                        },
                        Step::Route => routing = wanted_routing(&goal, &routing),
                        Step::Retire { id } => world.retain(|i| i.id != id),
                    }
                }
            }
            for instance in &mut world { if instance.standing != Standing::Leaving { instance.standing = Standing::Ready; } }
            world.retain(|i| i.standing != Standing::Leaving);
            for _ in 0..4 {
                for step in plan(&goal, &world, &routing) {
                    match step {
                        Step::Route => routing = wanted_routing(&goal, &routing),
                        Step::Retire { id } => world.retain(|i| i.id != id),
                        Step::Start { revision, .. } => {
                            let id = world.iter().map(|i| i.id + 1).max().unwrap_or(0);
                            world.push(View { id, revision, standing: Standing::Ready });
                        }
                    }
                }
            }
            prop_assert_eq!(plan(&goal, &world, &routing), vec![]);
            prop_assert_eq!(&routing.weights, &goal.weights);
            for n in 0..3 {
                let there = world.iter().filter(|i| i.revision == revision(n)).count();
                prop_assert_eq!(there, goal.capacity.get(&revision(n)).map_or(0, |c| *c as usize));
            }
        }
    }
}
