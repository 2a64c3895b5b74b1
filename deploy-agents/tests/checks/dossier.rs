//! The dossier of a run: what it shows, and that nothing in it can be changed unseen.

use std::sync::Arc;
use std::time::Duration;

use deploy_agents::checks::Catalogue;
use deploy_agents::dossier::{Dossier, Problem};
use deploy_core::agent::{AgentCard, Report, agent_fn};
use deploy_core::driver::{Engine, RuntimeClock};
use deploy_core::evidence::{Claim, Collected, Finding};
use deploy_core::gate::{GateDecision, gate_fn};
use deploy_core::journal::{Journal, MemoryJournal};
use deploy_core::name::BlockName;
use deploy_core::operator::{Act, OperatorInput};
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{RetryPolicy, RollbackTo, StepPath};

use crate::sample::{catalogue, pieces, with};
use crate::world::{now, person, release};

fn of(catalogue: &Catalogue, check: &str, pieces: &[Collected]) -> (Claim, Vec<Collected>) {
    let check = catalogue.check(check).expect("a check");
    let mine: Vec<_> = pieces.iter().filter(|p| check.kinds().contains(&p.evidence.kind.as_str())).cloned().collect();
    let evidence = mine.iter().map(|p| p.evidence.digest).collect();
    (Claim { check: check.name().clone(), evidence, value: String::new() }, mine)
}

/// A run in which one check is verified, one is waived by a person after its claim was refused, and one was claimed though its step
/// asks for none, and verified all the same.
async fn collected() -> (Arc<MemoryJournal>, Dossier) {
    let clock = Arc::new(RuntimeClock::new(now()));
    let journal = Arc::new(MemoryJournal::new(Arc::<RuntimeClock>::clone(&clock)));
    let (catalogue, pieces) = (catalogue(), pieces());
    let failing =
        with(&pieces, "lcov.info", |bytes| String::from_utf8_lossy(bytes).replace(",3\n", ",0\n").into_bytes());
    let agent = |name: &str, report: Report| {
        let card = AgentCard::new(BlockName::new(name).expect("a name"), "reports").repeatable();
        agent_fn(card, move |_, _| {
            let report = report.clone();
            async move { Ok(report) }
        })
    };
    let report = |claims: Vec<(Claim, Vec<Collected>)>| {
        claims.into_iter().fold(Report::new(), |report, (claim, evidence)| {
            evidence.into_iter().fold(report.claim(claim), Report::evidence)
        })
    };
    let p = Pipeline::builder("show");
    p.rollback(RollbackTo::Previous);
    for name in ["tests-pass", "coverage", "docs-complete"] {
        p.check(catalogue.check(name).expect("a check").check());
    }
    let phase = p.phase("validate");
    let tests = report(vec![of(&catalogue, "tests-pass", &pieces)])
        .finding(Finding::warning("<script>alert(1)</script> [click](javascript:alert(1)) | *bold*"));
    let tested = phase
        .task("tests", agent("tester", tests))
        .verify(catalogue.check("tests-pass").expect("a check").verification())
        .add();
    let uncovered = report(vec![of(&catalogue, "coverage", &failing)]);
    let covered = phase
        .task("coverage", agent("coverer", uncovered))
        .after(&tested)
        .retry(RetryPolicy::attempts(2).backoff(Duration::from_secs(600), Duration::from_secs(600)))
        .verify(catalogue.check("coverage").expect("a check").verification())
        .add();
    let said = report(vec![of(&catalogue, "docs-complete", &pieces)]);
    let said = phase.task("words", agent("writer", said)).after(&covered).add();
    let gate = gate_fn(BlockName::new("look").expect("a name"), "somebody has looked", |_| async {
        Ok(GateDecision::Conditional { conditions: vec!["the moon is full".to_owned()] })
    });
    phase.gate("look", gate).after(&said).add();
    let pipeline = p.build().expect("a pipeline");
    let engine = Engine::builder(Arc::<MemoryJournal>::clone(&journal)).clock(clock).pipeline(pipeline.clone()).build();
    let run = engine
        .start_as("show-1".try_into().expect("a name"), pipeline.name(), release(), person("bot"))
        .await
        .expect("it starts");
    let waive = Act::Waive {
        step: StepPath::new("validate/coverage").expect("a path"),
        check: Some("coverage".try_into().expect("a name")),
        expires: now().after(Duration::from_secs(7 * 24 * 3600)),
    };
    run.submit(OperatorInput::new(person("grace"), "the module is generated", waive)).await.expect("it is taken");
    run.wait().await.expect("it ends");
    let dossier = Dossier::collect(&*journal, run.id()).await.expect("a dossier");
    (journal, dossier)
}

