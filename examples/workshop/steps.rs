//! What the host adds to the workflow: the configuration before traffic, and a look at the running service after it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deploy_agents::agents::{ConfigChange, ConfigFile, ConfigValidator, Expectation, HttpProbe};
use deploy_agents::checks::kind;
use deploy_agents::process::CommandLine;
use deploy_core::agent::{Agent, AgentCard, AgentError, Performed, Report, agent_fn};
use deploy_core::name::{BlockName, CheckName};
use serde_json::{Value, json};

use crate::Failure;
use crate::workshop::bench::Bench;
use crate::workshop::building::Built;
use crate::workshop::place::Place;
use crate::workshop::smoke;
use crate::workshop::users::Users;

/// What settings must follow: the version that is released brings it.
const SCHEMA: &str = include_str!("service/config/settings.schema.json");
/// How often in a row each instance must say that it is healthy.
const IN_A_ROW: u32 = 3;
/// How long the new version bakes, in seconds.
pub(crate) const BAKE: Duration = Duration::from_secs(4);

/// Changes a configuration file of the service to the one that the repository holds.
pub(crate) fn configuration(
    name: &str,
    file: &std::path::Path,
    wanted: Vec<u8>,
    built: &Built,
) -> Result<ConfigChange, Failure> {
    Ok(ConfigChange::new(BlockName::new(name)?, Arc::new(ConfigFile::new(file)), wanted)
        .validator(ConfigValidator::json_schema("settings.schema.json", &serde_json::from_str(SCHEMA)?)?)
        .dry_run(CommandLine::new(&built.new).args(["--check-config", "{config}"]))
        .claims(CheckName::new("configuration")?))
}

/// Looks at what runs: smoke tests, every instance's health, what the users met, and what is left of the error budget.
pub(crate) fn look(bench: &Bench, place: &Arc<Place>, users: Users) -> Result<impl Agent, Failure> {
    let card =
        AgentCard::new(BlockName::new("look")?, "looks at what runs, and takes the users' word down").repeatable();
    let (bench, place, users) = (bench.clone(), Arc::clone(place), Arc::new(Mutex::new(Some(users))));
    Ok(agent_fn(card, move |task, cx| {
        let (bench, place, users) = (bench.clone(), Arc::clone(&place), Arc::clone(&users));
        async move {
            let revision = task.release.revision.as_str().to_owned();
            let failed = |what: &'static str| move |error: Failure| AgentError::transient(what).because(error);
            for piece in smoke::suite(place.traffic(), &revision)?.evidence(&task, &cx).await? {
                let file = piece.evidence.summary.clone();
                let put = bench.shelf().put(
                    &piece.evidence.kind,
                    "the service, asked by the smoke suite",
                    &file,
                    piece.bytes,
                );
                put.map_err(failed("the smoke tests were not kept"))?;
            }
            let health = health(&place, &revision, &task, &cx).await?;
            bench
                .shelf()
                .put_document("health-report", "the instances", health)
                .map_err(failed("health was not kept"))?;
            let at_work = users.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(users) = at_work {
                let met = users.stop().await;
                let summary =
                    serde_json::to_vec_pretty(&met.k6()).map_err(|e| failed("the load was not kept")(e.into()))?;
                let budget = json!({ "objective": 0.999, "total": met.requests(), "bad": met.failed });
                let success = json!({
                    "revision": revision, "baked_seconds": BAKE.as_secs(), "bake_seconds": BAKE.as_secs(),
                    "metrics": [
                        { "name": "orders placed while it went out", "at_least": 20.0, "measured": met.orders },
                        { "name": "median latency in ms", "at_most": 250.0, "measured": met.per_mille(500) },
                    ],
                });
                let mut shelf = bench.shelf();
                let kept = shelf
                    .put(kind::ROLLOUT_LOAD, "workshop's users, in the form of k6", "rollout-load.json", summary)
                    .and_then(|()| shelf.put_document("error-budget", "workshop's users", budget))
                    .and_then(|()| shelf.put_document("success-metrics", "workshop's users", success));
                kept.map_err(failed("what the users met was not kept"))?;
                let mut report = Report::new().note(format!("{} requests, {} failed", met.requests(), met.failed));
                for reason in met.reasons {
                    report = report.note(reason);
                }
                return Ok(report);
            }
            Ok(Report::new().note("the users have gone home already"))
        }
    }))
}

/// Asks every instance, several times in a row.
async fn health(
    place: &Place,
    revision: &str,
    task: &deploy_core::agent::Task,
    cx: &deploy_core::agent::StepContext,
) -> Result<Value, AgentError> {
    let mut results = Vec::new();
    for (instance, address) in place.instances() {
        for (check, path, says) in [("healthz", "/healthz", "ok"), ("version", "/version", revision)] {
            let name = BlockName::new(check).map_err(|e| AgentError::definitive("a check has a name").because(e))?;
            let probe = HttpProbe::new(name, format!("http://{address}{path}"))
                .expect(Expectation::BodyContains(says.to_owned()))
                .times(IN_A_ROW)
                .every(Duration::from_millis(50));
            let short = deploy_core::agent::StepContext::new(
                cx.key.clone(),
                cx.fence,
                cx.now,
                Duration::from_secs(10),
                cx.cancellation.clone(),
            );
            let passes = match probe.perform(task, &short).await {
                Ok(Performed::Done(_)) => IN_A_ROW,
                Ok(Performed::Running { .. }) | Err(_) => 0,
            };
            results.push(json!({ "check": check, "instance": instance, "passes_in_a_row": passes }));
        }
    }
    Ok(json!({ "revision": revision, "declared": ["healthz", "version"], "consecutive": IN_A_ROW, "results": results }))
}

/// What the environment is, beside what it is declared to be.
pub(crate) fn environment(environment: &str, serving: Option<&str>, settings: &[u8], wanted: &[u8]) -> Value {
    let fact = |name: &str, wanted: String, actual: String| json!({ "name": name, "wanted": wanted, "actual": actual });
    let digest = |bytes: &[u8]| deploy_core::digest::Digest::of(bytes).to_string();
    let writable = std::env::temp_dir().metadata().is_ok_and(|found| !found.permissions().readonly());
    json!({
        "environment": environment, "certificates": [],
        "facts": [
            fact("version that serves", crate::workshop::repository::OLD.to_owned(), serving.unwrap_or("none").to_owned()),
            fact("settings", digest(wanted), digest(settings)),
            fact("temporary files can be written", "yes".to_owned(), if writable { "yes" } else { "no" }.to_owned()),
        ],
    })
}
