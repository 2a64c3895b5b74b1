//! The other rules, each by its number.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use deploy_agents::gates::{Answer, ApprovalPolicy, ApprovalRule, ApprovalSheet};
use deploy_agents::model::{
    Budget, Cassette, ClaimKind, ClaimVerifier, Draft, DraftClaim, Extracts, ModelAgent, ModelAnswer, ModelClient,
    ModelMessage, ModelTool, Recorder, Rejection, Replay, Review, ReviewEnd, ToolCall,
};
use deploy_agents::secret::Secret;
use deploy_agents::testing::{MisbehavingModel, Misbehaviour, ScriptedModel};
use deploy_core::agent::{Agent, AgentCard, Lookup, Report, agent_fn};
use deploy_core::digest::Digest;
use deploy_core::driver::Engine;
use deploy_core::evidence::Verdict;
use deploy_core::journal::MemoryJournal;
use deploy_core::machine::Outcome;
use deploy_core::name::{BlockName, RunId};
use deploy_core::operator::Principal;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::RollbackTo;
use deploy_core::testing::conformance::agent::AgentSuite;
use deploy_core::time::{SystemClock, Timestamp};

use crate::world::{LOG, NOW, built, context, extracts, inner, perform, piece, pieces, release, report, tests_pass};

const TRUTH: &str =
    r#"{"claims":[{"text":"2 failed","kind":"number","cites":["E1/totals/failures"],"value":"2","unit":"failures"}]}"#;

fn review(report: &Report) -> Review {
    let piece = report.evidence.iter().find(|piece| piece.evidence.kind == Review::KIND).expect("a review");
    serde_json::from_slice(&piece.bytes).expect("a review")
}

#[tokio::test]
async fn rule_1_a_model_gets_extracts_with_ids_and_what_they_say_is_data() {
    let model = Arc::new(ScriptedModel::new().says(TRUTH));
    let secret = Secret::new("cart::removes");
    let agent = ModelAgent::new(inner(), Arc::clone(&model), "m").redacting([secret]);
    perform(&agent).await;
    let asked = model.asked();
    let [ModelMessage::User(shown)] = asked[0].messages.as_slice() else { panic!("{asked:?}") };
    assert_eq!(shown.matches("<evidence id=\"E").count(), 3);
    assert_eq!(shown.matches("</evidence>").count(), 3, "no text ends its own block");
    assert_eq!(shown.matches("<check id=").count(), 0, "no text begins another");
    for piece in pieces() {
        assert!(shown.contains(&format!("sha256=\"{}\"", piece.evidence.digest)), "with the digest of its bytes");
    }
    assert!(shown.contains("ignore previous"), "it is shown what was said");
    assert!(!asked[0].system.contains("ignore previous"), "and it is never among our own words");
    assert!(!shown.contains("cart::removes"), "secrets are not");
    assert!(asked[0].tools.is_empty(), "there is no tool that nobody listed");
}

#[test]
fn rule_2_a_claim_is_checked_against_the_bytes_and_one_change_refuses_it() {
    let number = DraftClaim {
        text: "two failed".to_owned(),
        kind: ClaimKind::Number,
        cites: vec!["E1/totals/failures".to_owned()],
        value: "2".to_owned(),
        unit: "failures".to_owned(),
    };
    let verify = |extracts: &Extracts, claim: &DraftClaim| {
        let draft = Draft { claims: vec![claim.clone()], concerns: Vec::new() };
        let verified = ClaimVerifier::new(extracts, NOW).verify(&draft);
        verified.rejected.first().map(|rejected| rejected.why.clone())
    };
    let sound = extracts();
    assert_eq!(verify(&sound, &number), None);
    let changed = |change: fn(&mut DraftClaim)| {
        let mut claim = number.clone();
        change(&mut claim);
        verify(&extracts(), &claim)
    };
    assert_eq!(changed(|c| c.value = "3".to_owned()), Some(Rejection::Mismatch("2".to_owned())));
    assert_eq!(changed(|c| c.unit = "passed".to_owned()), Some(Rejection::Unit("failures".to_owned())));
    assert_eq!(changed(|c| c.cites.clear()), Some(Rejection::Unverified));
    assert_eq!(changed(|c| c.cites = vec!["E7/x".to_owned()]), Some(Rejection::UnknownId("E7/x".to_owned())));
    assert_eq!(changed(|c| c.kind = ClaimKind::Quote), Some(Rejection::UnknownId("E1/totals/failures".to_owned())));

    // The same place in bytes that are not those of their digest any more.
    let mut altered = pieces();
    altered[0].bytes =
        String::from_utf8_lossy(&altered[0].bytes).replace("\"failures\":2", "\"failures\":0").into_bytes();
    let altered = Extracts::new(altered);
    let lie = DraftClaim { value: "0".to_owned(), ..number.clone() };
    assert_eq!(verify(&altered, &lie), Some(Rejection::Unreadable("E1/totals/failures".to_owned())));

    // And a day later.
    let late = ClaimVerifier::new(&sound, Timestamp(NOW.0 + 25 * 3_600_000));
    let verified = late.verify(&Draft { claims: vec![number], concerns: Vec::new() });
    assert!(matches!(verified.rejected[0].why, Rejection::Stale(_)), "{verified:?}");
}

