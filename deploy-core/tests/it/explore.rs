//! Every reachable state of small plans, and whether a fault in the rules would be seen there.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use deploy_core::plan::Plan;
use deploy_core::testing::explore::{Limits, Rules, Sound, Transition, explore, planted, table};
use deploy_core::testing::plans;

/// Explores these plans and tells how many states there are; the transitions that their steps took.
#[expect(clippy::print_stdout, reason = "the counts of states are a result")]
fn prove(plans: &[(&'static str, Arc<Plan>)], holds_answers: bool) -> BTreeSet<Transition> {
    let mut taken = BTreeSet::new();
    for (name, plan) in plans {
        match explore(plan, &Sound, Limits { holds_answers, ..Limits::default() }) {
            Ok(seen) => {
                println!(
                    "{name}: {} states, {} turns, at most {} turns from the beginning, answers held back: {holds_answers}",
                    seen.states, seen.turns, seen.depth
                );
                taken.extend(seen.transitions);
            }
            Err(violation) => panic!("{name}: {violation}"),
        }
    }
    taken
}

/// What the steps of the small plans do, explored once for every test that asks.
static TAKEN: LazyLock<BTreeSet<Transition>> = LazyLock::new(|| {
    let mut plans = plans::small().expect("fixed names");
    plans.push(("soak: after a task, then a join", plans::with_soak().expect("fixed names")));
    prove(&plans, false)
});

#[test]
fn every_reachable_state_of_the_small_plans_keeps_every_invariant() {
    assert!(!TAKEN.is_empty());
}

#[test]
#[expect(clippy::print_stdout, reason = "the counts are a result")]
fn every_row_of_the_transition_table_is_taken_and_nothing_else_is() {
    let rows = table();
    assert!(rows.len() > 30, "the table could not be read: {rows:?}");
    let taken = &*TAKEN;
    let strays: Vec<&Transition> = taken.iter().filter(|t| !rows.iter().any(|row| row.holds(t))).collect();
    assert!(strays.is_empty(), "taken, and not in the table: {strays:#?}");
    let idle: Vec<_> = rows.iter().filter(|row| !taken.iter().any(|t| row.holds(t))).collect();
    assert!(idle.is_empty(), "in the table, and never taken: {idle:#?}");
    // Every state that a row names is left by it, and every state that it leads to is reached by it.
    let mut never = Vec::new();
    for row in &rows {
        let (from, to): (BTreeSet<_>, BTreeSet<_>) =
            taken.iter().filter(|t| row.holds(t)).map(|t| (t.from.to_owned(), t.to.to_owned())).unzip();
        never.extend(row.from.difference(&from).map(|s| format!("{s} is never left on: {}", row.on)));
        if !row.to_as_from {
            never.extend(row.to.difference(&to).map(|s| format!("{s} is never reached on: {}", row.on)));
        }
    }
    assert!(never.is_empty(), "{never:#?}");
    println!("{} rows, {} transitions", rows.len(), taken.len());
}

#[test]
fn late_and_repeated_answers_change_nothing_in_any_reachable_state() {
    prove(&[("smallest: a task with one attempt", plans::smallest().expect("fixed names"))], true);
}

#[test]
#[ignore = "minutes; run it after a change of the machine"]
fn every_reachable_state_of_the_larger_plans_keeps_every_invariant() {
    prove(&plans::small().expect("fixed names"), true);
    prove(&plans::larger().expect("fixed names"), false);
}

/// Explores the small plans under faulty rules, until one shows the fault: without held answers, then with them.
fn found(rules: &dyn Rules) -> Option<(&'static str, String, usize)> {
    let small = || plans::small().expect("fixed names").into_iter();
    let smallest = ("smallest", plans::smallest().expect("fixed names"));
    let one_by_one = small().take(4).map(|p| (p, false)).chain([(smallest, true)]);
    one_by_one.into_iter().find_map(|((name, plan), holds_answers)| {
        let violation = explore(&plan, rules, Limits { holds_answers, ..Limits::default() }).err()?;
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
