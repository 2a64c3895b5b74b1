//! Programs that outlive the engine.

use std::path::Path;
use std::time::Duration;

use deploy_agents::agents::{BackgroundProgram, supervise_if_asked};
use deploy_agents::process::CommandLine;
use deploy_agents::wait::until;
use deploy_core::agent::{Agent, AgentCard, Cancellation, Certainty, Handle, Lookup, Performed, Report};
use deploy_core::name::{BlockName, CheckName};
use deploy_core::testing::conformance::agent::AgentSuite;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::load::{BOUND, EVERY, eventually};
use crate::program::{context, is_gone, task};

const SECRET: &str = "hunter2-and-more";

/// Not a test of its own: the body of the supervisor.
#[test]
fn supervises_as_a_child() {
    let _ = supervise_if_asked();
}

fn this(test: &str) -> CommandLine {
    CommandLine::new(std::env::current_exe().expect("a path")).args(["--exact", test, "--nocapture"])
}

/// Made anew each time, as another process would.
pub(crate) fn background(dir: &Path, behaviour: &str) -> BackgroundProgram {
    let line = this("program::behaves_as_a_child")
        .env("BEHAVIOUR", behaviour)
        .env("PIDS", dir.to_str().expect("text"))
        .secret_env("SECRET", SECRET);
    let card = AgentCard::new(BlockName::new("background").expect("a name"), "does what it is told");
    BackgroundProgram::new(card, line, dir.join("state"), this("background::supervises_as_a_child"))
        .claims(CheckName::new("done").expect("a name"))
        .poll_after(Duration::from_millis(10))
        .grace(Duration::from_millis(100))
}

async fn start(dir: &Path, behaviour: &str) -> Handle {
    let cx = context(BOUND, Cancellation::never());
    match background(dir, behaviour).perform(&task(), &cx).await.expect("started") {
        Performed::Running { handle, .. } => handle,
        Performed::Done(report) => panic!("done already: {report:?}"),
    }
}

async fn to_the_end(dir: &Path, behaviour: &str) -> Report {
    let (agent, cx) = (background(dir, behaviour), context(BOUND, Cancellation::never()));
    let poll = || async {
        match agent.poll(&Handle("whatever".to_owned()), &cx).await.expect("it goes well") {
            Performed::Done(report) => Some(report),
            Performed::Running { .. } => None,
        }
    };
    until(BOUND, EVERY, poll).await.expect("it ends")
}

/// Waits until the handle names the process.
async fn pid(dir: &Path, behaviour: &str) -> Pid {
    let (agent, cx) = (background(dir, behaviour), context(BOUND, Cancellation::never()));
    let look = || async {
        let Ok(Lookup::Running { handle, .. }) = agent.lookup(&cx.key, &cx).await else { return None };
        let pid = handle.0.strip_prefix("pid ")?.split(' ').next()?.parse().ok()?;
        Some(Pid::from_raw(pid))
    };
    until(BOUND, EVERY, look).await.expect("it runs")
}

fn starts(dir: &Path) -> usize {
    std::fs::read(dir.join("count")).unwrap_or_default().len()
}

#[tokio::test]
async fn it_is_started_once_whoever_asks_and_found_again_by_another_process() {
    let dir = tempfile::tempdir().expect("a directory");
    // The engine that starts it first is gone at once; two others ask at the same time.
    {
        let (agent, task, cx) = (background(dir.path(), "once"), task(), context(BOUND, Cancellation::never()));
        let mut first = agent.perform(&task, &cx);
        let _ = futures::poll!(first.as_mut());
    }
    let (_, _) = tokio::join!(start(dir.path(), "once"), start(dir.path(), "once"));
    pid(dir.path(), "once").await;
    eventually("it says that it was started", || starts(dir.path()) > 0).await;
    std::fs::write(dir.path().join("go"), "").expect("written");
    let report = to_the_end(dir.path(), "once").await;
    assert_eq!(starts(dir.path()), 1);
    let evidence = &report.evidence[0];
    assert_eq!(evidence.evidence.subject.commit.as_deref(), Some("abc123"), "also when another process asks");
    assert_eq!(report.claims[0].evidence[0], evidence.evidence.digest);
    let said = String::from_utf8_lossy(&evidence.bytes).into_owned();
    assert!(said.contains("started with [secret]"), "{said}");
    let cx = context(BOUND, Cancellation::never());
    let again = background(dir.path(), "once").perform(&task(), &cx).await.expect("known");
    assert!(matches!(again, Performed::Done(same) if same.evidence[0].bytes == evidence.bytes));
    assert!(matches!(background(dir.path(), "once").lookup(&cx.key, &cx).await, Ok(Lookup::Finished(_))));
    assert_eq!(starts(dir.path()), 1);
    // Nothing on disk holds the secret.
    for file in std::fs::read_dir(dir.path().join("state")).expect("a directory").flatten() {
        for file in std::fs::read_dir(file.path()).expect("a directory").flatten() {
            let bytes = std::fs::read(file.path()).expect("a file");
            assert!(!String::from_utf8_lossy(&bytes).contains(SECRET), "{:?}", file.path());
        }
    }
}

