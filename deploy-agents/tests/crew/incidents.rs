//! An incident is answered to: by one run, once, until the service is shown to be well and what it cost is stated.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deploy_agents::checks::incident::answering_service;
use deploy_agents::crew::deliverables::{ServiceImpact, UserImpact};
use deploy_agents::crew::{
    Content, EventFolder, EvidenceSource, INCIDENT_SEATS, Issued, KeepError, Role, SourceError, Sources, Wanted,
};
use deploy_agents::gates::EvidenceGate;
use deploy_agents::workflows::{
    IncidentResponse, IncidentTrigger, TriggerError, Triggered, Workflow, WorkflowError, without_exit_gate,
};
use deploy_core::agent::{AgentCard, Report, agent_fn};
use deploy_core::driver::{Engine, RunHandle, RuntimeClock};
use deploy_core::evidence::{Collected, EvidenceSubject, Waiver};
use deploy_core::gate::{Gate as _, GateContext, GateDecision, gate_fn};
use deploy_core::journal::{Journal, MemoryJournal, Which};
use deploy_core::machine::{Outcome, Strategies};
use deploy_core::name::{BlockName, CheckName, RevisionName};
use deploy_core::pipeline::Bound;
use deploy_core::plan::StepPath;
use deploy_core::simulation::Simulation;
use deploy_core::strategy::Strategy;
use deploy_core::testing::conformance::agent::AgentSuite;
use deploy_core::time::{Now, RunTime};

use crate::sample::read;
use crate::world::{at, now, person};

/// An event about INC-7 as the sample has it, changed.
fn event(change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let mut json = serde_json::from_slice(&read("incident.json")).expect("JSON");
    change(&mut json);
    serde_json::to_vec(&json).expect("JSON")
}

fn of(predicate: &str, time: &str) -> Vec<u8> {
    event(|json| {
        json["context"]["type"] = format!("dev.cdevents.incident.{predicate}.0.2.0").into();
        json["context"]["id"] = format!("{predicate}-{time}").into();
        json["context"]["timestamp"] = time.into();
    })
}

fn detected() -> Vec<u8> {
    event(|_| {})
}

/// What it cost, stated only after somebody has looked for it so often.
#[derive(Debug)]
struct Impact {
    looks_without: u32,
    looks: AtomicU32,
    bytes: Vec<u8>,
}

impl Impact {
    fn after(looks_without: u32) -> Self {
        Self { looks_without, looks: AtomicU32::new(0), bytes: read("impact.json") }
    }
}

#[async_trait::async_trait]
impl EvidenceSource for Impact {
    async fn collect(&self, wanted: &Wanted<'_>) -> Result<Vec<Collected>, SourceError> {
        let asked = wanted.asks_for("impact");
        if !asked || self.looks.fetch_add(1, Ordering::Relaxed) < self.looks_without {
            return Ok(Vec::new());
        }
        let subject =
            EvidenceSubject { environment: Some(wanted.release.environment.clone()), ..EvidenceSubject::default() };
        let at = at("2026-11-23T06:30:00Z");
        Ok(vec![Collected::new("impact", "monitoring", subject, at, self.bytes.clone()).summary("impact.json")])
    }
}

/// What was done, and how often the service was asked whether it is well.
#[derive(Debug, Clone, Default)]
struct Done {
    restarts: Arc<AtomicU32>,
    asked: Arc<AtomicU32>,
}

/// An answer whose service is well when it was asked so often.
fn response(events: &Path, impact: Impact, done: &Done, well_after: u32) -> IncidentResponse {
    let name = |name: &str| BlockName::new(name).expect("a name");
    let restarts = Arc::clone(&done.restarts);
    let restart = agent_fn(AgentCard::new(name("restart"), "restarts what hangs").repeatable(), move |_, _| {
        restarts.fetch_add(1, Ordering::Relaxed);
        async { Ok(Report::new()) }
    });
    let asked = Arc::clone(&done.asked);
    let well = gate_fn(name("well"), "nobody meets an error", move |_| {
        let well = asked.fetch_add(1, Ordering::Relaxed) >= well_after;
        async move {
            let minute = Duration::from_secs(60);
            Ok(if well { GateDecision::Go } else { GateDecision::hold("users still meet errors", minute) })
        }
    });
    IncidentResponse::new("answer-shop", Sources::new().with(EventFolder::new(events)).with(impact))
        .respond("restart", restart)
        .recovered("well", well)
}

