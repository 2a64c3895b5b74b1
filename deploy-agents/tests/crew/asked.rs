//! Roles asked on their own, checklists read, and what another workflow must have done first.

use std::collections::BTreeMap;
use std::sync::Arc;

use deploy_agents::checks::EvidenceSet;
use deploy_agents::crew::{Role, Sources};
use deploy_agents::workflows::{AskError, Prerequisite};
use deploy_core::driver::{Engine, RuntimeClock};
use deploy_core::evidence::{Collected, Verdict};
use deploy_core::journal::{MemoryJournal, export};
use deploy_core::machine::Outcome;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::RollbackTo;
use deploy_core::release::Release;

use crate::parts::{eight, evidence, three, three_from};
use crate::sample::pieces;
use crate::whole::outcome;
use crate::world::{now, person, release};

/// Rows: M108, M109, M111, M113, M114, M115.
#[tokio::test]
async fn a_role_can_be_asked_on_its_own() {
    let workflow = three().build().expect("it builds");
    for seat in [
        Role::SpecValidator.in_phase(1),
        Role::SecuritySpecialist.in_phase(1),
        Role::SpecReviewer.in_phase(3),
        Role::Qa.in_phase(3),
        Role::Architect.in_phase(1),
    ] {
        let said = workflow.ask(seat, &release(), None, now()).await.expect("it answers");
        assert!(said.is_met(), "{said}");
        assert!(said.receipts.len() > 4, "the four lines, and each check: {said}");
    }
    let security = Role::SecuritySpecialist.in_phase(1);
    let said = workflow.ask(security, &release(), Some("compliance"), now()).await.expect("it answers");
    assert_eq!((said.receipts.len(), &said.receipts[0].verdict), (1, &Verdict::Pass));
    let error = workflow.ask(security, &release(), Some("smoke"), now()).await.expect_err("not its check");
    assert!(matches!(error, AskError::NotClaimed { .. }), "{error}");
    let error = workflow.ask(Role::RiskManager.in_phase(1), &release(), None, now()).await.expect_err("no seat");
    assert!(matches!(error, AskError::NoSeat(_)), "{error}");
    let mut foreign = release();
    foreign.change.commit = Some("f".repeat(40));
    let said = workflow.ask(security, &foreign, None, now()).await.expect("it answers");
    assert!(!said.is_met() && said.to_string().contains("foreign"), "{said}");
}

/// Rows: M8, M9, M10, M11, M12, M13, M14, M15, M16, M17, M18, M19, M196, M197, M198, M199, M200, M201, M202, M203, M204.
///
/// Rows: M205, M206, M207, M208, M209, M210, M211, M212, M213.
#[tokio::test]
async fn both_checklists_are_computed_from_the_evidence_that_there_is() {
    for (workflow, items) in [(three(), 12), (eight(), 18)] {
        let workflow = workflow.build().expect("it builds");
        let receipts = workflow.receipts(&release(), &BTreeMap::new(), now()).await.expect("it reads");
        let read = workflow.checklist().read(&receipts);
        assert_eq!(read.items.len(), items);
        assert!(read.is_done(), "{read}");
        let late = now().after(std::time::Duration::from_secs(400 * 86_400));
        let receipts = workflow.receipts(&release(), &BTreeMap::new(), late).await.expect("it reads");
        let read = workflow.checklist().read(&receipts);
        assert!(read.items.iter().all(|(_, state)| !state.is_so()), "{read}");
    }
}

/// The exported run of another workflow, about this release.
async fn prerequisite(name: &str, release: Release) -> Collected {
    let clock = Arc::new(RuntimeClock::new(now()));
    let journal = Arc::new(MemoryJournal::new(Arc::<RuntimeClock>::clone(&clock)));
    let p = Pipeline::builder(name);
    p.rollback(RollbackTo::Previous);
    p.phase("tests").soak("settle", std::time::Duration::from_secs(1)).add();
    let pipeline = p.build().expect("a pipeline");
    let engine = Engine::builder(Arc::<MemoryJournal>::clone(&journal)).clock(clock).pipeline(pipeline.clone()).build();
    let run = engine.start(pipeline.name(), release, person("bot")).await.expect("it starts");
    assert_eq!(run.wait().await.expect("it ends").outcome, Outcome::Succeeded);
    let mut bytes = Vec::new();
    export(&*journal, run.id(), &mut bytes).await.expect("an export");
    let subject = pieces()[0].evidence.subject.clone();
    Collected::new("prerequisite-run", "ci.example.org", subject, now(), bytes).summary("tests.jsonl")
}

/// Rows: M228, M229.
#[tokio::test(start_paused = true)]
async fn another_workflow_must_have_ended_well_for_the_same_commit() {
    let wanted = || Prerequisite::workflow("testing-validation");
    let ends = async |more: Option<Collected>| {
        let mut set = EvidenceSet::new();
        more.into_iter().for_each(|piece| set.add(piece));
        let source = Sources::new().with(evidence()).with(set);
        let workflow = three_from(Arc::new(source)).prerequisite(wanted()).build().expect("it builds");
        outcome(&workflow, release()).await
    };
    let (end, because) = ends(Some(prerequisite("testing-validation", release()).await)).await;
    assert_eq!(end, Outcome::Succeeded, "{because}");
    let (end, because) = ends(None).await;
    assert_eq!(end, Outcome::Failed);
    assert!(because.contains("prerequisite:testing-validation"), "{because}");
    let (end, because) = ends(Some(prerequisite("feature-development", release()).await)).await;
    assert_eq!(end, Outcome::Failed);
    assert!(because.contains("testing-validation is asked for"), "{because}");
    let mut other = release();
    other.change.commit = Some("f".repeat(40));
    let (end, because) = ends(Some(prerequisite("testing-validation", other).await)).await;
    assert_eq!(end, Outcome::Failed);
    assert!(because.contains("foreign"), "{because}");
}
