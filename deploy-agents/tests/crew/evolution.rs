//! What is asked of releases changes, and so do the formats of what is kept: a run from before is still read, shown and verified,
//! with what was asked of it then.

use std::sync::Arc;

use deploy_agents::checks::runs::read_export;
use deploy_agents::checks::{Assessor, CatalogueCheck, Document as _, kind, read, write};
use deploy_agents::crew::Crew;
use deploy_agents::dossier::Dossier;
use deploy_agents::workflows::{Improvement, Policy, PolicyChange};
use deploy_core::agent::{AgentCard, Report, agent_fn};
use deploy_core::digest::Digest;
use deploy_core::driver::{Engine, RuntimeClock};
use deploy_core::evidence::{Collected, EvidenceSubject, Refusal};
use deploy_core::journal::{Head, MemoryJournal, export, import};
use deploy_core::machine::Outcome;
use deploy_core::name::{BlockName, CheckName};
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::RollbackTo;
use serde_json::json;

use crate::parts::{crew, evidence, three};
use crate::sample::{pieces, thresholds};
use crate::world::{now, person, release};

/// A run of a pipeline, as it is kept: its dossier and its export, and where the journal says that its chain ends.
async fn kept(pipeline: Pipeline) -> (Dossier, Vec<u8>, Head) {
    let clock = Arc::new(RuntimeClock::new(now()));
    let journal = Arc::new(MemoryJournal::new(Arc::<RuntimeClock>::clone(&clock)));
    let engine = Engine::builder(Arc::<MemoryJournal>::clone(&journal)).clock(clock).pipeline(pipeline.clone()).build();
    let run = engine.start(pipeline.name(), release(), person("bot")).await.expect("it starts");
    let end = run.wait().await.expect("it ends");
    assert_eq!(end.outcome, Outcome::Succeeded, "{}", end.because);
    let mut lines = Vec::new();
    let head = export(&*journal, run.id(), &mut lines).await.expect("an export");
    (Dossier::collect(&*journal, run.id()).await.expect("a dossier"), lines, head)
}

/// A pipeline of one step that states a policy in these bytes.
fn stating(bytes: Vec<u8>) -> Pipeline {
    let card = AgentCard::new(BlockName::new("judge").expect("a name"), "judges").repeatable();
    let judge = agent_fn(card, move |_, _| {
        let piece = Collected::new(kind::POLICY, "judge", EvidenceSubject::default(), now(), bytes.clone());
        async move { Ok(Report::new().evidence(piece)) }
    });
    let p = Pipeline::builder("stated");
    p.rollback(RollbackTo::Previous);
    p.phase("judged").task("judge", judge).add();
    p.build().expect("a pipeline")
}

/// What is asked today: another check, and more room.
fn today() -> Policy {
    let check = CatalogueCheck::new("disk-has-room", "a tenth of the disk is free", |_, _| Assessor::new().finish());
    let mut stricter = thresholds();
    stricter.capacity_headroom = 25.0;
    let crew = Crew::new(evidence(), stricter);
    let catalogue = crew.catalogue().clone().with(check.expect("a name"));
    Policy::of(&crew.with_catalogue(catalogue))
}

