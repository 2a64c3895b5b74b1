//! A program that outlives the engine.

mod marker;
mod supervisor;

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::agent::{Agent, AgentCard, AgentError, Handle, Lookup, Performed, Report, StepContext, Task};
use deploy_core::effect::EffectKey;
use deploy_core::evidence::{Claim, Collected, EvidenceSubject};
use deploy_core::name::CheckName;
use deploy_core::time::{Clock, SystemClock};

use self::marker::{Marker, Standing};
pub use self::supervisor::supervise_if_asked;
use super::subject;
use crate::process::CommandLine;
use crate::wait::until;

/// How long a supervisor may take to take over: it only has to lock a file.
const TAKE_OVER: Duration = Duration::from_secs(30);
/// How often the marker is looked at while a call waits for it.
const EVERY: Duration = Duration::from_millis(10);

/// Starts a program that goes on when the engine stops, and finds it again from any process of the same machine.
///
/// For each effect key there is a directory. The program is started and watched by a *supervisor*, a process in a session of
/// its own, which holds a lock in that directory for as long as it lives and leaves the exit status there. It marks the
/// directory before it starts the program, so that a program is started **at most once** for each key, whoever asks how often.
/// Repeating an attempt is therefore safe, and the card says so.
///
/// The supervisor is your own executable. Its `main` must begin with [`supervise_if_asked`]:
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     if let Some(code) = deploy_agents::agents::supervise_if_asked() {
///         return code;
///     }
///     // … the host itself …
///     std::process::ExitCode::SUCCESS
/// }
/// ```
///
/// | what is found | answer |
/// |---|---|
/// | an accepted exit code | done |
/// | another exit code, or the program could not be started | a definitive failure |
/// | ended by a signal | unknown; a look-up then says that it failed |
/// | the supervisor was killed, or the machine restarted, while the program ran | unknown, and the look-up cannot tell either |
///
/// The output is read by the supervisor and kept with the same bound as that of [`Program`](super::Program); secrets are
/// handed to it in its environment, never in a file.
#[derive(Debug, Clone)]
pub struct BackgroundProgram {
    card: AgentCard,
    line: CommandLine,
    state: PathBuf,
    supervisor: CommandLine,
    accepted: Vec<i32>,
    claims: Option<CheckName>,
    poll_after: Duration,
    grace: Duration,
    clock: Arc<dyn Clock>,
}

impl BackgroundProgram {
    /// A program whose exit code 0 means success. `state` is a directory that every host on this machine shares and that
    /// survives a restart; `supervisor` is an executable whose `main` begins with [`supervise_if_asked`].
    #[must_use]
    pub fn new(card: AgentCard, line: CommandLine, state: impl Into<PathBuf>, supervisor: CommandLine) -> Self {
        let state = state.into();
        Self {
            card: card.repeatable(),
            line,
            // The supervisor may work in another directory.
            state: std::path::absolute(&state).unwrap_or(state),
            supervisor,
            accepted: vec![0],
            claims: None,
            poll_after: Duration::from_secs(5),
            grace: Duration::from_secs(10),
            clock: Arc::new(SystemClock::new()),
        }
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

    /// The same with another time between two polls. Default 5 s.
    #[must_use]
    pub fn poll_after(mut self, span: Duration) -> Self {
        self.poll_after = span;
        self
    }

    /// The same with another time between SIGTERM and SIGKILL when it is cancelled. Default 10 s.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    fn marker(&self, key: &EffectKey) -> Marker {
        Marker::of(&self.state, key)
    }

    /// Starts a supervisor and waits until one has marked the directory.
    async fn start(&self, marker: &Marker, cx: &StepContext) -> Result<(), AgentError> {
        let failed =
            |what: &str, error: std::io::Error| AgentError::transient(format!("{what} for {}", cx.key)).because(error);
        marker.prepare(&self.line, &cx.key).map_err(|e| failed("the state directory could not be written", e))?;
        let line = self
            .line
            .clone()
            .env("DEPLOY_EFFECT_KEY", cx.key.to_string())
            .env("DEPLOY_FENCE_EPOCH", cx.fence.epoch.to_string())
            .env("DEPLOY_FENCE_SEQ", cx.fence.seq.to_string());
        let mut command = self.supervisor.detached(&line);
        command.env(supervisor::DIRECTORY, marker.dir()).env(supervisor::SECRETS, line.secret_names().join(","));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|e| failed("the supervisor could not be started", e))?;
        let taken = until(TAKE_OVER, EVERY, || async { marker.has_begun().then_some(()) }).await;
        if taken.is_err() {
            let _ = child.kill().await;
            if !marker.has_begun() {
                let why = "the supervisor did not take over; does its main begin with supervise_if_asked()?";
                return Err(AgentError::definitive(why));
            }
        }
        // A child that is dropped is reaped by the runtime when it ends; it is not killed.
        Ok(())
    }

    fn running(&self, process: Option<marker::Process>) -> Performed {
        let handle =
            Handle(process.map_or_else(|| "starting".to_owned(), |p| format!("pid {} started {}", p.pid, p.start)));
        Performed::Running { handle, poll_after: self.poll_after }
    }

    fn report(&self, about: EvidenceSubject, code: i32, output: Vec<u8>) -> Report {
        let name = self.line.name();
        let summary = format!("{name} ended with exit code {code}");
        let evidence =
            Collected::new("program-output", &name, about, self.clock.wall(), output).summary(summary.clone());
        let mut report = Report::new().note(summary);
        if let Some(check) = &self.claims {
            let value = format!("exit code {code}");
            report = report.claim(Claim { check: check.clone(), evidence: vec![evidence.evidence.digest], value });
        }
        report.evidence(evidence)
    }

    /// What the directory says, as the answer of a call.
    fn answer(&self, marker: &Marker, about: EvidenceSubject) -> Result<Performed, AgentError> {
        let name = self.line.name();
        match marker.standing() {
            Standing::NotBegun => Err(AgentError::transient(format!("{name} has not begun"))),
            Standing::Running(process) => Ok(self.running(process)),
            Standing::Exited { code, output } if self.accepted.contains(&code) => {
                Ok(self.report(about, code, output).into())
            }
            Standing::Exited { code, .. } => Err(AgentError::definitive(format!("{name} ended with exit code {code}"))),
            Standing::NotStarted(why) => Err(AgentError::definitive(format!("{name} could not be started: {why}"))),
            Standing::Killed(signal) => Err(AgentError::unknown(format!("{name} was ended by signal {signal}"))),
            Standing::Lost => {
                Err(AgentError::unknown(format!("the supervisor of {name} is gone and left no exit status")))
            }
        }
    }
}

