//! The quality gates, each by the verdicts of its own checks.

use std::collections::BTreeMap;
use std::sync::Arc;

use deploy_agents::checks::Catalogue;
use deploy_agents::gates::{QualityGate, QualityGateError};
use deploy_core::evidence::{Collected, Receipt};
use deploy_core::gate::{Gate as _, GateContext, GateDecision, StepFacts};
use deploy_core::plan::StepPath;
use deploy_core::time::{Now, RunTime};
use serde_json::json;

use crate::flips::Edit;
use crate::sample::{catalogue, judge, pieces, with};
use crate::world::{now, release};

/// What the gate decides over receipts of the checks on this evidence.
async fn decide(gate: QualityGate, catalogue: &Catalogue, pieces: &[Collected]) -> GateDecision {
    let receipts: Vec<Receipt> = gate.checks().iter().map(|check| judge(catalogue, check, pieces).receipt).collect();
    let facts = StepFacts { receipts, ..StepFacts::default() };
    let step = StepPath::new("validate/all").expect("a path");
    let reports = BTreeMap::from([(step, facts)]);
    let at = Now { wall: now(), run: RunTime(1) };
    let cx = GateContext::new(StepPath::new("ship/gate").expect("a path"), Arc::new(release()), at, reports, [].into());
    gate.over(catalogue).expect("all its checks are there").evaluate(&cx).await.expect("it decides")
}

/// One field of one report shuts the gate that is about it, and no other.
///
/// Rows: M171, M172, M173, M174, M175, M177.
#[tokio::test]
async fn each_gate_is_shut_by_what_it_is_about_and_by_nothing_else() {
    use Edit::{Remove, Set, Text};
    let (catalogue, good) = (catalogue(), pieces());
    for gate in QualityGate::ALL {
        assert_eq!(decide(gate, &catalogue, &good).await, GateDecision::Go, "{gate}");
        assert_eq!(gate.verifications(&catalogue).expect("all are there").len(), gate.checks().len());
    }
    let failure = r#"name="totals_add_up"><failure message="no"/></testcase>"#;
    let spoilt = [
        // A required job that was skipped is not a success.
        (QualityGate::Build, "ci-run.json", Set("/jobs/1/conclusion", json!("skipped"))),
        (QualityGate::Build, "ci-run.json", Remove("/jobs/0")),
        (QualityGate::Tests, "junit.xml", Text(r#"name="totals_add_up" time="0.003"/>"#, failure)),
        (QualityGate::Coverage, "lcov.info", Text("DA:4,3\n", "DA:4,0\n")),
        (QualityGate::Security, "trivy.json", Set("/Results/0/Vulnerabilities/0/Severity", json!("CRITICAL"))),
        (QualityGate::ServiceLevel, "k6.json", Set("/metrics/http_req_duration/values/p(99)", json!(500.1))),
        // The error budget is spent.
        (QualityGate::ServiceLevel, "error-budget.json", Set("/bad", json!(1001))),
        (QualityGate::Health, "health.json", Set("/results/3/passes_in_a_row", json!(2))),
        // No declared health check is not a healthy service.
        (QualityGate::Health, "health.json", Set("/declared", json!([]))),
    ];
    for (shut, file, edit) in spoilt {
        let pieces = with(&good, file, |bytes| edit.on(bytes));
        for gate in QualityGate::ALL {
            let decision = decide(gate, &catalogue, &pieces).await;
            assert_eq!(decision.passes(), gate != shut, "{gate} after {file} {edit:?}: {decision:?}");
        }
    }
}

#[tokio::test]
async fn a_gate_without_its_check_or_without_a_receipt_never_opens() {
    let missing = QualityGate::ServiceLevel.over(&Catalogue::new()).expect_err("no check");
    assert_eq!(missing, QualityGateError::NoCheck { gate: QualityGate::ServiceLevel, check: "service-level" });
    assert!(missing.to_string().contains("service-level-gate needs the check service-level"), "{missing}");
    for gate in QualityGate::ALL {
        assert!(!decide(gate, &catalogue(), &[]).await.passes(), "{gate}");
    }
}