fn workflow(events: &Path, done: &Done) -> Workflow {
    response(events, Impact::after(0), done, 0).build().expect("it builds")
}

struct Host {
    engine: Engine,
    journal: Arc<MemoryJournal>,
    trigger: IncidentTrigger,
}

fn host(workflow: &Workflow, events: &Path) -> Host {
    let clock = Arc::new(RuntimeClock::new(now()));
    let journal = Arc::new(MemoryJournal::new(Arc::<RuntimeClock>::clone(&clock)));
    let engine = Engine::builder(Arc::<MemoryJournal>::clone(&journal)).clock(clock);
    let engine = engine.pipeline(workflow.pipeline.clone()).build();
    Host { engine, journal, trigger: IncidentTrigger::new(workflow.pipeline.clone(), EventFolder::new(events)) }
}

impl Host {
    async fn receive(&self, event: &[u8]) -> Result<Triggered, TriggerError> {
        self.trigger.receive(&self.engine, event, serving(), person("pager")).await
    }

    async fn answered(&self, event: &[u8]) -> RunHandle {
        match self.receive(event).await.expect("it is taken") {
            Triggered::Answered(run) => run,
            other => panic!("{other:?}"),
        }
    }

    async fn runs(&self) -> usize {
        self.journal.list(Which::All, None, 100).await.expect("the journal is read").len()
    }
}

fn serving() -> RevisionName {
    RevisionName::new("v2").expect("a name")
}

/// Rows: M116, M118, M232.
#[tokio::test(start_paused = true)]
async fn an_event_starts_one_run_and_it_ends_when_recovery_is_shown_and_the_cost_is_stated() {
    let (events, done) = (tempfile::tempdir().expect("a folder"), Done::default());
    let workflow = response(events.path(), Impact::after(3), &done, 3).build().expect("it builds");
    let host = host(&workflow, events.path());

    let run = host.answered(&detected()).await;
    // The same event again, two more about the same incident, and that it is over, which ends nothing.
    for more in [detected(), of("reported", "2026-11-23T06:05:00Z"), of("resolved", "2026-11-23T06:09:00Z")] {
        assert_eq!(host.answered(&more).await.id(), run.id());
    }
    let began = tokio::time::Instant::now();
    let end = run.wait().await.expect("it ends");
    assert_eq!(end.outcome, Outcome::Succeeded, "{}", end.because);
    assert_eq!(host.runs().await, 1);
    assert_eq!(done.restarts.load(Ordering::Relaxed), 1, "what is done is done once");
    // Asked until it was well, once more at the end of the phase; then somebody looked for the cost until it was stated.
    assert_eq!(done.asked.load(Ordering::Relaxed), 5);
    assert!(began.elapsed() >= Duration::from_secs(6 * 60), "{:?}", began.elapsed());
    // What has ended is not answered to again.
    assert_eq!(host.answered(&detected()).await.id(), run.id());
    assert_eq!((host.runs().await, done.restarts.load(Ordering::Relaxed)), (1, 1));
}

