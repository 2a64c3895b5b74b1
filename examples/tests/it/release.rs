//! The main job, end to end: with real processes, real requests, and an engine that is killed.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use deploy_agents::wait::until;
use deploy_core::journal::{Envelope, Journal as _, SqliteJournal, verify_run};
use deploy_core::machine::{Event, Record};
use deploy_core::name::{RevisionName, RunId};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::program::{Job, stdout};

/// Far longer than anything takes, so that a busy machine fails nothing.
const BOUND: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_millis(20);

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

/// What must be so whatever became of the engines on the way.
#[track_caller]
fn is_as_told(lines: &[Value]) -> &Value {
    let summary = lines.last().expect("lines");
    assert_eq!(summary["kind"], "summary", "{summary}");
    assert_eq!(summary["failed_by_the_release_machinery"], 0, "{}", summary["users"]["reasons"]);
    let (v2, v3) = (&summary["runs"][0], &summary["runs"][1]);
    assert_eq!((&v2["version"], &v2["outcome"]), (&"v2".into(), &"succeeded".into()), "{v2}");
    assert_eq!((&v3["version"], &v3["outcome"]), (&"v3".into(), &"rolled_back".into()), "{v3}");
    let detected = &v3["detected"];
    assert_eq!(detected["code"], "analysis-failed");
    assert!([5, 25].map(Value::from).contains(&detected["percent"]), "detected before half of the users met it: {v3}");
    let broken = |metric: &Value| metric["broken"] == true && metric["measured"].as_f64() > Some(0.05);
    assert!(detected["measured"].as_array().is_some_and(|metrics| metrics.iter().any(broken)), "{detected}");
    let exposed = summary["users_exposed_to_the_bad_version"].as_u64().expect("a number");
    let users = summary["users"]["users"].as_u64().expect("a number");
    assert!(0 < exposed && exposed < users / 2, "{exposed} of {users} users met version 3");
    assert!(summary["users"]["versions"]["v3"]["refused"].as_u64() > Some(0), "the fault was met");
    assert_eq!(summary["users"]["versions"]["v2"]["refused"], 0);
    assert_eq!(summary["as_told"], true);
    summary
}

