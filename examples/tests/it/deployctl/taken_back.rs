//! Releases that do not go out, each with an exit code of its own.

use deploy_agents::evidence::{Source, junit, sarif};

use super::{Desk, is_record, text_of};

/// Rows: M234.
#[test]
fn a_revision_that_fails_under_load_is_taken_back_and_ci_is_told() {
    let desk = Desk::new();
    let back = desk.release(&["--revision", "v3"]).end();
    assert_eq!(back.code, 3, "{}", back.text);
    assert_eq!(back.one("end")["outcome"], "rolled_back");
    assert_eq!(desk.say(&["status", "last", "--exit-code"]).code, 3);
    let turned = back.lines.iter().find(|line| is_record(line, "turned_back")).expect("it went back");
    assert!(text_of(turned, "text").contains("rollout/canary"), "{turned}");

    let path = desk.path("report.xml");
    let written = desk.say(&["dossier", "last", "--out", path.to_str().expect("UTF-8")]);
    assert_eq!(written.code, 0, "{}", written.text);
    let bytes = std::fs::read(&path).expect("written");
    let suite = junit::read(&Source::new("report.xml", &bytes)).expect("it is JUnit");
    let counted = suite.counted;
    assert!(counted.failed > 0 && counted.passed > 0 && suite.doubts.is_empty(), "{suite:?}");
    let path = desk.path("report.sarif");
    assert_eq!(desk.say(&["dossier", "last", "--out", path.to_str().expect("UTF-8")]).code, 0);
    let bytes = std::fs::read(&path).expect("written");
    let found = sarif::read(&Source::new("report.sarif", &bytes)).expect("it is SARIF");
    assert!(format!("{found:?}").contains("step-failed"), "{found:?}");
    let page = desk.path("summary");
    for _ in 0..2 {
        let appended = ["dossier", "last", "--format", "summary", "--append", page.to_str().expect("UTF-8")];
        assert_eq!(desk.say(&appended).code, 0);
    }
    let page = std::fs::read_to_string(page).expect("written");
    assert!(page.matches("### v3 of orders").count() == 2 && page.contains("| rollout/canary | ✘ |"), "{page}");
}

#[test]
fn a_revision_that_does_not_exist_is_a_no_go_and_nothing_is_released() {
    let desk = Desk::new();
    let refused = desk.release(&["--revision", "v9"]).end();
    assert_eq!(refused.code, 5, "{}", refused.text);
    assert!(!refused.lines.iter().any(|line| is_record(line, "looked")), "{}", refused.text);
    assert_eq!(refused.one("end")["meaning"], "no_go");
}

#[test]
fn somebody_stops_it_and_whoever_asks_later_is_told() {
    let desk = Desk::new();
    let run = desk.release(&["--ask"]);
    desk.held();
    assert_eq!(desk.say(&["abort", "--as", "grace", "--why", "wrong day"]).code, 0);
    let aborted = run.end();
    assert_eq!(aborted.code, 6, "{}", aborted.text);
    assert!(text_of(aborted.one("end"), "text").contains("wrong day"), "{}", aborted.text);

    // The same once more is another run; the same run once more is over.
    let id = text_of(aborted.one("end"), "run").to_owned();
    let over = desk.release(&["--run", &id]).end();
    assert_eq!((over.code, &over.one("run")["state"]), (6, &"over".into()), "{}", over.text);
    let rejected = desk.release(&["--ask"]);
    desk.held();
    assert_eq!(desk.say(&["reject", "--as", "grace", "--why", "not yet"]).code, 0);
    assert!([1, 3].contains(&rejected.end().code));
}
