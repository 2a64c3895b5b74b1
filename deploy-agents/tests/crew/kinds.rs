//! What each kind of release is held to.

use std::sync::Arc;

use deploy_agents::checks::code::ChangeLog;
use deploy_agents::checks::{Document, EvidenceSet, file_of};
use deploy_agents::crew::Sources;
use deploy_agents::workflows::{Deployed, without_exit_gate};
use deploy_core::digest::Digest;
use deploy_core::driver::{Engine, RuntimeClock};
use deploy_core::evidence::Collected;
use deploy_core::journal::MemoryJournal;
use deploy_core::machine::Outcome;
use deploy_core::operator::{Act, OperatorInput, Settlement};
use deploy_core::plan::StepPath;
use deploy_core::release::{Release, ReleaseKind};
use serde_json::json;

use crate::parts::{evidence, release_of, three_from};
use crate::sample::pieces;
use crate::whole::outcome;
use crate::world::{COMMIT, artifact, now, person};

const BASE: &str = "89abcdef0123456789abcdef0123456789abcdef";

fn piece(kind: &str, mut json: serde_json::Value) -> Collected {
    json["format"] = json!(1);
    let subject = pieces()[0].evidence.subject.clone();
    Collected::new(kind, "ci.example.org", subject, now(), serde_json::to_vec(&json).expect("JSON"))
        .summary(format!("{kind}.json"))
}

fn deployed(commit: &str, digest: Digest) -> Collected {
    let artifacts = json!([{ "name": "registry.example.org/shop:v1", "digest": digest }]);
    piece(Deployed::KIND, json!({ "revision": "v1", "commit": commit, "artifacts": artifacts }))
}

/// The history of the sample, from what runs, with so many lines added to a file of no code.
fn log(lines: u64) -> Collected {
    let sample = pieces().into_iter().find(|p| p.evidence.kind == ChangeLog::KIND).expect("a piece");
    let mut json: serde_json::Value = serde_json::from_slice(&sample.bytes).expect("JSON");
    json["history"]["from"] = json!(BASE);
    let more = json!({ "path": "README.md", "added": lines, "removed": 0, "lines": [] });
    json["history"]["changed"].as_array_mut().expect("a list").push(more);
    piece(ChangeLog::KIND, json)
}

async fn ends(release: Release, more: impl IntoIterator<Item = Collected>) -> (Outcome, String) {
    let mut set = EvidenceSet::new();
    for piece in more {
        set.add(piece);
    }
    // The sample has a change log of its own, and one is meant.
    let sample = pieces().into_iter().filter(|p| !set.evidence().iter().any(|e| e.kind == p.evidence.kind));
    let source = Sources::new().with(sample.fold(EvidenceSet::new(), EvidenceSet::with)).with(set);
    outcome(&three_from(Arc::new(source)).build().expect("it builds"), release).await
}

/// Rows: M134.
#[tokio::test(start_paused = true)]
async fn a_feature_rollout_changes_no_binary() {
    let release = release_of(ReleaseKind::FeatureRollout);
    let (end, because) = ends(release.clone(), [deployed(COMMIT, artifact())]).await;
    assert_eq!(end, Outcome::Succeeded, "{because}");
    let (end, because) = ends(release.clone(), [deployed(BASE, Digest::of(b"another image"))]).await;
    assert_eq!(end, Outcome::Failed);
    assert!(because.contains("a feature rollout changes no binary"), "{because}");
    let (end, because) = ends(release, []).await;
    assert_eq!(end, Outcome::Failed);
    assert!(because.contains("same-digest"), "{because}");
}

/// Rows: M133.
#[tokio::test(start_paused = true)]
async fn a_hotfix_is_small_and_of_what_runs() {
    let mut release = release_of(ReleaseKind::Hotfix);
    release.change.links.push("https://incidents.example.org/17".to_owned());
    let runs = || deployed(BASE, Digest::of(b"the image before"));
    let (end, because) = ends(release.clone(), [runs(), log(12)]).await;
    assert_eq!(end, Outcome::Succeeded, "{because}");
    for (what, release, more) in [
        ("400 are", release.clone(), vec![runs(), log(4_000)]),
        ("a hotfix changes what runs", release.clone(), vec![deployed(COMMIT, artifact()), log(12)]),
        ("no incident", release_of(ReleaseKind::Hotfix), vec![runs(), log(12)]),
        ("hotfix-small", release.clone(), vec![log(12)]),
    ] {
        let (end, because) = ends(release, more).await;
        assert_eq!(end, Outcome::Failed, "{what}");
        assert!(because.contains(what), "{what}: {because}");
    }
}

