//! Agents that lie from the seats of the crew: refused from every one of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deploy_agents::crew::{Member, SEATS, Seat, duty};
use deploy_core::agent::{AgentCard, Report, Task, agent_fn};
use deploy_core::digest::Digest;
use deploy_core::driver::{Engine, RuntimeClock};
use deploy_core::evidence::Collected;
use deploy_core::journal::MemoryJournal;
use deploy_core::machine::Outcome;
use deploy_core::name::BlockName;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{RollbackTo, StepPath};

use crate::parts::crew;
use crate::sample::{catalogue, pieces};
use crate::world::{now, person, release};

fn task(seat: Seat) -> Task {
    let step = StepPath::new(format!("crew/{seat}")).expect("a path");
    Task::new(step, false, Arc::new(release()), BTreeMap::new())
}

/// What a member says of these pieces.
fn report(seat: Seat, pieces: &[Collected]) -> Report {
    let member = Member::new(duty(seat).expect("a duty"), &crew());
    let kinds = member.kinds();
    let mine = pieces.iter().filter(|piece| kinds.contains(&piece.evidence.kind.as_str())).cloned().collect();
    member.report(&task(seat), mine, now()).expect("a report")
}

/// How a run ends in which this is reported from a seat.
async fn outcome(seat: Seat, report: Report) -> (Outcome, String) {
    let clock = Arc::new(RuntimeClock::new(now()));
    let journal = Arc::new(MemoryJournal::new(Arc::<RuntimeClock>::clone(&clock)));
    let card = AgentCard::new(BlockName::new(seat.to_string()).expect("a name"), "reports what it likes").repeatable();
    let agent = agent_fn(card, move |_, _| {
        let report = report.clone();
        async move { Ok(report) }
    });
    let (duty, catalogue) = (duty(seat).expect("a duty"), catalogue());
    let p = Pipeline::builder("seat");
    p.rollback(RollbackTo::Previous);
    for check in duty.step().checks(&catalogue) {
        p.check(check);
    }
    for check in catalogue.checks() {
        p.check(check.check());
    }
    let step = p.phase("phase").task("step", agent);
    duty.step().verifications(&catalogue).into_iter().fold(step, |step, wanted| step.verify(wanted)).add();
    let pipeline = p.build().expect("a pipeline");
    let engine = Engine::builder(journal).clock(clock).pipeline(pipeline.clone()).build();
    let run = engine.start(pipeline.name(), release(), person("bot")).await.expect("it starts");
    let end = run.wait().await.expect("it ends");
    (end.outcome, end.because)
}

/// The report with one piece of its evidence changed, and every citation of it with it.
fn swapped(report: &Report, index: usize, change: impl FnOnce(&mut Collected)) -> Report {
    let mut report = report.clone();
    let old = report.evidence[index].evidence.digest;
    change(&mut report.evidence[index]);
    let new = report.evidence[index].evidence.digest;
    for cited in report.claims.iter_mut().flat_map(|claim| &mut claim.evidence).filter(|cited| **cited == old) {
        *cited = new;
    }
    report
}

fn rewritten(piece: &mut Collected, bytes: Vec<u8>) {
    let e = piece.evidence.clone();
    *piece = Collected::new(e.kind, e.producer.name, e.subject, e.observed_at, bytes).summary(e.summary);
}

