//! `deployctl workflow incident-response`: has a run answer to an incident, or lists what answers to one as far as it is here.

mod answer;
mod steps;

use std::path::PathBuf;

use self::answer::Answer;
use crate::Failure;
use crate::code::Code;
use crate::shared::Shared;

/// What is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run that the incident is about: its id, how its id begins, or `last`. The commands are then spelt for it.
    run: Option<String>,

    /// Answer to the incident of this event, a CDEvents `incident` event in JSON. The run that does is begun, or goes on: whatever is told
    /// of one incident, one run answers to it.
    #[arg(long, value_name = "FILE", conflicts_with = "run")]
    event: Option<PathBuf>,

    #[command(flatten)]
    answer: Answer,
}

/// Rows: M116, M232.
pub(crate) async fn run(args: &Args, shared: &Shared) -> Result<Code, Failure> {
    match &args.event {
        Some(event) => args.answer.to(event, shared).await,
        None => steps::list(args.run.as_deref(), shared).await,
    }
}