/// Rows: M137, M195.
#[tokio::test(start_paused = true)]
async fn each_check_shows_as_verified_waived_claimed_or_missing() {
    let (_, dossier) = collected().await;
    assert_eq!(dossier.counts(), [2, 1, 0, 0], "{}", dossier.to_markdown());
    let steps = dossier.steps();
    let standing = |step: usize| steps[step].checks[0].standing.to_string();
    assert_eq!(standing(0), "verified");
    assert_eq!(standing(1), "waived by grace@example.org until 2026-11-30T08:00:00.000Z: the module is generated");
    assert_eq!(standing(2), "verified", "what is claimed unasked is verified too");
    let decisions: Vec<&str> = dossier.decisions().iter().map(|line| line.what).collect();
    for what in ["started", "verified", "waive", "gate opened with conditions", "succeeded"] {
        assert!(decisions.contains(&what), "{what}: {decisions:?}");
    }
    assert_eq!(dossier.evidence.len(), dossier.steps().iter().map(|step| step.evidence.len()).sum::<usize>());
}

/// What an agent wrote is shown, and means nothing.
#[tokio::test(start_paused = true)]
async fn pages_for_people_run_nothing_and_link_nowhere() {
    let (_, dossier) = collected().await;
    let html = dossier.to_html();
    assert!(!html.contains("<script") && !html.contains("href") && !html.contains("src="), "{html}");
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{html}");
    assert!(html.contains("Content-Security-Policy") && html.contains("class=\"waived\">waived by grace"), "{html}");
    let markdown = dossier.to_markdown();
    assert!(
        !markdown.contains("<script") && !markdown.contains("[click](") && !markdown.contains("javascript:"),
        "{markdown}"
    );
    assert!(markdown.contains("Checks: 2 verified, 1 waived, 0 claimed and not verified, 0 missing."), "{markdown}");
    // One line for each row: nothing that was typed breaks a table.
    assert!(markdown.lines().filter(|line| line.starts_with('|')).all(|line| line.ends_with('|')), "{markdown}");
}

/// Each byte is changed in turn; every change is found, with its line.
///
/// Rows: M195.
#[tokio::test(start_paused = true)]
async fn one_changed_byte_is_found_with_its_place() {
    let (journal, dossier) = collected().await;
    let text = dossier.export().expect("it can be written");
    let head = journal.head(&dossier.run).await.expect("a head");
    assert_eq!(Dossier::import(&text, Some(head)).expect("it is whole"), dossier);
    let line_of = |at: usize| text[..at].matches('\n').count() + 1;
    let (mut tried, mut other_line) = (0, 0);
    // Every byte of the first two lines and of the last, every thirteenth of the rest.
    let last = text[..text.len() - 1].rfind('\n').expect("lines");
    let second = text.match_indices('\n').nth(1).expect("lines").0;
    for at in (0..text.len()).filter(|at| *at < second.min(4_000) || *at > last || at % 13 == 0) {
        for flip in [1_u8, 2] {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= flip;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            let error = Dossier::import(&changed, None).expect_err("one byte was changed");
            tried += 1;
            // A changed head or hash in the first line, or a line break, is found where it matters.
            other_line += usize::from(error.line != line_of(at));
        }
    }
    println!("{tried} changed bytes, each found, {other_line} of them named by another line than theirs");
    assert!(tried > 5_000 && other_line * 50 < tried, "{other_line} of {tried}");
    // Lines taken away, added, swapped.
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for cut in [1, 2, lines.len() - 1] {
        assert!(Dossier::import(&lines[..cut].concat(), None).is_err());
    }
    let mut swapped = lines.clone();
    swapped.swap(1, 2);
    assert_eq!(Dossier::import(&swapped.concat(), None).expect_err("swapped").line, 2);
    // A dossier that was written anew from the first line on is whole in itself; the anchor finds it.
    let mut anchor = head;
    anchor.hash = deploy_core::digest::Digest::of(b"another run");
    assert_eq!(Dossier::import(&text, Some(anchor)).expect_err("another head").problem, Problem::Anchor);
}
