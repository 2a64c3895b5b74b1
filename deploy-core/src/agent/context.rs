//! What an agent is told about the task at hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

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
pub struct Cancellation(Arc<Signal>);

/// The end of a [`Cancellation`] that raises it.
#[derive(Debug)]
pub struct CancelSignal(Arc<Signal>);

#[derive(Debug, Default)]
struct Signal {
    raised: AtomicBool,
    told: Notify,
}

impl CancelSignal {
    /// Tells the attempt to stop. Again changes nothing.
    pub fn raise(&self) {
        self.0.raised.store(true, Ordering::Release);
        self.0.told.notify_waiters();
    }
}

impl Cancellation {
    /// A signal and the end that raises it.
    #[must_use]
    pub fn new() -> (CancelSignal, Self) {
        let signal = Arc::<Signal>::default();
        (CancelSignal(Arc::clone(&signal)), Self(signal))
    }

    /// A signal that never comes.
    #[must_use]
    pub fn never() -> Self {
        Self::new().1
    }

    /// Whether it has come.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.raised.load(Ordering::Acquire)
    }

    /// Waits for the signal; for ever if it never comes.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn cancelled(&self) {
        loop {
            // Listened for before it is looked at, so that a signal in between is not missed.
            let told = self.0.told.notified();
            if self.is_cancelled() {
                return;
            }
            told.await;
        }
    }
}
