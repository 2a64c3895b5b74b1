//! `deployctl judge`, as a person or a script would call it.

mod numbers;
mod reading;
mod shown;
mod stages;
mod strata;

use std::path::PathBuf;
use std::process::Output;

use crate::program::{program, stdout};

/// Two files, and what is said about them.
struct Files {
    folder: tempfile::TempDir,
    end: &'static str,
}

impl Files {
    fn of(end: &'static str, baseline: &str, candidate: &str) -> Self {
        let files = Self { folder: tempfile::tempdir().expect("a folder"), end };
        std::fs::write(files.path("baseline"), baseline).expect("written");
        std::fs::write(files.path("candidate"), candidate).expect("written");
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.{}", self.end))
    }

    fn judge(&self, args: &[&str]) -> Output {
        let mut command = std::process::Command::new(program("deployctl"));
        command.arg("judge").arg(self.path("baseline")).arg(self.path("candidate")).args(args);
        command.output().expect("the example starts")
    }

    fn code(&self, args: &[&str]) -> i32 {
        self.judge(args).status.code().expect("it was not killed")
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("examples write UTF-8")
}

/// Twenty windows of counts; the candidate has so many bad events in each.
fn counts(bad: u64) -> Files {
    let rows = |events: u64, bad: u64| (0..20).map(|window| format!("{window},{events},{bad}\n")).collect::<String>();
    let header = "window,events,bad\n";
    Files::of("csv", &format!("{header}{}", rows(6_000, 60)), &format!("{header}{}", rows(6_000, bad)))
}

/// So many samples, spread evenly around 100, the candidate's so many times as large.
fn samples(count: u32, factor: f64) -> Files {
    let rows = |factor: f64| {
        let value = |i: u32| factor * (80.0 + f64::from(i * 37 % count) / f64::from(count) * 40.0);
        let rows: Vec<String> = (0..count).map(|i| format!("{{\"value\": {}}}", value(i))).collect();
        format!("[{}]", rows.join(",\n"))
    };
    Files::of("json", &rows(1.0), &rows(factor))
}

#[test]
fn the_exit_code_says_what_to_do() {
    assert_eq!(counts(60).code(&[]), 0);
    assert_eq!(counts(120).code(&[]), 1);
    assert_eq!(counts(63).code(&["--method", "proportions"]), 3, "neither harm nor its absence is shown");
    let few = Files::of("csv", "window,events,bad\n0,10,1\n", "window,events,bad\n0,10,1\n");
    assert_eq!(few.code(&[]), 3);
    let same = Files::of("csv", "value\n1\n1\n1\n", "value\n1\n1\n1\n");
    assert_eq!(same.code(&["--method", "rank"]), 4, "there is nothing to rank");
}

#[test]
fn every_method_tells_a_slower_version_from_one_that_is_not() {
    for method in ["rank", "means"] {
        assert_eq!(samples(400, 1.0).code(&["--method", method]), 0, "{method}");
        assert_eq!(samples(400, 1.3).code(&["--method", method]), 1, "{method}");
    }
    for args in [
        &["--method", "sequential"][..],
        &["--method", "proportions", "--tolerance", "0.5"],
        &["--method", "burn-rate", "--objective", "0.95"],
        &["--method", "threshold", "--at-most", "0.05"],
    ] {
        assert_eq!(counts(60).code(args), 0, "{args:?}");
        assert_eq!(counts(3_000).code(args), 1, "{args:?}");
    }
    let minutes = |more: u64| {
        let rows = |more: u64| (0..30).map(|w| format!("{w},{}\n", 100 + w * 7 % 11 + more)).collect::<String>();
        Files::of("csv", &format!("window,value\n{}", rows(0)), &format!("window,value\n{}", rows(more)))
    };
    assert_eq!(minutes(0).code(&["--method", "kayenta"]), 0);
    assert_eq!(minutes(50).code(&["--method", "kayenta"]), 1);
}

#[test]
fn a_judge_of_a_plan_judges_files_too() {
    let files = counts(3_000);
    let config = files.path("judge");
    let judge = r#"{"service_score": {"pass": 90.0, "warning": 75.0, "without_previous": "inconclusive", "objectives": [
        {"metric": "value", "pass": [[{"comparison": "<=", "limit": {"percent_of_previous": 10.0}}]]}]}}"#;
    std::fs::write(&config, judge).expect("written");
    assert_eq!(files.code(&["--config", config.to_str().expect("UTF-8")]), 1);
    std::fs::write(&config, "{\"service_score\":\n {}}").expect("written");
    let broken = files.judge(&["--config", config.to_str().expect("UTF-8")]);
    assert_eq!(broken.status.code(), Some(2));
    assert!(stderr(&broken).contains("judge.csv:2:"), "{}", stderr(&broken));
}

