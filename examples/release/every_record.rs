//! The pipeline of this example on a place in memory: an engine that stops after any record changes nothing about the end.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deploy_core::agent::{Agent, AgentCard, Report, agent_fn};
use deploy_core::driver::{Engine, RunEnd, RunHandle};
use deploy_core::evidence::{Claim, Collected, EvidenceSubject};
use deploy_core::journal::{Journal, MemoryJournal, SqliteOptions, Synchronous};
use deploy_core::machine::{Event, Outcome};
use deploy_core::monitor::Reading;
use deploy_core::name::{
    BlockName, CheckName, EnvironmentName, MetricName, OwnerName, RevisionName, RunId, ServiceName,
};
use deploy_core::operator::Principal;
use deploy_core::pipeline::Pipeline;
use deploy_core::real::Real;
use deploy_core::release::Release;
use deploy_core::strategy::Exposure;
use deploy_core::target::{DesiredState, Target, TargetState};
use deploy_core::testing::scripted::{ScriptedMonitor, ScriptedTarget};
use deploy_core::testing::{Attentive, VirtualClock};
use deploy_core::time::{Clock, Timestamp};
use futures::StreamExt as _;
use tokio::sync::Notify;

use crate::Failure;
use crate::crash::KillAt;
use crate::pipeline::{Checks, Parts, compose, target};

/// How the good and the broken version end.
const STORIES: [(&str, Outcome); 2] = [("v2", Outcome::Succeeded), ("v3", Outcome::RolledBack)];
/// The part of the users that meets the broken version.
const MEETS: (u32, u32) = (5, 100);
/// More virtual time than any of these runs needs.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// What outlives every engine: the place, what was done, and the journal.
struct World {
    clock: Arc<dyn Clock>,
    journal: Arc<dyn Journal>,
    target: Arc<ScriptedTarget>,
    /// How often each effect of an agent was asked for, by its key.
    asked: Arc<Mutex<BTreeMap<String, u32>>>,
}

/// How a run went, as far as a stop may not change it.
#[derive(Debug, PartialEq)]
struct Went {
    outcome: Outcome,
    /// Without what users met before it was proven, where that is told right: a stop moves the looks, and so the figure.
    because: String,
    place: TargetState,
    effects: Vec<String>,
}

impl World {
    fn new(file: Option<&Path>) -> Result<Self, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(VirtualClock::new(Timestamp(1_795_334_400_000)));
        let journal: Arc<dyn Journal> = match file {
            None => Arc::new(MemoryJournal::new(Arc::clone(&clock))),
            Some(file) => {
                // Nothing here cuts the power, and syncing would take most of the time.
                let options = SqliteOptions::new(file).synchronous(Synchronous::Off).clock(Arc::clone(&clock));
                Arc::new(Attentive(options.open()?))
            }
        };
        let place =
            ScriptedTarget::new(target()?).lag(1).holding(DesiredState::alone(RevisionName::new("v1")?, 4, 100));
        Ok(Self { clock, journal, target: Arc::new(place), asked: Arc::default() })
    }

    /// An agent whose evidence is `said` of the version that is released.
    fn agent(&self, name: &str, check: &CheckName, said: fn(&str) -> String) -> Result<Arc<dyn Agent>, Failure> {
        let card = AgentCard::new(BlockName::new(name)?, "stands in for the real one").repeatable();
        let (check, asked, clock) = (check.clone(), Arc::clone(&self.asked), Arc::clone(&self.clock));
        Ok(Arc::new(agent_fn(card, move |task, cx| {
            *asked.lock().expect("not poisoned").entry(cx.key.to_string()).or_default() += 1;
            let subject =
                EvidenceSubject { commit: None, artifact: None, environment: Some(task.release.environment.clone()) };
            let bytes = said(task.release.revision.as_str()).into_bytes();
            let evidence = Collected::new("stand-in", "every_record", subject, clock.wall(), bytes);
            let claim =
                Claim { check: check.clone(), evidence: vec![evidence.evidence.digest], value: "as wanted".to_owned() };
            async move { Ok(Report::new().claim(claim).evidence(evidence)) }
        })))
    }

    /// The example's own pipeline: only what would touch the world stands in.
    fn pipeline(&self) -> Result<Pipeline, Failure> {
        let checks = Checks::new()?;
        let self_tested: fn(&str) -> String = |version| format!(r#"{{"version":"{version}","orders":6,"refused":0}}"#);
        let (ratio, latency) = (MetricName::new("http.error_ratio")?, MetricName::new("http.latency_p50_s")?);
        let mut monitor = ScriptedMonitor::new(BlockName::new("proxy")?, [ratio.clone(), latency.clone()]);
        for (version, failed, took) in [("v1", 0.0, 0.01), ("v2", 0.0, 0.01), ("v3", 0.2, 0.75)] {
            let version = RevisionName::new(version)?;
            monitor = monitor.then(&version, &ratio, Reading::Value(Real::new(failed)?));
            monitor = monitor.then(&version, &latency, Reading::Value(Real::new(took)?));
        }
        let parts = Parts {
            self_test: self.agent("self-test", &checks.self_test, self_tested)?,
            place_answers: self.agent("probe-place", &checks.reachable, |_| answers_of("ok"))?,
            target: Arc::clone(&self.target) as _,
            monitor: Arc::new(monitor),
            release_serves: self.agent("probe-release", &checks.serves, answers_of)?,
        };
        compose(parts, checks, 1.0)
    }

    fn engine(&self, journal: Arc<dyn Journal>) -> Result<Engine, Failure> {
        // Under its old name an engine takes its former self's runs back at once, as the example does.
        let owner = OwnerName::new("release-example")?;
        Ok(Engine::builder(journal).clock(Arc::clone(&self.clock)).owner(owner).pipeline(self.pipeline()?).build())
    }

    /// Releases `version`, through an engine that stops after `stop_after` records and one that goes on.
    async fn release(&self, version: &str, stop_after: Option<u64>) -> Result<(Went, u64), Failure> {
        let run = RunId::new(format!("release-{version}"))?;
        let pipeline = self.pipeline()?;
        let release =
            Release::new(ServiceName::new("orders")?, EnvironmentName::new("memory")?, RevisionName::new(version)?);
        if let Some(at) = stop_after {
            let stopped = Arc::new(Notify::new());
            let told = Arc::clone(&stopped);
            let journal = KillAt::with(Arc::clone(&self.journal), at, move |_| told.notify_one());
            let engine = self.engine(Arc::new(journal))?;
            // Dropped where it stands, whatever is under way.
            tokio::select! {
                () = stopped.notified() => {}
                end = async {
                    let who = Principal::new("ada", "local");
                    engine.start_as(run.clone(), pipeline.name(), release.clone(), who).await?.wait().await?;
                    Ok::<_, Failure>(())
                } => { end?; return Err("the run ended before the record at which it was to stop".into()); }
            }
            drop(engine);
            tokio::task::yield_now().await;
        }
        let engine = self.engine(Arc::clone(&self.journal))?;
        let who = Principal::new("ada", "local");
        let handle = engine.start_as(run.clone(), pipeline.name(), release, who).await?;
        let RunEnd { outcome, because, .. } = tokio::time::timeout(PATIENCE, handle.wait()).await??;
        let effects = self.asked.lock().expect("not poisoned").keys().cloned().collect();
        let place = TargetState { version: None, ..self.target.observe().await? };
        let records = self.journal.head(&run).await?.next;
        let because = match exposure(&handle).await? {
            Some(met) => because.replace(&format!("; before it was proven users met {met}"), ""),
            None => because,
        };
        Ok((Went { outcome, because, place, effects }, records))
    }
}

