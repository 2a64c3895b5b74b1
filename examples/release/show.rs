//! The way out: text for people, one JSON object a line for programs, and on a terminal a block that is drawn again and again.

use std::io::{IsTerminal as _, Write as _};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::view::View;

/// Prints one line to standard output. Somebody who stopped listening is no reason to fail.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Prints one line to standard error.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// How things are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// One JSON object a line.
    Json,
    /// One line for each change.
    Lines,
    /// As lines, and below them a block with the newest state.
    Live,
}

/// Shows what happens.
#[derive(Debug)]
pub(crate) struct Screen {
    way: Way,
    /// How many lines the block has that is on the terminal now.
    drawn: usize,
    /// What was shown last of what may change, so that only changes are shown.
    shown: Option<String>,
}

impl Screen {
    /// A screen for this process's output.
    pub(crate) fn new(json: bool) -> Self {
        let way = match json {
            true => Way::Json,
            false if std::io::stdout().is_terminal() => Way::Live,
            false => Way::Lines,
        };
        Self { way, drawn: 0, shown: None }
    }

    /// Says something once: `text` to people, `kind` and `facts` to programs.
    pub(crate) fn say(&mut self, kind: &str, text: &str, facts: &impl Serialize) {
        match self.way {
            Way::Json => line(&object(kind, facts)),
            Way::Lines | Way::Live => {
                self.clear();
                line(text);
            }
        }
    }

    /// Shows where a run stands. Ages and remaining times go by without a new line.
    pub(crate) fn view(&mut self, view: &View) {
        match self.way {
            Way::Live => {
                self.clear();
                let lines = view.block();
                let width = width();
                for text in &lines {
                    line(&text.chars().take(width).collect::<String>());
                }
                self.drawn = lines.len();
            }
            Way::Lines | Way::Json => {
                let change = view.change();
                if self.shown.as_ref() != Some(&change) {
                    line(&if self.way == Way::Json { object("progress", view) } else { view.line() });
                    self.shown = Some(change);
                }
            }
        }
    }

    /// Takes the block off the terminal.
    pub(crate) fn clear(&mut self) {
        if self.drawn > 0 {
            let mut out = std::io::stdout().lock();
            // Up so many lines, then everything below is erased.
            let _ = write!(out, "\x1b[{}A\x1b[J", self.drawn).and_then(|()| out.flush());
            self.drawn = 0;
        }
    }
}

fn object(kind: &str, facts: &impl Serialize) -> String {
    let mut object = Map::from_iter([("kind".to_owned(), Value::from(kind))]);
    match serde_json::to_value(facts) {
        Ok(Value::Object(facts)) => object.extend(facts),
        Ok(other) => drop(object.insert("value".to_owned(), other)),
        Err(error) => drop(object.insert("error".to_owned(), error.to_string().into())),
    }
    Value::Object(object).to_string()
}

/// How many characters fit into a line of the block: a wrapped line would spoil the count of lines.
fn width() -> usize {
    terminal_size::terminal_size().map_or(80, |(terminal_size::Width(columns), _)| usize::from(columns).max(20))
}
