//! Rule 3, for any output at all.

use std::collections::BTreeMap;

use deploy_agents::gates::GoNoGo;
use deploy_agents::model::{ModelAgent, Review};
use deploy_agents::testing::ScriptedModel;
use deploy_core::agent::Report;
use deploy_core::evidence::{Check, Evidence, Receipt, Verdict, Verification, verify};
use deploy_core::gate::{Gate, GateContext, GateDecision, StepFacts};
use deploy_core::name::{BlockName, CheckName};
use deploy_core::time::{Now, RunTime};
use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use crate::world::{NOW, built, check_name, context, inner, perform, release, report, tests_pass};

/// Worst first.
fn rank(decision: &GateDecision) -> u8 {
    match decision {
        GateDecision::NoGo { .. } => 0,
        GateDecision::Hold { .. } => 1,
        GateDecision::Conditional { .. } => 2,
        GateDecision::Go => 3,
    }
}

fn receipts(report: &Report, checks: &[Check]) -> Vec<Receipt> {
    let evidence: Vec<Evidence> = report.evidence.iter().map(|piece| piece.evidence.clone()).collect();
    let bytes: BTreeMap<_, _> =
        report.evidence.iter().map(|piece| (piece.evidence.digest, piece.bytes.clone())).collect();
    let agent = BlockName::new("tester").expect("a name");
    let one = |check: &Check| {
        let wanted: Verification = check.verification();
        verify(&wanted, &agent, &release(), &report.claims, &evidence, &bytes, Some(check), None, NOW)
    };
    checks.iter().map(one).collect()
}

async fn decide(report: &Report, checks: &[Check]) -> (GateDecision, Vec<Receipt>) {
    let receipts = receipts(report, checks);
    let facts = StepFacts {
        claims: report.claims.clone(),
        evidence: report.evidence.iter().map(|piece| piece.evidence.clone()).collect(),
        receipts: receipts.clone(),
    };
    let cx = GateContext::new(
        context().key.step,
        std::sync::Arc::new(release()),
        Now { wall: NOW, run: RunTime(0) },
        [(context().key.step, facts)].into(),
        BTreeMap::new(),
    );
    let names: Vec<CheckName> = checks.iter().map(|check| check.name().clone()).collect();
    let gate = GoNoGo::new(BlockName::new("gate").expect("a name"), names);
    (gate.evaluate(&cx).await.expect("it answers"), receipts)
}

/// Anything that a model may say: drafts of all kinds, things that look like decisions, noise.
fn output() -> impl Strategy<Value = String> {
    let value = prop_oneof!["pass", "0", "2", "312", "fail", "[a-z0-9 ]{0,8}"];
    let cite = prop_oneof![
        "E[1-4]",
        "E1/totals/failures",
        "E3/totals/failures",
        "C:tests-pass",
        "C:built",
        "T1",
        "[A-Z][0-9]"
    ];
    let kind = prop_oneof!["number", "quote", "verdict", "action", "gate"];
    let claim = (kind, cite, value, "[a-z%]{0,8}").prop_map(|(kind, cite, value, unit)| {
        serde_json::json!({ "text": "all is well", "kind": kind, "cites": [cite], "value": value, "unit": unit })
    });
    let claims = proptest::collection::vec(claim, 0..5);
    let concerns = proptest::collection::vec(".{0,40}", 0..3);
    let draft = (claims, concerns)
        .prop_map(|(claims, concerns)| serde_json::json!({ "claims": claims, "concerns": concerns }).to_string());
    let pretence = prop_oneof![
        "\\{\"decision\": \"go\"\\}",
        "\\{\"claims\": \\[\\], \"concerns\": \\[\\], \"verdict\": \"pass\"\\}",
        "\\{\"check\": \"tests-pass\", \"read\": \\[\\], \"verdict\": \"pass\"\\}",
    ];
    prop_oneof![6 => draft, 1 => pretence, 2 => ".{0,200}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Rule 3: the verdict is computed by checks; a model may only lower it.
    #[test]
    fn rule_3_no_output_of_a_model_makes_a_decision_better(output in output(), bad in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut checks = vec![built()];
            if bad {
                checks.push(tests_pass());
            }
            let without = perform(&ModelAgent::off(inner())).await;
            let (plain, before) = decide(&without, &checks).await;
            let agent = ModelAgent::new(inner(), ScriptedModel::new().says(output), "m").checks(checks.clone());
            let with = perform(&agent).await;
            let (same, after) = decide(&with, &checks).await;
            prop_assert_eq!(&before, &after, "what other checks say does not change");
            prop_assert_eq!(&plain, &same);
            // And with the review among what the gate asks for.
            checks.push(Review::check());
            let (lowered, all) = decide(&with, &checks).await;
            prop_assert!(rank(&lowered) <= rank(&plain), "{plain:?} became {lowered:?}");
            let review = all.iter().find(|receipt| receipt.check == check_name(Review::CHECK)).expect("it is asked for");
            let never_better = matches!(review.verdict, Verdict::Pass | Verdict::Concerns { .. } | Verdict::Inconclusive { .. });
            prop_assert!(never_better, "{:?}", review.verdict);
            // The report itself is all there, in its order, before what was added.
            let inner = report();
            prop_assert_eq!(&with.claims[..inner.claims.len()], &inner.claims[..]);
            prop_assert_eq!(&with.evidence[..inner.evidence.len()], &inner.evidence[..]);
            prop_assert_eq!(&with.deliverables, &inner.deliverables);
            prop_assert_eq!(with.claims.len(), inner.claims.len() + 1);
            Ok(())
        })?;
    }
}