fn lies(seat: Seat, honest: &Report) -> Vec<(&'static str, Report)> {
    let with = |change: &dyn Fn(&mut Report)| {
        let mut report = honest.clone();
        change(&mut report);
        report
    };
    let said = honest.evidence.len() - 1;
    let reworded = |from: &str, to: &str| {
        swapped(honest, said, |piece| {
            let text = String::from_utf8(piece.bytes.clone()).expect("JSON");
            assert!(text.contains(from), "{seat}: {text}");
            rewritten(piece, text.replacen(from, to, 1).into_bytes());
        })
    };
    vec![
        ("without a claim", with(&|r| r.claims.clear())),
        ("without evidence", with(&|r| r.evidence.clear())),
        ("citing nothing", with(&|r| r.claims.iter_mut().for_each(|c| c.evidence.clear()))),
        ("citing what is not there", with(&|r| r.claims[2].evidence = vec![Digest::of(b"not there")])),
        ("with a piece left out", with(&|r| drop(r.evidence.remove(0)))),
        ("with old evidence", swapped(honest, 0, |p| p.evidence.observed_at.0 -= 400 * 24 * 3_600_000)),
        ("of another commit", swapped(honest, 0, |p| p.evidence.subject.commit = Some("f".repeat(40)))),
        ("of another artifact", swapped(honest, 0, |p| p.evidence.subject.artifact = Some(Digest::of(b"x")))),
        ("of nothing", swapped(honest, 0, |p| p.evidence.subject = Default::default())),
        ("of its own making", swapped(honest, 0, |p| p.evidence.producer.name = seat.to_string())),
        ("unfinished", swapped(honest, 0, |p| p.evidence.producer.finished = false)),
        ("of tomorrow", swapped(honest, 0, |p| p.evidence.observed_at = now().after(Duration::from_secs(86_400)))),
        (
            "cut off",
            swapped(honest, 0, |p| {
                let half = p.bytes[..p.bytes.len() / 2].to_vec();
                rewritten(p, half);
            }),
        ),
        ("as prose", swapped(honest, 0, |p| rewritten(p, b"All is well.".to_vec()))),
        ("with another verdict", reworded("\"verdict\":\"pass\"", "\"verdict\":\"fail\"")),
        ("with an invented number", reworded("\"text\":\"", "\"text\":\"987654.25 of them, ")),
        ("with the report of another step", reworded(&seat.to_string(), "somebody-else-1")),
    ]
}

/// Rows: M143, M144, M145, M146, M147, M148, M149, M150, M151, M152, M153, M154, M155, M156, M157, M158, M239, M241, M242.
#[tokio::test(start_paused = true)]
async fn an_honest_member_passes_and_a_lying_one_is_refused_in_every_seat() {
    let pieces = pieces();
    let (mut tried, mut believed) = (0, Vec::new());
    for seat in SEATS {
        let honest = report(seat, &pieces);
        let (end, because) = outcome(seat, honest.clone()).await;
        assert_eq!(end, Outcome::Succeeded, "{seat}: {because}");
        for (what, lie) in lies(seat, &honest) {
            let (end, because) = outcome(seat, lie).await;
            tried += 1;
            if end == Outcome::Succeeded {
                believed.push(format!("{seat} {what}"));
            } else {
                assert!(because.contains("mandatory checks are not met"), "{seat} {what}: {because}");
            }
        }
    }
    println!("{tried} lies in {} seats, {} believed", SEATS.len(), believed.len());
    assert!(believed.is_empty(), "{}", believed.join("\n"));
}

/// A member whose evidence is gone says so: nothing that it hands over pretends otherwise.
#[tokio::test(start_paused = true)]
async fn a_member_without_evidence_says_so() {
    for seat in SEATS {
        let said = report(seat, &[]);
        assert!(said.findings.iter().any(|f| f.text.contains("refused") || f.text.contains("missing")), "{seat}");
        for handed in &said.deliverables {
            let json: serde_json::Value = serde_json::from_str(&handed.json).expect("JSON");
            let refused = json["body"].get("refused").is_some();
            // These two are made of verdicts: without evidence they say what is in the way.
            let of_verdicts = ["readiness-report", "qa-gate", "lessons-learned"].contains(&handed.key.name.as_str());
            assert!(refused || of_verdicts, "{seat}: {json}");
        }
        let (end, _) = outcome(seat, said).await;
        assert_ne!(end, Outcome::Succeeded, "{seat}");
    }
}