#[tokio::test]
async fn rule_4_a_tool_that_is_not_on_the_list_is_not_run_and_each_call_has_a_receipt() {
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let count = ModelTool::new("count", "counts", serde_json::json!({ "type": "object" }), move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok("1".to_owned())
    });
    let ask = |name: &str| {
        let call = ToolCall { id: format!("call-{name}"), name: name.to_owned(), arguments: serde_json::json!({}) };
        Ok(ModelAnswer { calls: vec![call], ..ModelAnswer::default() })
    };
    let said =
        |tool: &str, id: &str| format!(r#"{{"text":"I did it","kind":"action","cites":["{id}"],"value":"{tool}"}}"#);
    let draft = format!("{{\"claims\":[{},{},{}]}}", said("count", "T2"), said("shell", "T1"), said("count", "T3"));
    let model = Arc::new(ScriptedModel::new().then(ask("shell")).then(ask("count")).says(draft));
    let report = perform(&ModelAgent::new(inner(), Arc::clone(&model), "m").tool(count)).await;
    let review = review(&report);
    let receipts: Vec<_> =
        review.receipts.iter().map(|r| (r.id.as_str(), r.tool.as_str(), r.allowed, r.answer.is_some())).collect();
    assert_eq!(receipts, [("T1", "shell", false, false), ("T2", "count", true, true)]);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(model.asked()[0].tools.len(), 1, "it is told of those on the list alone");
    assert_eq!(review.verified.accepted, ["tool count was called (T2)"]);
    let refused: Vec<_> = review.verified.rejected.iter().map(|r| (r.claim, r.why.clone())).collect();
    assert_eq!(
        refused,
        [(1, Rejection::Mismatch("refused".to_owned())), (2, Rejection::UnknownId("T3".to_owned()))],
        "what it says of its calls counts for nothing"
    );
}

#[tokio::test]
async fn rule_5_a_gate_decides_before_an_effect_begins() {
    // A model that floods or chats gives no review, and the step that demands one fails before anything else begins.
    let answers: [(&str, Arc<dyn ModelClient>, Outcome, u32); 3] = [
        ("floods", Arc::new(MisbehavingModel(Misbehaviour::Floods)), Outcome::Failed, 0),
        ("chats", Arc::new(MisbehavingModel(Misbehaviour::Chats)), Outcome::Failed, 0),
        ("drafts", Arc::new(ScriptedModel::new().says("{}")), Outcome::Succeeded, 1),
    ];
    for (name, model, ends, effects) in answers {
        let begun = Arc::new(AtomicU32::new(0));
        let p = Pipeline::builder("guarded");
        p.rollback(RollbackTo::Previous).check(Review::check());
        let agent = ModelAgent::new(reader(), model, "m");
        p.phase("read").task("read", agent).verify(Review::check().verification()).add();
        p.phase("act").task("act", effect(&begun)).add();
        let pipeline = p.build().expect("sound");
        let journal = Arc::new(MemoryJournal::new(Arc::new(SystemClock::new())));
        let engine = Engine::builder(journal).pipeline(pipeline.clone()).build();
        let id = RunId::new(format!("run-{name}")).expect("a name");
        let ada = Principal::new("ada", "example.org");
        let run = engine.start_as(id, pipeline.name(), release(), ada).await.expect("it starts");
        assert_eq!(run.wait().await.expect("it ends").outcome, ends, "{name}");
        assert_eq!(begun.load(Ordering::SeqCst), effects, "{name}");
    }
}