/// What both roles state of the incident, taken from the records of a run.
///
/// Rows: M118.
#[tokio::test(start_paused = true)]
async fn quality_and_product_state_what_it_cost() {
    let (events, done) = (tempfile::tempdir().expect("a folder"), Done::default());
    let workflow = workflow(events.path(), &done);
    EventFolder::new(events.path()).keep(&detected()).await.expect("kept");
    let facts = EventFolder::new(events.path()).keep(&detected()).await.expect("the same again");
    let release = IncidentTrigger::release(&facts, serving()).expect("it names its service");
    let mut stated = BTreeMap::new();
    for seat in INCIDENT_SEATS {
        let asked = workflow.ask(seat, &release, Some("impact-stated"), now()).await.expect("it answers");
        assert!(asked.is_met(), "{asked}");
        for deliverable in &asked.report.deliverables {
            let name = deliverable.key.name.clone();
            stated.insert(name, deliverable.json.clone());
        }
    }
    let service: Issued<ServiceImpact> = serde_json::from_str(&stated[ServiceImpact::NAME]).expect("its shape");
    let service = service.content().expect("made");
    assert_eq!((service.incident.as_str(), service.requests, service.failed), ("INC-7", 49_000, 800));
    assert_eq!((service.lasted, service.budget_spent), (Some(Duration::from_secs(25 * 60)), 0.8));
    let users: Issued<UserImpact> = serde_json::from_str(&stated[UserImpact::NAME]).expect("its shape");
    let users = users.content().expect("made");
    assert_eq!((users.users_at_least, users.users_at_most), (Some(310), Some(615)));
    assert_eq!((users.lost, users.currency.as_deref()), (Some(260_000), Some("EUR")));
}

/// A wrong total is not a cost: the run waits for a right one, and says what is wrong, for as long as it may.
///
/// Rows: M118.
#[tokio::test(start_paused = true)]
async fn a_cost_that_does_not_add_up_closes_no_incident() {
    let (events, done) = (tempfile::tempdir().expect("a folder"), Done::default());
    let mut impact = Impact::after(0);
    let text = String::from_utf8(impact.bytes).expect("text");
    impact.bytes = text.replace("\"failed\": 800", "\"failed\": 80").into_bytes();
    let response = response(events.path(), impact, &done, 0).reviewed_within(Duration::from_secs(3 * 3600));
    let workflow = response.build().expect("it builds");
    let end = host(&workflow, events.path()).answered(&detected()).await.wait().await.expect("it ends");
    assert_eq!(end.outcome, Outcome::Failed);
    assert!(end.because.contains("failed is stated as 80, and the windows add up to 800"), "{}", end.because);
}

/// Rows: M232.
#[tokio::test(start_paused = true)]
async fn nothing_is_started_for_what_cannot_be_answered_to_and_the_reason_is_said() {
    let (events, done) = (tempfile::tempdir().expect("a folder"), Done::default());
    let workflow = workflow(events.path(), &done);
    let host = host(&workflow, events.path());
    let kept = || std::fs::read_dir(events.path()).expect("a folder").count();

    for bytes in [
        &b"{}"[..],
        b"",
        b"help",
        &event(|json| json["context"]["type"] = "dev.cdevents.service.deployed.0.2.0".into()),
    ] {
        let error = host.receive(bytes).await.expect_err("no event about an incident");
        assert!(matches!(error, TriggerError::Keep(KeepError::Unreadable(_))), "{error:?}");
    }
    let long = vec![b' '; 1024 * 1024 + 1];
    assert!(matches!(host.receive(&long).await, Err(TriggerError::Keep(KeepError::TooLong(_)))));
    assert_eq!(kept(), 0);

    let nobody = event(|json| json["subject"]["content"]["service"] = serde_json::Value::Null);
    assert!(matches!(host.receive(&nobody).await, Err(TriggerError::NoService(incident)) if incident == "INC-7"));
    for field in ["service", "environment"] {
        let named = event(|json| json["subject"]["content"][field]["id"] = "no name".into());
        assert!(matches!(host.receive(&named).await, Err(TriggerError::Name { .. })), "{field}");
    }
    // Over before anybody answered: there is nothing to answer to.
    let over = host.receive(&of("resolved", "2026-11-23T06:09:00Z")).await.expect("it is taken");
    assert!(matches!(over, Triggered::Nothing(_)), "{over:?}");
    assert_eq!((host.runs().await, kept()), (0, 4));
}

