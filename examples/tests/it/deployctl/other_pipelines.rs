//! Pipelines from a file, the documented workflows, and what can be asked without a run.

use std::path::Path;

use serde_json::Value;

use super::{Desk, is_record, text_of};

fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    path.to_str().expect("UTF-8").to_owned()
}

/// The release that the sample of evidence is about, and the time at which it was fresh.
pub(super) const RELEASE: [&str; 14] = [
    "--service",
    "shop",
    "--environment",
    "production",
    "--revision",
    "v2",
    "--commit",
    "0123456789abcdef0123456789abcdef01234567",
    "--artifact",
    "registry.example.org/shop:v2=sha256:97e9d7a16021e6d07fbe28cce398f5847fc00c574991fbff65d95fd5e032d389",
    "--author",
    "ada",
    "--at",
    "2026-11-23T08:00:00Z",
];

/// Rows: M110.
#[test]
fn a_pipeline_file_is_bound_to_the_blocks_of_this_host_and_released_by() {
    let desk = Desk::new();
    let file = sample("deployctl/sample.yaml");
    let tools = ["--program", "toolchain=rustc --version", "--program", "manifest=cargo --version"];
    let mut args = vec!["run", "--file", &file];
    args.extend(tools);
    let run = desk.start(&args).end();
    assert_eq!(run.code, 0, "{}", run.text);
    let done = |line: &&Value| is_record(line, "completed") && line["step"] == "prepare/toolchain";
    let done = run.lines.iter().find(done).expect("the program ran");
    assert!(text_of(done, "text").contains("rustc 1."), "{done}");

    // What does not bind is named with its line and the nearest name, before anything is started.
    let other = Desk::new();
    let said = other.say(&["run", "--file", &file, "--program", "toolchian=rustc --version"]);
    let text = said.error(2);
    assert!(text.contains("sample.yaml: ") && text.contains("did you mean toolchian?"), "{text}");
    assert!(text.contains("line 22 (/phases/0/steps/0/task/agent)"), "{text}");
    assert!(!other.path("place.json").exists() && !other.journal().exists(), "something was started");

    // The default pipeline as a file is the default pipeline.
    let fingerprint = |args: &[&str]| {
        let plan = other.text(args).text;
        plan.lines().find(|line| line.contains("fingerprint")).expect("it is there").to_owned()
    };
    for (format, name) in [("yaml", "orders.yaml"), ("json", "orders.json"), ("markdown", "orders.md")] {
        let path = other.path(name);
        std::fs::write(&path, other.text(&["plan", &format!("--document={format}")]).text).expect("written");
        let path = path.to_str().expect("UTF-8");
        assert_eq!(fingerprint(&["plan", "--file", path]), fingerprint(&["plan"]), "{format}");
    }
    let nameless = other.say(&["plan", "--file", "/etc/hosts"]);
    assert!(nameless.error(2).contains("let it end in .yaml, .json or .md"), "{}", nameless.text);
}

/// Rows: M110.
#[test]
fn a_documented_workflow_without_evidence_of_the_release_is_a_no_go_that_names_what_is_missing() {
    let desk = Desk::new();
    let list = desk.say(&["workflow", "list"]);
    let phases: Vec<usize> = list.all("workflow").iter().map(|w| w["phases"].as_array().map_or(0, Vec::len)).collect();
    assert_eq!(phases, [3, 8], "{}", list.text);
    let without = desk.say(&["workflow", "deployment"]);
    assert!(without.error(2).contains("--evidence FOLDER"), "{}", without.text);
    // The sample speaks of another release and of another day: every piece is refused.
    let sample = sample("evidence/sample");
    for shape in ["three-phase", "eight-phase"] {
        let run =
            desk.start(&["workflow", "deployment", "--shape", shape, "--evidence", &sample, "--pace", "0.25"]).end();
        assert_eq!(run.code, 5, "{shape}: {}", run.text);
        assert!(!run.lines.iter().any(|line| is_record(line, "looked")), "{shape}: nothing was released");
        let end = text_of(run.one("end"), "text");
        assert!(end.contains("its evidence was refused as"), "{end}");
    }
}

