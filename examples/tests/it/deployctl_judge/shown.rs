//! How a judgement is shown, and to whom.

use std::process::{Command, Output, Stdio};

use super::{Files, counts, samples, stderr};
use crate::program::{program, stdout};

/// The one object that is printed.
pub(super) fn json(output: &Output) -> serde_json::Value {
    serde_json::from_str(&stdout(output)).unwrap_or_else(|error| panic!("{error}: {}", stderr(output)))
}

/// A reader that has gone takes no part in the judgement.
#[test]
fn a_pipe_that_closes_early_ends_nothing() {
    let files = counts(120);
    for args in [&[][..], &["--json"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = Command::new(program("deployctl"));
        command.arg("judge").arg(files.path("baseline")).arg(files.path("candidate")).args(args);
        let output = command.stdout(writer).stderr(Stdio::piped()).output().expect("the example starts");
        assert_eq!((output.status.code(), stderr(&output)), (Some(1), String::new()));
    }
}

/// The other commands print in one place, which does not mind either.
#[test]
fn no_command_minds_a_pipe_that_closes_early() {
    let state = tempfile::tempdir().expect("a folder");
    for args in [&["completions", "bash"][..], &["checklist", "list"], &["workflow", "list"], &["--help"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = Command::new(program("deployctl"));
        command.args(args).env("DEPLOYCTL_STATE", state.path()).stdout(writer).stderr(Stdio::piped());
        let output = command.output().expect("the example starts");
        let said = stderr(&output);
        assert!(output.status.code() != Some(101) && !said.contains("panicked"), "{args:?}: {said}");
    }
}

#[test]
fn a_page_that_cannot_be_written_is_said_before_anything_is_judged() {
    let files = counts(120);
    for page in ["page.txt", "no/such/folder/page.html"] {
        let page = files.folder.path().join(page);
        let output = files.judge(&["--page", page.to_str().expect("UTF-8")]);
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), String::new()));
        assert!(stderr(&output).contains(page.to_str().expect("UTF-8")), "{}", stderr(&output));
    }
}

/// Each picture has the margin of its own metric.
#[test]
fn pictures_have_margins_of_their_own() {
    let rows: String = (0..20).map(|w| format!("a,{w},6000,60\nb,{w},6000,60\n")).collect();
    let file = format!("metric,window,events,bad\n{rows}");
    let files = Files::of("csv", &file, &file);
    let margins = |a: f64, b: f64| {
        let watch = |metric: &str, margin: f64| {
            format!(r#"{{"metric": "{metric}", "watch": {{"kind": "errors", "margin": {margin}, "rule_out": 4.0}}}}"#)
        };
        let config = files.path("judge");
        let judge = format!(r#"{{"sequential": {{"stages": 1, "metrics": [{}, {}]}}}}"#, watch("a", a), watch("b", b));
        std::fs::write(&config, judge).expect("written");
        let page = files.folder.path().join("page.html");
        let paths = [config.to_str().expect("UTF-8"), page.to_str().expect("UTF-8")];
        let output = files.judge(&["--config", paths[0], "--page", paths[1]]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let html = std::fs::read_to_string(&page).expect("a page");
        let dashed: Vec<String> = html
            .split("<line ")
            .filter(|line| line.contains("stroke=\"#c00\" stroke-dasharray"))
            .filter_map(|line| line.split("y1=\"").nth(1)?.split('"').next().map(str::to_owned))
            .collect();
        assert_eq!(dashed.len(), 2, "{html}");
        dashed
    };
    let (alike, apart) = (margins(1.2, 1.2), margins(1.2, 3.0));
    assert_eq!(alike[0], alike[1]);
    assert_eq!(apart[0], alike[0]);
    assert_ne!(apart[1], apart[0]);
}

#[test]
fn a_small_chance_is_not_said_to_be_none() {
    for method in ["rank", "means"] {
        let text = stdout(&samples(400, 1.3).judge(&["--method", method]));
        assert!(text.contains("with a chance below 0.001") && !text.contains("0.000"), "{text}");
    }
}

/// What was known after each window is there to be drawn, by the numbers of the windows in the files.
#[test]
fn programs_are_told_what_was_known_after_each_window() {
    let rows = |bad: u64| (10..30).map(|w| format!("{w},6000,{bad}\n")).collect::<String>();
    let header = "window,events,bad\n";
    let files = Files::of("csv", &format!("{header}{}", rows(60)), &format!("{header}{}", rows(120)));
    let said = json(&files.judge(&["--json"]));
    let line = &said["lines"][0];
    assert_eq!((line["metric"].as_str(), line["margin"].as_f64()), (Some("value"), Some(1.2)), "{said}");
    let windows = line["windows"].as_array().expect("windows");
    assert_eq!(
        (windows.len(), windows[0]["window"].as_u64(), windows[19]["window"].as_u64()),
        (20, Some(10), Some(29))
    );
    let end = |at: usize, end: &str| windows[at][end].as_f64().expect("a number");
    assert!((end(19, "estimate") - 2.0).abs() < 0.05, "{line}");
    for at in 1..20 {
        assert!(end(at, "low") >= end(at - 1, "low") && end(at, "high") <= end(at - 1, "high"), "{line}");
    }
    let estimate = &said["verdict"]["explanations"][0]["estimate"];
    assert!(end(19, "low") > 1.0 && end(19, "low") >= estimate["low"].as_f64().expect("a bound"));
    assert_eq!(said["decided"]["advice"], "roll_back");
    let fixed = json(&files.judge(&["--method", "proportions", "--json"]));
    assert_eq!((&fixed["lines"], &fixed["decided"]), (&serde_json::json!([]), &serde_json::Value::Null));
}

/// With `--json` what went wrong is an object too.
#[test]
fn programs_are_told_what_is_wrong_as_an_object() {
    let said = json(&Files::of("csv", "value\n1\n", "value\n1,5\n").judge(&["--json"]));
    assert_eq!((said["kind"].as_str(), said["code"].as_u64()), (Some("error"), Some(2)));
    assert!(said["text"].as_str().is_some_and(|text| text.contains("candidate.csv:2:3: ")), "{said}");
    assert_eq!(json(&counts(120).judge(&["--json"]))["kind"], "judgement");
}
