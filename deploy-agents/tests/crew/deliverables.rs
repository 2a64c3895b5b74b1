//! What the roles hand over, against files kept beside the test, and what changes with its evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use deploy_agents::checks::rules::{QaGate, QaVerdict};
use deploy_agents::crew::deliverables::{BackupPlan, BuildRecord, ReadinessReport, RiskRegister, SmokeReport};
use deploy_agents::crew::{Body, Content, Issued, Member, Role, SEATS, Seat, duty, goes_on_from};
use deploy_core::agent::Task;
use deploy_core::evidence::{Collected, Refusal};
use deploy_core::gate::GateDecision;
use deploy_core::plan::StepPath;

use crate::parts::crew;
use crate::sample::{pieces, with};
use crate::world::{now, release};

/// What a seat hands over of these pieces, by name, as JSON.
fn handed_over(seat: Seat, pieces: &[Collected]) -> BTreeMap<String, serde_json::Value> {
    let member = Member::new(duty(seat).expect("a duty"), &crew());
    let kinds = member.kinds();
    let mine = pieces.iter().filter(|piece| kinds.contains(&piece.evidence.kind.as_str())).cloned().collect();
    let step = StepPath::new(format!("crew/{seat}")).expect("a path");
    let task = Task::new(step, false, Arc::new(release()), BTreeMap::new());
    let report = member.report(&task, mine, now()).expect("a report");
    let json = |text: &str| serde_json::from_str(text).expect("JSON");
    report.deliverables.iter().map(|d| (d.key.name.clone(), json(&d.json))).collect()
}

pub(crate) fn issued<C: Content>(seat: Seat, pieces: &[Collected]) -> Issued<C> {
    let mut all = handed_over(seat, pieces);
    serde_json::from_value(all.remove(C::NAME).unwrap_or_else(|| panic!("no {}", C::NAME))).expect("its shape")
}

/// `BLESS=1` writes the file anew.
///
/// Rows: M118, M159, M160, M161, M162, M163, M164, M165, M166.
#[test]
fn what_every_seat_hands_over_is_known() {
    let mut text = String::new();
    let mut names = BTreeSet::new();
    for seat in SEATS {
        for (name, json) in handed_over(seat, &pieces()) {
            assert!(json["body"].get("made").is_some(), "{seat} {name}: {json}");
            assert_eq!(json["by"], seat.to_string());
            let body = serde_json::to_string_pretty(&json["body"]["made"]).expect("JSON");
            text.push_str(&format!("{seat} hands over {name}\n{body}\n\n"));
            names.insert(name);
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crew/deliverables.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).expect("written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = kept.lines().zip(text.lines()).position(|(kept, new)| kept != new);
    assert!(kept == text, "it differs from line {differs:?}; look, and write it anew with BLESS=1");
    println!("{} deliverables of {} seats", names.len(), SEATS.len());
}

/// Whatever is wrong with its evidence, a deliverable says so and holds for no release.
#[test]
fn a_deliverable_is_bound_to_its_release() {
    let of_verdicts = ["readiness-report", "qa-gate", "lessons-learned"];
    let foreign: Vec<Collected> = pieces()
        .into_iter()
        .map(|mut piece| {
            piece.evidence.subject.commit = Some("f".repeat(40));
            piece
        })
        .collect();
    for seat in SEATS {
        for (name, json) in handed_over(seat, &foreign) {
            let refused = json["body"].get("refused").is_some_and(|why| why.to_string().contains("foreign"));
            assert!(refused || of_verdicts.contains(&name.as_str()), "{seat} {name}: {json}");
        }
    }
    let good: Issued<RiskRegister> = issued(Role::RiskManager.in_phase(1), &pieces());
    assert!(good.holds(&release()));
    let mut other = release();
    other.change.commit = Some("f".repeat(40));
    assert!(!good.holds(&other), "it is about another release");
    let bad: Issued<RiskRegister> = issued(Role::RiskManager.in_phase(1), &foreign);
    assert!(!bad.holds(&release()));
    assert!(matches!(bad.body, Body::Refused(Refusal::Foreign(_))));
}

fn edited(file: &str, change: impl FnOnce(&mut serde_json::Value)) -> Vec<Collected> {
    with(&pieces(), file, |bytes| {
        let mut json = serde_json::from_slice(bytes).expect("JSON");
        change(&mut json);
        serde_json::to_vec(&json).expect("JSON")
    })
}

/// One field of the evidence, and what follows from it in what is handed over.
///
/// Rows: M159, M161, M164.
#[test]
fn what_is_handed_over_follows_its_evidence() {
    let build: Issued<BuildRecord> = issued(Role::CicdBuilder.in_phase(3), &pieces());
    let other = edited("ci-run.json", |json| json["run"] = "4712".into());
    let rebuilt: Issued<BuildRecord> = issued(Role::CicdBuilder.in_phase(3), &other);
    assert_ne!(build.content().expect("made").run, rebuilt.content().expect("made").run);
    assert_eq!(rebuilt.content().expect("made").run, "4712");

    let backup: Issued<BackupPlan> = issued(Role::Architect.in_phase(1), &pieces());
    let unmatched = edited("restore.json", |json| json["matches"] = false.into());
    let unrestored: Issued<BackupPlan> = issued(Role::Architect.in_phase(1), &unmatched);
    assert!(!backup.content().expect("made").restored.is_empty());
    assert!(unrestored.content().expect("made").restored.is_empty());

    let smoke: Issued<SmokeReport> = issued(Role::TestSuiteGenerator.in_phase(6), &pieces());
    let all = &smoke.content().expect("made").functions;
    assert!(!all.is_empty() && all.values().all(|(good, declared)| good == declared), "{all:?}");

    let ready: Issued<ReadinessReport> = issued(Role::DeploymentOpsManager.in_phase(1), &pieces());
    assert_eq!(ready.content().expect("made").decision, GateDecision::Go);
    let full = edited("capacity.json", |json| json["resources"][0]["free"] = 0.into());
    let blocked: Issued<ReadinessReport> = issued(Role::DeploymentOpsManager.in_phase(1), &full);
    let blocked = blocked.content().expect("made");
    assert!(!blocked.decision.passes() && blocked.blocking[0].starts_with("capacity: "), "{blocked:?}");
}

/// Rows: M3.
#[test]
fn the_gate_file_is_computed_and_keeps_its_history() {
    let seat = Role::Qa.in_phase(1);
    let first: Issued<QaGate> = issued(seat, &pieces());
    let first = first.content().expect("made").clone();
    let before = pieces().into_iter().find(|p| p.evidence.kind == "qa-gate").expect("a file");
    let before: QaGate = serde_json::from_slice(&before.bytes).expect("a gate file");
    assert_eq!((first.gate, first.top_issues.len()), (QaVerdict::Pass, 0), "{}", first.reason);
    assert!(goes_on_from(&first, &before), "what was said before stands in the history");
    assert!(first.expires.expect("a time") > now());

    let failing = with(&pieces(), "junit.xml", |bytes| {
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        text.replacen("</testsuite>", r#"<testcase name="t9"><failure/></testcase></testsuite>"#, 1).into_bytes()
    });
    let second: Issued<QaGate> = issued(seat, &failing);
    let second = second.content().expect("made").clone();
    assert_eq!(second.gate, QaVerdict::Fail);
    assert!(second.top_issues[0].id.starts_with("TEST-"), "{:?}", second.top_issues);
    let mut forgetful = second.clone();
    forgetful.history.clear();
    assert!(goes_on_from(&second, &before) && !goes_on_from(&forgetful, &before), "nothing is taken out");
}
