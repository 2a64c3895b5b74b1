//! Waits that would last for hours are skipped by a person, and a rollout is taken back by one.

use super::{Desk, Process, is_record, text_of};

/// Two rungs and a soak of an hour each: only a person brings it to its end within the bound of a test.
const SLOW: &str = "
format: 1
name: slow
rollback: previous
strategies:
  slow:
    kind: canary
    with: { weights: [20, 50, 100], soak: 1h }
phases:
  - name: release
    steps:
      - name: out
        rollout: { strategy: slow, target: place, observe_every: 200ms, timeout: 6h }
  - name: after
    steps:
      - name: settle
        soak: 1h
";

/// The same without the hours.
fn quick(desk: &Desk) -> String {
    std::fs::write(desk.path("quick.yaml"), SLOW.replace("1h", "100ms")).expect("written");
    desk.path("quick.yaml").to_str().expect("UTF-8").to_owned()
}

fn slow() -> (Desk, Process) {
    let desk = Desk::new();
    std::fs::write(desk.path("slow.yaml"), SLOW).expect("written");
    let path = desk.path("slow.yaml").to_str().expect("UTF-8").to_owned();
    let run = desk.start(&["run", "--file", &path]);
    (desk, run)
}

/// Reads on until the users of version 2 are so many percent.
#[track_caller]
fn until_weight(run: &mut Process, percent: u64) {
    run.until(|line| is_record(line, "looked") && line["body"]["observed"]["weights"]["v2"] == percent);
}

#[test]
fn a_stage_is_skipped_then_all_of_them_then_the_soak_after_it() {
    let (desk, mut run) = slow();
    let taken = |words: &[&str]| {
        let mut words = words.to_vec();
        words.extend(["--as", "grace", "--why", "seen enough"]);
        let said = desk.say(&words);
        assert_eq!((said.code, &said.one("said")["became"]), (0, &"taken".into()), "{}", said.text);
    };
    until_weight(&mut run, 20);
    taken(&["promote"]);
    until_weight(&mut run, 50);
    taken(&["promote", "--full"]);
    until_weight(&mut run, 100);
    run.until(|line| is_record(line, "opened") && line["step"] == "after/settle");
    let wrong = desk.say(&["promote", "--full", "--step", "after/settle", "--as", "grace", "--why", "x"]);
    assert!(wrong.error(7).contains("it is not rolling out: it soaks"), "{}", wrong.text);
    taken(&["promote"]);
    let ended = run.end();
    assert_eq!(ended.code, 0, "{}", ended.text);
    // Nobody but grace let it go on: without her, the hours would have had to pass.
    let said = ended.lines.iter().filter(|line| is_record(line, "took")).map(|line| text_of(line, "text"));
    let said: Vec<&str> = said.collect();
    assert!(said.len() == 3 && said.iter().all(|text| text.contains("grace@this-machine says promote")), "{said:?}");
}

#[test]
fn a_rollout_that_nobody_faults_is_taken_back_by_a_person() {
    let (desk, mut run) = slow();
    until_weight(&mut run, 20);
    let said = desk.say(&["rollback", "--as", "grace", "--why", "users complain"]);
    assert_eq!((said.code, &said.one("said")["became"]), (0, &"taken".into()), "{}", said.text);
    let ended = run.end();
    assert_eq!((ended.code, &ended.one("end")["outcome"]), (3, &"rolled_back".into()), "{}", ended.text);
    let last = ended.lines.iter().rev().find(|line| is_record(line, "looked")).expect("it looked");
    let weights = &last["body"]["observed"]["weights"];
    assert!(weights["v1"] == 100 && weights["v2"].as_u64().unwrap_or(0) == 0, "{weights}");
}

/// The way back belongs to the run itself: no other run is begun for it, and what waits goes on only after it.
#[test]
fn a_release_that_waits_goes_on_only_after_the_one_before_it_is_taken_back() {
    let (desk, mut run) = slow();
    until_weight(&mut run, 20);
    let mut waiting = desk.start(&["run", "--revision", "v9", "--run", "waiting"]);
    waiting.until(|line| line["kind"] == "progress" && line["behind"].is_array());
    assert_eq!(desk.say(&["rollback", "orders-v2", "--as", "grace", "--why", "users complain"]).code, 0);
    let (back, after) = (run.end(), waiting.end());
    assert_eq!((back.code, after.code), (3, 5), "{}", after.text);
    let at = |said: &super::Said, event: &str| {
        let found = said.lines.iter().find(|line| is_record(line, event)).unwrap_or_else(|| panic!("no {event}"));
        text_of(found, "at").to_owned()
    };
    assert!(at(&back, "ended") <= at(&after, "admitted"), "it went on before");
    assert_eq!(desk.say(&["status"]).all("run").len(), 2, "the way back is no run of its own");
}

/// After its end a run is taken back by a run of its own, once, and that one is not taken back.
///
/// Rows: M233.
#[test]
fn a_release_whose_run_has_ended_is_taken_back_by_a_linked_run() {
    let desk = Desk::new();
    let file = quick(&desk);
    let released = desk.start(&["run", "--file", &file]).end();
    assert_eq!(released.code, 0, "{}", released.text);
    let bad = text_of(released.one("end"), "run").to_owned();
    let back = |run: &str| desk.say(&["rollback", run, "--as", "grace", "--why", "orders are lost", "--file", &file]);

    let without = desk.say(&["rollback", &bad, "--as", "grace", "--why", "orders are lost"]);
    assert!(without.error(2).contains("no pipeline slow"), "{}", without.text);
    let taken = back(&bad);
    assert_eq!(taken.code, 0, "{}", taken.text);
    let begun = taken.one("run");
    assert_eq!((&begun["takes_back"], &begun["state"]), (&bad.as_str().into(), &"started".into()), "{begun}");
    let last = taken.lines.iter().rev().find(|line| is_record(line, "looked")).expect("it looked");
    let weights = &last["body"]["observed"]["weights"];
    assert!(weights["v1"] == 100 && weights["v2"].as_u64().unwrap_or(0) == 0, "{weights}");

    let again = back(&bad);
    assert_eq!((again.code, &again.one("run")["state"]), (0, &"over".into()), "{}", again.text);
    let other = back(text_of(begun, "run"));
    assert!(other.error(7).contains("a rollback starts no other"), "{}", other.text);
    assert_eq!(desk.say(&["status"]).all("run").len(), 2);
}
