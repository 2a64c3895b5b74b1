//! Carries a workflow out, from the first report to the dossier.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use deploy_agents::checks::kind;
use deploy_agents::dossier::Dossier;
use deploy_agents::workflows::{Backfill, Hook, IssuePolicy, Site, WorkflowBuilder};
use deploy_core::driver::{Engine, RunHandle};
use deploy_core::evidence::Waiver;
use deploy_core::journal::{Journal, SqliteJournal, export};
use deploy_core::machine::Event;
use deploy_core::monitor::Comparison;
use deploy_core::name::{BlockName, CheckName, MetricName};
use deploy_core::operator::Principal;
use deploy_core::plan::Plan;
use deploy_core::real::Real;
use deploy_core::time::{Clock as _, SystemClock};
use deploy_strategies::all_at_once::AllAtOnce;
use deploy_strategies::analysis::threshold::{
    Bound, Condition, ErrorPolicy, Limit, MetricLimits, NoData, OnError, Threshold,
};
use deploy_strategies::analysis::{Analysis, Judge};
use deploy_strategies::canary::{Canary, OnInconclusive, Step};
use futures::StreamExt as _;

use crate::Failure;
use crate::workshop::args::Args;
use crate::workshop::bench::Bench;
use crate::workshop::prepare::{Prepared, prepare};
use crate::workshop::repository::OLD;
use crate::workshop::steps;
use crate::workshop::summary::{Facts, Summary, say};
use crate::workshop::tools::Tools;
use crate::workshop::users::Users;

/// Exit code where the fault that is asked for cannot be planted here.
const CANNOT_BE_PLANTED: u8 = 2;
/// How many users the service has while it is released, and how long each pauses between two requests.
const USERS: usize = 4;
const BETWEEN: Duration = Duration::from_millis(15);

/// What a host writes: evidence, where it goes, and what it adds of its own.
fn workflow(
    of: &Prepared,
    users: Users,
    shape: impl FnOnce(Bench, Site) -> WorkflowBuilder,
) -> Result<WorkflowBuilder, Failure> {
    let (file, wanted) = &of.settings;
    let configure = Arc::new(steps::configuration("configure", file, wanted.clone(), &of.built)?);
    let look = steps::look(&of.bench, &of.production, users)?;
    Ok(shape(of.bench.clone(), production(of)?)
        .staging(staging(of))
        .task_with_undo(Hook::BeforeTraffic, "configure", Arc::clone(&configure), configure)
        .task(Hook::AfterTraffic, "look", look))
}

/// Production: a canary, judged by what the proxy counts.
fn production(of: &Prepared) -> Result<Site, Failure> {
    let site = Site::new(canary()?, of.production.target()).monitor(of.production.monitor()?);
    Ok(site.observe_every(Duration::from_millis(300)).timeout(Duration::from_secs(300)))
}

/// Staging: all at once.
fn staging(of: &Prepared) -> Site {
    Site::new(quickly(), of.staging.target()).observe_every(Duration::from_millis(300))
}

/// All at once, and no longer than that: nobody uses staging, so that nobody's requests have to end.
pub(crate) fn quickly() -> AllAtOnce {
    AllAtOnce::new().scale_down_delay(Duration::from_millis(200))
}

/// Every attempt is made once.
fn once() -> IssuePolicy {
    let mut policy = IssuePolicy::default();
    policy.attempts = 1;
    policy
}

