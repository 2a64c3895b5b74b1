//! `deployctl run`: the whole of a host. It gives an engine a journal and a pipeline, starts a run or goes on with one, shows it
//! to its end, and hands it back when it is interrupted.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::driver::{Engine, EngineOptions, RunError, RunHandle, StartError};
use deploy_core::journal::{Journal, RunEntry, Which};
use deploy_core::name::{OwnerName, RunId};
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::Plan;
use deploy_core::report::chain;
use deploy_core::time::{Spell, Timestamp};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::Failure;
use crate::code::Code;
use crate::follow::{Until, end, follow};
use crate::host::{Source, read_plan};
use crate::journal::JournalFile;
use crate::release::ReleaseArgs;
use crate::select::runs;
use crate::server::pause;
use crate::shared::Shared;
use crate::show::Screen;
use crate::trouble::Trouble;
use crate::watcher::{EVERY, Watcher};
use crate::who::Who;

/// How long a run stays ours without a sign of life: a host that was killed is followed by another after this.
const LEASE: Duration = Duration::from_secs(9);
/// How long before that we stop by ourselves.
const MARGIN: Duration = Duration::from_secs(2);
/// How long what is under way may take to return when we are interrupted.
const GRACE: Duration = Duration::from_secs(5);

/// Release something, or go on with a release that was interrupted.
///
/// A run that has not ended, of the same revision of the same service to the same environment, goes on where it was left;
/// otherwise a new one begins. Ctrl-C hands the run back: whatever is under way is settled, and the same command goes on.
/// Meanwhile other processes watch and steer it: `deployctl status --watch`, `deployctl approve`, ...
///
/// Without --file a small service with two revisions is released: v2 goes out, and v3 is found out and taken back.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    release: ReleaseArgs,
    #[command(flatten)]
    pub(crate) source: Source,
    #[command(flatten)]
    who: Who,

    /// Go on with this run; or begin one under this id, if there is none.
    #[arg(long, value_name = "ID")]
    run: Option<RunId>,

    /// Begin anew, whatever is under way.
    #[arg(long, conflicts_with = "run")]
    new: bool,

    /// Follow a plan that `plan --out` wrote, exactly.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,

    /// Hand the run back, with exit code 4, as soon as nothing more happens before somebody does something.
    #[arg(long)]
    until_held: bool,
}

pub(crate) async fn run(args: &Args, shared: &Shared) -> Result<Code, Failure> {
    let plan = args.plan.as_deref().map(read_plan).transpose()?;
    let until = if args.until_held { Until::Held } else { Until::End };
    host(&args.source, shared, until, async |host, screen| {
        let plan = match plan {
            Some(plan) => plan,
            None => host
                .pipeline
                .plan(args.release.release(), args.who.principal()?)
                .map_err(|error| Trouble::usage(format!("the release cannot be planned: {}", chain(&error))))?,
        };
        begin(args, host, plan, screen).await
    })
    .await
}

/// Where a host gets its pipeline.
pub(crate) trait Pipelines {
    /// Finds whatever is wrong with it, before anything is made or started.
    fn check(&self, file: &JournalFile) -> Result<(), Failure>;

    /// The pipeline, to be driven: what it needs is there afterwards.
    async fn ready(&self, file: &JournalFile) -> Result<Pipeline, Failure>;
}

/// A host that drives runs: its engine, with the one pipeline that it was given.
pub(crate) struct Host {
    pub(crate) file: JournalFile,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) engine: Engine,
    pub(crate) pipeline: Pipeline,
}

/// A run that has begun, or goes on.
pub(crate) struct Begun {
    pub(crate) run: RunHandle,
    /// The number of the first record that is news.
    pub(crate) news: u64,
}

