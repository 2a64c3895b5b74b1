//! Which row of the machine's transition table a record takes a step through.

use std::collections::BTreeSet;

use crate::machine::{AfterFailure, AfterLook, Answer, Event, Found, Input, Park, Record, StepState};
use crate::operator::Act;

/// One step of the table: from a state, on a cause, to a state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Transition {
    /// The name of the state before.
    pub from: &'static str,
    /// The cause, in the table's words.
    pub on: &'static str,
    /// The name of the state after.
    pub to: &'static str,
}

/// One row of the table in the machine's documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The states that it starts from.
    pub from: BTreeSet<String>,
    /// The cause.
    pub on: String,
    /// The states that it may lead to.
    pub to: BTreeSet<String>,
    /// Whether it borrows what it may lead to from other rows (`as from …`).
    pub to_as_from: bool,
}

impl Row {
    /// Whether the row holds this transition.
    #[must_use]
    pub fn holds(&self, t: &Transition) -> bool {
        self.on == t.on && self.from.contains(t.from) && self.to.contains(t.to)
    }
}

/// Reads the table out of the machine's documentation.
#[must_use]
pub fn table() -> Vec<Row> {
    const SOURCE: &str = include_str!("../../machine/mod.rs");
    const AS_FROM: &str = "as from `";
    let cells = |line: &str| -> Option<[String; 3]> {
        let mut parts = line.strip_prefix("//! |")?.strip_suffix('|')?.split('|').map(|c| c.trim().to_owned());
        Some([parts.next()?, parts.next()?, parts.next()?])
    };
    let rows: Vec<[String; 3]> =
        SOURCE.lines().filter_map(cells).filter(|c| c[0].starts_with('`') && !c[0].is_empty()).collect();
    let plain = |text: &str| names(text).into_iter().collect::<BTreeSet<_>>();
    rows.iter()
        .map(|[from, on, to]| {
            let mut leads: BTreeSet<String> = BTreeSet::new();
            let mut rest = to.as_str();
            while let Some(at) = rest.find(AS_FROM) {
                leads.extend(plain(&rest[..at]));
                let after = &rest[at + AS_FROM.len()..];
                let end = after.find('`').unwrap_or(after.len());
                let other = &after[..end];
                let same = rows.iter().filter(|r| names(&r[0]).iter().any(|n| n == other));
                leads.extend(same.flat_map(|r| names(&r[2])));
                rest = after.get(end + 1..).unwrap_or("");
            }
            leads.extend(plain(rest));
            Row { from: plain(from), on: on.clone(), to: leads, to_as_from: to.contains(AS_FROM) }
        })
        .collect()
}

/// What stands between backticks.
fn names(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The name of a step's state.
#[must_use]
pub fn name(state: &StepState) -> &'static str {
    match state {
        StepState::Waiting { .. } => "Waiting",
        StepState::Backoff { .. } => "Backoff",
        StepState::Trying { .. } => "Trying",
        StepState::Polling { .. } => "Polling",
        StepState::Cancelling { .. } => "Cancelling",
        StepState::Unsure { .. } => "Unsure",
        StepState::Verifying { .. } => "Verifying",
        StepState::Evaluating { .. } => "Evaluating",
        StepState::Approving { .. } => "Approving",
        StepState::Soaking { .. } => "Soaking",
        StepState::Rolling(_) => "Rolling",
        StepState::Parked { .. } => "Parked",
        StepState::Done => "Done",
        StepState::Failed { .. } => "Failed",
        StepState::Withdrawn => "Withdrawn",
        StepState::Undone => "Undone",
    }
}

/// The transition that a record, made because of an input, takes a step through.
pub(super) fn of(input: &Input, record: &Record, from: &StepState, to: &StepState) -> Transition {
    Transition { from: name(from), on: cause(input, record, from), to: name(to) }
}

const ENDS_BADLY: &str = "roll back, rejected, expired, too long, too many errors, an unsafe decision";
const TURNED_BACK: &str = "the run turned back";

