//! Every reachable state of small plans, and whether a fault in the rules would be seen there.

use std::sync::Arc;

use deploy_core::plan::Plan;
use deploy_core::testing::explore::{Limits, Rules, Sound, explore, planted};
use deploy_core::testing::plans;

#[expect(clippy::print_stdout, reason = "the counts of states are a result")]
fn prove(plans: &[(&'static str, Arc<Plan>)], holds_answers: bool) {
    for (name, plan) in plans {
        match explore(plan, &Sound, Limits { holds_answers, ..Limits::default() }) {
            Ok(seen) => println!(
                "{name}: {} states, {} turns, at most {} turns from the beginning, answers held back: {holds_answers}",
                seen.states, seen.turns, seen.depth
            ),
            Err(violation) => panic!("{name}: {violation}"),
        }
    }
}

#[test]
fn every_reachable_state_of_the_small_plans_keeps_every_invariant() {
    prove(&plans::small().expect("fixed names"), false);
}

#[test]
fn late_and_repeated_answers_change_nothing_in_any_reachable_state() {
    let small = plans::small().expect("fixed names");
    prove(&small[..3], true);
}

#[test]
#[ignore = "minutes; run it after a change of the machine"]
fn every_reachable_state_of_the_larger_plans_keeps_every_invariant() {
    prove(&plans::small().expect("fixed names"), true);
    prove(&plans::larger().expect("fixed names"), false);
}

/// Explores the small plans under faulty rules, until one shows the fault.
fn found(rules: &dyn Rules) -> Option<(&'static str, String, usize)> {
    let limits = Limits { states_at_most: 30_000, ..Limits::default() };
    plans::small().expect("fixed names").into_iter().find_map(|(name, plan)| {
        let violation = explore(&plan, rules, limits).err()?;
        Some((name, violation.property, violation.path.len()))
    })
}

#[test]
#[expect(clippy::print_stdout, reason = "the table of faults is a result")]
fn every_planted_fault_is_found() {
    let mut missed = Vec::new();
    for rules in planted() {
        match found(rules.as_ref()) {
            Some((plan, property, turns)) => {
                let plan = plan.split(':').next().unwrap_or(plan);
                println!("{:<90} {property} (in {plan}, {turns} turns)", rules.fault());
                if property == "the search ends" {
                    missed.push(rules.fault());
                }
            }
            None => missed.push(rules.fault()),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:#?}");
}