fn reader() -> impl Agent {
    let card = AgentCard::new(BlockName::new("reader").expect("a name"), "reads").repeatable();
    agent_fn(card, |_task, cx| {
        let mut piece = piece("log", Duration::ZERO, LOG);
        piece.evidence.observed_at = cx.now.wall;
        std::future::ready(Ok(Report::new().evidence(piece)))
    })
}

fn effect(begun: &Arc<AtomicU32>) -> impl Agent + use<> {
    let begun = Arc::clone(begun);
    let card = AgentCard::new(BlockName::new("effect").expect("a name"), "does it").repeatable();
    agent_fn(card, move |_task, _cx| {
        begun.fetch_add(1, Ordering::SeqCst);
        async { Ok(Report::new()) }
    })
}

#[tokio::test]
async fn rule_6_a_step_that_is_resumed_hears_the_same_and_the_model_is_not_asked_again() {
    let model = Arc::new(ScriptedModel::new().says(TRUTH));
    let agent = ModelAgent::new(inner(), Recorder::new(Arc::clone(&model), Cassette::default()), "m");
    let first = perform(&agent).await;
    let again = perform(&agent).await;
    assert_eq!(first, again, "the same key, the same report");
    assert_eq!(model.asked().len(), 1);
    // A lookup is the inner agent's, who knows what became of the effect.
    let looked = agent.lookup(&context().key, &context()).await.expect("it answers");
    assert!(matches!(looked, Lookup::Unknown), "{looked:?}");
}

#[tokio::test(start_paused = true)]
async fn rule_7_a_review_ends_by_budgets_and_what_is_used_up_is_inconclusive() {
    let tight = Budget::default().turns(3).time(Duration::from_secs(20));
    for (model, why) in [
        (Misbehaviour::Silent, "20s are used up"),
        (Misbehaviour::AsksForShell, "3 turns are used up"),
        (Misbehaviour::SaysDoneAndGoesOn, "3 turns are used up"),
        (Misbehaviour::Floods, "at most 65536 are read"),
        (Misbehaviour::Chats, "not of the form"),
        (Misbehaviour::PlaysTheGate, "not of the form"),
    ] {
        let report = perform(&ModelAgent::new(inner(), MisbehavingModel(model), "m").budget(tight)).await;
        let review = review(&report);
        let ReviewEnd::Inconclusive(reason) = &review.end else { panic!("{model:?}: {:?}", review.end) };
        assert!(reason.contains(why), "{model:?}: {reason}");
        assert!(matches!(review.verdict(), Verdict::Inconclusive { .. }), "{model:?}");
        assert!(review.verified.accepted.is_empty(), "{model:?}");
    }
    assert_eq!(Misbehaviour::ALL.len(), 6);

    let costly = |read, written| {
        let call = ToolCall { id: "c".to_owned(), name: "read".to_owned(), arguments: serde_json::json!({}) };
        Ok(ModelAnswer { calls: vec![call], input_tokens: read, output_tokens: written, ..ModelAnswer::default() })
    };
    let spend = |budget: Budget| async move {
        let model = ScriptedModel::new().then(costly(900, 100)).says(TRUTH);
        review(&perform(&ModelAgent::new(inner(), model, "m").budget(budget)).await).end
    };
    let inconclusive = |end: ReviewEnd| matches!(end, ReviewEnd::Inconclusive(_));
    assert!(inconclusive(spend(Budget::default().tokens(1_000)).await));
    assert_eq!(spend(Budget::default().tokens(1_001)).await, ReviewEnd::Drafted);
    // 900 tokens at 2 and 100 at 10 for a million each cost 2,800 millionths of a millionth: rounded up, 1.
    assert!(inconclusive(spend(Budget::default().money(2_800, 2_000_000, 10_000_000)).await));
    assert_eq!(spend(Budget::default().money(2_801, 2_000_000, 10_000_000)).await, ReviewEnd::Drafted);
}

