//! `deployctl plan`: what a run would do, before it does anything.

use std::path::PathBuf;

use clap::ValueEnum;
use deploy_agents::documents::PipelineDocument;
use deploy_core::plan::Plan;
use serde::Serialize;

use crate::Failure;
use crate::code::Code;
use crate::host::{Source, observe};
use crate::release::ReleaseArgs;
use crate::select::select;
use crate::shared::Shared;
use crate::show::{Screen, line};
use crate::trouble::Trouble;
use crate::watcher::Watcher;
use crate::who::Who;

/// Show what a run would do: phases, steps, limits, the stages of each rollout as things are now, and the way back.
///
/// Nothing is started and nothing is recorded. A plan that was written with --out is what `run --plan` follows.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    release: ReleaseArgs,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    who: Who,

    /// Show only what is different from the plan of this run: its id, how its id begins, or `last`.
    #[arg(long, value_name = "RUN")]
    diff: Option<String>,

    /// Print the pipeline as a file that `--file` reads, instead of the plan.
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "yaml")]
    #[arg(value_name = "FORMAT", conflicts_with_all = ["diff", "out"])]
    document: Option<Format>,

    /// Write the plan, to be approved and then followed.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What a pipeline file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Yaml,
    Json,
    Markdown,
}

#[derive(Serialize)]
struct Differences<'a> {
    from: &'a str,
    #[serde(flatten)]
    diff: deploy_core::plan::PlanDiff,
}

pub(crate) async fn run(args: &Args, shared: &Shared) -> Result<Code, Failure> {
    let file = shared.journal()?;
    let mut screen = Screen::new(shared.json);
    let pipeline = args.source.look(&file).await?;
    if let Some(format) = args.document {
        let document = PipelineDocument::of(&pipeline);
        let text = match format {
            Format::Yaml => document.to_yaml()?,
            Format::Json => document.to_json()?,
            Format::Markdown => document.to_markdown(),
        };
        line(text.trim_end());
        return Ok(Code::Succeeded);
    }
    let plan = pipeline.plan(args.release.release(), args.who.principal()?);
    let plan = plan.map_err(|error| Trouble::usage(format!("there is no such plan: {error}")))?;
    if let Some(path) = &args.out {
        write(&plan, path)?;
    }
    if let Some(word) = &args.diff {
        let journal = file.read()?;
        let entry = select(&*journal, Some(word)).await?;
        let watcher = Watcher::open(&file, journal, &entry.run).await?;
        let diff = watcher.machine().plan().diff(&plan);
        let text = diff.to_string();
        screen.say("plan_diff", text.trim_end(), &Differences { from: entry.run.as_str(), diff });
        return Ok(Code::Succeeded);
    }
    let observed = observe(&pipeline, &plan).await;
    let preview = pipeline.preview(&plan, &observed);
    screen.say("plan", preview.to_string().trim_end(), &preview);
    Ok(Code::Succeeded)
}

fn write(plan: &Plan, path: &std::path::Path) -> Result<(), Failure> {
    let text = serde_json::to_vec_pretty(plan)?;
    std::fs::write(path, text)
        .map_err(|error| Trouble::usage(format!("the plan cannot be written to {}: {error}", path.display())))
}
