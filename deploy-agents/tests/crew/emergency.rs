//! Emergencies: what is waived is written down, carried out afterwards, and never forgotten.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use deploy_agents::checks::EvidenceSet;
use deploy_agents::crew::EvidenceSource;
use deploy_agents::workflows::{Backfill, BackfillError, Backfills, Workflow};
use deploy_core::driver::{Engine, RuntimeClock};
use deploy_core::evidence::{Collected, Receipt, Verdict, Waiver};
use deploy_core::journal::MemoryJournal;
use deploy_core::machine::Outcome;
use deploy_core::name::CheckName;
use deploy_core::release::{Release, ReleaseKind};
use deploy_core::time::Timestamp;

use crate::parts::{release_of, three_from};
use crate::sample::pieces;
use crate::world::{COMMIT, now, person, release};

fn check() -> CheckName {
    CheckName::new("docs-complete").expect("a name")
}

fn backfill(due: Timestamp) -> Backfill {
    let reason = "users cannot pay".to_owned();
    let waiver = Waiver { person: person("grace"), reason, expires: now().after(Duration::from_secs(7 * 86_400)) };
    Backfill::new(check(), release().service, Some(COMMIT.to_owned()), waiver, due).expect("a waiver")
}

/// What the host keeps.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<Vec<Backfill>>>);

impl Ledger {
    fn of(kept: impl IntoIterator<Item = Backfill>) -> Self {
        Self(Arc::new(Mutex::new(kept.into_iter().collect())))
    }

    fn reader(&self) -> Backfills {
        let kept = Arc::clone(&self.0);
        Backfills::new(move || {
            let kept = kept.lock().expect("nobody panics").clone();
            async move { Ok(kept) }
        })
    }
}

/// The sample, without the documents that the waived check reads until somebody writes them.
#[derive(Debug, Clone)]
struct Without(Arc<Mutex<Option<Vec<u8>>>>);

#[async_trait::async_trait]
impl EvidenceSource for Without {
    async fn collect(
        &self,
        wanted: &deploy_agents::crew::Wanted<'_>,
    ) -> Result<Vec<Collected>, deploy_agents::crew::SourceError> {
        let written = self.0.lock().expect("nobody panics").clone();
        let later = wanted.step.as_str().starts_with("back-fill");
        let mut set = EvidenceSet::new();
        for piece in pieces() {
            match (&written, piece.evidence.kind.as_str()) {
                (Some(bytes), "docs-inventory") if later => {
                    let e = piece.evidence.clone();
                    set.add(Collected::new(e.kind, e.producer.name, e.subject, e.observed_at, bytes.clone()));
                }
                (_, "docs-inventory") => {}
                _ => set.add(piece),
            }
        }
        set.collect(wanted).await
    }
}

/// The documents of the sample; with something still to be written, where they are not good.
fn documents(good: bool) -> Vec<u8> {
    let piece = pieces().into_iter().find(|p| p.evidence.kind == "docs-inventory").expect("a piece");
    let mut json: serde_json::Value = serde_json::from_slice(&piece.bytes).expect("JSON");
    if !good {
        json["documents"][0]["placeholders"] = serde_json::json!(["README.md:3 TODO"]);
    }
    serde_json::to_vec(&json).expect("JSON")
}

fn workflow(ledger: &Ledger, written: Option<Vec<u8>>) -> Workflow {
    let source = Without(Arc::new(Mutex::new(written)));
    // What is released after the rollout asks for documents as well; here the first phase is looked at.
    let last = deploy_agents::crew::Role::SpecValidator.in_phase(3);
    let builder = three_from(Arc::new(source)).backfills(ledger.reader());
    builder.without(last, "documents follow an emergency").build().expect("it builds")
}

