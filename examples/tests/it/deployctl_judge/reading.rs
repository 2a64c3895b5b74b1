//! What stands in a file: read as spreadsheets write it, and refused with its place where it does not say what it means.

use super::{Files, counts, stderr};

/// What is said of a pair of files that is refused.
fn refused(end: &'static str, baseline: &str, candidate: &str, args: &[&str]) -> String {
    let output = Files::of(end, baseline, candidate).judge(args);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(output.stdout.is_empty(), "nothing was judged");
    said
}

#[track_caller]
fn says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "{part:?} does not stand in {said}");
    }
}

/// A mark of the byte order, quotes, and carriage returns are how spreadsheets write.
#[test]
fn a_file_of_a_spreadsheet_is_read() {
    let file = |bad: u64| {
        let rows: String = (0..20).map(|window| format!("\"{window}\",\"6000\",{bad}\r\n")).collect();
        format!("\u{feff}\"window\",\"events\",bad\r\n{rows}\r\n")
    };
    assert_eq!(Files::of("csv", &file(60), &file(60)).code(&[]), 0);
    assert_eq!(Files::of("csv", &file(60), &file(120)).code(&[]), 1);
    let json = "\u{feff}[{\"events\": 100000, \"bad\": 100}]";
    assert_eq!(Files::of("json", json, json).code(&["--method", "proportions", "--tolerance", "0.9"]), 0);
}

#[test]
fn places_are_exact_behind_quotes_marks_and_carriage_returns() {
    let csv = |candidate: &str| refused("csv", "value\n1\n", candidate, &["--method", "rank"]);
    says(
        &csv("\u{feff}metric,value\r\n\"latency\",1\r\n\r\n\"latency\",  12ms\r\n"),
        &["candidate.csv:4:13: \"12ms\""],
    );
    says(&csv("\u{feff}latency\r\n1\r\n"), &["candidate.csv:1:1: \"latency\" is no column"]);
    says(
        &csv("\"metric\",\"value\"\n\"a\",\"1\"\n\"a\",\"0,5\"\n"),
        &["candidate.csv:3:5: \"0,5\" is no finite number"],
    );
    says(&csv("metric,value\na,\"1\n2\n"), &["candidate.csv:2:3: ", "quote"]);
    says(&csv("metric,value\na,\"1\"2\n"), &["candidate.csv:2:3: ", "quote"]);
    says(&csv("value,metric\n1,\"-x\"\n"), &["candidate.csv:2:3: "]);
    says(&csv("value,metric\n1,a,2\r\n"), &["candidate.csv:2:5: 3 cells, where the header has 2"]);
    says(&csv("value,metric\r\n\"1\"\r\n"), &["candidate.csv:2:4: 1 cells, where the header has 2"]);
}

#[test]
fn cells_that_are_separated_otherwise_are_refused_with_a_hint() {
    let csv = |candidate: &str| refused("csv", "value\n1\n", candidate, &[]);
    says(&csv("window;events;bad\n0;10;1\n"), &["candidate.csv:1:1: ", "semicolons", "commas"]);
    says(&csv("window\tvalue\n0\t10\n"), &["candidate.csv:1:1: ", "tabs", "commas"]);
}

#[test]
fn bytes_that_are_not_text_are_named_by_their_place() {
    let files = Files::of("csv", "value\n1\n", "");
    std::fs::write(files.path("candidate"), b"value\n1\n  \xff\n").expect("written");
    says(&stderr(&files.judge(&["--method", "rank"])), &["candidate.csv:3:3: ", "UTF-8"]);
}

/// Which of two counts of one window is the right one, or whether both are, nobody can know.
#[test]
fn a_window_that_was_counted_twice_is_refused_with_both_places() {
    let twice = "window,events,bad\n0,10,1\n1,10,1\n0,10,2\n";
    let said = refused("csv", "window,events,bad\n0,10,1\n", twice, &[]);
    says(&said, &["candidate.csv:4:3: ", "window 0", "candidate.csv:2:3"]);
    let twice = "[{\"window\": 3, \"events\": 10, \"bad\": 1},\n {\"window\": 3, \"events\": 10, \"bad\": 1}]";
    let said = refused("json", twice, "[{\"window\": 3, \"events\": 10, \"bad\": 1}]", &[]);
    says(&said, &["baseline.json:2:2: ", "window 3", "baseline.json:1:2"]);
}

