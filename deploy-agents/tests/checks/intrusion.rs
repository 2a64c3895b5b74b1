//! What an intruder would delete is kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deploy_agents::monitors::{
    IncidentRecord, LogLines, PreserveEvidence, Query, ScrapeMonitor, SecurityIncident, Selector,
};
use deploy_core::agent::{AgentCard, AgentError, Report, agent_fn};
use deploy_core::driver::{Engine, RuntimeClock};
use deploy_core::journal::{Journal as _, MemoryJournal};
use deploy_core::machine::{Event, Outcome};
use deploy_core::monitor::{Comparison, Counts, Monitor, Reading};
use deploy_core::name::MetricName;
use deploy_core::operator::{Act, ApprovalRequest};
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::StepPath;
use deploy_core::real::Real;
use futures::StreamExt as _;
use serde_json::json;

use crate::performed::once;
use crate::watches::{Shop, block, measure};
use crate::world::{now, person, release};

/// What an incident left behind is kept byte for byte; what was deleted already is named, and hides nothing else.
///
/// Rows: M79.
#[tokio::test]
async fn what_an_incident_leaves_behind_is_kept_before_anybody_cleans_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("auth.log");
    std::fs::write(&log, b"login of root from nowhere\n").expect("written");
    let long = folder.path().join("core");
    std::fs::write(&long, vec![7; 100]).expect("written");
    let agent = PreserveEvidence::new(block("preserve"))
        .file(&log)
        .file(folder.path().join("deleted"))
        .file(&long)
        .page("http://v1/")
        .page("http://v1/gone")
        .most_bytes(64)
        .over(Arc::new(Shop::default()));
    let report = once(&agent, now()).await.expect("it is done");
    std::fs::remove_file(&log).expect("the intruder cleans up");
    let bytes: Vec<_> = report.evidence.iter().map(|piece| piece.bytes.as_slice()).collect();
    assert_eq!(bytes[0], b"login of root from nowhere\n");
    assert_eq!((bytes[1], bytes[2]), (&[7; 64][..], &b"Welcome"[..]));
    let list: serde_json::Value = serde_json::from_slice(bytes[3]).expect("JSON");
    assert_eq!(list["sources"][0]["digest"], report.evidence[0].evidence.digest.to_string());
    assert_eq!((&list["sources"][0]["cut_off"], &list["sources"][2]["cut_off"]), (&json!(false), &json!(true)));
    assert!(list["sources"][1]["lost"].is_string() && list["sources"][4]["lost"].is_string(), "{list}");
    assert_eq!(report.findings.iter().filter(|f| f.text.contains("could not be kept")).count(), 2);
    let nothing = PreserveEvidence::new(block("preserve")).file(folder.path().join("deleted"));
    assert!(once(&nothing, now()).await.is_err(), "nothing kept is no success");
    deploy_core::testing::conformance::agent::AgentSuite::new().run(&agent).await;
}

/// A burst of refused logins opens an incident: what the intruder would delete is kept before anybody contains anything, and the run
/// ends when a person of the security team says so. Without a burst there is no incident.
///
/// Rows: M79.
#[tokio::test(start_paused = true)]
async fn a_drill_of_an_intrusion_keeps_everything_before_it_is_contained() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("auth.log");
    std::fs::write(&log, "login granted to ada\n".repeat(3)).expect("written");
    let lines = LogLines::new(log.display().to_string()).class("refused", "login refused").expect("an expression");
    let count = |class: &str| Selector::new(LogLines::SERIES).is("class", class);
    let refused = MetricName::new("login.refused").expect("a name");
    let audit = ScrapeMonitor::new(block("audit"))
        .source(lines)
        .metric(refused.clone(), Query::Ratio { bad: count("refused"), all: count("all"), absent_is_zero: false });
    let audit: Arc<dyn Monitor> = Arc::new(audit);
    // Growth needs two looks: this is the first.
    measure(&audit).await;
    let clock = Arc::new(RuntimeClock::new(now()));
    let journal = Arc::new(MemoryJournal::new(Arc::<RuntimeClock>::clone(&clock)));
    let pipeline = |name: &str| {
        let evidence = log.clone();
        let card = AgentCard::new(block("lock-out"), "ends every session, and with it the log").repeatable();
        let contain = agent_fn(card, move |_task, _cx| {
            let evidence = evidence.clone();
            async move {
                std::fs::remove_file(evidence).map_err(|e| AgentError::definitive("the log is gone").because(e))?;
                Ok(Report::new())
            }
        });
        let limit = (Comparison::Greater, Real::new(0.5).expect("finite"));
        let preserve = PreserveEvidence::new(block("preserve")).file(&log);
        let incident = SecurityIncident::new(
            Arc::clone(&audit),
            refused.clone(),
            limit,
            preserve,
            "security@example.org",
            "https://wiki.example.org/intrusion",
        );
        let over = ApprovalRequest::new("Is it over?").role("security");
        incident.pipeline(name, contain, over).expect("a pipeline")
    };
    let (quiet, drill) = (pipeline("quiet"), pipeline("drill"));
    let engine = Engine::builder(Arc::<MemoryJournal>::clone(&journal)).clock(clock);
    let engine = engine.pipeline(quiet.clone()).pipeline(drill.clone()).build();
    let start =
        async |pipeline: &Pipeline| engine.start(pipeline.name(), release(), person("pager")).await.expect("it starts");
    // A quiet hour: nothing is opened, kept or contained.
    std::fs::write(&log, "login granted to ada\n".repeat(9)).expect("written");
    let end = start(&quiet).await.wait().await.expect("it ends");
    assert_ne!(end.outcome, Outcome::Succeeded);
    assert!(end.because.contains("there is no incident"), "{}", end.because);
    assert!(log.is_file(), "nothing was contained");

    let burst = "login granted to ada\n".repeat(9) + &"login refused to root\n".repeat(500);
    std::fs::write(&log, &burst).expect("written");
    let run = start(&drill).await;
    let step = StepPath::new("close/over").expect("a path");
    let asked = deploy_agents::wait::until(Duration::from_secs(600), Duration::from_secs(1), || async {
        let status = run.status().await.ok()?;
        status.open.iter().any(|open| open.step == step).then_some(())
    });
    asked.await.expect("it is contained, and a person is asked");
    assert!(!log.exists(), "it is contained");
    run.operate(person("grace").role("security"), "the hole is closed", Act::Approve { step }).await.expect("taken");
    assert_eq!(run.wait().await.expect("it ends").outcome, Outcome::Succeeded);

    let mut events = Box::pin(run.events(0));
    let mut kept = BTreeMap::new();
    while let Some(Ok(record)) = events.next().await {
        if let Event::Completed(completed) = &record.event {
            for evidence in &completed.report.evidence {
                let bytes = journal.blob(&evidence.digest).await.expect("readable").expect("there");
                kept.insert(evidence.kind.clone(), (evidence.digest, bytes));
            }
        }
    }
    assert_eq!(kept["preserved"].1, burst.as_bytes(), "to the byte, though the file is gone");
    let record: IncidentRecord = serde_json::from_slice(&kept["incident-record"].1).expect("a record");
    // All that came since the first look, which is within the window: six lines of a quiet hour, and the burst.
    assert_eq!(record.reading, Reading::Counts(Counts::new(506, 500).expect("fewer")));
    assert_eq!((&*record.owner, record.kept, record.format), ("security@example.org", 1, 1));
    assert_eq!(record.preserved, [kept["preserved-list"].0]);
    assert_eq!(record.run, run.id().to_string());
}
