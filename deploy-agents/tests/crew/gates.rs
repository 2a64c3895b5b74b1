//! One fault in otherwise good evidence: the release goes nowhere, and the fault is named.

use std::sync::Arc;

use deploy_agents::checks::EvidenceSet;
use deploy_agents::workflows::WorkflowBuilder;
use deploy_core::evidence::Collected;
use deploy_core::machine::Outcome;

use crate::parts::{eight_from, three_from};
use crate::sample::{pieces, with};
use crate::whole::outcome;
use crate::world::release;

type Build = fn(Arc<dyn deploy_agents::crew::EvidenceSource>) -> WorkflowBuilder;

async fn ends(build: Build, pieces: Vec<Collected>) -> (Outcome, String) {
    let source = pieces.into_iter().fold(EvidenceSet::new(), EvidenceSet::with);
    outcome(&build(Arc::new(source)).build().expect("it builds"), release()).await
}

fn replaced(file: &str, from: &str, to: &str) -> Vec<Collected> {
    with(&pieces(), file, |bytes| {
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        assert!(text.contains(from), "{file} has no {from}");
        text.replacen(from, to, 1).into_bytes()
    })
}

pub(crate) fn changed(file: &str, change: impl FnOnce(&mut serde_json::Value)) -> Vec<Collected> {
    with(&pieces(), file, |bytes| {
        let mut json = serde_json::from_slice(bytes).expect("JSON");
        change(&mut json);
        serde_json::to_vec(&json).expect("JSON")
    })
}

/// What was planted, the evidence with it, and what the end of the run must name.
fn faults() -> Vec<(&'static str, Vec<Collected>, &'static str)> {
    let old = |kind: &str| {
        let mut pieces = pieces();
        let late = pieces.iter_mut().filter(|p| p.evidence.kind == kind);
        late.for_each(|p| p.evidence.observed_at.0 -= 90 * 24 * 3_600_000);
        pieces
    };
    let gone = |kind: &str| pieces().into_iter().filter(|p| p.evidence.kind != kind).collect::<Vec<_>>();
    vec![
        (
            "a failing test",
            replaced(
                "junit.xml",
                "</testsuite>",
                r#"<testcase name="t9"><failure>no</failure></testcase></testsuite>"#,
            ),
            "tests-pass",
        ),
        ("an unsigned audit", changed("audit.json", |j| j["signatures"] = serde_json::json!([])), "security-audit"),
        (
            "a target that is down",
            changed("targets.json", |j| j["data"]["activeTargets"][0]["health"] = "down".into()),
            "monitoring-up",
        ),
        (
            "a placeholder",
            changed("docs.json", |j| j["documents"][0]["placeholders"] = serde_json::json!(["TODO: write this"])),
            "docs-complete",
        ),
        ("a stale backup", old("pgbackrest"), "backup"),
        ("no smoke tests", gone("smoke-junit"), "smoke"),
        ("a drifted plan", gone("terraform-plan-after"), "no-drift"),
        ("a failed job", changed("ci-run.json", |j| j["conclusion"] = "failure".into()), "build-success"),
        ("an unhealthy instance", changed("health.json", |j| j["results"][0]["passes_in_a_row"] = 0.into()), "health"),
    ]
}

/// Rows: M8, M20, M21, M22, M23, M24, M25, M39, M40, M41, M42, M43, M179, M180, M181.
#[tokio::test(start_paused = true)]
async fn one_fault_stops_a_release_in_three_phases_and_is_named() {
    for (what, pieces, named) in faults() {
        let (end, because) = ends(three_from, pieces).await;
        assert_ne!(end, Outcome::Succeeded, "{what}");
        assert!(because.contains(named), "{what}: {because}");
    }
}

/// Rows: M171, M172, M173, M174, M175, M177, M180, M181.
#[tokio::test(start_paused = true)]
async fn one_fault_stops_a_release_in_eight_phases_and_is_named() {
    // The audit is asked for in three phases alone.
    for (what, pieces, named) in faults().into_iter().filter(|(_, _, named)| *named != "security-audit") {
        let (end, because) = ends(eight_from, pieces).await;
        assert_ne!(end, Outcome::Succeeded, "{what}");
        assert!(because.contains(named), "{what}: {because}");
    }
}

/// Everything that is wrong in a phase is known at once, each veto with its check.
#[tokio::test(start_paused = true)]
async fn all_vetoes_of_a_phase_are_named_together() {
    let mut pieces = replaced("junit.xml", "</testsuite>", r#"<testcase name="t9"><failure/></testcase></testsuite>"#);
    pieces.retain(|piece| !["on-call-roster", "docs-inventory"].contains(&piece.evidence.kind.as_str()));
    let (end, because) = ends(three_from, pieces).await;
    assert_eq!(end, Outcome::Failed);
    for named in ["code quality", "tests-pass", "documentation", "docs-complete", "team readiness", "on-call"] {
        assert!(because.contains(named), "{named}: {because}");
    }
}