/// Is a host until the run that `begin` begins has ended, or was handed back.
pub(crate) async fn host(
    pipelines: &impl Pipelines,
    shared: &Shared,
    until: Until,
    begin: impl AsyncFnOnce(&Host, &mut Screen) -> Result<Begun, Failure>,
) -> Result<Code, Failure> {
    // From here on an interrupt waits until it can be handled: nothing is left half begun.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let file = shared.journal()?;
    pipelines.check(&file)?;
    let journal = file.make()?;
    let mut screen = Screen::new(shared.json);
    let ready = async {
        let pipeline = pipelines.ready(&file).await?;
        let engine = Engine::builder(Arc::clone(&journal))
            .owner(owner()?)
            .options(EngineOptions::default().lease(LEASE).lease_margin(MARGIN).inbox_every(Duration::from_millis(100)))
            .pipeline(pipeline.clone())
            .build();
        Ok::<_, Failure>((engine, pipeline))
    };
    let (engine, pipeline) = tokio::select! {
        ready = ready => ready?,
        _ = interrupt.recv() => return Ok(Code::HandedBack),
        _ = terminate.recv() => return Ok(Code::HandedBack),
    };
    let host = Host { file, journal, engine, pipeline };
    let driven = tokio::select! {
        driven = drive(&host, until, begin, &mut screen) => driven,
        _ = interrupt.recv() => Ok(Code::HandedBack),
        _ = terminate.recv() => Ok(Code::HandedBack),
    };
    screen.clear();
    host.engine.shutdown(GRACE).await;
    if matches!(driven, Ok(Code::HandedBack)) {
        let text = "handed back: what was under way is settled, and the same command goes on";
        let code = Code::HandedBack;
        screen.say("end", text, &json!({ "code": code.number(), "meaning": code, "text": text }));
    }
    driven
}

async fn drive(
    host: &Host,
    until: Until,
    begin: impl AsyncFnOnce(&Host, &mut Screen) -> Result<Begun, Failure>,
    screen: &mut Screen,
) -> Result<Code, Failure> {
    let Begun { run, news } = begin(host, screen).await?;
    let mut watcher = Watcher::open(&host.file, Arc::clone(&host.journal), run.id()).await?;
    let code = tokio::select! {
        code = follow(&mut watcher, &host.journal, news, until, screen) => code?,
        Err(stopped) = stopped(&run) => return Err(stopped),
    };
    Ok(end(&watcher, code, screen))
}

/// Waits until the engine gives the run up; its end is seen by whoever follows it.
async fn stopped(handle: &RunHandle) -> Result<(), Failure> {
    match handle.wait().await {
        Ok(_) => std::future::pending().await,
        Err(error) if matches!(*error, RunError::PipelineMissing { .. } | RunError::BlockMissing { .. }) => {
            let text = "it was begun with another pipeline; give the same --file and --program, --workflow and --evidence again";
            Err(Trouble::usage(format!("{}: {text}", chain(&*error))))
        }
        Err(error) => Err(Trouble::ends(Code::Unavailable, chain(&*error))),
    }
}

/// Starts a run, or goes on with one.
async fn begin(args: &Args, host: &Host, plan: Plan, screen: &mut Screen) -> Result<Begun, Failure> {
    let Host { file, journal, engine, .. } = host;
    let known = match &args.run {
        Some(run) => journal.entry(run).await?,
        None if args.new => None,
        None => under_way(file, journal, &plan).await?,
    };
    let journal_path = file.path();
    if let Some(entry) = known {
        let state = if entry.outcome.is_some() { "over" } else { "resumed" };
        let facts = json!({ "run": entry.run, "state": state, "records": entry.records, "journal": journal_path });
        let text = match &entry.outcome {
            Some(outcome) => format!("run {} has {outcome} before; --new begins another", entry.run),
            None => format!("run {} goes on after {} records", entry.run, entry.records),
        };
        screen.say("run", &text, &facts);
        wait_for_owner(journal, engine, &entry, screen).await?;
        return Ok(Begun { run: engine.run(&entry.run).await?, news: entry.records });
    }
    let run = match &args.run {
        Some(run) => run.clone(),
        None => new_id(&plan)?,
    };
    let text =
        format!("run {run}: {}, asked for by {}; journal {}", plan.release, plan.started_by, journal_path.display());
    let facts = json!({ "run": run, "state": "started", "records": 0, "journal": journal_path });
    let run = engine.start_plan(run, plan).await.map_err(|error| match error {
        StartError::Plan(_) | StartError::NoSuchPipeline(_) => Trouble::usage(chain(&error)),
        _ => Trouble::because("the run cannot be started", &error),
    })?;
    screen.say("run", &text, &facts);
    Ok(Begun { run, news: 0 })
}

