//! What stands in the way of a bound strategy.

use std::fmt;

/// Something of a manifest that the host has to add to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unbound {
    /// The file, by the name that it was given.
    pub file: String,
    /// The line of the metric or the webhook.
    pub line: Option<u32>,
    /// The metric or the webhook.
    pub name: String,
    /// Why it cannot be asked.
    pub wrong: String,
    /// What the host can do.
    pub remedy: String,
}

impl fmt::Display for Unbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}: {}; {}", self.name, self.wrong, self.remedy)
    }
}

/// A strategy whose questions or webhooks cannot all be bound: everything that stands in the way, in the order of the manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", Lines(.list))]
pub struct NotBound {
    pub(super) list: Vec<Unbound>,
}

impl NotBound {
    /// Everything that stands in the way.
    #[must_use]
    pub fn list(&self) -> &[Unbound] {
        &self.list
    }
}

struct Lines<'a>(&'a [Unbound]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, unbound) in self.0.iter().enumerate() {
            write!(f, "{}{unbound}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}
