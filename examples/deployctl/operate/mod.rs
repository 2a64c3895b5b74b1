//! What people say to a run, from any process: it goes through the journal's inbox to whoever drives the run.

mod act;
mod back;
mod say;

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use deploy_core::name::CheckName;
use deploy_core::operator::Settlement;
use deploy_core::plan::StepPath;

use self::say::say;
use crate::Failure;
use crate::code::Code;
use crate::host::Source;
use crate::shared::Shared;
use crate::span::span;
use crate::trouble::Trouble;
use crate::who::Who;

/// What can be said.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say yes to a step that waits for a person.
    Approve(OnStep),
    /// Say no to a step that waits for a person: the step fails.
    Reject(OnStep),
    /// Open nothing more and decide nothing more until resumed; what is under way goes on.
    Pause(OnRun),
    /// Go on after a pause.
    Resume(OnRun),
    /// Skip the wait that a step is in.
    Promote(Promote),
    /// Try a parked or backing-off step again at once.
    Retry(OnStep),
    /// Stop: settle what is under way, undo what was started, end aborted.
    Abort(OnRun),
    /// Undo what was started, and end rolled back; or take back a run that has ended.
    ///
    /// While the run is under way, it goes back by itself. A run that has ended is taken back by a run of its own, which is
    /// driven here: it releases what served before, names the run that it takes back, and waits before every release. Give the
    /// pipeline that the run had. Asked again, the same run goes on; a rollback itself is not taken back.
    Rollback(Box<Rollback>),
    /// Answer for a check that is not met; or, without --check, for an undo that cannot be done.
    Waive(Waive),
    /// Take note of a parked run: you look after it.
    Acknowledge(OnRun),
    /// Say what became of an attempt that nobody could look up.
    Settle(Settle),
}

/// Something said about a run.
#[derive(Debug, Clone, Args)]
pub(crate) struct OnRun {
    /// The run: its id, how its id begins, or `last`. Default: the only one that has not ended.
    run: Option<String>,

    #[command(flatten)]
    who: Who,

    /// Why, in your words. It is recorded beside your name.
    #[arg(long)]
    why: String,

    /// How long to wait for the answer of whoever drives the run.
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = span)]
    wait: Duration,
}

/// Something said about a step of a run.
#[derive(Debug, Clone, Args)]
pub(crate) struct OnStep {
    #[command(flatten)]
    on: OnRun,

    /// The step, as PHASE/STEP. Default: the only one that it can be about.
    #[arg(long, value_parser = path)]
    step: Option<StepPath>,
}

/// A run that is taken back.
#[derive(Debug, Clone, Args)]
pub(crate) struct Rollback {
    #[command(flatten)]
    on: OnRun,

    #[command(flatten)]
    source: Source,
}

/// A wait that is skipped.
#[derive(Debug, Clone, Args)]
pub(crate) struct Promote {
    #[command(flatten)]
    on: OnStep,

    /// Skip every further stage of a rollout.
    #[arg(long)]
    full: bool,
}

/// A check or an undo that somebody answers for.
#[derive(Debug, Clone, Args)]
pub(crate) struct Waive {
    #[command(flatten)]
    on: OnStep,

    /// The check.
    #[arg(long)]
    check: Option<CheckName>,

    /// For how long you answer for it.
    #[arg(long, value_name = "SPAN", default_value = "4h", value_parser = span)]
    expires: Duration,
}

/// What became of an attempt.
#[derive(Debug, Clone, Args)]
pub(crate) struct Settle {
    #[command(flatten)]
    on: OnStep,

    /// What became of it.
    #[arg(long = "outcome", value_name = "WHAT")]
    was: Was,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Was {
    /// It was done.
    Finished,
    /// It was never done, and may be tried again.
    NeverStarted,
    /// It failed.
    Failed,
}

impl From<Was> for Settlement {
    fn from(was: Was) -> Self {
        match was {
            Was::Finished => Self::Finished,
            Was::NeverStarted => Self::NeverStarted,
            Was::Failed => Self::Failed,
        }
    }
}

impl OnRun {
    /// Why, which must say something.
    fn why(&self) -> Result<&str, Failure> {
        match self.why.trim() {
            "" => Err(Trouble::usage("--why is empty; say why, for whoever reads the records")),
            why => Ok(why),
        }
    }
}

impl Command {
    fn on(&self) -> &OnRun {
        match self {
            Self::Approve(said) | Self::Reject(said) | Self::Retry(said) => &said.on,
            Self::Pause(on) | Self::Resume(on) | Self::Abort(on) | Self::Acknowledge(on) => on,
            Self::Rollback(said) => &said.on,
            Self::Promote(said) => &said.on.on,
            Self::Waive(said) => &said.on.on,
            Self::Settle(said) => &said.on.on,
        }
    }
}

pub(crate) async fn run(command: &Command, shared: &Shared) -> Result<Code, Failure> {
    if let Command::Rollback(said) = command
        && let Some(ended) = back::ended(said, shared).await?
    {
        return back::take_back(said, &ended, shared).await;
    }
    say(command, command.on(), shared).await
}

fn path(text: &str) -> Result<StepPath, String> {
    StepPath::new(text).map_err(|error| format!("{error}; a step is PHASE/STEP, see `deployctl status`"))
}
