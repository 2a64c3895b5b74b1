//! What an agent is told about the task at hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::deliverable::{Deliverable, DeliverableError};
use crate::effect::{EffectKey, Fence};
use crate::plan::StepPath;
use crate::release::Release;
use crate::time::Now;

/// What is to be done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Task {
    /// The step.
    pub step: StepPath,
    /// Whether to undo the step instead of doing it.
    pub undo: bool,
    /// What is being released.
    pub release: Arc<Release>,
    inputs: Arc<BTreeMap<String, String>>,
}

impl Task {
    /// A task with its inputs as JSON texts by deliverable name.
    #[must_use]
    pub fn new(step: StepPath, undo: bool, release: Arc<Release>, inputs: BTreeMap<String, String>) -> Self {
        Self { step, undo, release, inputs: Arc::new(inputs) }
    }

    /// Reads a deliverable that an earlier step handed over.
    ///
    /// # Errors
    ///
    /// [`DeliverableError`] if it was not handed over or has another shape.
    pub fn input<D: Deliverable>(&self) -> Result<D, DeliverableError> {
        let json = self.inputs.get(D::NAME).ok_or(DeliverableError::Missing { name: D::NAME, version: D::VERSION })?;
        serde_json::from_str(json).map_err(|source| DeliverableError::Shape {
            name: D::NAME,
            version: D::VERSION,
            source,
        })
    }
}

/// Where an attempt stands: its key, its fence, its time.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StepContext {
    /// Names the effect for ever. Send it along.
    pub key: EffectKey,
    /// Orders who may apply it. Send it along where the receiver compares fences.
    pub fence: Fence,
    /// Both clocks when the call began.
    pub now: Now,
    /// How long this call may take; then it is cancelled.
    pub timeout: Duration,
    /// Tells when the attempt is to stop.
    pub cancellation: Cancellation,
}

impl StepContext {
    /// A context for one call. The engine makes these; tests may too.
    #[must_use]
    pub fn new(key: EffectKey, fence: Fence, now: Now, timeout: Duration, cancellation: Cancellation) -> Self {
        Self { key, fence, now, timeout, cancellation }
    }
}

/// Tells an attempt that it is to stop. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cancellation(watch::Receiver<bool>);

impl Cancellation {
    /// A signal and the end that raises it: send `true`.
    #[must_use]
    pub fn new() -> (watch::Sender<bool>, Self) {
        let (raise, seen) = watch::channel(false);
        (raise, Self(seen))
    }

    /// A signal that never comes.
    #[must_use]
    pub fn never() -> Self {
        Self::new().1
    }

    /// Whether it has come.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the signal; for ever if it never comes.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn cancelled(&self) {
        let mut seen = self.0.clone();
        if seen.wait_for(|raised| *raised).await.is_err() {
            // Nobody is left who could raise it.
            std::future::pending::<()>().await;
        }
    }
}
