//! The engine: finds or starts the place, releases version 2 and then version 3, and says how it went.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use deploy_agents::wait::until;
use deploy_core::digest::Digest;
use deploy_core::driver::{Engine, EngineOptions, RunHandle};
use deploy_core::journal::{Journal, SqliteJournal};
use deploy_core::name::{EnvironmentName, OwnerName, RevisionName, ServiceName};
use deploy_core::operator::Principal;
use deploy_core::pipeline::Pipeline;
use deploy_core::release::{Change, Release};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::Args;
use crate::crash::KillAt;
use crate::desk::Desk;
use crate::facts::RunFacts;
use crate::follow::follow;
use crate::pipeline::pipeline;
use crate::session::{Session, only_engine, state_folder};
use crate::show::Screen;
use crate::summary::Summary;
use crate::{Failure, place};

/// The versions that are released, in order.
const VERSIONS: [&str; 2] = ["v2", "v3"];
/// How long what is under way may take to return when the engine is interrupted.
const GRACE: Duration = Duration::from_secs(5);
/// How long the place may take to be gone after its last word.
const GONE_WITHIN: Duration = Duration::from_secs(30);
/// The exit code of a process that was interrupted, as shells have it: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

/// Runs the engine to the end of both releases, or until it is interrupted.
pub(crate) async fn run(args: &Args) -> Result<ExitCode, Failure> {
    let state = state_folder(args.state.as_deref())?;
    let _only = only_engine(&state)?;
    // From here on an interrupt waits until it can be handled: nothing is left half begun.
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut screen = Screen::new(args.json);
    let found = Session::adopt(&state).await?;
    if args.stop {
        return stop(found, &mut screen).await;
    }
    let session = match found {
        Some(session) => session,
        None => Session::start(&state, args.pace).await?,
    };
    let desk = Desk::of(&session.place);
    greet(&session, &mut screen).await?;

    let pipeline = pipeline(&session.place)?;
    let journal = SqliteJournal::open(session.journal())?;
    let journal: Arc<dyn Journal> = match args.kill_at {
        Some(at) => Arc::new(KillAt::new(journal, at)),
        None => Arc::new(journal),
    };
    // One engine at a time holds the lock of the folder, so that it may come back under its old name: its former self is fenced,
    // and nobody has to wait for the lease to run out.
    let engine = Engine::builder(journal)
        .owner(OwnerName::new("release-example")?)
        .options(EngineOptions::default().call_timeout(Duration::from_secs(15)))
        .pipeline(pipeline.clone())
        .build();

    let mut runs = Vec::new();
    for version in VERSIONS {
        let (handle, from) = begin(&engine, &pipeline, &session, version, &mut screen).await?;
        tokio::select! {
            end = follow(&handle, from, &desk, &mut screen) => drop(end?),
            _ = interrupted.recv() => return interrupt(&engine, &session, &mut screen).await,
        }
        screen.clear();
        runs.push(RunFacts::read(&handle).await?);
    }
    engine.shutdown(GRACE).await;

    let counts = desk.end().await?;
    gone(&desk).await?;
    let summary = Summary::new(runs, counts, session.journal());
    screen.say("summary", &summary.text(), &summary);
    Ok(if summary.as_told { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn greet(session: &Session, screen: &mut Screen) -> Result<(), Failure> {
    let counts = session.counts().await?;
    let (pid, traffic) = (session.place.pid, session.place.traffic);
    let facts = json!({
        "adopted": session.adopted, "place_pid": pid, "engine_pid": std::process::id(), "traffic": traffic,
        "journal": session.journal(), "requests": counts.requests, "pace": session.place.pace,
    });
    let (found, so_far) = if session.adopted {
        ("found", format!("; {} requests so far, {} lost", counts.requests, counts.lost))
    } else {
        ("started", String::new())
    };
    let text = format!(
        "The place was {found}: process {pid}, http://{traffic}, {} users{so_far}.\n\
         This engine is process {}. Kill it, and run the same again: it goes on from its last record.\n\
         The judge is a threshold on each measurement, for the two minutes that this example has; a release of your own would\n\
         take hours and the sequential judge, which states its rate of false alarms.",
        counts.users,
        std::process::id(),
    );
    screen.say("place", &text, &facts);
    Ok(())
}

/// Starts the release of a version, or goes on with it. The second answer is the first record that is news.
async fn begin(
    engine: &Engine,
    pipeline: &Pipeline,
    session: &Session,
    version: &str,
    screen: &mut Screen,
) -> Result<(RunHandle, u64), Failure> {
    let run = session.run(version)?;
    if let Some(entry) = engine.journal().entry(&run).await? {
        let (text, state) = match &entry.outcome {
            Some(outcome) => (format!("\nThe release of {version} has {outcome} before."), "over"),
            None => (format!("\nThe release of {version} goes on after {} records.", entry.records), "resumed"),
        };
        screen.say("run", &text, &json!({ "version": version, "run": run, "state": state, "records": entry.records }));
        return Ok((engine.run(&run).await?, entry.records));
    }
    let program = std::env::current_exe()?;
    let digest = tokio::task::spawn_blocking(move || std::fs::read(program).map(|bytes| Digest::of(&bytes))).await??;
    let release =
        Release::new(ServiceName::new("orders")?, EnvironmentName::new("this-machine")?, RevisionName::new(version)?);
    let release =
        release.artifact("orders", digest).change(Change { authors: vec!["ada".to_owned()], ..Change::default() });
    screen.say(
        "run",
        &format!("\nRelease {release}, run {run}."),
        &json!({ "version": version, "run": run, "state": "started", "records": 0 }),
    );
    let handle = engine.start_as(run, pipeline.name(), release, Principal::new("example", "this-machine")).await?;
    Ok((handle, 0))
}

/// Hands the run back, and says how to go on.
async fn interrupt(engine: &Engine, session: &Session, screen: &mut Screen) -> Result<ExitCode, Failure> {
    screen.clear();
    engine.shutdown(GRACE).await;
    let minutes = place::ALONE_FOR.as_secs() / 60;
    let text = format!(
        "\nInterrupted. The run was handed back, and the place lives on as process {}; run the same again to go on,\n\
         or with --stop to end the place. It ends by itself after {minutes} minutes.",
        session.place.pid
    );
    screen.say("interrupted", &text, &json!({ "place_pid": session.place.pid, "journal": session.journal() }));
    Ok(ExitCode::from(INTERRUPTED))
}

/// Ends a place that is alive.
async fn stop(found: Option<Session>, screen: &mut Screen) -> Result<ExitCode, Failure> {
    match found {
        Some(session) => {
            let desk = Desk::of(&session.place);
            let counts = desk.end().await?;
            gone(&desk).await?;
            screen.say(
                "stopped",
                &format!("The place has ended; {} requests, {} lost.", counts.requests, counts.lost),
                &counts,
            );
        }
        None => screen.say("stopped", "No place is alive here.", &json!({})),
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits until nothing of the place is left.
async fn gone(desk: &Desk) -> Result<(), Failure> {
    let gone = until(GONE_WITHIN, Duration::from_millis(50), || async {
        desk.counts().await.is_err_and(|error| error.nobody_there).then_some(())
    });
    gone.await.map_err(|error| format!("the place does not end: {error}").into())
}