/// Half of the users, then all of them, each step with an analysis of its own. A host would choose minutes and the sequential
/// judge; this example has a few seconds, and takes the threshold judge.
fn canary() -> Result<Canary, Failure> {
    let limits = |metric: &str, limit: f64| {
        let condition = Condition::success(Bound::new(Comparison::AtMost, Real::new(limit)?));
        let errors = ErrorPolicy::consecutive(Limit::at_least(5), OnError::RollBack);
        let no_data = NoData::Hold { at_most: Duration::from_secs(30) };
        let limits = MetricLimits::new(MetricName::new(metric)?, condition, Limit::at_least(2), errors, no_data);
        Ok::<_, Failure>(MetricLimits { consecutive_success_limit: Some(Limit::at_least(2)), ..limits })
    };
    let mut canary = Canary::builder()
        .scale_down_delay(Duration::from_secs(1))
        .abort_delay(Duration::from_secs(1))
        .progress_deadline(Duration::from_secs(60))
        .on_inconclusive(OnInconclusive::RollBack);
    for percent in [50, 100] {
        let judge = Threshold::new(vec![limits("http.error_ratio", 0.01)?, limits("http.latency_p50_s", 0.5)?])?;
        let every = Duration::from_secs(1);
        let analysis = Analysis::new(BlockName::new("proxy")?, Judge::Threshold(judge)).every(every);
        let analysis = Analysis { lookback: every + every / 2, ..analysis };
        canary = canary.step(Step::weight(percent).soak(Duration::from_secs(2)).analysis(analysis));
    }
    Ok(canary.build()?)
}

/// Prepares a release, carries it out by a workflow of this shape, and sums up.
pub(crate) async fn carry_out(
    name: &str,
    args: &Args,
    shape: impl FnOnce(Bench, Site) -> WorkflowBuilder,
) -> Result<ExitCode, Failure> {
    let clock = SystemClock::new();
    let tools = Tools::new(&args.without);
    if let Some((fault, program)) = args.fault.and_then(|fault| Some((fault, fault.needs()?)))
        && tools.find(program).is_none()
        && !(program == "terraform" && tools.find("tofu").is_some())
    {
        say(args, &format!("{fault:?} cannot be planted here: {program} is not on this machine"));
        return Ok(ExitCode::from(CANNOT_BE_PLANTED));
    }
    let folder = folder(name, args)?;
    say(args, &format!("Making the reports in {} …", folder.display()));
    let prepared = prepare(&folder, args).await?;
    let made = clock.monotonic();
    say(
        args,
        &format!("{} reports were made in {:.0} s.", prepared.bench.shelf().producers().len(), made.as_secs_f64()),
    );

    let users = Users::start(prepared.production.traffic(), USERS, BETWEEN, u64::MAX);
    let mut builder = workflow(&prepared, users, shape)?
        .thresholds(prepared.thresholds.clone())
        // Everything that is reported here was made a minute ago: asking again would change nothing.
        .issues(once())
        .bake(steps::BAKE);
    for (check, reason) in prepared.bench.shelf().not_applicable() {
        builder = builder.without_check(check, reason);
    }
    let workflow = builder.build()?;
    let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::open(folder.join("journal.sqlite"))?);
    let engine = Engine::builder(journal).pipeline(workflow.pipeline.clone()).build();
    let by = Principal::new("release-bot", "this-machine");
    let run = engine.start(workflow.pipeline.name(), prepared.release.clone(), by).await?;
    let waivers = waive(&run, &prepared).await?;
    follow(&run, args).await?;
    let end = run.wait().await?;

    let dossier = Dossier::collect(engine.journal().as_ref(), run.id()).await?;
    std::fs::write(folder.join("dossier.html"), dossier.to_html())?;
    std::fs::write(folder.join("dossier.md"), dossier.to_markdown())?;
    std::fs::write(folder.join("dossier.jsonl"), dossier.export()?)?;
    let mut lines = Vec::new();
    export(engine.journal().as_ref(), run.id(), &mut lines).await?;
    prepared.bench.shelf().put(kind::RUN_EXPORT, "the engine", "run.jsonl", lines)?;
    let receipts = workflow.receipts(&prepared.release, &waivers, clock.wall()).await?;
    let checklist = workflow.checklist().read(&receipts);
    engine.shutdown(Duration::from_secs(5)).await;
    let facts = Facts {
        workflow: name,
        fault: args.fault,
        release: &prepared.release,
        outcome: end.outcome,
        because: &end.because,
        dossier: &dossier,
        checklist: &checklist,
        catalogue: workflow.crew.catalogue(),
        making: made,
        releasing: clock.monotonic().saturating_sub(made),
        folder: &folder,
    };
    let summary = Summary::new(&facts, &prepared.bench.shelf());
    close(prepared, &folder).await;
    summary.show(args)?;
    Ok(ExitCode::from(summary.exit_code()))
}

