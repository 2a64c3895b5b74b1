//! The rehearsal: the new version goes out in staging, is measured there, and is taken back by the engine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deploy_agents::checks::kind;
use deploy_core::agent::{AgentCard, AgentError, Report, agent_fn};
use deploy_core::driver::Engine;
use deploy_core::journal::{MemoryJournal, export};
use deploy_core::machine::Outcome;
use deploy_core::name::{BlockName, EnvironmentName};
use deploy_core::operator::Principal;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{RetryPolicy, RollbackTo};
use deploy_core::release::Release;
use deploy_core::time::SystemClock;
use serde_json::json;

use crate::Failure;
use crate::workshop::place::Place;
use crate::workshop::release::quickly;
use crate::workshop::shelf::Shelf;
use crate::workshop::smoke;
use crate::workshop::users::{Met, Users};

/// How many users load the new version, and how often each of them asks.
const USERS: usize = 6;
const REQUESTS_EACH: u64 = 250;

/// Rolls out in staging, measures, and rolls back.
pub(crate) async fn rehearse(place: &Place, release: &Release, shelf: &mut Shelf) -> Result<(), Failure> {
    let (measured, accepted) = (Arc::<Mutex<Option<Met>>>::default(), Arc::<Mutex<Option<Vec<u8>>>>::default());
    let pipeline = pipeline(place, &measured, &accepted)?;
    let clock = Arc::new(SystemClock::new());
    let engine = Engine::builder(Arc::new(MemoryJournal::new(clock))).pipeline(pipeline.clone()).build();
    let mut rehearsed = release.clone();
    rehearsed.environment = EnvironmentName::new("staging")?;
    let run = engine.start(pipeline.name(), rehearsed, Principal::new("release-bot", "this-machine")).await?;
    let end = run.wait().await?;
    if end.outcome != Outcome::RolledBack {
        return Err(format!("the rehearsal {}: {}", end.outcome, end.because).into());
    }
    let mut lines = Vec::new();
    export(engine.journal().as_ref(), run.id(), &mut lines).await?;
    shelf.put(kind::DRILL_EXPORT, "the engine, in staging", "drill.jsonl", lines)?;
    engine.shutdown(Duration::from_secs(5)).await;
    let take = |slot: &Mutex<Option<Vec<u8>>>| slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    let accepted = take(&accepted).ok_or("nobody accepted anything")?;
    shelf.put(kind::ACCEPTANCE, "users' journeys, in staging", "acceptance.xml", accepted)?;
    let met = measured.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or("nothing was measured")?;
    let summary = serde_json::to_vec_pretty(&met.k6())?;
    shelf.put(kind::K6, "workshop's users, in the form of k6", "load.json", summary)?;
    let nfr = json!({ "requirements": [
        { "name": "p99 ms", "at_most": 500.0, "measured": met.per_mille(990),
          "evidence": "load.json#/metrics/http_req_duration/values/p(99)" },
        { "name": "failed requests", "at_most": 0.001, "measured": met.failed_share(),
          "evidence": "load.json#/metrics/http_req_failed/values/rate" },
    ] });
    shelf.put_document("nfr-results", "workshop's users", nfr)
}

fn pipeline(
    place: &Place,
    measured: &Arc<Mutex<Option<Met>>>,
    accepted: &Arc<Mutex<Option<Vec<u8>>>>,
) -> Result<Pipeline, Failure> {
    let p = Pipeline::builder("rehearse-orders");
    p.rollback(RollbackTo::Previous);
    p.phase("out").rollout("all-at-once", quickly(), place.target()).observe_every(Duration::from_millis(200)).add();
    let look = p.phase("look");
    let (traffic, measured, accepted) = (place.traffic(), Arc::clone(measured), Arc::clone(accepted));
    let card = AgentCard::new(BlockName::new("measure")?, "measures the new version under load").repeatable();
    let measure = agent_fn(card, move |task, cx| {
        let (measured, accepted) = (Arc::clone(&measured), Arc::clone(&accepted));
        async move {
            let tests = smoke::journeys(traffic)?.perform_all(&task, &cx).await?;
            *accepted.lock().unwrap_or_else(PoisonError::into_inner) = Some(tests);
            let met = Users::start(traffic, USERS, Duration::ZERO, REQUESTS_EACH).done().await;
            let text = format!("{} requests, {} failed", met.requests(), met.failed);
            *measured.lock().unwrap_or_else(PoisonError::into_inner) = Some(met);
            Ok(Report::new().note(text))
        }
    });
    let measuring = look.task("measure", measure).timeout(Duration::from_secs(60)).add();
    let card = AgentCard::new(BlockName::new("turn-back")?, "says no, so that the way back is walked").repeatable();
    let no = agent_fn(card, |_, _| async { Err(AgentError::definitive("this is a rehearsal: now the way back")) });
    look.task("turn-back", no).retry(RetryPolicy::attempts(1)).after(&measuring).add();
    Ok(p.build()?)
}
