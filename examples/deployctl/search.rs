//! `deployctl search`: what happened before, in the words of the records.

use std::sync::Arc;

use deploy_core::journal::Which;
use serde_json::json;

use crate::Failure;
use crate::code::Code;
use crate::record::RecordView;
use crate::select::runs;
use crate::shared::Shared;
use crate::show::Screen;
use crate::watcher::Watcher;

/// Find runs by what happened in them: what failed and why, what people said and did about it.
///
/// A record is found that holds all of the words, in any case. Exit code 0 if anything was found, 1 if nothing was.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The words.
    #[arg(required = true)]
    words: Vec<String>,

    /// Only runs that ended so, for example `failed` or `rolled back`.
    #[arg(long)]
    outcome: Option<String>,
}

pub(crate) async fn run(args: &Args, shared: &Shared) -> Result<Code, Failure> {
    let file = shared.journal()?;
    let journal = file.read()?;
    let mut screen = Screen::new(shared.json);
    let words: Vec<String> = args.words.iter().map(|word| word.to_lowercase()).collect();
    let (mut records, mut found) = (0_usize, 0_usize);
    for entry in runs(&*journal, Which::All).await? {
        if args.outcome.is_some() && entry.outcome != args.outcome {
            continue;
        }
        let mut watcher = Watcher::open(&file, Arc::clone(&journal), &entry.run).await?;
        let mut here = 0;
        while let Some(record) = watcher.next().await? {
            let view = RecordView::of(&record, watcher.machine().plan()).without_body();
            let text = view.text.to_lowercase();
            if !words.iter().all(|word| text.contains(word.as_str())) {
                continue;
            }
            if here == 0 {
                let release = &watcher.machine().plan().release;
                let ended = entry.outcome.as_deref().unwrap_or("under way");
                let text = format!("run {}: {release}, {ended}", entry.run);
                screen.say("run", &text, &json!({ "run": entry.run, "release": release, "outcome": entry.outcome }));
            }
            here += 1;
            screen.say("record", &view.line(), &view);
        }
        records += here;
        found += usize::from(here > 0);
    }
    let text = format!("{records} records of {found} runs");
    let code = if found > 0 { Code::Succeeded } else { Code::Failed };
    let facts = json!({ "records": records, "runs": found, "code": code.number(), "meaning": code, "text": text });
    screen.say("end", &text, &facts);
    Ok(code)
}
