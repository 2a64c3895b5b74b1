//! What the exit code of a process says.

use std::process::ExitCode;

use deploy_core::machine::{Machine, Mode, Outcome};
use deploy_core::plan::Work;
use deploy_core::report::{RunStatus, Waits};
use serde::Serialize;

/// How a command ended, for scripts. The numbers are a promise: none is ever given another meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Code {
    /// The release is out; or what was asked for was done.
    Succeeded = 0,
    /// The run failed and nothing was brought back; or a check or the chain of a journal does not hold.
    Failed = 1,
    /// The command line, or what it names, is wrong: nothing was done.
    Usage = 2,
    /// The release is not out, and what was there before is there again.
    RolledBack = 3,
    /// Nothing more happens by itself: it is parked, paused, waits for people, or nobody drives it.
    Held = 4,
    /// A gate refused the release.
    NoGo = 5,
    /// Somebody stopped the run.
    Aborted = 6,
    /// The engine did not take what an operator said; its reason is printed.
    Refused = 7,
    /// The journal, the place or another part could not be used.
    Unavailable = 8,
    /// This build does not have what was asked for: nothing was done.
    NotHere = 9,
    /// The run was handed back: run the same again to go on.
    HandedBack = 130,
}

/// Every code beside its meaning, as `--help` prints it.
pub(crate) const TABLE: &str = "\
Exit codes:
    0  succeeded: the release is out, or what was asked for was done
    1  failed: the run failed, or a check or the chain of a journal does not hold
    2  usage: the command line, or what it names, is wrong; nothing was done
    3  rolled back: the release is not out, and what was there before is there again
    4  held: parked, paused, waiting for people, or driven by nobody
    5  no-go: a gate refused the release
    6  aborted: somebody stopped the run
    7  refused: the engine did not take what an operator said
    8  unavailable: the journal, the place or another part could not be used
    9  not here: this build does not have what was asked for; nothing was done
  130  handed back: run the same again to go on
`deployctl judge` has its own, see `deployctl judge --help`.";

impl Code {
    /// The number that the process ends with.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    /// What the end of a run means; nothing while it goes on.
    pub(crate) fn of_end(run: &Machine) -> Option<Self> {
        let Mode::Ended { outcome, .. } = &run.state().mode else { return None };
        let failed = run.state().failure.as_ref().and_then(|failure| run.plan().find(&failure.step));
        let at_gate =
            failed.and_then(|id| run.plan().step(id)).is_some_and(|step| matches!(step.work, Work::Gate { .. }));
        Some(match outcome {
            Outcome::Succeeded => Self::Succeeded,
            Outcome::Aborted => Self::Aborted,
            Outcome::Failed | Outcome::RolledBack if at_gate => Self::NoGo,
            Outcome::RolledBack => Self::RolledBack,
            Outcome::Failed => Self::Failed,
        })
    }

    /// What a run means that may still be under way: succeeded, if it goes on by itself.
    pub(crate) fn of(run: &Machine, status: &RunStatus) -> Self {
        Self::of_end(run).unwrap_or_else(|| if is_held(status) { Self::Held } else { Self::Succeeded })
    }
}

/// Whether nothing more happens before somebody does something.
pub(crate) fn is_held(status: &RunStatus) -> bool {
    let people = |waits: &Waits| matches!(waits, Waits::People { .. } | Waits::Operator { .. });
    let only_people = !status.open.is_empty() && status.open.iter().all(|step| people(&step.waits));
    status.end().is_none() && (status.paused_for.is_some() || !status.parked.is_empty() || only_people)
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code.number())
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, TABLE};

    const ALL: [Code; 11] = [
        Code::Succeeded,
        Code::Failed,
        Code::Usage,
        Code::RolledBack,
        Code::Held,
        Code::NoGo,
        Code::Aborted,
        Code::Refused,
        Code::Unavailable,
        Code::NotHere,
        Code::HandedBack,
    ];

    #[test]
    fn the_table_names_every_code_by_its_number() {
        for code in ALL {
            let name = serde_json::to_value(code).expect("a name").as_str().expect("text").replace('_', " ");
            let name = name.replace("no go", "no-go");
            assert!(TABLE.contains(&format!("{:>5}  {name}: ", code.number())), "{name} is missing");
        }
    }
}