/// Without a column of windows everything is one.
#[test]
fn counts_without_windows_add_up() {
    let files = Files::of("csv", "events,bad\n10,1\n20,2\n10,1\n", "events,bad\n10,1\n10,1\n");
    let json = super::shown::json(&files.judge(&["--method", "proportions", "--json"]));
    let input = |at: usize| json["verdict"]["explanations"][0]["inputs"][at]["value"].as_f64();
    assert_eq!([input(0), input(1), input(2), input(3)], [Some(20.0), Some(2.0), Some(40.0), Some(4.0)]);
}

#[test]
fn some_rows_with_a_window_and_some_without_are_refused() {
    let some = "[{\"window\": 0, \"value\": 1},\n {\"value\": 2}]";
    says(&refused("json", some, some, &["--method", "rank"]), &["baseline.json:2:2: ", "window", "baseline.json:1:2"]);
    let said = refused("csv", "value\n1\n2\n", "window,value\n0,1\n1,1\n", &["--method", "kayenta"]);
    says(&said, &["candidate.csv:2:3", "baseline.csv:2:1", "window"]);
}

#[test]
fn a_number_that_is_no_size_is_named_by_its_place() {
    let sizes = "window,value\n0,5\n0,6\n1,7\n1,8\n";
    let negative = "window,value\n0,5\n0,6\n1,7\n1,-5\n";
    says(&refused("csv", sizes, negative, &[]), &["candidate.csv:5:3: ", "-5 is not a finite number of at least zero"]);
    says(&refused("csv", negative, sizes, &[]), &["baseline.csv:5:3: "]);
    let at_most = ["--method", "threshold", "--at-most", "9", "--quantile", "0.9"];
    says(&refused("csv", sizes, negative, &at_most), &["candidate.csv:5:3: "]);
    says(&refused("csv", sizes, negative, &["--method", "kayenta"]), &["candidate.csv:5:3: "]);
}

#[test]
fn a_metric_of_two_kinds_is_named_by_both_places() {
    let both = "[{\"window\": 0, \"value\": 1},\n {\"window\": 1, \"events\": 1, \"bad\": 0}]";
    says(&refused("json", both, both, &[]), &["baseline.json:2:2: ", "baseline.json:1:2"]);
    let said = refused("csv", "window,value\n0,1\n", "window,events,bad\n0,10,1\n", &[]);
    says(&said, &["candidate.csv:2:3", "baseline.csv:2:3"]);
    says(&stderr(&counts(1).judge(&["--method", "rank"])), &["baseline.csv:2:3: ", "--method proportions"]);
}

/// A counter that wrapped around is no count, in one row or in all together.
#[test]
fn more_than_can_be_counted_is_named_by_its_place() {
    let half = 1_u64 << 47;
    let once = format!("events,bad\n{half},1\n{half},1\n");
    let thrice = format!("{once}{half},1\n");
    says(&refused("csv", &once, &thrice, &["--method", "proportions"]), &["candidate.csv:4:1: ", "at most"]);
    let windows = format!("window,events,bad\n0,{half},1\n1,{half},1\n2,{half},1\n");
    says(&refused("csv", &windows, &windows, &["--method", "proportions"]), &["candidate.csv:4:3: "]);
    says(&refused("csv", &once, "events,bad\n18446744073709551615,1\n", &[]), &["candidate.csv:2:1: "]);
    let sizes = "window,value\n0,5\n0,6\n1,7\n1,8\n";
    says(
        &refused("csv", sizes, "window,value\n0,5\n0,6\n1,1e300\n1,8\n", &[]),
        &["candidate.csv:4:3: ", "larger unit"],
    );
}
