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
