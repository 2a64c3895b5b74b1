//! Runs a program.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::agent::{Agent, AgentCard, AgentError, Performed, Report, StepContext, Task};
use deploy_core::evidence::{Claim, Collected, Finding, Severity};
use deploy_core::name::CheckName;
use deploy_core::time::{Clock, Spell, SystemClock};
use tokio::process::Child;

use super::subject;
use crate::process::{Capture, Captured, CommandLine, Group};
use crate::secret::{Secret, redact};

/// How much of each of stdout and stderr is kept by default: enough for the beginning and the end of a long build log.
const KEPT: usize = 64 * 1024;
/// How long a program has between SIGTERM and SIGKILL by default.
const GRACE: Duration = Duration::from_secs(10);
/// How long output may still trickle in after the last process of the group is gone.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Runs a program to its end, and reports what it wrote as evidence.
///
/// The program gets the effect's name and order as the variables `DEPLOY_EFFECT_KEY`, `DEPLOY_FENCE_EPOCH` and
/// `DEPLOY_FENCE_SEQ`, `DEPLOY_UNDO` (`1` when the step is undone, otherwise `0`), and reads nothing. When it ends, when the
/// step's time is up and when the attempt is cancelled, nothing of its process group is left.
///
/// | what happened | certainty |
/// |---|---|
/// | an exit code that counts as success | done |
/// | it could not be started: not there, not executable | definitive |
/// | it could not be started for want of processes, files or memory | transient |
/// | another exit code | definitive |
/// | ended by a signal, by the step's timeout or by cancellation | unknown |
///
/// The report holds the output as evidence of kind `program-output`, made by the program; a claim for the
/// [check](Self::claims), if one was named, and a finding with the last line that the program wrote.
///
/// ```
/// use deploy_agents::agents::Program;
/// use deploy_agents::process::CommandLine;
/// use deploy_core::agent::AgentCard;
/// use deploy_core::name::BlockName;
///
/// let migrate = Program::new(
///     AgentCard::new(BlockName::new("migrate")?, "brings the database up to date").repeatable(),
///     CommandLine::new("dbmate").args(["--wait", "up"]),
/// )
/// .secret_env("DATABASE_URL", "postgres://app:hunter2@db/app");
/// assert!(!format!("{migrate:?}").contains("hunter2"));
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Program {
    card: AgentCard,
    line: CommandLine,
    accepted: Vec<i32>,
    claims: Option<CheckName>,
    kept: usize,
    grace: Duration,
    clock: Arc<dyn Clock>,
}

impl Program {
    /// A program whose exit code 0 means success.
    ///
    /// Say on the card whether it may be run twice with the same key: a crash of the engine while the program runs leaves its
    /// outcome unknown.
    #[must_use]
    pub fn new(card: AgentCard, line: CommandLine) -> Self {
        Self {
            card,
            line,
            accepted: vec![0],
            claims: None,
            kept: KEPT,
            grace: GRACE,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// The same with a variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<std::ffi::OsString>) -> Self {
        self.line = self.line.env(name, value);
        self
    }

    /// The same with a variable whose value never appears: not in `Debug`, evidence, findings or errors, and not in the
    /// output, where each occurrence is replaced.
    #[must_use]
    pub fn secret_env(mut self, name: impl Into<String>, value: impl AsRef<str>) -> Self {
        self.line = self.line.secret_env(name, value);
        self
    }

    /// The same, where these exit codes mean success.
    #[must_use]
    pub fn succeeds_with(mut self, codes: impl IntoIterator<Item = i32>) -> Self {
        self.accepted = codes.into_iter().collect();
        self
    }

    /// The same, claiming this check with the output as evidence.
    #[must_use]
    pub fn claims(mut self, check: CheckName) -> Self {
        self.claims = Some(check);
        self
    }

    /// The same, keeping this many bytes of each of stdout and stderr: half from the beginning, half from the end.
    #[must_use]
    pub fn keep(mut self, bytes: usize) -> Self {
        self.kept = bytes;
        self
    }

    /// The same with another time between SIGTERM and SIGKILL.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The same with another clock, which dates the evidence.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn spawn(&self, task: &Task, cx: &StepContext) -> Result<Child, AgentError> {
        let line = self
            .line
            .clone()
            .env("DEPLOY_EFFECT_KEY", cx.key.to_string())
            .env("DEPLOY_FENCE_EPOCH", cx.fence.epoch.to_string())
            .env("DEPLOY_FENCE_SEQ", cx.fence.seq.to_string())
            .env("DEPLOY_UNDO", if task.undo { "1" } else { "0" });
        line.command().spawn().map_err(|error| {
            use nix::errno::Errno;
            let passing = matches!(
                error.raw_os_error().map(Errno::from_raw),
                Some(Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE | Errno::ETXTBSY)
            );
            let message = format!("{} could not be started", self.line.name());
            if passing { AgentError::transient(message) } else { AgentError::definitive(message) }.because(error)
        })
    }

