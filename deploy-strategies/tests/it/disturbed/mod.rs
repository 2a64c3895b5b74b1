//! Every course that a rollout takes on a place whose instances start and end in known times, while up to two disturbances
//! happen at any moment: an instance dies, a second party changes how many are wanted, instances on their way out take their
//! time. What the strategy is shown may be up to three looks old. All promises hold in each of them, and from the last disturbance
//! on every course comes to an end.

mod print;
mod scope;
mod walk;
mod world;

use std::time::Duration;

use deploy_core::strategy::Strategy;
use deploy_strategies::all_at_once::AllAtOnce;
use deploy_strategies::blue_green::{BlueGreen, Promote};
use deploy_strategies::canary::{Canary, StableCapacity, Step};
use deploy_strategies::rolling::{Amount, Batch, Rolling};
use deploy_strategies::share::Percent;

use self::scope::{Fewer, Side, Sizes, explore_all};
use crate::closed_loop::limits;
use crate::exploration::EVERY;

/// D18 of `docs/differences.md`: what is shown is up to three looks old, and what was asked for since counts at its worst.
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
        .filter(|(surge, unavailable)| Sizes::asked().many() || surge + unavailable < 3)
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
