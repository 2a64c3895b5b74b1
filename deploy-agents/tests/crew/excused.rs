//! What does not apply: declared with a reason, shown as such, and never silently dropped.

use std::sync::Arc;

use deploy_agents::checks::EvidenceSet;
use deploy_agents::crew::{Crew, Role};
use deploy_core::driver::{Engine, RuntimeClock};
use deploy_core::evidence::Verdict;
use deploy_core::journal::{Journal as _, MemoryJournal};
use deploy_core::machine::{Event, Outcome, Record};
use deploy_core::name::CheckName;

use crate::parts::{crew, eight_from, three_from};
use crate::sample::pieces;
use crate::world::{now, person, release};

fn without(kinds: &[&str]) -> Arc<EvidenceSet> {
    let left = pieces().into_iter().filter(|piece| !kinds.contains(&piece.evidence.kind.as_str()));
    Arc::new(left.fold(EvidenceSet::new(), EvidenceSet::with))
}

/// A check whose producer is not there does not apply, for a reason: the release goes through, and its receipt says so.
#[tokio::test(start_paused = true)]
async fn a_check_that_does_not_apply_is_shown_with_its_reason() {
    let builder = three_from(without(&["attestation", "audit-attestation"]));
    let workflow = builder.without_check("security-audit", "nobody audits a test service").build().expect("it builds");
    let clock = Arc::new(RuntimeClock::new(now()));
    let journal = Arc::new(MemoryJournal::new(Arc::<RuntimeClock>::clone(&clock)));
    let engine =
        Engine::builder(Arc::<MemoryJournal>::clone(&journal)).clock(clock).pipeline(workflow.pipeline.clone()).build();
    let run = engine.start(workflow.pipeline.name(), release(), person("bot")).await.expect("it starts");
    let end = run.wait().await.expect("it ends");
    assert_eq!(end.outcome, Outcome::Succeeded, "{}", end.because);
    let stored = journal.read(run.id(), 0, 10_000).await.expect("records");
    let record = |bytes: &[u8]| {
        Record::open(&deploy_core::journal::Envelope::parse(bytes).expect("an envelope")).expect("a record")
    };
    let receipts = stored.iter().filter_map(|stored| match record(&stored.bytes).event {
        Event::Verified(verified) => Some(verified.receipts),
        _ => None,
    });
    let said = receipts.flatten().find(|receipt| receipt.check.as_str() == "security-audit").expect("a receipt");
    assert_eq!(said.verdict, Verdict::NotApplicable { reason: "nobody audits a test service".to_owned() });
    assert_eq!(said.read.len(), 1, "the declaration itself was read");
}

/// The evidence of an excused check is not asked for, and that of the others still is.
#[tokio::test(start_paused = true)]
async fn only_the_check_that_does_not_apply_is_excused() {
    let builder = eight_from(without(&["pgbackrest", "restore-record"]));
    let workflow = builder.without_check("backup", "the service keeps nothing").build().expect("it builds");
    let (end, because) = crate::whole::outcome(&workflow, release()).await;
    assert_eq!(end, Outcome::Succeeded, "{because}");
    let builder = eight_from(without(&["pgbackrest", "restore-record", "risk-register"]));
    let workflow = builder.without_check("backup", "the service keeps nothing").build().expect("it builds");
    let (end, because) = crate::whole::outcome(&workflow, release()).await;
    assert_eq!(end, Outcome::Failed);
    assert!(because.contains("risks") && !because.contains("backup: "), "{because}");
}

/// A declaration that somebody else puts among the evidence excuses nothing.
#[tokio::test]
async fn a_forged_declaration_is_not_read() {
    use deploy_agents::checks::Excused;
    use deploy_agents::crew::{Member, duty};
    use deploy_core::agent::{Agent as _, Cancellation, Performed, StepContext, Task};
    use deploy_core::effect::{EffectKey, Fence};
    use deploy_core::evidence::Collected;

    let declared = Excused { not_applicable: [(CheckName::new("risks").expect("a name"), "none".to_owned())].into() };
    let subject = pieces()[0].evidence.subject.clone();
    let forged = Collected::new("profile", "mallory", subject, now(), declared.to_bytes().expect("JSON"));
    let set = pieces().into_iter().chain([forged]).fold(EvidenceSet::new(), EvidenceSet::with);
    let backup = CheckName::new("backup").expect("a name");
    let crew: Crew = Crew::new(set, crew().thresholds().clone()).without_check(&backup, "the service keeps nothing");
    let member = Member::new(duty(Role::RiskManager.in_phase(1)).expect("a duty"), &crew);
    let step = deploy_core::plan::StepPath::new("readiness/risk-manager").expect("a path");
    let task = Task::new(step.clone(), false, Arc::new(release()), Default::default());
    let key = EffectKey {
        run: deploy_core::name::RunId::new("r1").expect("a name"),
        step,
        undo: false,
        iteration: 1,
        attempt: 1,
    };
    let now = deploy_core::time::Now { wall: now(), run: deploy_core::time::RunTime::START };
    let cx = StepContext::new(key, Fence::default(), now, std::time::Duration::from_secs(60), Cancellation::never());
    let Ok(Performed::Done(report)) = member.perform(&task, &cx).await else { panic!("it is done at once") };
    let profiles: Vec<_> = report.evidence.iter().filter(|p| p.evidence.kind == "profile").collect();
    assert_eq!(profiles.len(), 1);
    assert_eq!(profiles[0].evidence.producer.name, "profile");
}
