//! The two documented workflows, end to end: on reports that are made on the spot, once as it should be, and once with each fault.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use deploy_agents::dossier::Dossier;
use serde_json::Value;

use crate::program::{program, stdout};

/// Programs without which a fault cannot be planted: a run that says so with code 2 shows nothing, and is said aloud.
const CANNOT_BE_PLANTED: i32 = 2;

struct Ran {
    code: Option<i32>,
    summary: Value,
    folder: tempfile::TempDir,
}

/// Runs an example in a folder of its own; nothing if the fault cannot be planted on this machine.
fn run(example: &str, args: &[&str]) -> Option<Ran> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(program(example));
    let output =
        command.args(["--json", "--folder"]).arg(folder.path()).args(args).output().expect("the example starts");
    if output.status.code() == Some(CANNOT_BE_PLANTED) && output.stderr.is_empty() {
        let required = std::env::var("REQUIRE_EVIDENCE").is_ok_and(|value| value == "1");
        assert!(!required, "a fault cannot be planted here, and REQUIRE_EVIDENCE=1");
        writeln!(std::io::stderr(), "LEFT OUT: {args:?} cannot be planted on this machine").expect("standard error");
        return None;
    }
    let text = stdout(&output);
    let summary = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text} {output:?}"));
    Some(Ran { code: output.status.code(), summary, folder })
}

fn of_standing<'a>(summary: &'a Value, standing: &str) -> Vec<&'a str> {
    let checks = summary["checks"].as_array().expect("checks");
    let mine = checks.iter().filter(|check| check["standing"] == standing);
    mine.map(|check| check["check"].as_str().expect("a name")).collect()
}

#[track_caller]
fn goes_out(example: &str, args: &[&str], items: usize) -> Ran {
    let ran = run(example, args).expect("nothing is planted");
    let summary = &ran.summary;
    assert_eq!((ran.code, &summary["outcome"]), (Some(0), &"succeeded".into()), "{summary:#}");
    assert_eq!(summary["as_it_should_be"], true, "{summary:#}");
    for wrong in ["open", "not asked"] {
        assert_eq!(of_standing(summary, wrong), Vec::<&str>::new(), "{summary:#}");
    }
    for check in ["tests-pass", "rollback-drill", "smoke", "health", "service-level", "no-slowdown", "docs-complete"] {
        assert!(of_standing(summary, "met").contains(&check), "{check}: {summary:#}");
    }
    // Whatever is not met says why, or who answers for it.
    for check in summary["checks"].as_array().expect("checks").iter().filter(|check| check["standing"] != "met") {
        assert!(check["why"].as_str().is_some_and(|why| !why.is_empty()), "{check}");
    }
    let listed = summary["checklist"].as_array().expect("a checklist");
    assert_eq!(listed.len(), items);
    assert!(listed.iter().all(|item| item["standing"] != "open"), "{listed:#?}");
    whole_dossier(ran.folder.path());
    ran
}

/// The exported dossier reads back with its chain whole, and the page for people is there.
#[track_caller]
fn whole_dossier(folder: &Path) {
    let lines = std::fs::read_to_string(folder.join("dossier.jsonl")).expect("a dossier");
    let dossier = Dossier::import(&lines, None).expect("a whole dossier");
    assert!(dossier.outcome().is_some());
    assert!(std::fs::read_to_string(folder.join("dossier.html")).expect("a page").contains("orders 1.1.0"));
}

#[track_caller]
fn is_stopped(example: &str, fault: &str, check: &str) {
    let Some(ran) = run(example, &["--fault", fault]) else { return };
    let summary = &ran.summary;
    assert_eq!(ran.code, Some(3), "{summary:#}");
    assert_ne!(summary["outcome"], "succeeded");
    assert_eq!(summary["fault_named"], true, "{summary:#}");
    assert!(summary["no_go"]["why"].as_str().is_some_and(|why| why.contains(check)), "{summary:#}");
    assert!(of_standing(summary, "open").contains(&check), "{summary:#}");
    whole_dossier(ran.folder.path());
}

/// Rows: M1, M2, M3, M4, M5, M6, M7, M8, M10, M11, M20, M23, M26, M30, M34, M39, M40, M110.
#[test]
fn three_phases_go_out() {
    goes_out("three_phase_release", &[], 12);
}

/// Rows: M143, M144, M145, M146, M147, M148, M149, M150, M151, M153, M154, M156, M157, M158, M176, M196, M204, M213.
#[test]
fn eight_phases_go_out() {
    goes_out("eight_phase_release", &[], 18);
}

/// On a machine with nothing but Rust more does not apply, and says so; the rest is met all the same.
#[test]
fn with_nothing_but_rust_they_go_out_too() {
    let none = "git,cargo-nextest,cargo-clippy,cargo-llvm-cov,cargo-audit,terraform,tofu,restic,prometheus,\
                prometheus-alertmanager,alertmanager";
    for (example, items) in [("three_phase_release", 12), ("eight_phase_release", 18)] {
        let ran = goes_out(example, &["--without", none], items);
        let left_out = of_standing(&ran.summary, "not applicable");
        for check in ["coverage", "no-drift", "monitoring-up", "alerts-delivered", "build-success"] {
            assert!(left_out.contains(&check), "{check}: {:#}", ran.summary);
        }
        assert!(of_standing(&ran.summary, "waived").contains(&"backup"), "{:#}", ran.summary);
    }
}

/// Rows: M8, M20, M171, M172.
#[test]
fn a_failing_test_stops_both() {
    is_stopped("three_phase_release", "failing-test", "tests-pass");
    is_stopped("eight_phase_release", "failing-test", "tests-pass");
}

/// Rows: M13, M21, M148, M173, M201.
#[test]
fn a_critical_finding_stops_both() {
    is_stopped("three_phase_release", "critical-finding", "no-critical-vulnerability");
    is_stopped("eight_phase_release", "critical-finding", "no-critical-vulnerability");
}

/// Rows: M16, M23, M149, M183, M202.
#[test]
fn a_drifted_plan_stops_both() {
    is_stopped("three_phase_release", "drifted-plan", "no-drift");
    is_stopped("eight_phase_release", "drifted-plan", "no-drift");
}

/// Rows: M19, M23, M144, M198.
#[test]
fn a_stale_backup_stops_both() {
    is_stopped("three_phase_release", "stale-backup", "backup");
    is_stopped("eight_phase_release", "stale-backup", "backup");
}