#[test]
fn it_is_for_people_for_programs_and_as_a_page() {
    let files = counts(120);
    let text = stdout(&files.judge(&[]));
    assert!(text.starts_with("roll back: the candidate is worse beyond its margin"), "{text}");
    assert!(text.contains("otherwise: ") && text.contains("power: value: after 240000 events"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&stdout(&files.judge(&["--json"]))).expect("one object");
    assert_eq!((json["method"].as_str(), json["verdict"]["advice"].as_str()), (Some("sequential"), Some("roll_back")));
    let page = files.folder.path().join("page.html");
    files.judge(&["--page", page.to_str().expect("UTF-8")]);
    let html = std::fs::read_to_string(&page).expect("a page");
    assert!(html.contains("<h1 class=\"fail\"><b>Roll back</b>") && html.contains("<svg "), "{html}");
}

#[test]
fn what_is_malformed_is_named_by_file_line_and_column_and_nothing_is_guessed() {
    let place = |end, candidate: &str| {
        let output = Files::of(end, "[{\"value\": 1}]", candidate).judge(&["--method", "rank"]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        stderr(&output)
    };
    assert!(place("json", "[{\"value\": 1},\n {\"value\": }]").contains("candidate.json:2:12: "));
    assert!(place("json", "[]").contains("candidate.json:1:1: there is not a single row"));
    assert!(place("txt", "1").contains("baseline.txt: the name does not say what it is"));
    let csv = |candidate: &str| {
        let output = Files::of("csv", "value\n1\n", candidate).judge(&["--method", "rank"]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        stderr(&output)
    };
    assert!(csv("value\n1\n2;5\n").contains("candidate.csv:3:1: \"2;5\" is no finite number"));
    assert!(csv("1\n2\n").contains("candidate.csv:1:1: \"1\" is no column"));
    assert!(counts(1).judge(&["--method", "rank"]).status.code() == Some(2), "counts are not ranked");
    let gone = std::process::Command::new(program("deployctl")).args(["judge", "no.csv", "no.csv"]).output();
    assert_eq!(gone.expect("the example starts").status.code(), Some(2));
}

/// Two arms without a bad event cannot be compared; what nobody minds can be shown to be kept.
#[test]
fn without_any_error_it_takes_what_is_negligible_to_promote() {
    let rows: String = (0..20).map(|window| format!("{window},6000,0\n")).collect();
    let spotless = format!("window,events,bad\n{rows}");
    let files = Files::of("csv", &spotless, &spotless);
    assert_eq!((files.code(&[]), files.code(&["--negligible", "0.001"])), (3, 0));
    assert_eq!((files.code(&["--negligible", "0.000001"]), files.code(&["--negligible", "0"])), (3, 2));
}

/// A mean of one window cannot be judged in sequence without its range: it is said, and not assumed.
#[test]
fn what_a_method_cannot_judge_is_said() {
    let one = Files::of("csv", "window,value\n0,1\n1,2\n", "window,value\n0,1\n1,2\n").judge(&[]);
    assert_eq!(one.status.code(), Some(2));
    assert!(stderr(&one).contains("of which the range is not known"), "{}", stderr(&one));
    let flat = samples(50, 1.0).judge(&[]);
    assert!(stderr(&flat).contains("use --method rank"), "{}", stderr(&flat));
    let burn = counts(1).judge(&["--method", "burn-rate"]);
    assert!(stderr(&burn).contains("needs --objective"), "{}", stderr(&burn));
}
