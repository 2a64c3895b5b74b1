//! `deployctl status`: where runs stand, once or for as long as they go on.

use std::net::SocketAddr;

use deploy_core::journal::{Journal, RunEntry, Which};
use serde::Serialize;
use serde_json::json;

use crate::Failure;
use crate::code::Code;
use crate::estimate::Estimate;
use crate::follow::{Until, end, follow, view};
use crate::page;
use crate::select::{runs, select};
use crate::shared::Shared;
use crate::show::Screen;
use crate::watcher::Watcher;

/// Show where a run stands, or which runs there are.
///
/// Without RUN all runs are listed. With --watch every record is shown as soon as it is durable, and in between where the run
/// stands; it ends with the run, with its exit code. Each record has a number: after an interruption, `--from` the number after
/// the last one goes on without loss.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run: its id, how its id begins, or `last`.
    run: Option<String>,

    /// Follow the run to its end.
    #[arg(long)]
    watch: bool,

    /// The number of the first record to show.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, requires = "watch")]
    from: u64,

    /// Serve a page that shows the run while it goes on, at this address, until you interrupt it. Port 0 is any free one.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true, default_missing_value = "127.0.0.1:0", conflicts_with = "watch")]
    serve: Option<SocketAddr>,

    /// Say by the exit code where the run stands: 0 under way or succeeded, 4 held, else as it ended.
    #[arg(long, conflicts_with_all = ["watch", "serve"])]
    exit_code: bool,
}

/// One run of a list.
#[derive(Debug, Serialize)]
struct Line {
    #[serde(flatten)]
    entry: RunEntry,
    driven: bool,
}

pub(crate) async fn run(args: &Args, shared: &Shared) -> Result<Code, Failure> {
    let file = shared.journal()?;
    let journal = file.read()?;
    let mut screen = Screen::new(shared.json);
    if args.run.is_none() && !args.watch && !args.exit_code && args.serve.is_none() {
        return list(&*journal, &mut screen).await;
    }
    let entry = select(&*journal, args.run.as_deref()).await?;
    if let Some(address) = args.serve {
        match page::serve(&file, &entry.run, address, &mut screen).await? {}
    }
    let mut watcher = Watcher::open(&file, std::sync::Arc::clone(&journal), &entry.run).await?;
    if args.watch {
        let code = follow(&mut watcher, &journal, args.from, Until::End, &mut screen).await?;
        return Ok(end(&watcher, code, &mut screen));
    }
    watcher.catch_up().await?;
    let code = Code::of(watcher.machine(), &watcher.status().await?);
    let estimate = Estimate::of(&file, &journal, watcher.machine()).await?;
    let view = view(&watcher, &journal, estimate).await?;
    screen.say("status", &view.block().join("\n"), &view);
    Ok(if args.exit_code { code } else { Code::Succeeded })
}

async fn list(journal: &dyn Journal, screen: &mut Screen) -> Result<Code, Failure> {
    let now = journal.now().await?;
    let all = runs(journal, Which::All).await?;
    if all.is_empty() {
        screen.say("note", "there is no run in this journal yet", &json!({ "runs": 0 }));
    }
    for entry in all {
        let driven = entry.owned_until.is_some_and(|until| until > now) && entry.owner.is_some();
        let standing = entry.outcome.clone().or_else(|| entry.waits.clone()).unwrap_or_else(|| "begins".to_owned());
        let nobody = if driven || entry.outcome.is_some() { "" } else { ", nobody drives it" };
        let text = format!(
            "{:<28} {} to {}, {}: {standing}{nobody}, {} records",
            entry.run, entry.service, entry.environment, entry.created, entry.records
        );
        screen.say("run", &text, &Line { entry, driven });
    }
    Ok(Code::Succeeded)
}
