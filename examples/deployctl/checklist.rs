//! `deployctl checklist`: what must be so, as the checks compute it.

use std::path::PathBuf;

use clap::ValueEnum;
use deploy_agents::checks::{Checklist, EvidenceSet, ItemState};
use deploy_agents::crew::Wanted;
use deploy_core::evidence::Receipt;
use deploy_core::machine::Event;
use deploy_core::name::BlockName;
use deploy_core::plan::StepPath;
use deploy_core::report::chain;
use deploy_core::time::{Clock as _, SystemClock, Timestamp};
use serde_json::json;

use crate::Failure;
use crate::agent::time;
use crate::code::Code;
use crate::profile::{Profile, profile};
use crate::release::ReleaseArgs;
use crate::select::select;
use crate::shared::Shared;
use crate::show::Screen;
use crate::trouble::Trouble;
use crate::watcher::Watcher;

/// Show a checklist, each item as its checks compute it: from what a run verified, or from a folder of evidence.
///
/// Nobody ticks an item by hand that a check computes. Exit code 0 if every item is so, 1 if one is open.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run whose receipts are read: its id, how its id begins, or `last`. Default: the only one that has not ended.
    #[arg(conflicts_with = "evidence")]
    run: Option<String>,

    /// Which list.
    #[arg(long, value_enum, default_value_t = List::PreDeployment)]
    list: List,

    /// Read a folder of reports with a `manifest.json` instead of a run.
    #[arg(long, value_name = "FOLDER")]
    evidence: Option<PathBuf>,

    /// A JSON file that says what is asked of a release; see `deployctl run --help`.
    #[arg(long, value_name = "FILE", value_parser = profile, requires = "evidence")]
    profile: Option<Profile>,

    /// The time at which the folder is looked at, as 2026-11-22T08:00:00Z. Default: now.
    #[arg(long, value_name = "TIME", value_parser = time, requires = "evidence")]
    at: Option<Timestamp>,

    #[command(flatten)]
    release: ReleaseArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum List {
    /// The twelve items before a deployment.
    PreDeployment,
    /// The eighteen items of a deployment.
    Deployment,
}

pub(crate) async fn run(args: &Args, shared: &Shared) -> Result<Code, Failure> {
    let mut screen = Screen::new(shared.json);
    let list = match args.list {
        List::PreDeployment => Checklist::pre_deployment(),
        List::Deployment => Checklist::deployment(),
    };
    let receipts = match &args.evidence {
        Some(folder) => of_folder(args, folder).await?,
        None => of_run(args, shared).await?,
    };
    let reading = list.read(&receipts);
    if shared.json {
        for (item, state) in &reading.items {
            let (word, why) = match state {
                ItemState::Computed => ("computed", Vec::new()),
                ItemState::Waived(why) => ("waived", why.clone()),
                ItemState::Attested(by) => ("attested", vec![format!("{}: {}", by.who, by.note)]),
                ItemState::Open(why) => ("open", why.clone()),
                other => ("other", vec![format!("{other:?}")]),
            };
            let row = item.row.map(|row| format!("M{row}"));
            let facts = json!({ "item": item.text, "row": row, "checks": item.checks, "state": word, "why": why });
            screen.say("item", "", &facts);
        }
    }
    let so = reading.items.iter().filter(|(_, state)| state.is_so()).count();
    let code = if reading.is_done() { Code::Succeeded } else { Code::Failed };
    let facts =
        json!({ "title": reading.title, "so": so, "of": reading.items.len(), "code": code.number(), "meaning": code });
    let text = format!("{}{so} of {} items are so", reading, reading.items.len());
    screen.say("end", &text, &facts);
    Ok(code)
}

/// What the engine's verifier said while a run went on; of several receipts of one check the last counts.
async fn of_run(args: &Args, shared: &Shared) -> Result<Vec<Receipt>, Failure> {
    let file = shared.journal()?;
    let journal = file.read()?;
    let entry = select(&*journal, args.run.as_deref()).await?;
    let mut watcher = Watcher::open(&file, journal, &entry.run).await?;
    let mut receipts = Vec::new();
    while let Some(record) = watcher.next().await? {
        match record.event {
            Event::Verified(verified) if !verified.of.undo => receipts.extend(verified.receipts),
            Event::AttemptFailed(failed) if !failed.of.undo => receipts.extend(failed.receipts),
            _ => {}
        }
    }
    Ok(receipts)
}

async fn of_folder(args: &Args, folder: &std::path::Path) -> Result<Vec<Receipt>, Failure> {
    if !folder.is_dir() {
        return Err(Trouble::usage(format!("there is no folder of evidence at {}", folder.display())));
    }
    let crew = args.profile.clone().unwrap_or_default().crew(folder)?;
    let catalogue = crew.catalogue();
    let (release, now) = (args.release.release(), args.at.unwrap_or_else(|| SystemClock::new().wall()));
    let mut kinds: Vec<&'static str> = catalogue.checks().flat_map(|check| check.kinds().iter().copied()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let step = StepPath::new("on-demand/checklist")?;
    let pieces = crew.collect(&Wanted::new(&release, &step, &kinds, now)).await;
    let pieces = pieces.map_err(|error| Trouble::usage(format!("{}: {}", folder.display(), chain(&error))))?;
    let set = pieces.into_iter().fold(EvidenceSet::new(), EvidenceSet::with);
    let who = BlockName::new("checklist")?;
    Ok(catalogue.checks().map(|check| set.judge(check, &release, &who, None, now).receipt).collect())
}