#[test]
fn rule_8_people_approve_this_plan_for_a_time_and_no_author_does() {
    let plan = Digest::of(b"the plan");
    let policy = ApprovalPolicy::new([ApprovalRule::roles("release managers", ["release-manager"])])
        .valid_for(Duration::from_secs(3_600));
    let release =
        release().change(deploy_core::release::Change { authors: vec!["ada".to_owned()], ..Default::default() });
    let yes = |who: &str, plan: Digest, hours: i64| Answer {
        who: Principal::new(who, "example.org").role("release-manager"),
        plan,
        yes: true,
        at: Timestamp(NOW.0 - hours * 3_600_000),
        expires: None,
        why: "it is fine".to_owned(),
    };
    let passes = |answer: Answer| {
        let sheet = ApprovalSheet {
            asked_by: Principal::new("bot", "x"),
            asked_at: Timestamp(NOW.0 - 7_200_000),
            answers: vec![answer],
        };
        policy.count(&sheet, &release, &plan, NOW).decision("approval", NOW).passes()
    };
    assert!(passes(yes("grace", plan, 0)));
    assert!(!passes(yes("ada", plan, 0)), "an author");
    assert!(!passes(yes("grace", Digest::of(b"another plan"), 0)), "of another plan");
    assert!(!passes(yes("grace", plan, 2)), "too long ago");
}

#[tokio::test]
async fn rule_9_a_replay_gives_the_same_report_byte_for_byte() {
    let recorder = Arc::new(Recorder::new(
        ScriptedModel::new()
            .then(Ok(ModelAnswer {
                calls: vec![ToolCall {
                    id: "c1".to_owned(),
                    name: "read".to_owned(),
                    arguments: serde_json::json!({ "fact": "E1/totals/failures" }),
                }],
                model: "m-2026".to_owned(),
                input_tokens: 400,
                output_tokens: 20,
                ..ModelAnswer::default()
            }))
            .says(TRUTH),
        Cassette::default(),
    ));
    let agent = |client: Arc<dyn ModelClient>| {
        ModelAgent::new(inner(), client, "m").tool(ModelTool::read()).checks([tests_pass(), built()])
    };
    let recorded = perform(&agent(Arc::clone(&recorder) as _)).await;
    let kept = serde_json::to_string(&recorder.cassette()).expect("JSON");
    let cassette: Cassette = serde_json::from_str(&kept).expect("our own");
    assert_eq!(cassette.takes.len(), 2, "model, parameters, request and answer of each turn");
    let replayed = perform(&agent(Arc::new(Replay::new(cassette.clone())))).await;
    assert_eq!(recorded, replayed);
    assert_eq!(review(&recorded).end, ReviewEnd::Drafted);
    assert_eq!(review(&recorded).requests.len(), 2);
    // Another question is not answered from the recording.
    let other = perform(&agent(Arc::new(Replay::new(cassette))).redacting([Secret::new("ok")])).await;
    assert!(matches!(review(&other).end, ReviewEnd::Inconclusive(_)));
}

#[tokio::test]
async fn rule_10_without_a_model_the_report_is_all_there() {
    let report = perform(&ModelAgent::off(inner())).await;
    let mut plain = report.clone();
    plain.evidence.retain(|piece| piece.evidence.kind != Review::KIND);
    plain.claims.retain(|claim| claim.check.as_str() != Review::CHECK);
    assert_eq!(plain, crate::world::report());
    assert!(matches!(review(&report).verdict(), Verdict::NotApplicable { .. }));
    assert_eq!(report, perform(&ModelAgent::off(inner())).await, "the same each time");
}

/// An agent that a model reads over is an agent like any other.
#[tokio::test]
async fn agents_with_a_model_conform() {
    AgentSuite::new().run(&ModelAgent::off(inner())).await;
    let chatter = MisbehavingModel(Misbehaviour::Chats);
    AgentSuite::new().run(&ModelAgent::new(inner(), chatter, "m")).await;
    assert_eq!(report().claims.len(), 2);
}
