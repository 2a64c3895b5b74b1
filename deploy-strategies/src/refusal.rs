//! Why a strategy or a judge could not be built: every problem at once, each with its place and what is allowed there.

use std::fmt;

/// What was wrong with a description, all of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} cannot be built: {}", Lines(problems))]
pub struct Refused {
    what: &'static str,
    problems: Vec<Problem>,
}

/// One thing that was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Where, as a path into the description, for example `steps[2].weight`.
    pub at: String,
    /// What stands there and why that cannot be.
    pub wrong: String,
    /// What may stand there.
    pub allowed: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; allowed: {}", self.at, self.wrong, self.allowed)
    }
}

impl Refused {
    /// Every problem, in the order of the description.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

struct Lines<'a>(&'a [Problem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            let gap = if i == 0 { "" } else { " | " };
            write!(f, "{gap}{problem}")?;
        }
        Ok(())
    }
}

/// Collects problems while a description is checked.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn add(&mut self, at: impl Into<String>, wrong: impl Into<String>, allowed: impl Into<String>) {
        self.0.push(Problem { at: at.into(), wrong: wrong.into(), allowed: allowed.into() });
    }

    /// Adds a problem unless `holds`.
    pub(crate) fn require(
        &mut self,
        holds: bool,
        at: impl Into<String>,
        wrong: impl Into<String>,
        allowed: impl Into<String>,
    ) {
        if !holds {
            self.add(at, wrong, allowed);
        }
    }

    pub(crate) fn finish(self, what: &'static str) -> Result<(), Refused> {
        if self.0.is_empty() { Ok(()) } else { Err(Refused { what, problems: self.0 }) }
    }
}