/// What mends an incident is a release like any other: the spec-validator looks at it again, its gate decides, and there is nothing
/// that anybody can say to pass that gate by.
///
/// Rows: M117.
#[tokio::test(start_paused = true)]
async fn the_run_that_mends_an_incident_passes_the_gate_again_and_nobody_skips_it() {
    let mut release = release_of(ReleaseKind::Hotfix);
    release.change.links.push("https://incidents.example.org/17".to_owned());
    let fix = || [deployed(BASE, Digest::of(b"the image before")), log(12)];
    let unfinished = json!({
        "documents": [{ "path": "README.md", "sections": ["changelog"], "placeholders": ["TODO: why it broke"], "dead_links": [] }],
        "public_items": 40, "documented_items": 40, "changelog_version": "2",
    });
    let pieces: Vec<Collected> = fix().into_iter().chain([piece("docs-inventory", unfinished)]).collect();
    let (end, because) = ends(release.clone(), pieces).await;
    assert_eq!(end, Outcome::Failed, "{because}");
    assert!(because.contains("docs-complete") && because.contains("pre-deployment"), "{because}");

    let workflow = three_from(Arc::new(evidence())).build().expect("it builds");
    let plan = workflow.pipeline.plan(release.clone(), person("bot")).expect("a plan");
    assert!(plan.find(&StepPath::new("pre-deployment/spec-validator").expect("a path")).is_some(), "it looks again");
    assert_eq!(without_exit_gate(&plan), vec![]);
    let clock = Arc::new(RuntimeClock::new(now()));
    let journal = Arc::new(MemoryJournal::new(Arc::<RuntimeClock>::clone(&clock)));
    let engine = Engine::builder(journal).clock(clock).pipeline(workflow.pipeline.clone()).build();
    let run = engine.start(workflow.pipeline.name(), release, person("bot")).await.expect("it starts");
    let gate = || StepPath::new("pre-deployment/exit").expect("a path");
    for act in [
        Act::Promote { step: gate() },
        Act::PromoteFully { step: gate() },
        Act::Approve { step: gate() },
        Act::Settle { step: gate(), as_: Settlement::Finished },
        Act::Waive { step: gate(), check: None, expires: now().after(std::time::Duration::from_secs(3_600)) },
    ] {
        let name = act.name();
        let said = run.submit(OperatorInput::new(person("eve"), "there is no time", act)).await;
        assert!(said.is_err(), "{name} was taken");
    }
    // Without the statement of what runs, it is no fix of it.
    let end = run.wait().await.expect("it ends");
    assert!(end.outcome == Outcome::Failed && end.because.contains("hotfix-small"), "{}", end.because);
}

/// The same evidence with one document changed.
fn with(kind: &str, change: impl FnOnce(&mut serde_json::Value)) -> Vec<Collected> {
    let mut pieces = pieces();
    let found = pieces.iter_mut().find(|p| p.evidence.kind == kind).expect("a piece");
    let mut json: serde_json::Value = serde_json::from_slice(&found.bytes).expect("JSON");
    change(&mut json);
    let e = found.evidence.clone();
    let bytes = serde_json::to_vec(&json).expect("JSON");
    *found = Collected::new(&e.kind, &e.producer.name, e.subject.clone(), e.observed_at, bytes).summary(file_of(&e));
    pieces
}

/// Rows: M135.
#[tokio::test(start_paused = true)]
async fn an_infrastructure_release_applies_the_plan_that_was_approved() {
    let release = release_of(ReleaseKind::Infrastructure);
    let (end, because) = ends(release.clone(), []).await;
    assert_eq!(end, Outcome::Succeeded, "{because}");
    let other = with("iac-apply", |json| json["applied_plan"] = json!(Digest::of(b"another plan")));
    let (end, because) = ends(release, other).await;
    assert_ne!(end, Outcome::Succeeded);
    assert!(because.contains("plan-applied"), "{because}");
}

/// Rows: M136.
#[tokio::test(start_paused = true)]
async fn a_configuration_that_its_schema_refuses_does_not_stay() {
    let release = release_of(ReleaseKind::Configuration);
    let (end, because) = ends(release.clone(), []).await;
    assert_eq!(end, Outcome::Succeeded, "{because}");
    let invalid = with("config-record", |json| json["schema_errors"] = json!(["/port is no number"]));
    let (end, because) = ends(release, invalid).await;
    assert_ne!(end, Outcome::Succeeded);
    assert!(because.contains("configuration"), "{because}");
}
