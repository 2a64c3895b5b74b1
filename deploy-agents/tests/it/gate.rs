//! The go or no-go gate.

use std::collections::BTreeMap;
use std::sync::Arc;

use deploy_agents::gates::GoNoGo;
use deploy_core::evidence::{Receipt, Refusal, Verdict, Waiver};
use deploy_core::gate::{Gate, GateContext, GateDecision, StepFacts};
use deploy_core::name::{BlockName, CheckName};
use deploy_core::operator::Principal;
use deploy_core::plan::StepPath;
use deploy_core::time::{Now, RunTime, Timestamp};

use crate::program::task;

fn check(text: &str) -> CheckName {
    CheckName::new(text).expect("a name")
}

fn context(receipts: &[(&str, Verdict)], waivers: &[(&str, Timestamp)]) -> GateContext {
    let mut reports: BTreeMap<StepPath, StepFacts> = BTreeMap::new();
    for (n, (name, verdict)) in receipts.iter().enumerate() {
        let receipt = Receipt { check: check(name), read: Vec::new(), verdict: verdict.clone() };
        let step = StepPath::new(format!("validate/step-{n}")).expect("a path");
        reports.entry(step).or_default().receipts.push(receipt);
    }
    let waivers = waivers.iter().map(|(name, expires)| (check(name), waiver(*expires))).collect();
    let now = Now { wall: Timestamp(1_000_000), run: RunTime(5) };
    GateContext::new(StepPath::new("ship/gate").expect("a path"), Arc::clone(&task().release), now, reports, waivers)
}

fn waiver(expires: Timestamp) -> Waiver {
    Waiver { person: Principal::new("ada", "sso"), reason: "known and harmless".to_owned(), expires }
}

fn gate(checks: &[&str]) -> GoNoGo {
    GoNoGo::new(BlockName::new("go-no-go").expect("a name"), checks.iter().map(|c| check(c)))
}

#[tokio::test]
async fn one_veto_wins_over_everything_and_all_are_named() {
    let fail = Verdict::Fail { reason: "3 of 120 failed".to_owned() };
    let refused = Verdict::Inconclusive { refusal: Refusal::Stale("3 days old".to_owned()) };
    let cx = context(&[("tests", fail), ("scan", refused), ("docs", Verdict::Pass)], &[]);
    let gate = gate(&["docs", "tests", "scan", "licences"]);
    let Ok(GateDecision::NoGo { vetoes }) = gate.evaluate(&cx).await else { panic!("it must not open") };
    assert_eq!(vetoes.iter().map(|v| v.by.as_str()).collect::<Vec<_>>(), ["tests", "scan", "licences"]);
    let table = gate.matrix(&cx).to_string();
    println!("{table}");
    assert!(table.contains("licences  -                veto         absent: nobody has verified it\n"), "{table}");
    assert!(table.contains("scan      validate/step-1  veto         inconclusive: stale: 3 days old\n"), "{table}");
}

#[tokio::test]
async fn remarks_and_waivers_are_conditions_and_an_expired_waiver_is_a_veto() {
    let concerns = Verdict::Concerns { remarks: vec!["slow".to_owned()] };
    let later = Timestamp(2_000_000);
    let gate = gate(&["tests", "scan", "perf"]);
    let fail = || Verdict::Fail { reason: "no".to_owned() };
    let cx = context(&[("tests", Verdict::Pass), ("scan", fail()), ("perf", concerns.clone())], &[("scan", later)]);
    let Ok(GateDecision::Conditional { conditions }) = gate.evaluate(&cx).await else {
        panic!("it opens with conditions")
    };
    assert_eq!(conditions.len(), 2);
    assert!(conditions[0].contains("ada") && conditions[1] == "perf: slow", "{conditions:?}");
    let expired =
        context(&[("tests", Verdict::Pass), ("scan", fail()), ("perf", concerns)], &[("scan", Timestamp(999_999))]);
    assert!(!gate.evaluate(&expired).await.expect("a decision").passes());
    // A waiver recorded in the receipt may have expired since.
    let since = context(&[("tests", Verdict::Waived(waiver(Timestamp(999_999))))], &[]);
    assert!(!self::gate(&["tests"]).evaluate(&since).await.expect("a decision").passes());
}

#[tokio::test]
async fn the_worst_of_several_verdicts_counts_and_a_gate_without_checks_never_opens() {
    let cx = context(&[("tests", Verdict::Pass), ("tests", Verdict::Fail { reason: "no".to_owned() })], &[]);
    assert!(!gate(&["tests"]).evaluate(&cx).await.expect("a decision").passes());
    assert!(!gate(&[]).evaluate(&cx).await.expect("a decision").passes());
    let all = context(&[("tests", Verdict::Pass), ("docs", Verdict::NotApplicable { reason: "none".to_owned() })], &[]);
    assert_eq!(gate(&["tests", "docs"]).evaluate(&all).await.expect("a decision"), GateDecision::Go);
}
