//! The sixteen verified steps in the engine, and agents that lie to it.

use std::sync::Arc;
use std::time::Duration;

use deploy_agents::checks::Catalogue;
use deploy_agents::checks::steps::{STEPS, StepReport, VerifiedStep};
use deploy_core::agent::{AgentCard, Report, agent_fn};
use deploy_core::digest::Digest;
use deploy_core::driver::{Engine, RuntimeClock};
use deploy_core::evidence::{CheckInput, Claim, Collected};
use deploy_core::journal::MemoryJournal;
use deploy_core::machine::Outcome;
use deploy_core::name::{BlockName, CheckName};
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::RollbackTo;

use crate::flips::{edited, spoiling};
use crate::sample::{catalogue, pieces};
use crate::world::{now, person, release};

/// The evidence of a step, and its report over exactly that evidence.
fn evidence(step: &VerifiedStep, catalogue: &Catalogue, pieces: &[Collected]) -> Vec<Collected> {
    let kinds = step.kinds(catalogue);
    pieces.iter().filter(|p| kinds.contains(&p.evidence.kind.as_str())).cloned().collect()
}

fn honest_report(step: &VerifiedStep, catalogue: &Catalogue, evidence: &[Collected]) -> StepReport {
    let pairs: Vec<_> = evidence.iter().map(|p| (&p.evidence, p.bytes.as_slice())).collect();
    step.report(catalogue, &CheckInput::new(&release(), &pairs, now()))
}

fn written(report: &StepReport, by: &str) -> Collected {
    let mut json = serde_json::to_value(report).expect("JSON");
    json["format"] = serde_json::json!(1);
    let subject = pieces()[0].evidence.subject.clone();
    Collected::new("step-report", by, subject, now(), serde_json::to_vec(&json).expect("JSON"))
}

/// What an agent hands over: the evidence, its report, and the four claims that cite them.
fn handed_over(step: &VerifiedStep, evidence: &[Collected], report: &StepReport) -> Report {
    let said = written(report, step.agent);
    let mut digests: Vec<Digest> = evidence.iter().map(|p| p.evidence.digest).collect();
    digests.dedup();
    let claim = |line: &str, cites: Vec<Digest>| {
        let check = CheckName::new(format!("{}:{line}", step.name())).expect("a name");
        Claim { check, evidence: cites, value: String::new() }
    };
    let mut whole = Report::new();
    for line in ["read", "standards", "checks"] {
        whole = whole.claim(claim(line, digests.clone()));
    }
    let with_report = digests.into_iter().chain([said.evidence.digest]).collect();
    evidence.iter().cloned().fold(whole.claim(claim("reports", with_report)), Report::evidence).evidence(said)
}

/// Runs one step in the engine, and says how the run ended.
async fn outcome(step: &VerifiedStep, catalogue: &Catalogue, report: Report) -> (Outcome, String) {
    let clock = Arc::new(RuntimeClock::new(now()));
    let journal = Arc::new(MemoryJournal::new(Arc::<RuntimeClock>::clone(&clock)));
    let card = AgentCard::new(BlockName::new(step.agent).expect("a name"), "reports what it likes").repeatable();
    let agent = agent_fn(card, move |_, _| {
        let report = report.clone();
        async move { Ok(report) }
    });
    let p = Pipeline::builder("verified");
    p.rollback(RollbackTo::Previous);
    for check in step.checks(catalogue) {
        p.check(check);
    }
    let phase = p.phase("phase");
    let task = phase.task("step", agent);
    step.verifications(catalogue).into_iter().fold(task, |task, wanted| task.verify(wanted)).add();
    let pipeline = p.build().expect("a pipeline");
    let engine = Engine::builder(journal).clock(clock).pipeline(pipeline.clone()).build();
    let run = engine.start(pipeline.name(), release(), person("bot")).await.expect("it starts");
    let end = run.wait().await.expect("it ends");
    (end.outcome, end.because)
}

/// Rows: M143, M144, M145, M146, M147, M148, M149, M150, M151, M152, M153, M154, M155, M156, M157, M158.
#[tokio::test(start_paused = true)]
async fn an_honest_agent_passes_all_sixty_four_verifications() {
    let (catalogue, pieces) = (catalogue(), pieces());
    let mut verifications = 0;
    for step in STEPS {
        let evidence = evidence(&step, &catalogue, &pieces);
        let report = honest_report(&step, &catalogue, &evidence);
        let (end, because) = outcome(&step, &catalogue, handed_over(&step, &evidence, &report)).await;
        assert_eq!(end, Outcome::Succeeded, "{}: {because}", step.name());
        verifications += step.verifications(&catalogue).len();
    }
    assert_eq!(verifications, 64);
}

