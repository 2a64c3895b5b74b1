//! Whoever drives a run goes away; the run goes on.

use std::time::Duration;

use deploy_core::time::{Clock as _, SystemClock};
use nix::sys::signal::Signal;

use super::{Desk, is_record, text_of, wait_for};

#[test]
fn an_interrupted_run_is_handed_back_and_the_same_command_goes_on() {
    let desk = Desk::new();
    let run = desk.release(&["--ask"]);
    desk.held();
    run.signal(Signal::SIGINT);
    let handed_back = run.end();
    assert_eq!((handed_back.code, &handed_back.one("end")["meaning"]), (130, &"handed_back".into()));

    // Nobody drives it: what is said lies in the inbox until somebody does.
    let status = desk.say(&["status", "--exit-code"]);
    assert!(status.code == 4 && status.one("status")["driven_by"].is_null(), "{}", status.text);
    let text = desk.text(&["status", "last"]).text;
    assert!(text.contains("nobody drives it now: deployctl run --run orders-v2-"), "{text}");
    let yes = desk.say(&["approve", "--as", "grace", "--why", "looked at it"]);
    assert_eq!((yes.code, &yes.one("said")["became"]), (4, &"waits".into()), "{}", yes.text);

    let resumed = desk.release(&["--ask"]).end();
    assert_eq!((resumed.code, &resumed.one("run")["state"]), (0, &"resumed".into()), "{}", resumed.text);
    assert_eq!(resumed.one("run")["run"], handed_back.one("run")["run"]);
    let took = resumed.lines.iter().find(|line| is_record(line, "took")).expect("it was taken");
    assert!(text_of(took, "text").contains("grace@this-machine says approve pre-deployment/sign-off"), "{took}");
}

#[test]
fn a_killed_host_is_followed_by_another_when_its_lease_has_passed() {
    let desk = Desk::new();
    let run = desk.release(&["--ask"]);
    desk.held();
    run.signal(Signal::SIGKILL);
    let clock = SystemClock::new();
    let killed = clock.monotonic();
    drop(run);
    let mut second = desk.release(&["--ask", "--until-held"]);
    second.until(|line| line["kind"] == "run");
    // It held its lease for six seconds more at the least.
    let in_time = clock.monotonic() < killed + Duration::from_secs(5);
    let held = second.end();
    assert_eq!(held.code, 4, "{}", held.text);
    assert_eq!(held.one("run")["state"], "resumed");
    // A machine that is slow enough starts it only when the lease has passed.
    if in_time {
        assert!(text_of(held.one("waits"), "text").contains("its lease passes within"), "{}", held.text);
    }
    assert!(held.lines.iter().any(|line| is_record(line, "attached")), "{}", held.text);
}

/// Two hosts, one run: the second one does not take what the first one drives.
#[test]
fn a_run_that_is_driven_is_left_to_its_driver() {
    let desk = Desk::new();
    let run = desk.release(&["--ask"]);
    desk.held();
    let second = desk.release(&["--ask"]).end();
    assert!(second.error(4).contains("is driven by deployctl-"), "{}", second.text);
    wait_for("the first one still drives it", || desk.say(&["status", "last"]).one("status")["driven_by"].is_string());
    run.signal(Signal::SIGTERM);
    assert_eq!(run.end().code, 130);
}
