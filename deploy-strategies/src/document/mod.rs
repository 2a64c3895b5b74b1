//! Documents as trees in which every value knows its line and column.

mod node;
mod read;
#[cfg(feature = "yaml")]
mod yaml;

use std::fmt;

#[cfg(feature = "import")]
pub(crate) use self::node::Entry;
pub(crate) use self::node::{Node, Value};

/// The longest document that is read, in bytes. The longest manifests that people write by hand have some tens of thousands.
pub const LONGEST: usize = 1 << 20;

/// Where something stands in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The line, counted from 1.
    pub line: u32,
    /// The column in characters, counted from 1.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} column {}", self.line, self.column)
    }
}

/// A text that is no document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// Where reading stopped, if that is known.
    pub(crate) place: Option<Place>,
    /// What is wrong there.
    pub(crate) wrong: String,
}

/// The text of a document: UTF-8, and not too long.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Unreadable> {
    if bytes.len() > LONGEST {
        let wrong = format!("it has {} bytes, more than {LONGEST}", bytes.len());
        return Err(Unreadable { place: None, wrong });
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let good = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default());
        let line = good.matches('\n').count() + 1;
        let column = good.chars().rev().take_while(|c| *c != '\n').count() + 1;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let place = Some(Place { line: count(line), column: count(column) });
        Unreadable { place, wrong: "it is not UTF-8 here".to_owned() }
    })
}
