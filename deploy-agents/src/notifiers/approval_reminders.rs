//! Reminds the people whom a run asks.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::digest::Digest;
use deploy_core::driver::RunHandle;
use deploy_core::evidence::Severity;
use deploy_core::operator::ApprovalRequest;
use deploy_core::report::{RunStatus, StepStatus, Waits};
use deploy_core::time::{Spell, millis};

use super::{Delivery, Notice, NoticeKey, Notifier, Once, Party};

/// Tells the people whom a run asks: when it begins to ask them, and again every so often until they have answered.
///
/// It serves every question of the engine's own: approval steps, and rollouts that ask before they go on. The engine itself tells
/// nobody, because it knows no channels; whoever holds the run lets this look at it beside its own work, in the process that drives the
/// run or in another one.
///
/// Named people are told by their subject until they say yes, roles as the party `role NAME` until enough people have said yes, and authors
/// of the change only where their yes counts. While the run is paused nobody is reminded.
///
/// # Restarts
///
/// Nothing is kept. Which reminder is due follows from how long the run has asked, which its journal knows; each reminder to each party
/// has one [`NoticeKey`] for ever, made of the run, the step, the operator's retry, the question and that time. A process
/// that takes over, and two that look at the same run, therefore send the same notices under the same keys, and the receiver takes each
/// once. Of the reminders that fell due while nobody looked only the newest is sent.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use std::time::Duration;
/// use deploy_agents::notifiers::ApprovalReminders;
/// use deploy_core::driver::{Engine, RuntimeClock};
/// use deploy_core::journal::MemoryJournal;
/// use deploy_core::operator::{ApprovalRequest, Principal};
/// use deploy_core::pipeline::Pipeline;
/// use deploy_core::plan::RollbackTo;
/// # use deploy_core::release::Release;
/// # use deploy_core::time::Timestamp;
/// # let notifier = Arc::new(deploy_agents::testing::NotifierStandIn::new());
/// # let clock = Arc::new(RuntimeClock::new(Timestamp(0)));
///
/// let p = Pipeline::builder("release-shop");
/// p.rollback(RollbackTo::Previous);
/// let ask = ApprovalRequest::new("Ship it?").role("release-manager").expires_after(Duration::from_secs(9 * 3600));
/// p.phase("sign-off").approval("ship", ask).add();
/// let pipeline = p.build()?;
/// let journal = Arc::new(MemoryJournal::new(clock.clone()));
/// let engine = Engine::builder(journal).clock(clock).pipeline(pipeline.clone()).build();
/// # let release = Release::new("shop".try_into()?, "production".try_into()?, "v2".try_into()?);
/// let run = engine.start(pipeline.name(), release, Principal::new("bot", "example.org")).await?;
///
/// // Nobody answers: they are told at once, after four hours, after eight; after nine it is over.
/// ApprovalReminders::new(notifier.clone()).watch(&run).await;
/// assert_eq!(notifier.arrived().len(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// Rows: M28, M43.
#[derive(Debug, Clone)]
pub struct ApprovalReminders {
    through: Once,
    every: Duration,
    look_every: Duration,
    anybody: Party,
}

impl ApprovalReminders {
    /// Reminds through `notifier`, with the defaults of the methods below.
    #[must_use]
    pub fn new(notifier: Arc<dyn Notifier>) -> Self {
        Self {
            through: Once::new(notifier),
            every: Duration::from_secs(4 * 60 * 60),
            look_every: Duration::from_secs(60),
            anybody: Party::new("approvers"),
        }
    }

    /// The same with another time between reminders. Default 4 hours: twice a working day. Zero: they are told once.
    #[must_use]
    pub fn every(mut self, span: Duration) -> Self {
        self.every = span;
        self
    }

