//! `deployctl audit verify`: finds any change to the records of a run.

use std::io::BufReader;
use std::path::PathBuf;

use deploy_core::digest::Digest;
use deploy_core::journal::{ChainReport, Head, VerifyError, Which, import, verify_run};
use deploy_core::report::chain;
use serde_json::json;

use crate::Failure;
use crate::code::Code;
use crate::select::{runs, select};
use crate::shared::Shared;
use crate::show::Screen;
use crate::trouble::Trouble;

/// Check that the records of a run are those that were written; without RUN, of all runs.
///
/// Each record is chained to the one before it. Who can write the file could rewrite a whole chain: keep the head that is
/// printed somewhere else, and give it as --anchor the next time. Exit code 1 if anything was changed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run: its id, how its id begins, or `last`.
    run: Option<String>,

    /// A head that was kept elsewhere, as it was printed.
    #[arg(long, value_name = "NUMBER:SHA256", value_parser = head, requires = "run")]
    anchor: Option<Head>,

    /// Check what `dossier --format lines` or an export of the journal wrote, instead of the journal.
    #[arg(long, value_name = "FILE", conflicts_with = "run")]
    file: Option<PathBuf>,
}

pub(super) async fn run(args: &Args, shared: &Shared) -> Result<Code, Failure> {
    let mut screen = Screen::new(shared.json);
    if let Some(path) = &args.file {
        return file(path, &mut screen);
    }
    let journal_file = shared.journal()?;
    let journal = journal_file.read()?;
    let meant = match &args.run {
        Some(word) => vec![select(&*journal, Some(word)).await?],
        None => runs(&*journal, Which::All).await?,
    };
    let mut code = Code::Succeeded;
    for entry in &meant {
        match verify_run(&*journal, &entry.run, args.anchor).await {
            Ok(report) => sound(entry.run.as_str(), report, &mut screen),
            Err(error) => {
                code = Code::Failed;
                broken(entry.run.as_str(), &error, &mut screen);
            }
        }
    }
    let text = match code {
        Code::Succeeded => format!("{} runs: every record is the one that was written", meant.len()),
        _ => "records were changed; restore the journal from a backup, and keep this one to see what became of it"
            .to_owned(),
    };
    let facts = json!({ "runs": meant.len(), "code": code.number(), "meaning": code, "text": text });
    screen.say("end", &text, &facts);
    Ok(code)
}

fn sound(run: &str, report: ChainReport, screen: &mut Screen) {
    let head = format!("{}:{}", report.head.next, report.head.hash);
    let vouched = match report.anchored {
        0 => "no anchor was given".to_owned(),
        anchored => format!("the anchor vouches for {anchored}"),
    };
    let facts =
        json!({ "run": run, "sound": true, "records": report.head.next, "anchored": report.anchored, "head": head });
    screen.say("chain", &format!("{run}: {} records, {vouched}; head {head}", report.head.next), &facts);
}

fn broken(run: &str, error: &VerifyError, screen: &mut Screen) {
    let text = chain(error);
    screen.say("chain", &format!("{run}: BROKEN: {text}"), &json!({ "run": run, "sound": false, "text": text }));
}

/// Checks an export, be it of the journal or a dossier.
fn file(path: &std::path::Path, screen: &mut Screen) -> Result<Code, Failure> {
    let place = path.display();
    let bytes = std::fs::read(path).map_err(|error| Trouble::usage(format!("{place} cannot be read: {error}")))?;
    let changed = |why: String| Trouble::ends(Code::Failed, format!("{place}: BROKEN: {why}"));
    let text = std::str::from_utf8(&bytes).map_err(|error| changed(error.to_string()))?;
    let (run, head) = match deploy_agents::dossier::Dossier::import(text, None) {
        Ok(dossier) => (dossier.run.clone(), dossier.head),
        Err(dossier) => match import(BufReader::new(&*bytes)) {
            Ok(export) => {
                let report = export.verify(None).map_err(|error| changed(chain(&error)))?;
                (export.header.run.clone(), report.head)
            }
            Err(_) => return Err(changed(chain(&dossier))),
        },
    };
    let head = format!("{}:{}", head.next, head.hash);
    let facts = json!({ "run": run, "sound": true, "head": head, "file": path });
    screen.say("chain", &format!("{place}: run {run} as it was written; head {head}"), &facts);
    Ok(Code::Succeeded)
}

fn head(text: &str) -> Result<Head, String> {
    let wrong = || "write it as it was printed, NUMBER:sha256:...".to_owned();
    let (next, hash) = text.split_once(':').ok_or_else(wrong)?;
    let hash: Digest = hash.parse().map_err(|error| format!("{error}; {}", wrong()))?;
    Ok(Head { next: next.parse().map_err(|_| wrong())?, hash })
}
