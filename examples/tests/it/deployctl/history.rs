//! What happened before is found, counted on, and told to others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Desk, is_record, text_of};

/// Rows: M130.
#[test]
fn what_went_wrong_before_is_found_by_its_words() {
    let desk = Desk::new();
    assert_eq!(desk.release(&["--revision", "v9", "--run", "no-such-revision"]).end().code, 5);
    let other = desk.release(&["--ask", "--run", "asked-and-stopped"]);
    desk.held();
    assert_eq!(desk.say(&["abort", "--as", "grace", "--why", "the database was FULL"]).code, 0);
    assert_eq!(other.end().code, 6);

    let found = desk.say(&["search", "database", "full"]);
    assert_eq!((found.code, &found.one("run")["run"]), (0, &"asked-and-stopped".into()), "{}", found.text);
    let said = found.all("record").into_iter().map(|line| text_of(line, "text")).collect::<Vec<_>>();
    assert!(said.iter().any(|text| text.contains("grace@this-machine says abort: the database was FULL")), "{said:?}");
    let found = desk.say(&["search", "v9"]);
    assert_eq!((found.code, &found.one("run")["run"]), (0, &"no-such-revision".into()), "{}", found.text);
    let nothing = desk.say(&["search", "database", "meteor"]);
    assert_eq!((nothing.code, &nothing.one("end")["records"]), (1, &0.into()), "{}", nothing.text);
    assert_eq!(desk.say(&["search", "database", "--outcome", "succeeded"]).code, 1);
}

/// The second run is told how long the first one took, and what both did is an ordered stream of events.
///
/// Rows: M27.
#[test]
fn progress_is_an_ordered_stream_with_an_estimate_from_the_runs_before() {
    let desk = Desk::new();
    let first = desk.release(&["--revision", "v2", "--run", "first"]).end();
    assert_eq!(first.code, 0, "{}", first.text);
    assert!(first.all("progress").iter().all(|line| line["usually"].is_null()), "nobody knows yet");
    let second = desk.release(&["--revision", "v2", "--new", "--ask"]);
    desk.held();
    let usually = desk.say(&["status"]).lines.len();
    assert_eq!(usually, 2, "two runs");
    let shown = desk.say(&["status", "orders-v2"]);
    let usually = &shown.one("status")["usually"];
    let (takes, left) = (usually["takes_ms"].as_u64().expect("known"), usually["left_ms"].as_u64().expect("known"));
    let last = first.lines.iter().rfind(|line| line["kind"] == "record").expect("records");
    assert_eq!((Some(takes), &usually["runs"]), (last["run_ms"].as_u64(), &1.into()), "{shown:?}");
    assert!(left < takes, "{left} of {takes}");
    assert!(desk.text(&["status", "orders-v2"]).text.contains("usually takes "), "people are told as well");
    assert_eq!(desk.say(&["approve", "orders-v2", "--as", "grace", "--why", "fine"]).code, 0);
    let second = second.end();
    assert_eq!(second.code, 0, "{}", second.text);
    for run in [&first, &second] {
        let records = run.lines.iter().filter(|line| line["kind"] == "record");
        let positions: Vec<u64> = records.filter_map(|line| line["position"].as_u64()).collect();
        assert_eq!(positions, (0..positions.len() as u64).collect::<Vec<_>>(), "each record once, in order");
        assert!(is_record(&run.lines.iter().rfind(|line| line["kind"] == "record").expect("records").clone(), "ended"));
    }

    let told = desk.text(&["dossier", "first", "--format", "cd-events"]);
    let events: Vec<Value> = told.text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for line in told.text.lines() {
        let read = serde_json::from_str::<cdevents_sdk::CDEvent>(line);
        assert!(read.is_ok(), "the SDK of the events does not read it: {read:?} {line}");
    }
    let of = |event: &Value| text_of(&event["context"], "type").to_owned();
    let kinds: Vec<String> = events.iter().map(of).collect();
    assert_eq!(kinds.first().map(String::as_str), Some("dev.cdevents.pipelinerun.queued.0.2.0"), "{kinds:?}");
    assert_eq!(kinds.last().map(String::as_str), Some("dev.cdevents.pipelinerun.finished.0.2.0"), "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| kind.contains(".service.deployed.")).count(), 1, "{kinds:?}");
    let ids: BTreeSet<&str> = events.iter().map(|event| text_of(&event["context"], "id")).collect();
    assert_eq!(ids.len(), events.len(), "an id is given once");
    // Whatever has begun ends, once, and not before.
    let mut open: BTreeMap<&str, bool> = BTreeMap::new();
    for event in events.iter().filter(|event| event["subject"]["type"] == "taskRun") {
        let (id, kind) = (text_of(&event["subject"], "id"), of(event));
        if kind.contains(".started.") {
            assert_eq!(open.insert(id, true), None, "{id} began twice");
        } else {
            assert_eq!(open.insert(id, false), Some(true), "{id} ended before it began");
            assert_eq!(event["subject"]["content"]["outcome"], "success", "{event}");
        }
    }
    assert!(open.len() >= 4 && open.values().all(|open| !open), "{open:?}");
}
