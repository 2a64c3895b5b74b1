//! Agents do work in the world and report with evidence.

mod card;
mod closure;
mod context;
mod error;
mod performed;

use std::fmt::Debug;

use async_trait::async_trait;

pub use self::card::{AgentCard, Repeatable};
pub use self::closure::{ClosureAgent, agent_fn};
pub use self::context::{CancelSignal, Cancellation, StepContext, Task};
pub use self::error::{AgentError, Certainty};
pub use self::performed::{Handle, Lookup, Performed, Report};
use crate::effect::EffectKey;
use crate::identity::Identity;

/// Does one task in the world, or undoes it, and reports with evidence.
///
/// # Contract for implementors
///
/// - The engine calls [`perform`](Self::perform) at least once and may call it again with the same
///   [`EffectKey`] after a crash: pass the key to whatever receives the effect, so that it can tell a repeat from a new
///   request. Where the receiver can compare [`Fence`](crate::effect::Fence)s, send that too.
/// - Long work is never one long call: start it, answer [`Performed::Running`] with a handle, and be
///   [polled](Self::poll) after a durable timer, possibly by another process.
/// - An error says how sure it is ([`Certainty`]). After an unknown outcome the engine asks [`lookup`](Self::lookup)
///   before it tries again; where that cannot tell, the card's [`Repeatable`] decides.
/// - A panic is caught, named and counted as an unknown outcome.
/// - The same agent undoes what it did when a step names it as its undo: then [`Task::undo`] is true.
///
/// # Cancel safety
///
/// The engine never drops a future of an agent to withdraw an attempt. It calls [`cancel`](Self::cancel) and signals
/// [`StepContext::cancellation`], waits a bounded time for the attempt to return, and looks up what it could not see.
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an agent",
    note = "implement `deploy_core::agent::Agent` (`card` and `perform`), or wrap an async closure with `agent_fn(card, |task, cx| async move {{ … }})`"
)]
pub trait Agent: Debug + Send + Sync + 'static {
    /// Who it is, which deliverables it needs and provides, whether its work may be repeated. Checked when a pipeline is
    /// built; must not change afterwards.
    fn card(&self) -> AgentCard;

    /// Does the task, or starts it.
    ///
    /// # Errors
    ///
    /// [`AgentError`] with how certain it is that nothing was done.
    async fn perform(&self, task: &Task, cx: &StepContext) -> Result<Performed, AgentError>;

    /// Asks how work under way is doing. Called after a durable timer, possibly in another process.
    ///
    /// # Errors
    ///
    /// [`AgentError`]; the default refuses, for agents that never answer [`Performed::Running`].
    async fn poll(&self, handle: &Handle, cx: &StepContext) -> Result<Performed, AgentError> {
        let _ = cx;
        Err(AgentError::definitive(format!("this agent never starts long work, yet was asked about {handle}")))
    }

    /// What became of an attempt whose outcome is unknown? The default cannot tell.
    ///
    /// # Errors
    ///
    /// [`AgentError`] if the question itself failed; it is asked again, a bounded number of times.
    async fn lookup(&self, key: &EffectKey, cx: &StepContext) -> Result<Lookup, AgentError> {
        let _ = (key, cx);
        Ok(Lookup::Unknown)
    }

    /// Stops an attempt under way, if it can. The default does nothing beyond the signal in the context.
    ///
    /// # Errors
    ///
    /// [`AgentError`] if it could not be stopped; the outcome is then looked up.
    async fn cancel(&self, key: &EffectKey, handle: Option<&Handle>, cx: &StepContext) -> Result<(), AgentError> {
        let _ = (key, handle, cx);
        Ok(())
    }

    /// Which block this is: a pipeline refuses two blocks under one name. Leave the default, which goes by the address of the
    /// value; a clone of an `Arc` is the same block.
    fn identity(&self) -> Identity {
        Identity::of(self)
    }
}

/// Writes the whole trait by forwarding, so that no wrapper loses a method to a default.
macro_rules! forward_agent {
    ($($kind:ty),*) => {$(
        #[async_trait]
        impl<T: Agent + ?Sized> Agent for $kind {
            fn card(&self) -> AgentCard {
                (**self).card()
            }
            async fn perform(&self, task: &Task, cx: &StepContext) -> Result<Performed, AgentError> {
                (**self).perform(task, cx).await
            }
            async fn poll(&self, handle: &Handle, cx: &StepContext) -> Result<Performed, AgentError> {
                (**self).poll(handle, cx).await
            }
            async fn lookup(&self, key: &EffectKey, cx: &StepContext) -> Result<Lookup, AgentError> {
                (**self).lookup(key, cx).await
            }
            async fn cancel(&self, key: &EffectKey, handle: Option<&Handle>, cx: &StepContext) -> Result<(), AgentError> {
                (**self).cancel(key, handle, cx).await
            }
            fn identity(&self) -> Identity {
                (**self).identity()
            }
        }
    )*};
}

forward_agent!(std::sync::Arc<T>, Box<T>);