/// Two incidents of one service are answered to beside each other, and beside a release; those of others are not theirs.
///
/// Rows: M232.
#[tokio::test(start_paused = true)]
async fn each_incident_has_a_run_and_the_events_of_its_own() {
    let (events, done) = (tempfile::tempdir().expect("a folder"), Done::default());
    let workflow = response(events.path(), Impact::after(0), &done, 2).build().expect("it builds");
    let host = host(&workflow, events.path());
    let first = host.answered(&detected()).await;
    let other = host.answered(&event(|json| json["subject"]["id"] = "INC-8".into())).await;
    // Whoever tells of it, it is the same incident.
    let told = host.answered(&event(|json| json["context"]["source"] = "/tickets".into())).await;
    assert_eq!(told.id(), first.id());
    let staging = event(|json| json["subject"]["content"]["environment"]["id"] = "staging".into());
    let staging = host.answered(&staging).await;
    let ids = std::collections::BTreeSet::from([first.id(), other.id(), staging.id()]);
    assert_eq!((ids.len(), host.runs().await), (3, 3));
    // What it cost is known of INC-7 alone, and that one does not wait for the others.
    let end = first.wait().await.expect("it ends");
    assert_eq!(end.outcome, Outcome::Succeeded, "{}", end.because);
    let other = other.status().await.expect("a status");
    assert!(!matches!(other.mode, deploy_core::machine::Mode::Ended { .. }), "{other}");

    let source = EventFolder::new(events.path());
    let facts = source.keep(&detected()).await.expect("kept");
    let release = IncidentTrigger::release(&facts, serving()).expect("a release");
    assert_eq!(release.service, answering_service("shop", "INC-7").expect("a name"));
    let step = StepPath::new("triage/event").expect("a path");
    let wanted = Wanted::new(&release, &step, &["cdevents"], now());
    let of_first = source.collect(&wanted).await.expect("read");
    assert!(of_first.iter().all(|piece| !String::from_utf8_lossy(&piece.bytes).contains("INC-8")));
    assert!(source.collect(&Wanted::new(&release, &step, &["impact"], now())).await.expect("read").is_empty());
    // What somebody put there by hand counts as long as it is no longer than what would have been kept.
    for (more, longest) in [(0, 1), (1, 0)] {
        let mut by_hand = detected();
        by_hand.resize(1024 * 1024 + more, b' ');
        std::fs::write(events.path().join("by-hand.json"), by_hand).expect("written");
        assert_eq!(source.collect(&wanted).await.expect("read").len(), of_first.len() + longest);
    }
}

/// Whoever received the event was killed after it was kept: handed over again, it is answered to.
///
/// Rows: M232.
#[tokio::test(start_paused = true)]
async fn an_event_that_was_kept_and_not_answered_to_is_answered_to_when_it_comes_again() {
    let (events, done) = (tempfile::tempdir().expect("a folder"), Done::default());
    EventFolder::new(events.path()).keep(&detected()).await.expect("kept");
    let workflow = workflow(events.path(), &done);
    let host = host(&workflow, events.path());
    let event = detected();
    // At the same time from two brokers.
    let (one, two) = tokio::join!(host.answered(&event), host.answered(&event));
    assert_eq!(one.id(), two.id());
    assert_eq!(one.wait().await.expect("it ends").outcome, Outcome::Succeeded);
    assert_eq!((host.runs().await, done.restarts.load(Ordering::Relaxed)), (1, 1));
    assert_eq!(std::fs::read_dir(events.path()).expect("a folder").count(), 1);
}

/// The engine takes no run any more: the event is not lost, and the next host answers to it.
///
/// Rows: M232.
#[tokio::test(start_paused = true)]
async fn an_event_is_kept_before_it_is_answered_to() {
    let (events, done) = (tempfile::tempdir().expect("a folder"), Done::default());
    let workflow = workflow(events.path(), &done);
    let stopping = host(&workflow, events.path());
    stopping.engine.shutdown(Duration::from_secs(1)).await;
    let refused = stopping.receive(&detected()).await;
    assert!(matches!(&refused, Err(TriggerError::Start { incident, .. }) if incident == "INC-7"), "{refused:?}");
    assert_eq!((stopping.runs().await, std::fs::read_dir(events.path()).expect("a folder").count()), (0, 1));
    let end = host(&workflow, events.path()).answered(&detected()).await.wait().await.expect("it ends");
    assert_eq!(end.outcome, Outcome::Succeeded, "{}", end.because);
}

