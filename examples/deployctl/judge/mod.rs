//! `deployctl judge`: what do these numbers say about a release?

mod args;
mod csv;
mod fixed;
mod json;
mod method;
mod outcome;
mod record;
mod shown;

use std::process::ExitCode;

pub(crate) use self::args::Args;
use self::outcome::{Failure, Outcome};

/// Judges two files, prints the judgement, and says by the exit code what it is.
#[expect(clippy::print_stderr, reason = "what went wrong does not belong into the judgement")]
pub(crate) fn run(args: &Args) -> ExitCode {
    match judged(args) {
        Ok(outcome) => outcome.code(),
        Err(failure) => {
            eprintln!("deployctl judge: {failure}");
            ExitCode::from(outcome::UNREADABLE)
        }
    }
}

fn judged(args: &Args) -> Result<Outcome, Failure> {
    let baseline = record::read(&args.baseline, args.format)?;
    let candidate = record::read(&args.candidate, args.format)?;
    let judged = method::judge(args, &baseline, &candidate)?;
    shown::show(args, &judged)?;
    Ok(Outcome::of(&judged.verdict))
}
