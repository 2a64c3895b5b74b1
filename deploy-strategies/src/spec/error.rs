//! Why a text is no strategy.

use std::fmt;

use crate::document::{Place, Unreadable};
use crate::refusal::Refused;

/// A text is no strategy: every problem that was found, with its path and, for YAML, its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", Lines(problems))]
pub struct SpecError {
    problems: Vec<SpecProblem>,
}

/// One thing that was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpecProblem {
    /// Where in the text; always there for YAML, except where the text is too long as a whole. For JSON only where it is no JSON.
    pub place: Option<Place>,
    /// Where in the description, for example `steps[2].weight`; empty for the whole.
    pub at: String,
    /// What stands there and why that cannot be.
    pub wrong: String,
    /// What may stand there; empty where `wrong` says it.
    pub allowed: String,
}

impl SpecError {
    pub(super) fn one(place: Option<Place>, at: impl Into<String>, wrong: impl Into<String>) -> Self {
        let (at, wrong) = (at.into(), wrong.into());
        Self { problems: vec![SpecProblem { place, at, wrong, allowed: String::new() }] }
    }

    pub(super) fn allowed(mut self, allowed: impl Into<String>) -> Self {
        if let Some(problem) = self.problems.first_mut() {
            problem.allowed = allowed.into();
        }
        self
    }

    pub(super) fn wrong(&mut self, wrong: String) {
        if let Some(problem) = self.problems.first_mut() {
            problem.wrong = wrong;
        }
    }

    pub(super) fn refused(refused: &Refused, place: impl Fn(&str) -> Option<Place>) -> Self {
        let problem = |problem: &crate::refusal::Problem| SpecProblem {
            place: place(&problem.at),
            at: problem.at.clone(),
            wrong: problem.wrong.clone(),
            allowed: problem.allowed.clone(),
        };
        Self { problems: refused.problems().iter().map(problem).collect() }
    }

    /// Every problem that was found: all that the builder sees, or the first one before it is asked.
    #[must_use]
    pub fn problems(&self) -> &[SpecProblem] {
        &self.problems
    }
}

impl From<Unreadable> for SpecError {
    fn from(unreadable: Unreadable) -> Self {
        Self::one(unreadable.place, "", unreadable.wrong)
    }
}

impl fmt::Display for SpecProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = self.place {
            write!(f, "{place}: ")?;
        }
        if !self.at.is_empty() {
            write!(f, "{}: ", self.at)?;
        }
        f.write_str(&self.wrong)?;
        if self.allowed.is_empty() { Ok(()) } else { write!(f, "; allowed: {}", self.allowed) }
    }
}

struct Lines<'a>(&'a [SpecProblem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            let gap = if i == 0 { "" } else { " | " };
            write!(f, "{gap}{problem}")?;
        }
        Ok(())
    }
}