/// Runs a release in which this is said at its beginning.
async fn run(workflow: &Workflow, release: Release, waived: Option<&Backfill>) -> (Outcome, String) {
    let clock = Arc::new(RuntimeClock::new(now()));
    let journal = Arc::new(MemoryJournal::new(Arc::<RuntimeClock>::clone(&clock)));
    let engine = Engine::builder(journal).clock(clock).pipeline(workflow.pipeline.clone()).build();
    let plan = workflow.pipeline.plan(release.clone(), person("bot")).expect("a plan");
    let run = engine.start(workflow.pipeline.name(), release, person("bot")).await.expect("it starts");
    for input in waived.iter().flat_map(|backfill| backfill.inputs(&plan)) {
        run.submit(input).await.expect("it is taken");
    }
    let end = run.wait().await.expect("it ends");
    (end.outcome, end.because)
}

/// Rows: M137.
#[tokio::test(start_paused = true)]
async fn what_an_emergency_waives_is_written_down_and_carried_out_afterwards() {
    let later = now().after(Duration::from_secs(86_400));
    let emergency = || release_of(ReleaseKind::EmergencyPatch);

    // Nobody waives it: the release stays where it is.
    let (end, because) = run(&workflow(&Ledger::default(), None), emergency(), None).await;
    assert_eq!(end, Outcome::Failed);
    assert!(because.contains("docs-complete"), "{because}");

    // It is waived, and nobody wrote down until when it is made good.
    let (end, because) = run(&workflow(&Ledger::default(), None), emergency(), Some(&backfill(later))).await;
    assert_eq!(end, Outcome::Failed);
    assert!(because.contains("nobody wrote down until when"), "{because}");

    // Written down, its evidence follows in time, and is good.
    let ledger = Ledger::of([backfill(later)]);
    let (end, because) = run(&workflow(&ledger, Some(documents(true))), emergency(), Some(&backfill(later))).await;
    assert_eq!(end, Outcome::Succeeded, "{because}");

    // Its evidence follows, and is not good: the release turns back although it was out already.
    let (end, because) = run(&workflow(&ledger, Some(documents(false))), emergency(), Some(&backfill(later))).await;
    assert_eq!(end, Outcome::RolledBack, "{because}");
    assert!(because.contains("docs-complete"), "{because}");

    // Its evidence does not follow yet: the release stands, and the check stays open.
    let (end, because) = run(&workflow(&ledger, None), emergency(), Some(&backfill(later))).await;
    assert_eq!(end, Outcome::Succeeded, "{because}");
}

/// Rows: M137.
#[tokio::test(start_paused = true)]
async fn an_overdue_back_fill_blocks_the_next_release_until_it_is_settled() {
    let overdue = backfill(Timestamp(now().0 - 1));
    let ledger = Ledger::of([overdue.clone()]);
    let whole = three_from(Arc::new(crate::parts::evidence())).backfills(ledger.reader()).build().expect("it builds");
    let (end, because) = run(&whole, release(), None).await;
    assert_eq!(end, Outcome::Failed);
    assert!(because.contains("was to be made good by"), "{because}");

    let shown = |verdict| Receipt { check: check(), read: vec![deploy_core::digest::Digest::of(b"docs")], verdict };
    let mut settled = overdue;
    let failed = shown(Verdict::Fail { reason: "one TODO".to_owned() });
    assert_eq!(settled.settle(now(), failed), Err(BackfillError::NotShown(check())));
    let waived = shown(Verdict::Waived(settled.waiver.clone()));
    assert_eq!(settled.settle(now(), waived), Err(BackfillError::NotShown(check())));
    settled.settle(now(), shown(Verdict::Pass)).expect("it is shown");
    *ledger.0.lock().expect("nobody panics") = vec![settled];
    let (end, because) = run(&whole, release(), None).await;
    assert_eq!(end, Outcome::Succeeded, "{because}");
}

/// Rows: M137.
#[test]
fn a_waiver_has_a_reason_and_is_due_before_it_expires() {
    let person = person("grace");
    let new = |reason: &str, due| {
        let waiver = Waiver { person: person.clone(), reason: reason.to_owned(), expires: now() };
        Backfill::new(check(), release().service, None, waiver, due)
    };
    assert_eq!(new(" ", now()), Err(BackfillError::NoReason(check())));
    assert_eq!(new("it burns", now().after(Duration::from_secs(1))), Err(BackfillError::DueTooLate(check())));
    assert!(new("it burns", now()).is_ok());
}