/// Whether a process is neither gone nor a zombie.
fn is_alive(pid: &Value) -> bool {
    if !Path::new("/proc/self/stat").exists() {
        return kill(id(pid), None).is_ok();
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

fn wait_for(what: &str, condition: impl FnMut() -> bool + Send) {
    let mut condition = condition;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let met = runtime.block_on(until(BOUND, EVERY, || std::future::ready(condition().then_some(()))));
    assert!(met.is_ok(), "never came true: {what}");
}

fn verify_journal(summary: &Value) {
    let path = summary["journal"].as_str().expect("a path");
    let journal = SqliteJournal::open(Path::new(path)).expect("the journal opens");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for run in summary["runs"].as_array().expect("runs") {
        let id = RunId::new(run["run"].as_str().expect("an id")).expect("an id");
        let report = runtime.block_on(verify_run(&journal, &id, None)).expect("the chain of hashes holds");
        assert_eq!(Value::from(report.head.next), run["records"]);
    }
}

/// The parts of a hundred that the version of a run was seen with, look by look.
fn weights_of(summary: &Value, run: usize) -> Vec<u64> {
    let path = summary["journal"].as_str().expect("a path");
    let journal = SqliteJournal::open(Path::new(path)).expect("the journal opens");
    let run = &summary["runs"][run];
    let id = RunId::new(run["run"].as_str().expect("an id")).expect("an id");
    let version = RevisionName::new(run["version"].as_str().expect("a version")).expect("a name");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let stored = runtime.block_on(journal.read(&id, 0, usize::MAX)).expect("records");
    let records = stored.iter().map(|stored| {
        let envelope = Envelope::parse(&stored.bytes).expect("an envelope");
        Record::open(&envelope).expect("a record").event
    });
    let looks = records.filter_map(|event| match event {
        Event::Looked(looked) => looked.observed.map(|seen| u64::from(seen.weight(&version))),
        _ => None,
    });
    looks.collect()
}

#[test]
fn a_good_version_goes_out_and_a_broken_one_comes_back() {
    let job = Job::new();
    let output = job.run(&["--json"]);
    let text = stdout(&output);
    let lines = lines(&text);
    assert!(output.status.success(), "{text}");
    let summary = is_as_told(&lines);
    verify_journal(summary);

    let place = of_kind(&lines, "place")[0];
    assert_eq!(place["adopted"], false);
    wait_for("the place is gone", || !is_alive(&place["place_pid"]));

    let said = |version: &str, what: &str| {
        of_kind(&lines, "record").into_iter().filter(|r| r["version"] == version && r["what"] == what).count()
    };
    assert_eq!((said("v2", "verified"), said("v2", "go"), said("v2", "turned_back")), (3, 1, 0));
    assert_eq!((said("v3", "verified"), said("v3", "go"), said("v3", "turned_back")), (2, 1, 1));
    // What is shown in between may skip a rung while the machine is busy with something else; the records skip none.
    let shown: Vec<_> = of_kind(&lines, "progress")
        .iter()
        .filter(|p| p["version"] == "v2")
        .filter_map(|p| p["steps"][0]["rollout"]["actual"].as_u64())
        .collect();
    let weights = weights_of(summary, 0);
    assert!([5, 25, 50, 100].iter().all(|rung| weights.contains(rung)), "every rung was reached: {weights:?}");
    assert!(weights.is_sorted() && shown.is_sorted() && !shown.is_empty(), "{weights:?} {shown:?}");
}

/// Kills the engine at a record, sees that the place lives on, and lets another engine finish.
fn killed_at(n: u64) {
    let job = Job::new();
    let killed = job.run(&["--json", "--kill-at", &n.to_string()]);
    assert_eq!(killed.status.signal(), Some(Signal::SIGKILL as i32), "{killed:?}");
    let before = lines(&stdout(&killed));
    let place = &of_kind(&before, "place")[0]["place_pid"];
    assert!(is_alive(place), "the place lives on");

    let resumed = job.run(&["--json"]);
    let text = stdout(&resumed);
    assert!(resumed.status.success(), "{text}\n{}", String::from_utf8_lossy(&resumed.stderr));
    let after = lines(&text);
    let adopted = of_kind(&after, "place")[0];
    assert_eq!((&adopted["adopted"], &adopted["place_pid"]), (&true.into(), place), "the same place");
    assert!(adopted["requests"].as_u64() > Some(0), "its users were there all the time");
    verify_journal(is_as_told(&after));
}

#[test]
fn killed_at_the_first_record() {
    killed_at(1);
}

#[test]
fn killed_in_the_checks() {
    killed_at(5);
}

#[test]
fn killed_in_the_rollout() {
    killed_at(24);
}

#[test]
fn killed_while_a_weight_is_changed() {
    killed_at(33);
}

#[test]
fn killed_in_the_second_release() {
    killed_at(84);
}

fn begin(job: &Job) -> Child {
    job.command(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the example starts")
}

fn place_of(job: &Job) -> Option<Value> {
    let text = std::fs::read(job.state().join("session/place.json")).ok()?;
    serde_json::from_slice(&text).ok()
}

fn id(pid: &Value) -> Pid {
    Pid::from_raw(pid.as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a process id"))
}

/// The children of all threads of a process.
#[cfg(target_os = "linux")]
fn children_of(pid: &Value) -> Vec<Value> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
    let lists = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let lists: Vec<String> = lists.collect();
    lists.iter().flat_map(|list| list.split_whitespace()).map(|pid| pid.parse::<u64>().expect("an id").into()).collect()
}

#[test]
fn interrupted_it_hands_the_run_back_and_says_how_to_go_on() {
    let job = Job::new();
    let engine = begin(&job);
    wait_for("the run is in the journal", || job.state().join("session/journal.sqlite").exists());
    let second = job.run(&[]);
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another engine is at work"), "{second:?}");

    kill(id(&engine.id().into()), Signal::SIGINT).expect("it is there");
    let output = engine.wait_with_output().expect("it ends");
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(text.contains("The place was started"), "{text}");
    assert!(text.contains("run the same again to go on"), "{text}");
    assert!(!text.contains('\x1b'), "plain lines where there is no terminal");

    let place = place_of(&job).expect("a place");
    assert!(is_alive(&place["pid"]));
    let stopped = job.run(&["--stop"]);
    assert!(stopped.status.success(), "{stopped:?}");
    wait_for("the place is gone", || !is_alive(&place["pid"]));
}

#[test]
#[cfg(target_os = "linux")]
fn a_place_that_was_killed_leaves_nothing_behind_and_is_missed() {
    let job = Job::new();
    let mut engine = begin(&job);
    let mut said = BufReader::new(engine.stdout.take().expect("its output")).lines().map_while(Result::ok);
    assert!(said.any(|line| line.contains("phase 2 of 3 (rollout)")), "the rollout begins");
    let place = place_of(&job).expect("a place");
    let children = children_of(&place["pid"]);
    assert!(children.len() >= 3, "{children:?}");

    kill(id(&place["pid"]), Signal::SIGKILL).expect("it is there");
    wait_for("its processes are gone", || !children.iter().any(is_alive));
    let output = engine.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("begin anew"), "{output:?}");
}