/// The strategies of a plan.
struct Bounded(Bound);

impl Strategies for Bounded {
    fn strategy(&self, name: &BlockName) -> Option<&dyn Strategy> {
        self.0.strategy(name).map(|strategy| &**strategy)
    }
}

/// Rows: M116, M232.
#[test]
fn the_answer_runs_in_simulation_and_a_stop_after_any_record_changes_nothing() {
    let (events, done) = (tempfile::tempdir().expect("a folder"), Done::default());
    let workflow = workflow(events.path(), &done);
    let facts = deploy_agents::evidence::cdevents::read(&deploy_agents::evidence::Source::new("event", &detected()));
    let release = IncidentTrigger::release(&facts.expect("readable"), serving()).expect("a release");
    let plan = Arc::new(workflow.pipeline.plan(release, person("pager")).expect("a plan"));
    assert_eq!(without_exit_gate(&plan), []);
    let bound = Bounded(workflow.pipeline.blocks().bind(&plan).expect("all blocks are there"));
    let whole = Simulation::new(Arc::clone(&plan), 3).run(&bound).expect("it runs");
    assert_eq!(whole.outcome, Some(Outcome::Succeeded));
    for record in 1..whole.records.len() as u64 {
        let resumed = Simulation::new(Arc::clone(&plan), 3).stop_after(record).run(&bound).expect("it runs");
        assert_eq!(resumed.stops, 1, "it stopped after record {record}");
        assert_eq!(resumed.outcome, whole.outcome, "after record {record}");
        assert_eq!(resumed.effect_keys(), whole.effect_keys(), "after record {record}");
    }
}

#[test]
fn an_answer_that_does_nothing_or_never_shows_recovery_does_not_build() {
    let folder = || EventFolder::new("events");
    let nothing = IncidentResponse::new("answer", folder()).build().expect_err("nothing is done");
    let WorkflowError::Pipeline(problems) = nothing else { panic!("{nothing:?}") };
    let text = problems.to_string();
    assert!(text.contains("response") && text.contains("recovery"), "{text}");

    let done = Done::default();
    let whole = || response(Path::new("events"), Impact::after(0), &done, 0);
    let seat = Role::Qa.in_phase(1);
    let elsewhere = whole().without(seat, "nobody sits there").build().expect_err("it has no such seat");
    assert!(matches!(elsewhere, WorkflowError::NoSeat { seat: named, .. } if named == seat));
    let unsaid = whole().without(Role::Pm.in_phase(4), " ").build().expect_err("no reason");
    assert!(matches!(unsaid, WorkflowError::NoReason(_)));
    let one = whole().without(Role::Pm.in_phase(4), "nothing is sold").build().expect("it builds");
    assert_eq!(one.seats.keys().copied().collect::<Vec<_>>(), [Role::Qa.in_phase(4)]);
    let plan =
        |workflow: &Workflow| workflow.pipeline.phases().iter().map(|phase| phase.name.to_string()).collect::<Vec<_>>();
    assert_eq!(plan(&one), ["triage", "response", "recovery", "review"]);
}