    fn report(&self, task: &Task, status: ExitStatus, output: &[u8], last_line: &str, took: Duration) -> Report {
        let name = self.line.name();
        let summary = format!("{name} ended with {status} after {}", Spell(took));
        let evidence = Collected::new("program-output", &name, subject(task), self.clock.wall(), output.to_vec())
            .summary(summary.clone());
        let mut report = Report::new().note(summary);
        if !last_line.is_empty() {
            report =
                report.finding(Finding { severity: Severity::Info, text: format!("{name} said last: {last_line}") });
        }
        if let Some(check) = &self.claims {
            report = report.claim(Claim {
                check: check.clone(),
                evidence: vec![evidence.evidence.digest],
                value: status.to_string(),
            });
        }
        report.evidence(evidence)
    }
}

/// Why a program was not left to end by itself.
enum Stopped {
    TimedOut,
    Cancelled,
}

#[async_trait]
impl Agent for Program {
    fn card(&self) -> AgentCard {
        self.card.clone()
    }

    async fn perform(&self, task: &Task, cx: &StepContext) -> Result<Performed, AgentError> {
        let (name, secrets) = (self.line.name(), self.line.secrets());
        let started = self.clock.monotonic();
        let mut child = self.spawn(task, cx)?;
        // From here on, dropping this future kills the whole group.
        let mut group = Group::led_by(&child)
            .ok_or_else(|| AgentError::unknown(format!("{name} ended before it could be watched")))?;
        let output = Output::read(&mut child, self.kept, &secrets);
        let stopped = tokio::select! {
            ended = child.wait() => match ended {
                Ok(status) => Ok(status),
                Err(error) => return Err(AgentError::unknown(format!("{name} could not be watched")).because(error)),
            },
            () = crate::wait::pause(cx.timeout) => Err(Stopped::TimedOut),
            () = cx.cancellation.cancelled() => Err(Stopped::Cancelled),
        };
        let status = match stopped {
            Ok(status) => {
                // What it left running in its group is no part of the outcome, and must not outlive the step.
                group.kill(&mut child).await;
                status
            }
            Err(why) => {
                group.end(&mut child, self.grace).await;
                let said = output.last_words(&secrets).await.0;
                let why = match why {
                    Stopped::TimedOut => format!("did not end within {}", Spell(cx.timeout)),
                    Stopped::Cancelled => "was cancelled".to_owned(),
                };
                return Err(AgentError::unknown(with_last_words(
                    format!("{name} {why}, and its process group was ended"),
                    &said,
                )));
            }
        };
        let (last_line, bytes) = output.last_words(&secrets).await;
        match status.code() {
            Some(code) if self.accepted.contains(&code) => {
                let took = self.clock.monotonic().saturating_sub(started);
                Ok(self.report(task, status, &bytes, &last_line, took).into())
            }
            Some(code) => {
                Err(AgentError::definitive(with_last_words(format!("{name} ended with exit code {code}"), &last_line)))
            }
            None => Err(AgentError::unknown(with_last_words(
                format!("{name} was ended by somebody else: {status}"),
                &last_line,
            ))),
        }
    }
}

fn with_last_words(what: String, last_line: &str) -> String {
    if last_line.is_empty() { what } else { format!("{what}; it said last: {last_line}") }
}

/// Both streams of a child, while they are read.
struct Output {
    stdout: Capture,
    stderr: Capture,
    readers: Vec<tokio::task::JoinHandle<()>>,
}

impl Output {
    fn read(child: &mut Child, kept: usize, secrets: &[Secret]) -> Self {
        let longest = secrets.iter().map(|secret| secret.expose().len()).max().unwrap_or(0);
        let (stdout, stderr) = (Capture::new(kept, longest), Capture::new(kept, longest));
        let mut readers = Vec::new();
        if let Some(stream) = child.stdout.take() {
            let capture = stdout.clone();
            readers.push(tokio::spawn(async move { capture.read(stream).await }));
        }
        if let Some(stream) = child.stderr.take() {
            let capture = stderr.clone();
            readers.push(tokio::spawn(async move { capture.read(stream).await }));
        }
        Self { stdout, stderr, readers }
    }

    /// The last line and everything that was kept, without secrets. A process that left the group may hold a stream open: it
    /// is not waited for.
    async fn last_words(mut self, secrets: &[Secret]) -> (String, Vec<u8>) {
        let readers = std::mem::take(&mut self.readers);
        let all = async {
            for reader in readers {
                let _ = reader.await;
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, all).await;
        let (stdout, stderr) = (self.stdout.collected(secrets), self.stderr.collected(secrets));
        let last_line = Some(stderr.last_line()).filter(|line| !line.is_empty()).unwrap_or_else(|| stdout.last_line());
        // Names and separators are ours; what stands between them was redacted stream by stream.
        (last_line, document(&stdout, &stderr, secrets))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.readers.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

fn document(stdout: &Captured, stderr: &Captured, secrets: &[Secret]) -> Vec<u8> {
    let mut whole = b"== stdout ==\n".to_vec();
    whole.extend(stdout.to_bytes());
    whole.extend_from_slice(b"\n== stderr ==\n");
    whole.extend(stderr.to_bytes());
    redact(&whole, secrets)
}
