//! What a host holds of one run.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, Stream};
use tokio::sync::{mpsc, oneshot, watch};

use super::clock::wait;
use super::driven::{Inner, Message, Progress, Standing};
use super::error::{OperatorError, RunError, StatusError};
use crate::journal::Submitted;
use crate::machine::{Outcome, Record, Reply};
use crate::name::RunId;
use crate::operator::{Act, OperatorInput, Principal};
use crate::report::RunStatus;

/// How many records an event stream reads at once.
const PAGE: usize = 64;
/// How often a run that another process drives is looked at.
const WATCH_EVERY: Duration = Duration::from_millis(250);

/// One run, as a host holds it. Cheap to clone; dropping it changes nothing about the run.
#[derive(Debug, Clone)]
pub struct RunHandle {
    engine: Arc<Inner>,
    run: RunId,
    /// Absent where another process drives the run.
    progress: Option<watch::Receiver<Progress>>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunEnd {
    /// How.
    pub outcome: Outcome,
    /// Why, in a sentence.
    pub because: String,
}

impl RunHandle {
    pub(super) fn driving(engine: Arc<Inner>, run: RunId, progress: watch::Receiver<Progress>) -> Self {
        Self { engine, run, progress: Some(progress) }
    }

    pub(super) fn watching(engine: Arc<Inner>, run: RunId) -> Self {
        Self { engine, run, progress: None }
    }

    /// The run.
    #[must_use]
    pub fn id(&self) -> &RunId {
        &self.run
    }

    /// Where the run stands: what it does, what it waits for and until when, what comes next by itself.
    ///
    /// # Errors
    ///
    /// [`StatusError`] if the journal cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn status(&self) -> Result<RunStatus, StatusError> {
        if let Some(mailbox) = self.engine.mailbox(&self.run) {
            let (reply, answer) = oneshot::channel();
            if mailbox.send(Message::Status(reply)).await.is_ok()
                && let Ok(status) = answer.await
            {
                return Ok(status);
            }
        }
        self.engine.status_from_journal(&self.run).await
    }

    /// The records from a position on, as they become durable, until the run ends. A reader that comes back continues at the
    /// position after the last record it has seen; none is lost, however slow it is.
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream leaves nothing behind.
    pub fn events(&self, from: u64) -> impl Stream<Item = Result<Record, StatusError>> + Send + 'static {
        let reader = Reader { handle: self.clone(), next: from, page: Vec::new().into_iter(), over: false };
        stream::unfold(reader, |mut reader| async move { reader.next().await.map(|item| (item, reader)) })
    }

    /// Says something to the run, and waits until it is durable or refused. With too many inputs waiting before it, it is
    /// refused at once ([`OperatorError::Busy`]).
    ///
    /// # Errors
    ///
    /// [`OperatorError`] with the reason. The input may be given again under the same id: it is taken once.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the input may or may not be taken; give it again under the same id.
    pub async fn submit(&self, input: OperatorInput) -> Result<Reply, OperatorError> {
        if let Some(mailbox) = self.engine.mailbox(&self.run) {
            let (reply, answer) = oneshot::channel();
            let message = Message::Operator { input: input.clone(), reply };
            match mailbox.try_send(message) {
                Ok(()) => {
                    if let Ok(reply) = answer.await {
                        return reply;
                    }
                    // The loop went away before it answered. Under the same id the journal takes the input once, for
                    // whoever drives the run next, and knows whether it was taken.
                }
                Err(mpsc::error::TrySendError::Full(_)) => return Err(OperatorError::Busy),
                Err(mpsc::error::TrySendError::Closed(_)) => {}
            }
        }
        Ok(match self.engine.journal.submit(&self.run, &input).await? {
            Submitted::Waits => Reply::Kept,
            Submitted::Repeated => Reply::Ignored,
        })
    }

    /// Says something under a new id.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    ///
    /// # Cancel safety
    ///
    /// As [`submit`](Self::submit); but the id is lost with the future, so look at the status before saying it again.
    pub async fn operate(
        &self,
        who: Principal,
        why: impl Into<String> + Send,
        act: Act,
    ) -> Result<Reply, OperatorError> {
        self.submit(OperatorInput::new(who, why, act)).await
    }

    /// Waits until the run ends.
    ///
    /// # Errors
    ///
    /// [`RunError`] if this engine stopped driving it; its records are safe.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing about the run.
    pub async fn wait(&self) -> Result<RunEnd, Arc<RunError>> {
        if let Some(mut progress) = self.progress.clone() {
            let over = progress.wait_for(|p| !matches!(p.standing, Standing::Driven)).await;
            match over.map(|p| p.standing.clone()) {
                Ok(Standing::Ended { outcome, because }) => return Ok(RunEnd { outcome, because }),
                // It ended while it was being taken up: the journal says how.
                Ok(Standing::Stopped(error)) if error.has_ended() => {}
                Ok(Standing::Stopped(error)) => return Err(error),
                Ok(Standing::Driven) => {}
                // The engine is gone; whoever drives the run now writes its end into the journal.
                Err(_closed) => return Err(Arc::new(RunError::HandedBack { run: self.run.clone() })),
            }
        }
        loop {
            let status = self.engine.status_from_journal(&self.run).await;
            let status = status.map_err(|error| Arc::new(Inner::unreadable(&self.run, error)))?;
            if let Some((outcome, because)) = status.end() {
                return Ok(RunEnd { outcome, because: because.to_owned() });
            }
            wait(WATCH_EVERY).await;
        }
    }
}

/// Reads a run's records as they become durable.
struct Reader {
    handle: RunHandle,
    next: u64,
    page: std::vec::IntoIter<crate::journal::Stored>,
    over: bool,
}

impl Reader {
    async fn next(&mut self) -> Option<Result<Record, StatusError>> {
        loop {
            if let Some(stored) = self.page.next() {
                self.next = stored.position + 1;
                let record = Record::read::<StatusError>(&stored.bytes);
                if let Ok(record) = &record {
                    self.over = matches!(record.event, crate::machine::Event::Ended(_));
                }
                return Some(record);
            }
            if self.over {
                return None;
            }
            match self.handle.engine.journal.read(&self.handle.run, self.next, PAGE).await {
                Ok(page) if page.is_empty() => self.wait().await,
                Ok(page) => self.page = page.into_iter(),
                Err(error) => {
                    self.over = true;
                    return Some(Err(error.into()));
                }
            }
        }
    }

    /// Waits until there may be more.
    async fn wait(&mut self) {
        match &mut self.handle.progress {
            Some(progress) => {
                let next = self.next;
                let more = |p: &Progress| p.next > next || !matches!(p.standing, Standing::Driven);
                if progress.wait_for(more).await.is_ok_and(|p| p.next > next) {
                    return;
                }
                // This engine does not drive it any more: look into the journal now and then.
                self.handle.progress = None;
            }
            None => wait(WATCH_EVERY).await,
        }
    }
}
