//! What goes wrong, and what becomes of it: by the kind of the error.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use deploy_agents::checks::kind;
use deploy_agents::crew::{EvidenceSource, SourceError, Wanted};
use deploy_agents::workflows::{Hook, Issue, IssuePolicy, Response, Workflow};
use deploy_core::agent::{AgentCard, AgentError, Certainty, Report, agent_fn};
use deploy_core::driver::{Engine, RuntimeClock};
use deploy_core::evidence::Collected;
use deploy_core::journal::MemoryJournal;
use deploy_core::machine::Outcome;
use deploy_core::name::BlockName;
use proptest::prelude::*;

use crate::parts::{evidence, three, three_from};
use crate::whole::outcome;
use crate::world::{now, person, release};

/// The sample, which cannot be reached, or lacks its tests, for so many questions that ask for tests.
#[derive(Debug)]
struct Late {
    unreachable: bool,
    questions: u32,
    asked: AtomicU32,
}

impl Late {
    fn new(unreachable: bool, questions: u32) -> Arc<Self> {
        Arc::new(Self { unreachable, questions, asked: AtomicU32::new(0) })
    }
}

#[async_trait]
impl EvidenceSource for Late {
    async fn collect(&self, wanted: &Wanted<'_>) -> Result<Vec<Collected>, SourceError> {
        let late = wanted.asks_for(kind::JUNIT) && self.asked.fetch_add(1, Ordering::SeqCst) < self.questions;
        if late && self.unreachable {
            return Err(SourceError::transient("the server of reports does not answer"));
        }
        let mut pieces = evidence().collect(wanted).await?;
        pieces.retain(|piece| !(late && piece.evidence.kind == kind::JUNIT));
        Ok(pieces)
    }
}

fn policy(attempts: u32) -> IssuePolicy {
    let mut policy = IssuePolicy::default();
    (policy.attempts, policy.backoff) = (attempts, Duration::from_secs(1));
    policy
}

async fn ends(source: Arc<Late>, attempts: u32) -> (Outcome, String) {
    let workflow = three_from(source).issues(policy(attempts)).build().expect("it builds");
    outcome(&workflow, release()).await
}

/// Two roles read the tests at the same time, so that two questions of each are late at most.
///
/// Rows: M29.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_reached_is_tried_again_as_often_as_the_policy_says() {
    let (end, because) = ends(Late::new(true, 2), 3).await;
    assert_eq!(end, Outcome::Succeeded, "{because}");
    let source = Late::new(true, u32::MAX);
    let (end, because) = ends(Arc::clone(&source), 3).await;
    assert_eq!(end, Outcome::Failed, "{because}");
    let often = source.asked.load(Ordering::SeqCst);
    let source = Late::new(true, u32::MAX);
    let (end, _) = ends(Arc::clone(&source), 1).await;
    assert_eq!(end, Outcome::Failed);
    let once = source.asked.load(Ordering::SeqCst);
    assert!(once > 0 && often == 3 * once, "{often} questions with three attempts, {once} with one");
    assert_eq!(policy(3).respond(Issue::of(Certainty::Transient), 2), Response::Retry);
    assert_eq!(policy(3).respond(Issue::of(Certainty::Transient), 3), Response::RollBack);
}

fn with_hook(error: fn() -> AgentError) -> Workflow {
    let name = BlockName::new("moves-money").expect("a name");
    let card = AgentCard::new(name, "does something that must not be done twice");
    let agent = agent_fn(card, move |_, _| async move { Err::<Report, _>(error()) });
    three().task(Hook::BeforeTraffic, "moves-money", agent).build().expect("it builds")
}

/// Rows: M29.
#[tokio::test(start_paused = true)]
async fn what_failed_for_good_turns_the_run_back_and_what_nobody_can_tell_waits_for_a_person() {
    let (end, because) = outcome(&with_hook(|| AgentError::definitive("the account is closed")), release()).await;
    assert!(end != Outcome::Succeeded && because.contains("the account is closed"), "{end} {because}");
    assert_eq!(IssuePolicy::default().respond(Issue::of(Certainty::Definitive), 1), Response::RollBack);

    // The engine parks the run: nothing goes on before somebody says what became of it.
    let workflow = with_hook(|| AgentError::unknown("the line went dead"));
    let clock = Arc::new(RuntimeClock::new(now()));
    let journal = Arc::new(MemoryJournal::new(Arc::<RuntimeClock>::clone(&clock)));
    let engine = Engine::builder(journal).clock(clock).pipeline(workflow.pipeline.clone()).build();
    let run = engine.start(workflow.pipeline.name(), release(), person("bot")).await.expect("it starts");
    let waiting = tokio::time::timeout(Duration::from_secs(3_600), run.wait()).await;
    assert!(waiting.is_err(), "it ended by itself");
    let parked = run.status().await.expect("a status").parked;
    assert!(parked.len() == 1 && parked[0].step.as_str().ends_with("/moves-money"), "{parked:?}");
    assert_eq!(IssuePolicy::default().respond(Issue::of(Certainty::Unknown), 1), Response::Escalate);
}

/// Rows: M29.
#[tokio::test(start_paused = true)]
async fn a_report_that_is_late_is_waited_for_and_one_that_never_comes_is_a_no_go() {
    let (end, because) = ends(Late::new(false, u32::MAX), 2).await;
    assert!(end == Outcome::Failed && because.contains("tests-pass"), "{because}");
}

proptest! {
    /// Nothing is tried again for ever, and what may have happened is never tried again by itself.
    ///
    /// Rows: M29.
    #[test]
    fn every_issue_has_an_answer_and_no_answer_is_for_ever(attempts in 1_u32..20, made in 0_u32..40) {
        let policy = policy(attempts);
        for issue in Issue::ALL {
            let answer = policy.respond(issue, made);
            prop_assert!(answer != Response::Retry || made < attempts);
            if matches!(issue, Issue::OutcomeUnknown | Issue::Drifted | Issue::Failed) {
                prop_assert_ne!(answer, Response::Retry);
            }
        }
        prop_assert_eq!(policy.retry().attempts, attempts);
    }
}