/// What a run does whose id follows from what it is about, so that there may be one already.
pub(crate) struct About<'a> {
    /// What it does, and what it did: `takes back run orders-v2-1a2b3c`.
    pub(crate) does: String,
    pub(crate) did: String,
    /// What it is about, for programs.
    pub(crate) fact: (&'a str, String),
}

impl About<'_> {
    /// Says whether the run has just begun, goes on, or was over before.
    pub(crate) fn begun(self, run: RunHandle, there: Option<&RunEntry>, screen: &mut Screen) -> Begun {
        let (id, news) = (run.id(), there.map_or(0, |entry| entry.records));
        let (state, text) = match there.map(|entry| &entry.outcome) {
            None => ("started", format!("run {id}: {}", self.does)),
            Some(None) => ("resumed", format!("run {id} goes on after {news} records: it {}", self.does)),
            Some(Some(outcome)) => ("over", format!("run {id} {} and has {outcome} before", self.did)),
        };
        let (key, value) = self.fact;
        let facts = json!({ "run": id, "state": state, "records": news, key: value });
        screen.say("run", &text, &facts);
        Begun { run, news }
    }
}

/// The newest run of this revision that has not ended.
async fn under_way(file: &JournalFile, journal: &Arc<dyn Journal>, plan: &Plan) -> Result<Option<RunEntry>, Failure> {
    for entry in runs(&**journal, Which::Unfinished).await?.into_iter().rev() {
        if entry.service == plan.release.service && entry.environment == plan.release.environment {
            let watcher = Watcher::open(file, Arc::clone(journal), &entry.run).await?;
            if watcher.machine().plan().release.revision == plan.release.revision {
                return Ok(Some(entry));
            }
        }
    }
    Ok(None)
}

/// Waits until whoever drove the run before has given it back, or its lease has passed. One that renews its lease is alive.
pub(crate) async fn wait_for_owner(
    journal: &Arc<dyn Journal>,
    engine: &Engine,
    entry: &RunEntry,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut first: Option<Timestamp> = None;
    loop {
        let Some(entry) = journal.entry(&entry.run).await? else { return Ok(()) };
        let now = journal.now().await?;
        let (Some(owner), Some(until)) = (&entry.owner, entry.owned_until) else { return Ok(()) };
        if owner == engine.owner() || until <= now || entry.outcome.is_some() {
            return Ok(());
        }
        match first {
            Some(first) if until > first => {
                return Err(Trouble::ends(
                    Code::Held,
                    format!(
                        "run {} is driven by {owner}; follow it with: deployctl status {} --watch",
                        entry.run, entry.run
                    ),
                ));
            }
            Some(_) => {}
            None => {
                let span = Spell(until.since(now));
                let text = format!("{owner} drove it last; if it is gone, its lease passes within {span}");
                screen.say("waits", &text, &json!({ "run": entry.run, "owner": owner, "until": until, "text": text }));
                first = Some(until);
            }
        }
        pause(EVERY).await;
    }
}

/// An id that people can say: what is released, and a few letters that tell runs apart.
fn new_id(plan: &Plan) -> Result<RunId, Failure> {
    let random = RunId::generate().to_string();
    let tail = &random[random.len() - 6..];
    let what = format!("{}-{}", plan.release.service, plan.release.revision);
    let what: String = what.chars().take(64).collect();
    Ok(RunId::new(format!("{what}-{tail}"))?)
}

/// How this process is called among those that share the journal.
fn owner() -> Result<OwnerName, Failure> {
    let random = OwnerName::generate().to_string();
    Ok(OwnerName::new(format!("deployctl-{}-{}", std::process::id(), &random[random.len() - 6..]))?)
}
