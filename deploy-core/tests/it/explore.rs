//! Every reachable state of small plans.

use deploy_core::testing::explore::{Limits, Sound, explore};
use deploy_core::testing::plans;

#[test]
fn every_reachable_state_of_the_small_plans_keeps_every_invariant() {
    for (name, plan) in plans::small().expect("fixed names") {
        for holds_answers in [false, true] {
            let began = std::time::Instant::now();
            match explore(&plan, &Sound, Limits { holds_answers, ..Limits::default() }) {
                Ok(seen) => println!(
                    "{name}: {} states, {} turns, depth {}, ends {:?} {:?}",
                    seen.states,
                    seen.turns,
                    seen.depth,
                    seen.ends,
                    began.elapsed()
                ),
                Err(violation) => panic!("{name}: {violation} {:?}", began.elapsed()),
            }
        }
    }
}