fn cause(input: &Input, record: &Record, from: &StepState) -> &'static str {
    let under_way = matches!(from, StepState::Trying { .. } | StepState::Polling { .. });
    match (&record.event, from) {
        (Event::Opened(_), _) => "dependencies met, room in the width",
        (Event::Joined(_), _) => "dependencies met, mere join",
        (
            Event::Completed(_)
            | Event::AttemptFailed(_)
            | Event::UndoPassed(_)
            | Event::Retried(_)
            | Event::BecameUnsure(_),
            StepState::Parked { .. },
        ) => match input {
            Input::Operator(o) if matches!(o.act, Act::Retry { .. }) => "retry",
            Input::Operator(o) if matches!(o.act, Act::Waive { .. }) => "waive the undo",
            _ => "settle",
        },
        (Event::Parked(e), StepState::Unsure { .. }) if matches!(e.why, Park::UnknownOutcome { .. }) => {
            "unknown and not repeatable, or still under way after it was cancelled"
        }
        (
            Event::Completed(_) | Event::AttemptFailed(_) | Event::Running(_) | Event::Parked(_),
            StepState::Unsure { .. },
        ) => looked_up(input),
        (Event::BecameUnsure(_), StepState::Cancelling { .. }) => match input {
            Input::Answered { answer, .. } if matches!(**answer, Answer::Cancelled(Some(Err(_)))) => {
                "the attempt returned"
            }
            _ => "it did not",
        },
        (Event::Completed(_) | Event::AttemptFailed(_) | Event::Parked(_), StepState::Cancelling { .. }) => {
            "the attempt returned"
        }
        (Event::Completed(_), _) => "report",
        (Event::Running(_), _) => "running",
        (Event::AttemptFailed(_), StepState::Verifying { .. }) => "one is not",
        (Event::AttemptFailed(e), _) => match e.then {
            AfterFailure::Retry { .. } => "definitive or transient error, attempts left",
            AfterFailure::Fail => "definitive or transient error, none left",
        },
        (Event::BecameUnsure(_), _) => "unknown error, or the engine stopped (`Trying`)",
        (Event::Attached(_), StepState::Rolling(_)) => TURNED_BACK,
        (Event::Attached(_), _) => "unknown error, or the engine stopped (`Trying`)",
        (Event::TimedOut(_), _) => "its time is over, or the run turned back",
        (Event::TurnedBack(_), _) if under_way => "its time is over, or the run turned back",
        (Event::TurnedBack(_), _) => TURNED_BACK,
        (Event::Retried(_), _) => "due, or an operator retries",
        (Event::Verified(_), _) => "every mandatory check met",
        (Event::Passed(_), _) => "go, conditional",
        (Event::Held(_), _) => "hold, could not find out",
        (Event::StepFailed(_), StepState::Evaluating { .. }) => "no-go, held for too long",
        (Event::StepFailed(_), StepState::Approving { .. }) => "rejected, expired",
        (Event::StepFailed(_), _) => ENDS_BADLY,
        (Event::Soaked(_), _) => "over, or promoted",
        (Event::Granted(_), _) => "quorum",
        (Event::Looked(e), _) => match e.then {
            AfterLook::Complete => "complete",
            AfterLook::Fail => ENDS_BADLY,
            AfterLook::Apply | AfterLook::Rest { .. } | AfterLook::Ask { .. } => "a look, and the strategy wants more",
        },
        (Event::Parked(e), StepState::Rolling(_)) => match e.why {
            Park::Drift { .. } | Park::Overridden { .. } => {
                "somebody else changes the target again and again, or overrides the fence"
            }
            Park::UndoFailed { .. } | Park::UnknownOutcome { .. } => ENDS_BADLY,
        },
        (Event::Parked(_), _) => "definitive or transient error, none left",
        (Event::UndoOpened(_), _) => "its turn on the way back, with an undo",
        (
            Event::UndoPassed(_)
            | Event::PutOff(_)
            | Event::Stumbled(_)
            | Event::Applied(_)
            | Event::Drifted(_)
            | Event::Promoted(_)
            | Event::Took(_)
            | Event::Kept(_)
            | Event::Dropped(_)
            | Event::Started(_)
            | Event::Admitted(_)
            | Event::Ended(_),
            _,
        ) => "nothing that the table names",
    }
}

fn looked_up(input: &Input) -> &'static str {
    let Input::Answered { answer, .. } = input else { return "nothing that the table names" };
    match &**answer {
        Answer::LookedUp(Ok(Found::Finished(_) | Found::Failed(_) | Found::Running { .. })) => {
            "finished · failed · running"
        }
        _ => "never started, or unknown and repeatable",
    }
}