/// What users met of a version that was taken back, by the journal's own times: from when they were moved there to when it was taken back.
async fn exposure(run: &RunHandle) -> Result<Option<Exposure>, Failure> {
    let mut moved = None;
    let mut records = pin!(run.events(0));
    while let Some(record) = records.next().await.transpose()? {
        match record.event {
            Event::Applied(_) => moved = Some(record.at),
            Event::TurnedBack(_) => {
                return Ok(moved.map(|at| Exposure::of(MEETS.0, MEETS.1, record.at.run.since(at.run))));
            }
            _ => {}
        }
    }
    Ok(None)
}

fn answers_of(body: &str) -> String {
    format!(r#"{{"answers":[{{"body_begins":"{body}"}}]}}"#)
}

async fn stopped_after_every_record(
    journal: &str,
    file: impl Fn(u64) -> Option<std::path::PathBuf>,
) -> Result<(), Failure> {
    let mut number = 0;
    for (version, outcome) in STORIES {
        let (whole, records) = World::new(file(number).as_deref())?.release(version, None).await?;
        assert_eq!(whole.outcome, outcome, "{version}: {}", whole.because);
        for at in 1..records {
            number += 1;
            let world = World::new(file(number).as_deref())?;
            let (went, _) = world.release(version, Some(at)).await?;
            assert_eq!(went, whole, "{journal}: {version}, stopped after record {at}");
            let asked = world.asked.lock().expect("not poisoned").values().copied().max();
            assert!(
                asked <= Some(2),
                "{journal}: {version}, stopped after record {at}: asked {asked:?} times for one effect"
            );
        }
        number += 1;
        crate::show::line(&format!(
            "{journal}: {version} {outcome} however often: {records} records, stopped after each"
        ));
    }
    Ok(())
}

/// I3, I4, S2: the pipeline that this example runs, on the journal in memory.
#[tokio::test(start_paused = true)]
async fn an_engine_that_stops_after_any_record_changes_nothing() -> Result<(), Failure> {
    stopped_after_every_record("memory", |_| None).await
}

/// The same on a journal in a file.
#[tokio::test(start_paused = true)]
async fn an_engine_that_stops_after_any_record_of_a_file_changes_nothing() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    stopped_after_every_record("sqlite", |number| Some(folder.path().join(format!("{number}.db")))).await
}
