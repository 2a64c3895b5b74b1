//! `deployctl dossier`: all that a run claimed, showed, had verified and decided.

mod cd_events;
mod junit;
mod sarif;
mod summary;

use std::path::PathBuf;

use clap::ValueEnum;
use deploy_agents::dossier::Dossier;
use deploy_core::report::chain;
use serde_json::json;

use crate::Failure;
use crate::code::Code;
use crate::select::select;
use crate::shared::Shared;
use crate::show::{Screen, line};
use crate::trouble::Trouble;

/// Print all that a run claimed, showed, had verified and decided.
///
/// The chain of its records is checked on the way. `lines` can be checked again anywhere; `junit`, `sarif` and `summary` are
/// what CI systems show, and `cd-events` what they tell each other.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run: its id, how its id begins, or `last`. Default: the only one that has not ended.
    run: Option<String>,

    /// As what. With --json and without this, as lines.
    #[arg(long)]
    format: Option<Format>,

    /// Write it to a file. Where the format is not given, it is what the name ends in: .md, .html, .jsonl, .xml, .sarif.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Append it to a file, for example to the one that `GITHUB_STEP_SUMMARY` names.
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    append: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a person.
    Markdown,
    /// For a person, as a page.
    Html,
    /// One JSON object a line, chained by hashes, with the evidence in it.
    Lines,
    /// A test suite for each phase, a test case for each step and each check.
    Junit,
    /// A result for each check that is not met and each step that failed.
    Sarif,
    /// CDEvents, one a line, for whatever collects them.
    CdEvents,
    /// A short table, for the summary of a CI job.
    Summary,
}

impl Format {
    fn of(args: &Args, shared: &Shared) -> Result<Self, Failure> {
        if let Some(format) = args.format {
            return Ok(format);
        }
        let Some(out) = &args.out else { return Ok(if shared.json { Self::Lines } else { Self::Markdown }) };
        let end = out.extension().and_then(|end| end.to_str()).unwrap_or_default();
        match end {
            "md" => Ok(Self::Markdown),
            "html" => Ok(Self::Html),
            "jsonl" => Ok(Self::Lines),
            "xml" => Ok(Self::Junit),
            "sarif" => Ok(Self::Sarif),
            _ => {
                let text = format!("the name {} does not say what to write; give --format", out.display());
                Err(Trouble::usage(text))
            }
        }
    }
}

pub(crate) async fn run(args: &Args, shared: &Shared) -> Result<Code, Failure> {
    let format = Format::of(args, shared)?;
    let file = shared.journal()?;
    let journal = file.read()?;
    let entry = select(&*journal, args.run.as_deref()).await?;
    let dossier = Dossier::collect(&*journal, &entry.run).await;
    let dossier =
        dossier.map_err(|error| Trouble::ends(Code::Failed, format!("run {}: {}", entry.run, chain(&error))))?;
    let text = match format {
        Format::Markdown => dossier.to_markdown(),
        Format::Html => dossier.to_html(),
        Format::Lines => dossier.export()?,
        Format::Junit => junit::write(&dossier),
        Format::Sarif => sarif::write(&dossier),
        Format::CdEvents => cd_events::write(&dossier),
        Format::Summary => summary::write(&dossier),
    };
    let cannot = |path: &std::path::Path, error: std::io::Error| {
        Trouble::usage(format!("the dossier cannot be written to {}: {error}", path.display()))
    };
    let path = match (&args.out, &args.append) {
        (Some(path), _) => {
            std::fs::write(path, text.as_bytes()).map_err(|error| cannot(path, error))?;
            path
        }
        (None, Some(path)) => {
            use std::io::Write as _;
            let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
            file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| cannot(path, error))?;
            path
        }
        (None, None) => {
            line(text.trim_end());
            return Ok(Code::Succeeded);
        }
    };
    let facts = json!({ "run": entry.run, "file": path, "bytes": text.len(), "head": dossier.head });
    Screen::new(shared.json).say("dossier", &format!("run {}: written to {}", entry.run, path.display()), &facts);
    Ok(Code::Succeeded)
}
