//! Goes through every state that a small plan can reach, and holds each against the engine's invariants.
//!
//! At every state every command under way is answered in every way, an operator says everything that may be said, the
//! time comes, and the driver stops and is replaced. One late answer and one repeated answer are held back and delivered at
//! any later time. States that differ only in what makes no difference (absolute times, counters, words) count as one, or
//! the exploration would never end.

mod canonical;
mod fault;
mod property;
mod rules;
mod search;
mod transition;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

pub use self::fault::{Planted, planted};
pub use self::rules::{Rules, Sound};
use self::search::Search;
pub use self::transition::{Row, Transition, name, table};
pub use self::world::{Judged, ScriptedStrategy};
use crate::plan::Plan;

/// How far an exploration goes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// After this many states it gives up.
    pub states_at_most: usize,
    /// Whether one late and one repeated answer are held back.
    pub holds_answers: bool,
    /// How many inputs may come early.
    pub early_at_most: usize,
}

impl Default for Limits {
    /// Two million states, answers held back, one early input: what the small plans need, within seconds.
    fn default() -> Self {
        Self { states_at_most: 2_000_000, holds_answers: true, early_at_most: 1 }
    }
}

/// What an exploration saw.
#[derive(Debug, Clone, Default)]
pub struct Exploration {
    /// How many states there are.
    pub states: usize,
    /// How many turns lead from one to another.
    pub turns: usize,
    /// How many of the states are ends, by outcome.
    pub ends: BTreeMap<String, usize>,
    /// Every transition that a step took.
    pub transitions: BTreeSet<Transition>,
    /// Every kind of record that was made.
    pub kinds: BTreeSet<&'static str>,
    /// The longest way to a state, in turns.
    pub depth: usize,
}

/// A property that does not hold, with the way there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The property.
    pub property: String,
    /// How it is broken.
    pub how: String,
    /// What happened from the beginning of the run on.
    pub path: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.property, self.how)?;
        for (n, turn) in self.path.iter().enumerate() {
            writeln!(f, "  {n:>3} {turn}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Violation {}

/// Goes through every state that `plan` can reach under `rules`.
///
/// # Errors
///
/// The first [`Violation`] found; the search is breadth first, so the way there is a shortest one.
pub fn explore(plan: &Arc<Plan>, rules: &dyn Rules, limits: Limits) -> Result<Exploration, Box<Violation>> {
    Search::new(plan, rules, limits)?.run()
}
