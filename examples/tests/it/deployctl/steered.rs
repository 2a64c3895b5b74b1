//! A release goes out while other processes watch and steer it.

use serde_json::Value;

use super::{Desk, is_record, text_of, wait_for};

/// The numbers of the records among these lines.
fn positions(lines: &[Value]) -> Vec<u64> {
    lines.iter().filter(|line| line["kind"] == "record").filter_map(|line| line["position"].as_u64()).collect()
}

/// Rows: M110, M112, M234.
#[test]
fn a_release_goes_out_while_others_watch_and_steer_it() {
    let desk = Desk::new();
    let mut run = desk.release(&["--ask"]);
    let started = run.until(|line| line["kind"] == "run");
    assert_eq!((&started["state"], started["records"].as_u64()), (&"started".into(), Some(0)));
    let id = text_of(&started, "run").to_owned();
    assert!(id.starts_with("orders-v2-"), "{id}");
    desk.held();

    // Whoever started it may not say yes, and the engine says why.
    let own = desk.say(&["approve", "--why", "mine"]);
    assert!(own.error(7).contains("started the run; somebody else must approve"), "{}", own.text);
    let nowhere = desk.say(&["approve", "--as", "grace", "--why", "x", "--step", "rollout/nowhere"]);
    assert!(nowhere.error(7).contains("the plan has no step rollout/nowhere; it has: "), "{}", nowhere.text);
    let nothing = desk.say(&["retry", "--as", "grace", "--why", "x"]);
    assert!(nothing.error(2).contains("no step of run"), "{}", nothing.text);

    // Somebody watches, goes away in the middle, and comes back.
    let mut first = desk.start(&["status", "--watch", &id]);
    first.until(|line| is_record(line, "opened"));
    let paused = desk.say(&["pause", "--as", "grace", "--why", "lunch"]);
    assert_eq!((paused.code, &paused.one("said")["became"]), (0, &"taken".into()), "{}", paused.text);
    let again = desk.say(&["pause", "--as", "grace", "--why", "lunch"]);
    assert!(again.error(7).contains("cannot pause: it is paused already"), "{}", again.text);
    let seen = first.until(|line| is_record(line, "took"));
    assert!(text_of(&seen, "text").contains("grace@this-machine says pause: lunch"), "{seen}");
    let before: Vec<Value> = first.seen.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    drop(first);
    assert_eq!(desk.say(&["resume", "--as", "grace", "--why", "back"]).code, 0);

    let yes = desk.say(&["approve", "--as", "grace", "--why", "looked at it"]);
    assert_eq!((yes.code, &yes.one("said")["became"]), (0, &"taken".into()), "{}", yes.text);
    assert_eq!(yes.one("said")["input"]["who"]["subject"], "grace");
    let from = (positions(&before).last().expect("records") + 1).to_string();
    let watched = desk.start(&["status", "--watch", &id[..id.len() - 1], "--from", &from]).end();
    let released = run.end();
    assert_eq!((released.code, watched.code), (0, 0), "{}", released.text);
    assert_eq!(released.one("end")["outcome"], "succeeded");

    // Both together are every record, each once, as the one who drove it showed them.
    let together: Vec<u64> = positions(&before).into_iter().chain(positions(&watched.lines)).collect();
    assert_eq!(together, (0..together.len() as u64).collect::<Vec<_>>());
    assert_eq!(together, positions(&released.lines));

    // What it showed in between: phase, weights, measurements against limits, what comes next.
    let rolling: Vec<&Value> =
        released.all("progress").into_iter().filter(|line| line["open"][0]["rollout"].is_object()).collect();
    let of = |view: &&Value| view["phase"]["index"].as_u64().zip(view["phase"]["of"].as_u64());
    assert!(!rolling.is_empty() && rolling.iter().all(|view| of(view) == Some((2, 3))), "{}", released.text);
    let looked = released.lines.iter().filter(|line| is_record(line, "looked"));
    let weights: Vec<_> = looked.filter_map(|look| look["body"]["observed"]["weights"]["v2"].as_u64()).collect();
    assert!([20, 50, 100].iter().all(|rung| weights.contains(rung)) && weights.is_sorted(), "{weights:?}");
    let judged = |view: &&&Value| view["open"][0]["rollout"]["judgements"][0]["limit"].is_array();
    assert!(rolling.iter().any(|view| judged(&view)), "{}", released.text);

    let status = desk.text(&["status", "last"]);
    assert!(
        status.text.contains("phase 3 of 3 (post-deployment)") && status.text.contains("succeeded: "),
        "{}",
        status.text
    );
    assert_eq!(desk.say(&["status", &id, "--exit-code"]).code, 0);
    let late = desk.say(&["pause", &id, "--why", "too late"]);
    assert!(late.error(7).contains("the run has ended: succeeded"), "{}", late.text);
    let list = desk.say(&["status"]);
    assert_eq!(list.one("run")["outcome"], "succeeded");
    drop(list);

    // The token that opens the place is nowhere but in its own file.
    let place: Value = serde_json::from_slice(&std::fs::read(desk.path("place.json")).expect("alive")).expect("JSON");
    let token = text_of(&place, "token");
    let lines = desk.text(&["dossier", &id, "--format", "lines"]).text;
    for text in [&released.text, &watched.text, &status.text, &lines] {
        assert!(!text.contains(token), "the token is shown");
    }
    let journal = std::fs::read(desk.journal()).expect("the journal");
    assert!(!journal.windows(token.len()).any(|window| window == token.as_bytes()), "the token is recorded");

    assert_eq!(desk.say(&["place"]).one("place")["pid"], place["pid"]);
    assert_eq!(desk.say(&["place", "stop"]).one("place")["ended"], true);
    wait_for("the place is gone", || desk.say(&["place"]).one("place")["pid"].is_null());
}