    /// The same, looking at the run in another rhythm while it is [watched](Self::watch); at least every millisecond. Default a minute:
    /// soon enough for people, and cheap for a run that waits for days.
    #[must_use]
    pub fn look_every(mut self, span: Duration) -> Self {
        self.look_every = span.max(Duration::from_millis(1));
        self
    }

    /// The same, telling this party where a question names neither people nor roles, so that anybody may answer. Default the
    /// party `approvers`.
    #[must_use]
    pub fn anybody(mut self, party: Party) -> Self {
        self.anybody = party;
        self
    }

    /// Sends the reminders that are due as the run stands, and answers with those that arrived. One that does not arrive is in the log,
    /// and is sent again at the next look.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave some of them sent. The next look sends the others, and those again only under their keys.
    pub async fn look(&self, status: &RunStatus) -> Vec<Delivery> {
        let mut arrived = Vec::new();
        // What people say to a paused run waits as well, and its time stands still.
        if status.paused_for.is_some() || status.end().is_some() {
            return arrived;
        }
        for step in &status.open {
            for notice in self.due(status, step) {
                arrived.extend(self.through.send(&notice).await);
            }
        }
        arrived
    }

    /// Looks at a run again and again, until it has ended. A status that cannot be read is in the log, and is asked for again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing about the run; watch it again, in this process or in another one.
    pub async fn watch(&self, run: &RunHandle) {
        loop {
            match run.status().await {
                Ok(status) if status.end().is_some() => return,
                Ok(status) => drop(self.look(&status).await),
                Err(error) => {
                    tracing::warn!(run = %run.id(), error = deploy_core::report::chain(&error), "nobody can be reminded");
                }
            }
            crate::wait::pause(self.look_every).await;
        }
    }

    /// What everybody who is missing at this step is to have been told by now.
    fn due(&self, status: &RunStatus, step: &StepStatus) -> Vec<Notice> {
        let Waits::People { request, yes, span } = &step.waits else { return Vec::new() };
        let asked_for = millis(request.expires_after.saturating_sub(*span));
        let since_last = asked_for.checked_rem(millis(self.every)).unwrap_or(asked_for);
        let due_at = asked_for.saturating_sub(since_last);
        // A rollout may ask at several stages, and two things at one.
        let stage = step.rollout.as_ref().map_or(0, |rollout| rollout.stage.index);
        // An attempt of a rollout is another statement of what is wanted, not another question.
        let attempt = if step.rollout.is_some() { 0 } else { step.key.attempt };
        let question = Digest::of(request.question.as_bytes()).short();
        let told = |party: Party| {
            let key = NoticeKey::of(&step.key, &party);
            let key = NoticeKey::short(format!("{key}/asks/{stage}/{attempt}/{question}/{due_at}"));
            let again = if due_at == 0 { "asks for" } else { "still waits for" };
            let subject = format!("{} {again} your answer", status.release);
            let body = format!(
                "{} of run {} asks: {}\n{} of {} said yes. It is asked for {} more.",
                step.step,
                status.run,
                request.question,
                yes.len(),
                request.quorum,
                Spell(*span),
            );
            Notice::new(key, party, subject, body).ok().map(|notice| notice.severity(Severity::Warning))
        };
        self.missing(request, yes, &status.release.change.authors).into_iter().filter_map(told).collect()
    }

    fn missing(&self, request: &ApprovalRequest, yes: &[String], authors: &[String]) -> Vec<Party> {
        if request.people.is_empty() && request.roles.is_empty() {
            return vec![self.anybody.clone()];
        }
        // A status names people as SUBJECT@ISSUER.
        let said =
            |person: &str| yes.iter().any(|yes| yes.rsplit_once('@').is_some_and(|(subject, _)| subject == person));
        let counts = |person: &str| request.self_approval || !authors.iter().any(|author| author == person);
        let people = request.people.iter().filter(|person| counts(person) && !said(person)).map(Party::new);
        people.chain(request.roles.iter().map(|role| Party::new(format!("role {role}")))).collect()
    }
}
