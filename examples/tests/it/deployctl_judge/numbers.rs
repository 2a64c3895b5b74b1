//! How rows become what a method is given.

use super::shown::json;
use super::{Files, stderr};
use crate::program::stdout;

/// So many windows of so many samples each; the lonely one has a single sample.
fn sampled(windows: u32, samples: u32, lonely: u32, factor: f64) -> String {
    let window = |window: u32| {
        let samples = if window == lonely { 1 } else { samples };
        // A long tail, as latencies have.
        let share = move |i: u32| f64::from((i * 37 + window) % samples) / f64::from(samples);
        let value = move |i: u32| factor * 80.0 / (1.0 - share(i)).sqrt();
        (0..samples).map(move |i| format!("{window},{}\n", value(i)))
    };
    let rows: String = (0..windows).flat_map(window).collect();
    format!("window,value\n{rows}")
}

/// Whether a metric has samples or one number a window is a matter of the metric.
#[test]
fn a_window_with_a_single_sample_is_one_of_samples_too() {
    let files = |factor: f64| Files::of("csv", &sampled(20, 1000, 7, 1.0), &sampled(20, 1000, 7, factor));
    assert_eq!(files(1.0).code(&[]), 0, "{}", stderr(&files(1.0).judge(&[])));
    assert_eq!(files(1.5).code(&[]), 1);
    let limit = ["--method", "threshold", "--at-most", "900", "--quantile", "0.99"];
    assert_eq!((files(1.0).code(&limit), files(1.5).code(&limit)), (0, 1));
}

fn points(output: &std::process::Output) -> (f64, f64) {
    let json = json(output);
    let inputs = json["verdict"]["explanations"][0]["inputs"].as_array().expect("inputs").clone();
    let of = |name: &str| {
        let input = inputs.iter().find(|input| input["name"] == name).expect("points are counted");
        input["value"].as_f64().expect("a number")
    };
    (of("candidate, points"), of("baseline, points"))
}

/// Kayenta compares distributions of points: without windows each row is one, and all are judged.
#[test]
fn for_kayenta_each_row_without_a_window_is_a_point() {
    let kayenta = ["--method", "kayenta", "--json"];
    let files = super::samples(400, 1.0);
    assert_eq!((files.code(&kayenta), points(&files.judge(&kayenta))), (0, (400.0, 400.0)));
    assert_eq!(super::samples(400, 1.3).code(&kayenta), 1);
    let rows = |count: u64| (0..count).map(|w| format!("{}\n", 100 + w * 7 % 11)).collect::<String>();
    let uneven = Files::of("csv", &format!("value\n{}", rows(80)), &format!("value\n{}", rows(60)));
    assert_eq!(points(&uneven.judge(&kayenta)), (60.0, 80.0));
    assert_eq!(json(&uneven.judge(&kayenta))["warnings"], serde_json::json!([]));
}

/// A judge in a rollout remembers 300 windows; here all of them are there.
#[test]
fn for_kayenta_no_window_is_left_out() {
    let rows: String = (0..400).map(|w| format!("{w},{}\n", 100 + w * 7 % 11)).collect();
    let file = format!("window,value\n{rows}");
    let judged = Files::of("csv", &file, &file).judge(&["--method", "kayenta", "--json"]);
    assert_eq!(points(&judged), (400.0, 400.0));
}

#[test]
fn few_points_are_a_warning_to_people_and_programs() {
    let few = Files::of("csv", "value\n1\n2\n3\n", "value\n1\n2\n");
    let text = stdout(&few.judge(&["--method", "kayenta"]));
    let warning = "value: 2 points of the candidate and 3 of the baseline, where at least 50 of each are recommended";
    assert!(text.contains(&format!("warning: {warning}")), "{text}");
    let json = json(&few.judge(&["--method", "kayenta", "--json"]));
    assert!(json["warnings"][0].as_str().is_some_and(|said| said.starts_with(warning)), "{json}");
}

