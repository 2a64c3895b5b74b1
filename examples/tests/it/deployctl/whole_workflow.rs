//! The documented workflows, from start to end: real processes behind a real proxy, released by what the evidence shows.

use serde_json::{Value, json};

use super::other_pipelines::RELEASE;
use super::{Desk, fresh, is_record, text_of};

/// Releases by a workflow, with evidence of now.
fn deploys(shape: &str, without: &Value, checks: usize) -> (Desk, super::Said) {
    let desk = Desk::new();
    let (evidence, profile) = (desk.path("evidence"), desk.path("profile.json"));
    fresh::evidence(&evidence);
    std::fs::write(&profile, fresh::profile(without)).expect("written");
    let (evidence, profile) = (evidence.to_str().expect("UTF-8"), profile.to_str().expect("UTF-8"));
    let mut args = vec!["workflow", "deployment", "--shape", shape, "--pace", "0.25", "--as", "bot"];
    args.extend(["--evidence", evidence, "--profile", profile]);
    // The last two say of which day the sample is.
    args.extend(&RELEASE[..RELEASE.len() - 2]);
    let run = desk.start(&args).end();
    assert_eq!((run.code, &run.one("end")["outcome"]), (0, &"succeeded".into()), "{}", run.text);

    let verified: Vec<&Value> = run.lines.iter().filter(|line| is_record(line, "verified")).collect();
    assert!(verified.len() >= checks, "{} steps were verified", verified.len());
    let went = |percent: u64| {
        let looked = run.lines.iter().filter(|line| is_record(line, "looked"));
        looked.into_iter().any(|line| line["body"]["observed"]["weights"]["v2"] == percent)
    };
    assert!([20, 50, 100].into_iter().all(went), "{}", run.text);
    let status = desk.say(&["status", "last", "--exit-code"]);
    assert_eq!(status.code, 0, "{}", status.text);
    (desk, run)
}

/// Rows: M110.
#[test]
fn three_phases_release_what_is_shown_to_be_ready() {
    let (desk, _) = deploys("three-phase", &json!({}), 10);
    // What the run verified is what the checklist says.
    let list = desk.say(&["checklist", "last"]);
    assert_eq!((list.code, &list.one("end")["so"]), (0, &12.into()), "{}", list.text);
    assert_eq!(desk.say(&["audit", "verify"]).code, 0);
}

/// Rows: M110.
#[test]
fn eight_phases_release_what_is_shown_to_be_ready() {
    let reason = "nobody times a test service";
    let (desk, run) = deploys("eight-phase", &json!({ "no-slowdown": reason }), 16);
    // What does not apply is said wherever the run is read.
    let lines = desk.text(&["dossier", "last", "--format", "lines"]).text;
    assert!(lines.contains(reason), "{}", run.text);
    let phases = run.all("progress").into_iter().filter_map(|line| line["phase"]["of"].as_u64()).max();
    assert_eq!(phases, Some(8), "{}", run.text);

    // A profile that leaves out what is not there, or says no reason, is refused before anything is started.
    let other = Desk::new();
    let folder = desk.path("evidence").to_str().expect("UTF-8").to_owned();
    for (wrong, said) in [
        (json!({ "weather": "no" }), "there is no check weather"),
        (json!({ "security-audit": " " }), "is left out without a reason"),
    ] {
        let profile = other.path("profile.json");
        std::fs::write(&profile, fresh::profile(&wrong)).expect("written");
        let profile = profile.to_str().expect("UTF-8");
        let refused = other.say(&["workflow", "deployment", "--evidence", &folder, "--profile", profile]);
        assert!(refused.error(2).contains(said), "{}", refused.text);
        assert!(!other.path("place.json").exists(), "something was started");
    }
    let typo = other.path("typo.json");
    std::fs::write(&typo, "{\"treshholds\": {}}").expect("written");
    let typo =
        other.say(&["workflow", "deployment", "--evidence", &folder, "--profile", typo.to_str().expect("UTF-8")]);
    assert!(text_of(typo.one("error"), "text").contains("treshholds") && typo.code == 2, "{}", typo.text);
}
