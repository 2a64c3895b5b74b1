//! `deployctl judge`: what do these numbers say about a release?

mod args;
mod batches;
mod both;
mod csv;
mod fixed;
mod json;
mod kayenta;
mod method;
mod outcome;
mod place;
mod record;
mod shown;
mod trace;

use std::process::ExitCode;

pub(crate) use self::args::Args;
use self::outcome::{Failure, Outcome};
use crate::show::{Screen, complain};

/// Judges two files, prints the judgement, and says by the exit code what it is.
pub(crate) fn run(args: &Args) -> ExitCode {
    match judged(args) {
        Ok(outcome) => outcome.code(),
        Err(failure) => {
            let text = failure.to_string();
            if args.json {
                let facts = serde_json::json!({ "code": outcome::UNREADABLE, "meaning": "unreadable", "text": text });
                Screen::new(true).say("error", &text, &facts);
            } else {
                // What went wrong does not belong into the judgement.
                complain(&format!("deployctl judge: {text}"));
            }
            ExitCode::from(outcome::UNREADABLE)
        }
    }
}

fn judged(args: &Args) -> Result<Outcome, Failure> {
    shown::check(args)?;
    let baseline = record::read(&args.baseline, args.format)?;
    let candidate = record::read(&args.candidate, args.format)?;
    let judged = method::judge(args, &baseline, &candidate)?;
    shown::show(args, &judged)?;
    Ok(Outcome::of(&judged.verdict))
}