/// Rows: M131.
#[tokio::test(start_paused = true)]
async fn a_run_tells_for_ever_what_was_asked_of_it() {
    let workflow = three().build().expect("it builds");
    let (dossier, lines, head) = kept(workflow.pipeline.clone()).await;

    // Meanwhile something else is asked. The run is verified against the head that was kept, and read.
    let today = today();
    import(lines.as_slice()).expect("an export").verify(Some(head)).expect("nothing was changed");
    let piece = Collected::new(kind::RUN_EXPORT, "engine", EvidenceSubject::default(), now(), lines.clone());
    let facts = read_export(&piece.evidence, &lines).expect("it is read");
    assert_eq!(facts.ended.map(|(outcome, ..)| outcome), Some(Outcome::Succeeded));

    // It tells what it ran under: one policy, the same wherever it is read.
    let told = dossier.policies();
    assert_eq!(told.keys().copied().collect::<Vec<_>>(), facts.policies.iter().copied().collect::<Vec<_>>());
    let [Ok(then)] = told.values().collect::<Vec<_>>()[..] else { panic!("one policy: {told:?}") };
    assert_eq!(then.version(), Policy::of(&workflow.crew).version());
    assert_ne!(then.version(), today.version());
    let (page, digest) = (dossier.to_markdown(), told.keys().next().map(Digest::short).expect("one"));
    assert!(page.contains(&format!("| `{digest}` | policy |")), "it is shown: {page}");

    // And so what has changed since can be said.
    let changes = today.since(then);
    let disk = CheckName::new("disk-has-room").expect("a name");
    assert!(changes.contains(&PolicyChange::Added(disk)), "{changes:?}");
    assert!(
        changes.iter().any(|change| change.to_string() == "capacity_headroom is 25.0, and was 10.0"),
        "{changes:?}"
    );
}

/// Rows: M131.
#[tokio::test(start_paused = true)]
async fn a_run_whose_policy_is_of_an_earlier_format_is_read_as_one_of_the_newest() {
    let policy = Policy::of(&crew());
    let stated = |bytes: Vec<u8>| async {
        let digest = Digest::of(&bytes);
        let (dossier, ..) = kept(stating(bytes)).await;
        let mut told = dossier.policies();
        (told.remove(&digest).expect("it tells it"), told.len(), dossier.to_markdown())
    };
    // So policies were kept before they had a format: nothing is lost, and the version is the same.
    let unnumbered = serde_json::to_vec(&policy).expect("JSON");
    assert!(!String::from_utf8_lossy(&unnumbered).contains("format"));
    let (told, others, _) = stated(unnumbered).await;
    let told = told.expect("it is brought to the newest");
    assert_eq!((told.version(), others), (policy.version(), 0));
    let (told, ..) = stated(write(&policy).expect("JSON")).await;
    assert_eq!(told, Ok(policy.clone()));

    // One of a format that is not known yet is named with what to do, and the rest of the run is shown all the same.
    let mut newer = serde_json::to_value(&policy).expect("JSON");
    newer["format"] = json!(Policy::FORMAT + 1);
    let (told, _, page) = stated(serde_json::to_vec(&newer).expect("JSON")).await;
    let Err(Refusal::Unparseable(why)) = told else { panic!("{told:?}") };
    assert!(
        why.contains("its format is 2, and 1 is the newest known here: read it with the build that wrote it"),
        "{why}"
    );
    assert!(page.contains("judged/judge"), "{page}");
}

/// Rows: M131.
#[test]
fn what_was_kept_before_there_were_formats_is_still_read() {
    // Runs that were exported before policies were stated tell none, and are whole.
    for kind in [kind::RUN_EXPORT, kind::DRILL_EXPORT] {
        let piece = pieces().into_iter().find(|piece| piece.evidence.kind == kind).expect("in the sample");
        let facts = read_export(&piece.evidence, &piece.bytes).expect("it is read");
        assert!(facts.ended.is_some() && facts.policies.is_empty(), "{kind}");
    }
    // So are improvements that were written down without a number, with the policy in them.
    let old = Improvement::new("https://incidents.example.org/17", "more room", "grace", Policy::of(&crew()));
    let unnumbered = serde_json::to_vec(&old).expect("JSON");
    assert_eq!(read::<Improvement>("17.json", &unnumbered), Ok(old.clone()));
    assert_eq!(read::<Improvement>("17.json", &write(&old).expect("JSON")), Ok(old));
    let refused = read::<Improvement>("17.json", br#"{"format": 9}"#).expect_err("newer");
    assert!(refused.to_string().contains("17.json: as improvement: its format is 9"), "{refused}");
    // A document of a kind that always had a number must have it.
    let refused = read::<deploy_agents::checks::people::Roster>("roster.json", b"{}").expect_err("unnumbered");
    assert!(refused.to_string().contains("it has no format number; one of today has \"format\": 1"), "{refused}");
}