/// A way to lie about a step: what is handed over although it is not so.
type Lie = (&'static str, Report);

/// Every lie about one step. The report and the claims say that all is well, each time.
fn lies(step: &VerifiedStep, catalogue: &Catalogue, pieces: &[Collected]) -> Vec<Lie> {
    let good = evidence(step, catalogue, pieces);
    let rosy = honest_report(step, catalogue, &good);
    let with = |change: &dyn Fn(&mut Vec<Collected>)| {
        let mut evidence = good.clone();
        change(&mut evidence);
        handed_over(step, &evidence, &rosy)
    };
    let reread = |piece: &Collected, bytes: Vec<u8>| {
        let e = piece.evidence.clone();
        Collected::new(e.kind, e.producer.name, e.subject, e.observed_at, bytes)
    };
    let mut lies: Vec<Lie> = vec![
        ("without any claim", Report::new()),
        ("without evidence", with(&|e| e.clear())),
        ("with a document left out", with(&|e| drop(e.remove(0)))),
        ("with old evidence", with(&|e| e.iter_mut().for_each(|p| p.evidence.observed_at.0 -= 400 * 24 * 3_600_000))),
        ("with evidence of another commit", with(&|e| e[0].evidence.subject.commit = Some("f".repeat(40)))),
        ("with evidence of another artifact", with(&|e| e[0].evidence.subject.artifact = Some(Digest::of(b"x")))),
        (
            "with evidence of staging",
            with(&|e| e[0].evidence.subject.environment = Some("staging".try_into().expect("a name"))),
        ),
        ("with evidence of nothing", with(&|e| e[0].evidence.subject = Default::default())),
        ("with unfinished evidence", with(&|e| e[0].evidence.producer.finished = false)),
        ("with evidence of its own making", with(&|e| e[0].evidence.producer.name = step.agent.to_owned())),
        (
            "with evidence of tomorrow",
            with(&|e| e[0].evidence.observed_at = now().after(Duration::from_secs(24 * 3600))),
        ),
        ("with truncated evidence", with(&|e| e[0] = reread(&e[0], e[0].bytes[..e[0].bytes.len() / 2].to_vec()))),
        ("with empty evidence", with(&|e| e[0] = reread(&e[0], Vec::new()))),
        ("with prose for evidence", with(&|e| e[0] = reread(&e[0], b"All is well.".to_vec()))),
    ];
    let mut whole = handed_over(step, &good, &rosy);
    whole.claims[2].evidence = vec![Digest::of(b"nothing that was handed over")];
    lies.push(("with a dangling citation", whole));
    let mut whole = handed_over(step, &good, &rosy);
    whole.claims[2].evidence.clear();
    lies.push(("with an empty citation", whole));
    let mut whole = handed_over(step, &good, &rosy);
    let twice = whole.claims[1].evidence[0];
    whole.claims[1].evidence.push(twice);
    lies.push(("with the same evidence twice", whole));
    for (index, what) in ["not saying a", "not saying b", "not saying c", "not saying d"].into_iter().enumerate() {
        let mut whole = handed_over(step, &good, &rosy);
        whole.claims.remove(index);
        lies.push((what, whole));
    }
    // The agent's bytes are not those that the digest names: the engine takes its own digest, and the citation dangles.
    let mut whole = handed_over(step, &good, &rosy);
    whole.evidence[0].bytes.push(b' ');
    lies.push(("with tampered evidence", whole));
    let beside = Claim {
        check: CheckName::new("unicorns-fly").expect("a name"),
        evidence: vec![good[0].evidence.digest],
        value: String::new(),
    };
    lies.push(("with a claim that no check knows", handed_over(step, &good, &rosy).claim(beside)));
    let said = |change: &dyn Fn(&mut StepReport)| {
        let mut report = rosy.clone();
        change(&mut report);
        handed_over(step, &good, &report)
    };
    lies.push(("with an inflated number", said(&|r| r.sentences[0].text = "987654.25 of them".to_owned())));
    lies.push(("with another verdict", said(&|r| r.sentences[0].verdict = Some("fail".to_owned()))));
    lies.push(("with a sentence that resolves to nothing", said(&|r| r.sentences[0].check = None)));
    lies.push(("with a check that nobody knows", said(&|r| r.sentences[0].check = Some("unicorns-fly".to_owned()))));
    lies.push(("with a failure left unsaid", said(&|r| drop(r.sentences.remove(0)))));
    lies.push(("with the report of another step", said(&|r| r.step = "somebody-else-1".to_owned())));
    lies.push((
        "with a false quotation",
        said(&|r| {
            let mut quote = r.sentences[0].clone();
            (quote.check, quote.verdict) = (None, None);
            quote.evidence = Some(good[0].evidence.digest);
            quote.pointer = Some("/format".to_owned());
            quote.value = Some(serde_json::json!(7));
            r.sentences.push(quote);
        }),
    ));
    lies
}

/// Rows: M143, M144, M145, M146, M147, M148, M149, M150, M151, M152, M153, M154, M155, M156, M157, M158.
#[tokio::test(start_paused = true)]
async fn a_lying_agent_is_refused_in_all_sixteen_steps() {
    let (catalogue, pieces) = (catalogue(), pieces());
    let (mut tried, mut believed) = (0, Vec::new());
    for step in STEPS {
        let mut lies = lies(&step, &catalogue, &pieces);
        // Evidence that says that it is not so, under a report and claims that say that it is.
        let rosy = honest_report(&step, &catalogue, &evidence(&step, &catalogue, &pieces));
        for row in spoiling().iter().filter(|row| step.checks.contains(&row.0)) {
            let bad = evidence(&step, &catalogue, &edited(&pieces, row));
            lies.push(("with evidence that says otherwise", handed_over(&step, &bad, &rosy)));
        }
        for (what, report) in lies {
            let (end, because) = outcome(&step, &catalogue, report).await;
            tried += 1;
            if end == Outcome::Succeeded {
                believed.push(format!("{} {what}", step.name()));
            } else {
                assert!(because.contains("mandatory checks are not met"), "{} {what}: {because}", step.name());
            }
        }
    }
    println!("{tried} lies in {} steps, {} believed", STEPS.len(), believed.len());
    assert!(believed.is_empty(), "{}", believed.join("\n"));
    assert!(tried > 16 * 30, "{tried}");
}