/// Numbers of windows are names: what is missing from both files is not there.
#[test]
fn windows_may_have_gaps() {
    let rows: String = (0..80).map(|window| format!("{},6000,60\n", window * 2)).collect();
    let file = format!("window,events,bad\n{rows}");
    let files = Files::of("csv", &file, &file);
    assert_eq!(files.code(&[]), 0, "{}", stderr(&files.judge(&[])));
    assert_eq!(files.code(&["--method", "burn-rate", "--objective", "0.95"]), 0);
}

/// A stage is observed from its first window on, whatever the number of that is.
#[test]
fn time_counts_from_the_first_window_of_the_stage() {
    let kayenta = r#"{"kayenta": {"metrics": [{"name": "value", "groups": ["all"]}], "pass": 95.0, "marginal": 75.0, "after": 600000}}"#;
    let minutes = |from: u64, stage: &str, count: u64| {
        let row = |w: u64| format!("{w},{},{}\n", if w < from { "0" } else { stage }, 100 + w * 7 % 11);
        let rows: String = (100..from + count).map(row).collect();
        let file = format!("window,stage,value\n{rows}");
        let files = Files::of("csv", &file, &file);
        let config = files.path("judge");
        std::fs::write(&config, kayenta).expect("written");
        let judged = files.judge(&["--json", "--config", config.to_str().expect("UTF-8")]);
        json(&judged)["verdict"]["cause"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!((minutes(100, "0", 9), minutes(100, "0", 10)), ("too_short".to_owned(), "proven".to_owned()));
    assert_eq!((minutes(130, "1", 9), minutes(130, "1", 10)), ("too_short".to_owned(), "proven".to_owned()));
    let files = super::samples(100, 1.0);
    let config = files.folder.path().join("config");
    std::fs::write(&config, kayenta).expect("written");
    let args = ["--json", "--config", config.to_str().expect("UTF-8"), "--window"];
    let cause = |window: &str| json(&files.judge(&[&args[..], &[window]].concat()))["verdict"]["cause"].clone();
    assert_eq!(
        (cause("599"), cause("600")),
        ("too_short".into(), "proven".into()),
        "without numbers there is one window"
    );
    std::fs::write(&config, kayenta.replace("95.0", "101.0")).expect("written");
    let refused = files.judge(&args[1..3]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("config: pass of the Kayenta judge is 101"), "{}", stderr(&refused));
}

/// What a judge watches decides what a window of one value is; what does not fit is named by its place.
#[test]
fn a_configured_judge_gets_what_it_watches() {
    let judge = |watch: &str, file: &str| {
        let files = Files::of("csv", file, file);
        let config = files.path("judge");
        let metric = format!(r#"{{"metric": "value", "watch": {watch}}}"#);
        let text = format!(r#"{{"sequential": {{"stages": 1, "metrics": [{metric}]}}}}"#);
        std::fs::write(&config, text).expect("written");
        let judged = files.judge(&["--config", config.to_str().expect("UTF-8")]);
        (judged.status.code(), stderr(&judged))
    };
    let latency = r#"{"kind": "latency"}"#;
    let values = r#"{"kind": "values", "range": 10.0, "worse": "larger", "margin": 0.0, "rule_out": 5.0}"#;
    let one = "window,value\n0,1\n1,2\n2,1\n";
    assert_eq!((judge(latency, one).0, judge(values, one).0), (Some(3), Some(3)));
    let says = |(code, said): (Option<i32>, String), place: &str| {
        assert!(code == Some(2) && said.contains(place), "{said}");
    };
    says(judge(values, "window,value\n0,1\n1,2\n1,3\n"), "csv:4:3: ");
    says(judge(r#"{"kind": "errors"}"#, one), "csv:2:3: ");
    says(judge(latency, "window,events,bad\n0,10,1\n"), "csv:2:3: ");
}
