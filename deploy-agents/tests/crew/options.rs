//! What a host says to the builder of a workflow, in whole runs: work of its own, its own agents, its calendar, signed statements.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use deploy_agents::checks::{EvidenceSet, Thresholds, kind};
use deploy_agents::crew::deliverables::WindowPlan;
use deploy_agents::crew::{Body, Member, Role, Seat, Sources, duty};
use deploy_agents::gates::{ChangeCalendar, ChangeWindow, Freeze};
use deploy_agents::workflows::{Hook, Prerequisite, WorkflowBuilder};
use deploy_core::agent::{Agent, AgentCard, AgentError, Performed, Report, StepContext, Task, agent_fn};
use deploy_core::evidence::Collected;
use deploy_core::gate::{GateDecision, Veto, gate_fn};
use deploy_core::machine::Outcome;
use deploy_core::name::BlockName;
use ed25519_dalek::pkcs8::EncodePublicKey as _;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::json;

use crate::deliverables::issued;
use crate::gates::changed;
use crate::parts::{crew, eight, evidence, three, three_from};
use crate::sample::{pieces, thresholds};
use crate::whole::outcome;
use crate::world::{COMMIT, now, release};

type Log = Arc<Mutex<Vec<String>>>;

fn logged(log: &Log) -> Vec<String> {
    log.lock().expect("nobody panicked").clone()
}

fn block(name: &str) -> BlockName {
    BlockName::new(name).expect("a name")
}

/// An agent that writes down its name.
fn notes(log: &Log, name: &'static str) -> impl Agent + use<> {
    let log = Arc::clone(log);
    agent_fn(AgentCard::new(block(name), "writes down that it was done").repeatable(), move |_, _| {
        let log = Arc::clone(&log);
        async move {
            log.lock().expect("nobody panicked").push(name.to_owned());
            Ok(Report::new())
        }
    })
}

async fn ends(builder: WorkflowBuilder) -> (Outcome, String) {
    outcome(&builder.build().expect("it builds"), release()).await
}

const HOOKS: [(Hook, &str); 6] = [
    (Hook::BeforeWork, "before-work"),
    (Hook::BeforeStaging, "before-staging"),
    (Hook::OnStaging, "on-staging"),
    (Hook::BeforeTraffic, "before-traffic"),
    (Hook::AfterTraffic, "after-traffic"),
    (Hook::BeforeClose, "before-close"),
];

#[tokio::test(start_paused = true)]
async fn work_of_the_host_is_done_in_its_place() {
    for builder in [three(), eight()] {
        let log = Log::default();
        // Added the other way round: the place counts, not the order in which it was said.
        let builder =
            HOOKS.iter().rev().fold(builder, |builder, (at, name)| builder.task(*at, *name, notes(&log, name)));
        let (end, because) = ends(builder).await;
        assert_eq!(end, Outcome::Succeeded, "{because}");
        assert_eq!(logged(&log), HOOKS.map(|(_, name)| name));
    }
}

#[tokio::test(start_paused = true)]
async fn a_gate_of_the_host_stops_it_and_what_was_done_before_is_undone() {
    for builder in [three(), eight()] {
        let log = Log::default();
        let no = gate_fn(block("moon"), "the moon is full", |_| async {
            Ok(GateDecision::NoGo { vetoes: vec![Veto { by: "moon".to_owned(), reason: "it is new".to_owned() }] })
        });
        let builder = builder
            .task_with_undo(Hook::BeforeTraffic, "migrate", notes(&log, "migrate"), notes(&log, "migrate-back"))
            .task(Hook::AfterTraffic, "load", notes(&log, "load"))
            .gate(Hook::BeforeTraffic, "moon", no);
        let (end, because) = ends(builder).await;
        assert!(end != Outcome::Succeeded && because.contains("it is new"), "{end} {because}");
        assert_eq!(logged(&log), ["migrate", "migrate-back"]);
    }
}

/// A member in other clothes: a host's own agent in a seat.
#[derive(Debug)]
struct Own {
    member: Member,
    log: Log,
    honest: bool,
}

#[async_trait]
impl Agent for Own {
    fn card(&self) -> AgentCard {
        let mut card = self.member.card();
        card.name = block("our-own");
        card
    }

    async fn perform(&self, task: &Task, cx: &StepContext) -> Result<Performed, AgentError> {
        self.log.lock().expect("nobody panicked").push(task.step.to_string());
        if self.honest { self.member.perform(task, cx).await } else { Ok(Report::new().into()) }
    }
}

fn own(seat: Seat, log: &Log, honest: bool) -> Own {
    Own { member: Member::new(duty(seat).expect("a duty"), &crew()), log: Arc::clone(log), honest }
}

#[tokio::test(start_paused = true)]
async fn an_agent_of_the_host_takes_a_seat_and_is_held_to_what_the_seat_must_show() {
    let seat = Role::Pm.in_phase(3);
    for honest in [true, false] {
        let log = Log::default();
        let (end, because) = ends(three().with_agent(seat, own(seat, &log, honest))).await;
        assert_eq!(end == Outcome::Succeeded, honest, "{because}");
        assert!(logged(&log).iter().all(|step| step == "post-deployment/pm") && !logged(&log).is_empty(), "{log:?}");
        assert!(honest || because.contains("pm"), "{because}");
    }
    let log = Log::default();
    let stranger = Role::RiskManager.in_phase(1);
    let error = three().with_agent(stranger, own(stranger, &log, true)).build().expect_err("no such seat");
    assert!(error.to_string().contains("no seat risk-manager-1"), "{error}");
}

