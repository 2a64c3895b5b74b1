//! Agents made from closures.

use std::fmt;
use std::future::Future;

use async_trait::async_trait;

use super::{Agent, AgentCard, AgentError, Performed, Report, StepContext, Task};

/// An agent made from an async closure; see [`agent_fn`].
pub struct ClosureAgent<F> {
    card: AgentCard,
    perform: F,
}

/// Makes an agent of an async closure. Its arguments are owned and cheap to clone.
///
/// ```
/// use deploy_core::agent::{Agent, AgentCard, Report, agent_fn};
/// use deploy_core::name::BlockName;
///
/// let card = AgentCard::new(BlockName::new("greeter")?, "says hello");
/// let agent = agent_fn(card, |task, _cx| async move { Ok(Report::new().note(format!("hello from {}", task.step))) });
/// assert_eq!(agent.card().name.as_str(), "greeter");
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
pub fn agent_fn<F, R>(card: AgentCard, perform: F) -> ClosureAgent<F>
where
    F: Fn(Task, StepContext) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Report, AgentError>> + Send + 'static,
{
    ClosureAgent { card, perform }
}

impl<F> fmt::Debug for ClosureAgent<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClosureAgent").field("card", &self.card).finish_non_exhaustive()
    }
}

#[async_trait]
impl<F, R> Agent for ClosureAgent<F>
where
    F: Fn(Task, StepContext) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Report, AgentError>> + Send + 'static,
{
    fn card(&self) -> AgentCard {
        self.card.clone()
    }

    async fn perform(&self, task: &Task, cx: &StepContext) -> Result<Performed, AgentError> {
        (self.perform)(task.clone(), cx.clone()).await.map(Performed::Done)
    }
}