/// Rows: M108, M109, M111, M113, M114, M115.
#[test]
fn one_agent_looks_on_demand() {
    let desk = Desk::new();
    let roles = desk.say(&["agent", "list"]);
    assert_eq!(roles.all("role").len(), 21);
    let sample = sample("evidence/sample");
    let run = |role: &str, more: &[&str]| {
        let mut args = vec!["agent", "run", role, "--evidence", &sample];
        args.extend(RELEASE);
        args.extend(more);
        desk.say(&args)
    };
    let compliance = run("security-specialist", &["--check", "compliance"]);
    assert_eq!(compliance.code, 0, "{}", compliance.text);
    assert_eq!(compliance.one("check")["check"], "compliance");
    let report = desk.path("report.json");
    let validated = run("spec-validator", &["--report", report.to_str().expect("UTF-8")]);
    assert!([0, 1].contains(&validated.code) && validated.all("check").len() >= 3, "{}", validated.text);
    let report: Value = serde_json::from_slice(&std::fs::read(report).expect("written")).expect("JSON");
    assert!(report["deliverables"][0]["value"].is_object() && report["findings"].is_array(), "{report}");
    for (role, phase) in [("spec-reviewer", "3"), ("qa", "3"), ("/architect", "1"), ("architect", "2")] {
        let said = run(role, &["--phase", phase]);
        assert!([0, 1].contains(&said.code) && !said.all("check").is_empty(), "{role}: {}", said.text);
    }
    // Another commit: the same evidence is foreign, and nothing is met.
    let mut args = vec!["agent", "run", "security-specialist", "--check", "compliance", "--evidence", &sample];
    args.extend([
        "--service",
        "shop",
        "--environment",
        "production",
        "--commit",
        "ffff",
        "--at",
        "2026-11-23T08:00:00Z",
    ]);
    let foreign = desk.say(&args);
    assert_eq!((foreign.code, &foreign.one("check")["met"]), (1, &false.into()), "{}", foreign.text);
    assert!(foreign.text.contains("foreign"), "{}", foreign.text);

    let nobody = desk.command(&["agent", "run", "janitor", "--evidence", &sample]).output().expect("it starts");
    let said = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert!(nobody.status.code() == Some(2) && said.contains("there is no role \"janitor\"; the roles are "), "{said}");
    let other = run("security-specialist", &["--check", "weather"]);
    assert!(other.error(2).contains("has no check \"weather\"; it has: access, compliance"), "{}", other.text);
    let seat = run("qa", &["--phase", "7"]);
    assert!(seat.error(2).contains("qa has a seat in phase 1, 2, 3, 4, and no other"), "{}", seat.text);
    let nowhere = desk.say(&["agent", "run", "qa", "--evidence", "/nowhere"]);
    assert!(nowhere.error(2).contains("no folder of evidence at /nowhere"), "{}", nowhere.text);
}

#[test]
fn a_checklist_is_computed_from_a_folder_or_from_a_run() {
    let desk = Desk::new();
    let sample = sample("evidence/sample");
    for (list, rows) in [("pre-deployment", 12), ("deployment", 18)] {
        let mut args = vec!["checklist", "--list", list, "--evidence", &sample];
        args.extend(RELEASE);
        let read = desk.say(&args);
        assert_eq!(read.all("item").len(), rows, "{}", read.text);
        let so = read.all("item").iter().filter(|item| item["state"] == "computed").count();
        assert!(so > rows / 2 && read.one("end")["so"] == so, "{}", read.text);
    }
    let run = desk.release(&["--revision", "v9"]).end();
    assert_eq!(run.code, 5, "{}", run.text);
    let read = desk.say(&["checklist", "last"]);
    assert_eq!((read.code, &read.one("end")["so"]), (1, &0.into()), "{}", read.text);
    let text = desk.text(&["checklist", "last"]).text;
    assert!(text.contains("- [ ] Backup verified") && text.contains("backup: nobody has verified it"), "{text}");
}