/// How long a release takes, in virtual time.
async fn takes(builder: WorkflowBuilder) -> (Outcome, Duration, String) {
    let began = tokio::time::Instant::now();
    let (end, because) = ends(builder).await;
    (end, began.elapsed(), because)
}

/// Rows: M160.
#[tokio::test(start_paused = true)]
async fn traffic_waits_for_the_window() {
    let window = |from: &str| ChangeWindow::weekly("w", "Etc/UTC", &[], from, "23:00").expect("a window");
    let (end, open, because) = takes(three().window(ChangeCalendar::new().window(window("07:00")))).await;
    assert_eq!(end, Outcome::Succeeded, "{because}");
    // It is eight: a minute later the evidence is still fresh.
    let (end, shut, because) = takes(three().window(ChangeCalendar::new().window(window("08:01")))).await;
    assert_eq!(end, Outcome::Succeeded, "{because}");
    assert!(open < Duration::from_secs(60) && shut >= Duration::from_secs(60), "{open:?} {shut:?}");
    let minute = ChangeWindow::new("release day", "Etc/UTC", "2026-11-23T07:00:00", "61m").expect("a window");
    let frozen = ChangeCalendar::new().freeze(Freeze::new(minute, "everybody looks at the other release"));
    let (end, frozen, because) = takes(eight().window(frozen)).await;
    assert_eq!(end, Outcome::Succeeded, "{because}");
    assert!(frozen >= Duration::from_secs(60), "{frozen:?}");
}

/// Rows: M145, M160.
#[test]
fn the_plan_of_a_window_says_whether_the_calendar_is_open_when_the_work_begins() {
    let planned = |pieces: &[Collected]| match issued::<WindowPlan>(Role::ProjectPlanner.in_phase(2), pieces).body {
        Body::Made(plan) => plan,
        Body::Refused(refusal) => panic!("{refusal}"),
    };
    let open = planned(&pieces());
    assert!(open.open && open.because.is_empty() && open.until.is_some_and(|until| until > open.starts), "{open:?}");
    let hours = |by: i64| changed("schedule.json", |j| j["starts"] = (open.starts.0 + by * 3_600_000).into());
    // From a Monday's 10:00 in Berlin to its 20:00, when the office is shut; it opens again the next morning.
    let evening = planned(&hours(10));
    assert!(!evening.open && !evening.because.is_empty(), "{evening:?}");
    assert!(evening.until.is_some_and(|opens| opens > evening.starts), "{evening:?}");
    let freeze = json!([{ "during": { "name": "x", "zone": "Europe/Berlin", "opens": "2026-11-23T00:00:00", "length": "24h" }, "reason": "year end" }]);
    let frozen = planned(&changed("schedule.json", |j| j["calendar"]["freezes"] = freeze));
    assert!(!frozen.open && frozen.because.contains("year end"), "{frozen:?}");
}

/// A statement about a workflow, signed with this key.
fn stated(key: &SigningKey, workflow: &str, commit: &str, result: &str) -> Collected {
    const PAYLOAD: &str = "application/vnd.in-toto+json";
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "git.example.org/shop", "digest": { "gitCommit": commit } }],
        "predicateType": format!("https://example.org/workflows/{workflow}"),
        "predicate": { "result": result },
    });
    let payload = statement.to_string();
    let said = format!("DSSEv1 {} {PAYLOAD} {} {payload}", PAYLOAD.len(), payload.len());
    let signature = BASE64_STANDARD.encode(key.sign(said.as_bytes()).to_bytes());
    let envelope = json!({
        "payloadType": PAYLOAD, "payload": BASE64_STANDARD.encode(&payload),
        "signatures": [{ "keyid": "tests", "sig": signature }],
    });
    let subject = pieces()[0].evidence.subject.clone();
    let bytes = serde_json::to_vec(&envelope).expect("JSON");
    Collected::new(kind::PREREQUISITE, "ci.example.org", subject, now(), bytes).summary("tested.dsse.json")
}

/// Rows: M228, M229.
#[tokio::test(start_paused = true)]
async fn another_workflow_is_shown_by_a_statement_that_a_trusted_key_signed() {
    let (ours, theirs) = (SigningKey::from_bytes(&[7; 32]), SigningKey::from_bytes(&[8; 32]));
    let pem = ours.verifying_key().to_public_key_pem(LineEnding::LF).expect("PEM");
    let mut trusted: Thresholds = thresholds();
    trusted.build_keys.insert("tests".to_owned(), pem);
    let ends = async |statement: Collected| {
        let source = Sources::new().with(evidence()).with(EvidenceSet::new().with(statement));
        let wanted = Prerequisite::workflow("testing-validation");
        ends(three_from(Arc::new(source)).thresholds(trusted.clone()).prerequisite(wanted)).await
    };
    let (end, because) = ends(stated(&ours, "testing-validation", COMMIT, "passed")).await;
    assert_eq!(end, Outcome::Succeeded, "{because}");
    for (what, statement, named) in [
        (
            "another key",
            stated(&theirs, "testing-validation", COMMIT, "passed"),
            "none of 1 signatures is right and by a trusted key",
        ),
        ("another commit", stated(&ours, "testing-validation", &"f".repeat(40), "passed"), "foreign"),
        ("another workflow", stated(&ours, "feature-development", COMMIT, "passed"), "missing"),
        ("it did not pass", stated(&ours, "testing-validation", COMMIT, "failed"), "is stated to have ended failed"),
    ] {
        let (end, because) = ends(statement).await;
        assert_eq!(end, Outcome::Failed, "{what}");
        assert!(because.contains("prerequisite:testing-validation") && because.contains(named), "{what}: {because}");
    }
}
