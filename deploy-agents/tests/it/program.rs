//! Programs: this test program again, told by a variable how to behave.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deploy_agents::agents::Program;
use deploy_agents::process::CommandLine;
use deploy_core::agent::{Agent, AgentCard, AgentError, Cancellation, Certainty, Performed, Report, StepContext, Task};
use deploy_core::effect::{EffectKey, Fence};
use deploy_core::evidence::EvidencePolicy;
use deploy_core::name::{BlockName, CheckName, RunId};
use deploy_core::plan::StepPath;
use deploy_core::release::{Change, Release};
use deploy_core::time::Now;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::load::{BOUND, eventually};

/// Not a test of its own: the body of the child process. Without the variable it has nothing to do.
#[test]
fn behaves_as_a_child() {
    let Ok(behaviour) = std::env::var("BEHAVIOUR") else { return };
    let pids = std::env::var("PIDS").map(std::path::PathBuf::from);
    // Whole or not at all: whoever finds the file may end this process at once.
    let note = |name: &str| {
        let file = pids.as_ref().expect("a directory").join(name);
        let beside = file.with_extension("unfinished");
        std::fs::write(&beside, std::process::id().to_string()).expect("written");
        std::fs::rename(beside, file).expect("renamed");
    };
    match behaviour.as_str() {
        "tell" => {
            let mut all: Vec<_> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
            all.sort();
            println!("{}", all.join("\n"));
        }
        "much" => (0..20_000).for_each(|n| println!("line {n}")),
        "fail" => {
            eprintln!("the disk is full");
            std::process::exit(7);
        }
        "leak" => {
            let secret = std::env::var("SECRET").expect("a secret");
            eprintln!("could not log in with {secret}");
            std::process::exit(1);
        }
        // Refuses to end politely, and has a child of its own that does the same.
        "stubborn" | "stubborn-child" => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let mut term =
                    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("a handler");
                if behaviour == "stubborn" {
                    line("stubborn-child").leave();
                }
                note(&behaviour);
                loop {
                    term.recv().await;
                }
            });
        }
        // Ends well, and leaves a child behind.
        "litter" => {
            line("stubborn-child").leave();
            while !pids.as_ref().expect("a directory").join("stubborn-child").exists() {
                std::thread::yield_now();
            }
        }
        // Says that it was started, and ends when it may.
        "once" => {
            use std::io::Write;
            let dir = pids.expect("a directory");
            let count = std::fs::File::options().create(true).append(true).open(dir.join("count"));
            count.and_then(|mut file| file.write_all(b"1")).expect("written");
            println!("started with {}", std::env::var("SECRET").unwrap_or_default());
            while !dir.join("go").exists() {
                std::thread::yield_now();
            }
        }
        other => panic!("{other}"),
    }
}

struct Line(std::process::Command);

impl Line {
    #[expect(clippy::zombie_processes, reason = "these children are meant to be left behind")]
    fn leave(mut self) {
        self.0.spawn().expect("it starts");
    }
}

fn line(behaviour: &str) -> Line {
    let mut command = std::process::Command::new(std::env::current_exe().expect("a path"));
    command.args(["--exact", "program::behaves_as_a_child", "--nocapture"]).env("BEHAVIOUR", behaviour);
    Line(command)
}

fn program(behaviour: &str) -> Program {
    let line = CommandLine::new(std::env::current_exe().expect("a path"))
        .args(["--exact", "program::behaves_as_a_child", "--nocapture"])
        .env("BEHAVIOUR", behaviour);
    Program::new(AgentCard::new(BlockName::new("program").expect("a name"), "does what it is told"), line)
}

pub(crate) fn task() -> Task {
    let change = Change { commit: Some("abc123".to_owned()), ..Change::default() };
    let release = Release::new(
        "shop".try_into().expect("a name"),
        "test".try_into().expect("a name"),
        "v2".try_into().expect("a name"),
    );
    Task::new(StepPath::new("build/it").expect("a path"), false, Arc::new(release.change(change)), BTreeMap::new())
}

pub(crate) fn context(timeout: Duration, cancellation: Cancellation) -> StepContext {
    let key = EffectKey {
        run: RunId::new("run-1").expect("a name"),
        step: StepPath::new("build/it").expect("a path"),
        undo: false,
        iteration: 0,
        attempt: 1,
    };
    StepContext::new(key, Fence { epoch: 3, seq: 14 }, Now::default(), timeout, cancellation)
}

async fn run(program: &Program) -> Result<Report, AgentError> {
    match program.perform(&task(), &context(BOUND, Cancellation::never())).await? {
        Performed::Done(report) => Ok(report),
        Performed::Running { .. } => panic!("a program runs to its end"),
    }
}

fn said(report: &Report) -> String {
    String::from_utf8_lossy(&report.evidence[0].bytes).into_owned()
}