#[async_trait]
impl Agent for BackgroundProgram {
    fn card(&self) -> AgentCard {
        self.card.clone()
    }

    async fn perform(&self, task: &Task, cx: &StepContext) -> Result<Performed, AgentError> {
        let marker = self.marker(&cx.key);
        marker.keep_subject(&subject(task));
        if matches!(marker.standing(), Standing::NotBegun) {
            if cx.cancellation.is_cancelled() {
                return Err(AgentError::transient("it was cancelled before it was started"));
            }
            self.start(&marker, cx).await?;
        }
        self.answer(&marker, subject(task))
    }

    async fn poll(&self, _handle: &Handle, cx: &StepContext) -> Result<Performed, AgentError> {
        let marker = self.marker(&cx.key);
        self.answer(&marker, marker.subject())
    }

    async fn lookup(&self, key: &EffectKey, _cx: &StepContext) -> Result<Lookup, AgentError> {
        let marker = self.marker(key);
        let name = self.line.name();
        Ok(match marker.standing() {
            // Whatever supervisor may still be on its way is told to leave it: only then was it never started.
            Standing::NotBegun if marker.withdraw() => Lookup::NeverStarted,
            Standing::NotBegun => Lookup::Unknown,
            Standing::Running(process) => match self.running(process) {
                Performed::Running { handle, poll_after } => Lookup::Running { handle, poll_after },
                Performed::Done(report) => Lookup::Finished(report),
            },
            Standing::Exited { code, output } if self.accepted.contains(&code) => {
                Lookup::Finished(self.report(marker.subject(), code, output))
            }
            Standing::Exited { code, .. } => Lookup::Failed(format!("{name} ended with exit code {code}")),
            Standing::NotStarted(why) => Lookup::Failed(format!("{name} could not be started: {why}")),
            Standing::Killed(signal) => Lookup::Failed(format!("{name} was ended by signal {signal}")),
            Standing::Lost => Lookup::Unknown,
        })
    }

    async fn cancel(&self, key: &EffectKey, _handle: Option<&Handle>, _cx: &StepContext) -> Result<(), AgentError> {
        use nix::sys::signal::Signal;
        let marker = self.marker(key);
        if matches!(marker.standing(), Standing::NotBegun) && marker.withdraw() {
            return Ok(());
        }
        let ended = || async { (!matches!(marker.standing(), Standing::Running(_))).then_some(()) };
        marker.signal(Signal::SIGTERM);
        if until(self.grace, EVERY, ended).await.is_err() {
            marker.signal(Signal::SIGKILL);
            if until(TAKE_OVER, EVERY, ended).await.is_err() {
                return Err(AgentError::unknown(format!("{} did not end", self.line.name())));
            }
        }
        Ok(())
    }
}