/// The gate reads anew each time: it holds with every reason, opens when all is shown, and a waiver in force answers for its check.
#[tokio::test]
async fn a_gate_over_evidence_holds_until_it_is_shown() {
    #[derive(Debug)]
    struct Shown(Mutex<Result<Vec<Collected>, bool>>);
    #[async_trait::async_trait]
    impl EvidenceSource for Shown {
        async fn collect(&self, _: &Wanted<'_>) -> Result<Vec<Collected>, SourceError> {
            match &*self.0.lock().expect("nobody panics") {
                Ok(pieces) => Ok(pieces.clone()),
                Err(true) => Err(SourceError::transient("the folder is away")),
                Err(false) => Err(SourceError::definitive("the manifest is no JSON")),
            }
        }
    }
    let shown = Arc::new(Shown(Mutex::new(Ok(Vec::new()))));
    let crew = deploy_agents::crew::Crew::new(Arc::clone(&shown), deploy_agents::checks::Thresholds::default());
    let check = |name: &str| CheckName::new(name).expect("a name");
    let name = || BlockName::new("shown").expect("a name");
    let gate = EvidenceGate::new(name(), &crew, [check("impact-stated"), check("incident-known")]);
    let gate = gate.look_again(Duration::from_secs(7));
    let asked = |waivers| {
        let now = Now { wall: now(), run: RunTime::START };
        let step = StepPath::new("review/entry").expect("a path");
        GateContext::new(step, Arc::new(crate::world::release()), now, BTreeMap::new(), waivers)
    };
    let evaluate = async |waivers| gate.evaluate(&asked(waivers)).await;

    let nothing = evaluate(BTreeMap::new()).await.expect("an answer");
    let GateDecision::Hold { reason, ask_again_after } = nothing else { panic!("{nothing:?}") };
    assert!(reason.contains("impact-stated") && reason.contains("incident-known"), "{reason}");
    assert_eq!(ask_again_after, Duration::from_secs(7));

    let all: Vec<Collected> = crate::sample::pieces()
        .into_iter()
        .filter(|piece| ["impact", "cdevents"].contains(&piece.evidence.kind.as_str()))
        .collect();
    *shown.0.lock().expect("nobody panics") = Ok(all.clone());
    assert_eq!(evaluate(BTreeMap::new()).await.expect("an answer"), GateDecision::Go);

    let events: Vec<Collected> = all.into_iter().filter(|piece| piece.evidence.kind == "cdevents").collect();
    *shown.0.lock().expect("nobody panics") = Ok(events);
    let partly = evaluate(BTreeMap::new()).await.expect("an answer");
    assert!(matches!(&partly, GateDecision::Hold { reason, .. } if !reason.contains("incident-known")), "{partly:?}");
    let waiver = |expires| Waiver { person: person("grace"), reason: "nobody counts users".to_owned(), expires };
    let until = |expires| BTreeMap::from([(check("impact-stated"), waiver(expires))]);
    let waived = evaluate(until(now().after(Duration::from_secs(1)))).await.expect("an answer");
    assert!(matches!(waived, GateDecision::Conditional { .. }), "{waived:?}");
    let expired = evaluate(until(at("2026-11-23T07:59:59Z"))).await.expect("an answer");
    assert!(matches!(expired, GateDecision::Hold { .. }), "{expired:?}");

    *shown.0.lock().expect("nobody panics") = Err(true);
    let away = evaluate(BTreeMap::new()).await.expect("an answer");
    assert!(matches!(&away, GateDecision::Hold { reason, .. } if reason.contains("the folder is away")), "{away:?}");
    *shown.0.lock().expect("nobody panics") = Err(false);
    assert!(evaluate(BTreeMap::new()).await.is_err());

    assert!(EvidenceGate::new(name(), &crew, []).flaw().is_some());
    assert!(
        EvidenceGate::new(name(), &crew, [check("nobody-knows")])
            .flaw()
            .is_some_and(|flaw| flaw.contains("nobody-knows"))
    );
    assert_eq!(gate.flaw(), None);
}

/// Rows: M116.
#[tokio::test]
async fn every_agent_of_the_answer_conforms() {
    let (events, done) = (tempfile::tempdir().expect("a folder"), Done::default());
    let workflow = workflow(events.path(), &done);
    let facts = EventFolder::new(events.path()).keep(&detected()).await.expect("kept");
    let release = IncidentTrigger::release(&facts, serving()).expect("a release");
    let plan = workflow.pipeline.plan(release.clone(), person("pager")).expect("a plan");
    let mut seen = 0;
    for step in &plan.steps {
        let deploy_core::plan::Work::Task { agent, .. } = &step.work else { continue };
        let block = workflow.pipeline.blocks().agent(agent).expect("it is bound");
        let task = deploy_core::agent::Task::new(step.path.clone(), false, Arc::new(release.clone()), BTreeMap::new());
        AgentSuite::new().task(task).run(&**block).await;
        seen += 1;
    }
    assert_eq!(seen, 4);
}
