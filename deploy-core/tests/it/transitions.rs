//! The transition table in the machine's documentation against what steps really do.

use std::collections::BTreeSet;

use deploy_core::testing::explore::{Limits, Sound, Transition, explore, table};
use deploy_core::testing::plans;

#[test]
#[expect(clippy::print_stdout, reason = "the counts are a result")]
fn every_row_of_the_table_is_taken_and_nothing_else_is() {
    let rows = table();
    assert!(rows.len() > 30, "the table could not be read: {rows:?}");
    let mut taken = BTreeSet::new();
    let limits = Limits { holds_answers: false, ..Limits::default() };
    let beside = plans::with_soak().expect("fixed names");
    for (name, plan) in plans::small().expect("fixed names").into_iter().chain([("soak", beside)]) {
        match explore(&plan, &Sound, limits) {
            Ok(seen) => taken.extend(seen.transitions),
            Err(violation) => panic!("{name}: {violation}"),
        }
    }
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