/// Where everything is put: empty at the beginning.
fn folder(name: &str, args: &Args) -> Result<PathBuf, Failure> {
    let folder = match &args.folder {
        Some(folder) => folder.clone(),
        None => tempfile::Builder::new().prefix(&format!("{name}-")).tempdir()?.keep(),
    };
    std::fs::create_dir_all(&folder)?;
    if std::fs::read_dir(&folder)?.next().is_some() {
        return Err(format!("{} is not empty; name another folder", folder.display()).into());
    }
    Ok(folder.canonicalize()?)
}

/// Somebody answers for what cannot be shown here, at each gate that asks for it: with a name, a reason, and until tomorrow.
async fn waive(run: &RunHandle, prepared: &Prepared) -> Result<BTreeMap<CheckName, Waiver>, Failure> {
    let mut records = std::pin::pin!(run.events(0));
    let first = records.next().await.ok_or("the run has no first record")??;
    let Event::Started(started) = first.event else { return Err("the first record holds the plan".into()) };
    let person = Principal::new("carol", "example.org");
    let expires = SystemClock::new().wall().after(Duration::from_secs(24 * 60 * 60));
    let (waived, mut waivers) = (prepared.bench.shelf().waived().clone(), BTreeMap::new());
    let release = &prepared.release;
    for (check, reason) in waived {
        let (check, waiver) = (CheckName::new(&check)?, Waiver { person: person.clone(), reason, expires });
        let (service, commit) = (release.service.clone(), release.change.commit.clone());
        let answered = Backfill::new(check.clone(), service, commit, waiver.clone(), expires)?;
        for input in answered.inputs(&started.plan) {
            run.submit(input).await?;
            waivers.insert(check.clone(), waiver.clone());
        }
    }
    Ok(waivers)
}

/// Prints what becomes of the phases, as soon as it is durable.
async fn follow(run: &RunHandle, args: &Args) -> Result<(), Failure> {
    let mut records = std::pin::pin!(run.events(0));
    let mut plan: Option<Arc<Plan>> = None;
    while let Some(record) = records.next().await {
        let record = record?;
        let path = |id| plan.as_ref().and_then(|p| p.step(id)).map(|s| s.path.to_string()).unwrap_or_default();
        let text = match &record.event {
            Event::Passed(e) if e.conditions.is_empty() => format!("{} opened", path(e.of.step)),
            Event::Passed(e) => format!("{} opened, with {} conditions", path(e.of.step), e.conditions.len()),
            Event::StepFailed(e) => format!("{} failed: {}", path(e.step), shortened(&e.reason)),
            Event::Parked(e) => {
                return Err(format!("{} is parked, and waits for somebody: {:?}", path(e.of.step), e.why).into());
            }
            Event::TurnedBack(e) => format!("turned back: {}", shortened(&e.because)),
            Event::Ended(e) => format!("ended {}", e.outcome),
            _ => String::new(),
        };
        if !text.is_empty() {
            say(args, &format!("  {:>8} {text}", record.at.run.to_string()));
        }
        if let Event::Started(started) = record.event {
            plan = Some(started.plan);
        }
    }
    Ok(())
}

fn shortened(text: &str) -> String {
    let short: String = text.chars().take(160).collect();
    if short.len() < text.len() { format!("{short} …") } else { short }
}

/// Ends what was started, and throws away what only this run needed.
async fn close(prepared: Prepared, folder: &Path) {
    prepared.staging.close().await;
    prepared.production.close().await;
    // What is left in a folder for temporary files hurts nobody.
    let _ = std::fs::remove_dir_all(folder.join("target"));
    debug_assert!(prepared.built.old.ends_with(format!("orders-{OLD}")));
}