#[tokio::test]
async fn a_program_gets_the_effect_and_nothing_of_our_environment() {
    let check = CheckName::new("built").expect("a name");
    let report = run(&program("tell").env("OWN", "1").claims(check.clone())).await.expect("it ends well");
    let said = said(&report);
    for line in
        ["BEHAVIOUR=tell", "DEPLOY_EFFECT_KEY=run-1/build/it/do/0/1", "DEPLOY_FENCE_EPOCH=3", "DEPLOY_FENCE_SEQ=14"]
    {
        assert!(said.contains(line), "{line} is not in {said}");
    }
    assert!(!said.contains("CARGO"), "our environment was handed down: {said}");
    let evidence = &report.evidence[0].evidence;
    assert_eq!((evidence.kind.as_str(), evidence.producer.finished), ("program-output", true));
    assert_eq!(evidence.subject.commit.as_deref(), Some("abc123"));
    assert_eq!((&report.claims[0].check, report.claims[0].evidence[0]), (&check, evidence.digest));
    // The core's own verifier accepts it.
    let wanted = deploy_core::evidence::Verification { check, policy: EvidencePolicy::default() };
    let task = task();
    let bytes = BTreeMap::from([(evidence.digest, report.evidence[0].bytes.clone())]);
    let agent = BlockName::new("program").expect("a name");
    let particulars = [evidence.clone()];
    let receipt = deploy_core::evidence::verify(
        &wanted,
        &agent,
        &task.release,
        &report.claims,
        &particulars,
        &bytes,
        None,
        None,
        evidence.observed_at,
    );
    assert!(receipt.verdict.is_met(), "{receipt:?}");
}

#[tokio::test]
async fn output_is_bounded_and_says_what_was_cut() {
    let report = run(&program("much").keep(1_000)).await.expect("it ends well");
    let said = said(&report);
    assert!(said.len() < 2_500, "{} bytes were kept", said.len());
    assert!(said.contains("line 0\n") && said.contains("line 19999\n") && said.contains("bytes were cut"), "{said}");
}

#[tokio::test]
async fn how_a_program_ended_says_how_sure_we_are() {
    let failed = run(&program("fail")).await.expect_err("it fails");
    assert_eq!(failed.certainty, Certainty::Definitive);
    assert!(failed.message.contains("exit code 7") && failed.message.contains("the disk is full"), "{failed}");
    assert!(run(&program("fail").succeeds_with([0, 7])).await.is_ok());
    let absent = Program::new(program("x").card(), CommandLine::new("/there/is/no/such/program"));
    assert_eq!(run(&absent).await.expect_err("nothing there").certainty, Certainty::Definitive);
}

#[tokio::test]
async fn a_secret_never_appears() {
    const SECRET: &str = "hunter2-and-more";
    let with = |behaviour| program(behaviour).secret_env("SECRET", SECRET);
    let report = run(&with("tell")).await.expect("it ends well");
    assert!(said(&report).contains("SECRET=[secret]"), "the program got it: {}", said(&report));
    let error = run(&with("leak")).await.expect_err("it fails");
    assert!(error.message.contains("could not log in with [secret]"), "{error}");
    let everything = format!("{:?} {report:?} {error:?} {}", with("tell"), error.chain());
    assert!(!everything.contains(SECRET) && !said(&report).contains(SECRET));
}

fn pid(dir: &std::path::Path, name: &str) -> Option<Pid> {
    std::fs::read_to_string(dir.join(name)).ok()?.parse().ok().map(Pid::from_raw)
}

#[tokio::test]
async fn nothing_of_the_group_survives_cancellation_or_timeout() {
    for cancelled in [true, false] {
        let dir = tempfile::tempdir().expect("a directory");
        let program =
            program("stubborn").env("PIDS", dir.path().to_str().expect("text")).grace(Duration::from_millis(50));
        let (raise, cancellation) = Cancellation::new();
        let timeout = if cancelled { BOUND } else { Duration::from_millis(1_500) };
        let (task, context) = (task(), context(timeout, cancellation));
        let running = program.perform(&task, &context);
        let stopping = async {
            if cancelled {
                eventually("both run", || {
                    pid(dir.path(), "stubborn").is_some() && pid(dir.path(), "stubborn-child").is_some()
                })
                .await;
                raise.raise();
            }
        };
        let (outcome, ()) = tokio::join!(running, stopping);
        let error = outcome.expect_err("it was stopped");
        assert_eq!(error.certainty, Certainty::Unknown, "{error}");
        for name in ["stubborn", "stubborn-child"] {
            // On a slow machine the timeout may come before they have begun; then there is nothing to survive.
            if let Some(pid) = pid(dir.path(), name) {
                eventually("it is gone", || is_gone(pid)).await;
            }
        }
    }
}

#[tokio::test]
async fn what_a_program_leaves_behind_is_cleared_away() {
    let dir = tempfile::tempdir().expect("a directory");
    run(&program("litter").env("PIDS", dir.path().to_str().expect("text"))).await.expect("it ends well");
    let left = pid(dir.path(), "stubborn-child").expect("it ran");
    eventually("it is gone", || is_gone(left)).await;
}

/// Gone, or dead and waiting for its parent to notice.
pub(crate) fn is_gone(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    kill(pid, None).is_err() || stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
}
