//! A ramp, stage by stage.

use super::shown::json;
use super::{Files, stderr};

/// Twenty windows, ten of each of two stages; what is bad of a thousand in each.
fn ramp(first: u64, second: u64) -> String {
    let row = |w: u64| format!("{w},{},6000,{}\n", w / 10, 6 * if w < 10 { first } else { second });
    let rows: String = (0..20).map(row).collect();
    format!("window,stage,events,bad\n{rows}")
}

/// What was shown of an early stage promotes no later one, and harm of an early one is not forgotten.
#[test]
fn the_newest_stage_is_judged_with_the_harm_of_all() {
    let files = Files::of("csv", &ramp(10, 10), &ramp(10, 10));
    let said = json(&files.judge(&["--json"]));
    assert_eq!(said["verdict"]["advice"], "promote", "{said}");
    let inputs = &said["verdict"]["explanations"][0]["inputs"];
    assert_eq!(inputs[0]["value"].as_f64(), Some(60_000.0), "the events of the newest stage: {inputs}");
    let windows = said["lines"][0]["windows"].as_array().expect("windows").clone();
    let stages: Vec<u64> = windows.iter().filter_map(|window| window["stage"].as_u64()).collect();
    assert_eq!((stages.len(), stages[9], stages[10]), (20, 0, 1));
    assert_eq!(Files::of("csv", &ramp(10, 10), &ramp(30, 10)).code(&[]), 1, "harm of the first stage");
    // Ten windows prove nothing about a stage that has but one.
    let one = |text: String| text.lines().take(12).map(|line| format!("{line}\n")).collect::<String>();
    let short = Files::of("csv", &one(ramp(10, 10)), &one(ramp(10, 10)));
    assert_eq!(short.code(&[]), 3);
}

#[test]
fn kayenta_judges_the_points_of_the_newest_stage() {
    let files = Files::of("csv", &ramp(10, 10), &ramp(30, 10));
    let said = json(&files.judge(&["--method", "kayenta", "--json"]));
    assert_eq!(said["verdict"]["explanations"][0]["inputs"][0]["value"].as_f64(), Some(10.0), "{said}");
}

#[test]
fn stages_that_make_no_sense_are_refused_with_their_places() {
    let good = "window,stage,value\n0,0,1\n1,1,1\n";
    let refused = |candidate: &str, args: &[&str]| {
        let output = Files::of("csv", good, candidate).judge(args);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        stderr(&output)
    };
    let kayenta = ["--method", "kayenta"];
    let back = refused("window,stage,value\n0,0,1\n1,1,1\n2,0,1\n", &kayenta);
    assert!(back.contains("candidate.csv:4:3: ") && back.contains("stage 0"), "{back}");
    let two = refused("window,stage,value\n0,0,1\n1,0,1\n", &kayenta);
    assert!(two.contains("candidate.csv:3:3") && two.contains("baseline.csv:3:3"), "{two}");
    let alone = refused("stage,value\n0,1\n", &kayenta);
    assert!(alone.contains("candidate.csv:2:1: ") && alone.contains("window"), "{alone}");
    let unknown = refused("window,value\n0,1\n1,1\n2,1\n", &kayenta);
    assert!(unknown.contains("candidate.csv:4:3: ") && unknown.contains("window 2"), "{unknown}");
    assert!(refused("window,stage,value\n0,-1,1\n", &kayenta).contains("candidate.csv:2:3: "));
    assert!(refused(good, &["--method", "rank"]).contains("knows no stages"));
}