#[tokio::test]
async fn a_failure_is_told_and_a_lost_supervisor_is_admitted() {
    let failing = tempfile::tempdir().expect("a directory");
    let cx = context(BOUND, Cancellation::never());
    let agent = background(failing.path(), "fail");
    assert_eq!(agent.lookup(&cx.key, &cx).await.expect("an answer"), Lookup::NeverStarted);
    let _ = agent.perform(&task(), &cx).await;
    let look =
        || async { Some(agent.lookup(&cx.key, &cx).await.ok()).filter(|l| !matches!(l, Some(Lookup::Running { .. }))) };
    let found = until(BOUND, EVERY, look).await.expect("it ends");
    assert!(matches!(&found, Some(Lookup::Failed(why)) if why.contains("exit code 7")), "{found:?}");

    let lost = tempfile::tempdir().expect("a directory");
    start(lost.path(), "once").await;
    let program = pid(lost.path(), "once").await;
    eventually("it says that it was started", || starts(lost.path()) > 0).await;
    let stat = std::fs::read_to_string(format!("/proc/{program}/stat")).expect("it runs");
    let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
    let supervisor = Pid::from_raw(parent.expect("a parent"));
    kill(supervisor, Signal::SIGKILL).expect("it lives");
    let agent = background(lost.path(), "once");
    let gone = || async { agent.poll(&Handle(String::new()), &cx).await.err() };
    let error = until(BOUND, EVERY, gone).await.expect("it is noticed");
    assert_eq!(error.certainty, Certainty::Unknown);
    assert_eq!(agent.lookup(&cx.key, &cx).await.expect("an answer"), Lookup::Unknown);
    // Asked again it is not started a second time: nobody knows what became of the first.
    assert!(agent.perform(&task(), &cx).await.is_err());
    assert_eq!(starts(lost.path()), 1);
    std::fs::write(lost.path().join("go"), "").expect("written");
    eventually("the program ends", || is_gone(program)).await;
}

#[tokio::test]
async fn cancelled_it_ends_with_its_group_and_the_look_up_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    start(dir.path(), "stubborn").await;
    let program = pid(dir.path(), "stubborn").await;
    eventually("both run", || dir.path().join("stubborn").exists() && dir.path().join("stubborn-child").exists()).await;
    let cx = context(BOUND, Cancellation::never());
    let agent = background(dir.path(), "stubborn");
    agent.cancel(&cx.key, None, &cx).await.expect("it ends");
    assert!(matches!(agent.lookup(&cx.key, &cx).await, Ok(Lookup::Failed(why)) if why.contains("signal 9")));
    let child = std::fs::read_to_string(dir.path().join("stubborn-child")).expect("its pid").parse().expect("a pid");
    eventually("its group is gone", || is_gone(program) && is_gone(Pid::from_raw(child))).await;
}

#[tokio::test]
async fn a_background_program_conforms() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("go"), "").expect("written");
    let count = || starts(dir.path()) as u64;
    let run = AgentSuite::new().effects(&count).run(&background(dir.path(), "once")).await;
    assert!(run.contains(&"is repeatable, as its card says"));
}
