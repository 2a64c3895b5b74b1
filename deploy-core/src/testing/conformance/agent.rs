//! What every agent must hold to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::Patience;
use crate::agent::{Agent, Cancellation, Lookup, Performed, Repeatable, Report, StepContext, Task};
use crate::digest::Digest;
use crate::effect::{EffectKey, Fence};
use crate::name::{EnvironmentName, RevisionName, RunId, ServiceName};
use crate::plan::StepPath;
use crate::release::Release;
use crate::time::Now;

/// A task that the agent can do, and how to count what it does in the world.
pub struct AgentSuite<'a> {
    task: Task,
    effects: Option<&'a (dyn Fn() -> u64 + Sync)>,
    patience: Patience,
}

impl std::fmt::Debug for AgentSuite<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentSuite").field("task", &self.task).finish_non_exhaustive()
    }
}

impl Default for AgentSuite<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> AgentSuite<'a> {
    /// A suite with a task without inputs.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "the names of the suite are names")]
    pub fn new() -> Self {
        let name = "the names of the suite are names";
        let release = Release::new(
            ServiceName::new("conformance").expect(name),
            EnvironmentName::new("test").expect(name),
            RevisionName::new("v2").expect(name),
        );
        let step = StepPath::new("conformance/agent").expect(name);
        let task = Task::new(step, false, Arc::new(release), BTreeMap::new());
        Self { task, effects: None, patience: Patience::default() }
    }

    /// The same with another task.
    #[must_use]
    pub fn task(mut self, task: Task) -> Self {
        self.task = task;
        self
    }

    /// The same, counting what the agent did in the world: with this an effect that is done twice is found.
    #[must_use]
    pub fn effects(mut self, count: &'a (dyn Fn() -> u64 + Sync)) -> Self {
        self.effects = Some(count);
        self
    }

    /// The same with another patience.
    #[must_use]
    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Runs every check on an agent that succeeds at the task. Returns the names of the checks that were run.
    ///
    /// # Panics
    ///
    /// When a check is not met.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the attempt under way.
    pub async fn run(&self, agent: &dyn Agent) -> Vec<&'static str> {
        let mut run = vec!["has a card that does not change"];
        let card = agent.card();
        assert_eq!(card, agent.card(), "the card of {} changed", card.name);
        assert!(card.accepts <= card.version, "{} accepts only contracts newer than its own", card.name);
        assert!(!card.responsibility.trim().is_empty(), "{} does not say what it answers for", card.name);

        run.push("never finished what it never started");
        let never = self.context(1, Cancellation::never());
        match agent.lookup(&never.key, &never).await {
            Ok(Lookup::NeverStarted | Lookup::Unknown) | Err(_) => {}
            Ok(other) => panic!("{} says of an attempt that was never made: {other:?}", card.name),
        }

        run.push("performs to the end and backs its claims");
        let cx = self.context(2, Cancellation::never());
        let report = self.to_the_end(agent, &cx).await;
        backed(&report);
        let provided: BTreeSet<_> = report.deliverables.iter().map(|d| d.key.clone()).collect();
        for promised in &card.provides {
            assert!(provided.contains(promised), "{} promised {promised:?} and did not hand it over", card.name);
        }

        run.push("knows what it finished, or says that it cannot tell");
        match agent.lookup(&cx.key, &cx).await {
            Ok(Lookup::Finished(_) | Lookup::Unknown) | Err(_) => {}
            Ok(other) => panic!("{} says of an attempt that it finished: {other:?}", card.name),
        }

        if card.repeatable == Repeatable::Yes {
            run.push("is repeatable, as its card says");
            let before = self.effects.map(|count| count());
            backed(&self.to_the_end(agent, &cx).await);
            assert_eq!(before, self.effects.map(|count| count()), "{} did it twice with one key", card.name);
        }

        run.push("returns when it is cancelled");
        let (raise, cancellation) = Cancellation::new();
        raise.raise();
        let cancelled = self.context(3, cancellation);
        let ended = tokio::time::timeout(self.patience.bound, agent.perform(&self.task, &cancelled)).await;
        assert!(ended.is_ok(), "{} did not return within {:?} of its cancellation", card.name, self.patience.bound);
        run
    }

    async fn to_the_end(&self, agent: &dyn Agent, cx: &StepContext) -> Report {
        let name = agent.card().name;
        let mut performed =
            agent.perform(&self.task, cx).await.unwrap_or_else(|e| panic!("{name} failed: {}", e.chain()));
        let patience = self.patience;
        for _ in 0..10_000 {
            match performed {
                Performed::Done(report) => return report,
                Performed::Running { handle, poll_after } => {
                    assert!(handle.0.len() <= 4096, "a handle of {} bytes", handle.0.len());
                    let wait = Patience { every: poll_after.min(Duration::from_millis(100)), ..patience };
                    let mut first = true;
                    wait.until(|| {
                        let due = !std::mem::take(&mut first);
                        async move { due.then_some(()) }
                    })
                    .await;
                    performed =
                        agent.poll(&handle, cx).await.unwrap_or_else(|e| panic!("{name} failed: {}", e.chain()));
                }
            }
        }
        panic!("{name} still runs after 10000 polls")
    }

    fn context(&self, attempt: u32, cancellation: Cancellation) -> StepContext {
        let run = RunId::new("conformance").expect("the names of the suite are names");
        let key = EffectKey { run, step: self.task.step.clone(), undo: false, iteration: 0, attempt };
        let fence = Fence { epoch: 1, seq: u64::from(attempt) };
        StepContext::new(key, fence, Now::default(), self.patience.bound, cancellation)
    }
}

/// Evidence is what its digest says, and every claim cites evidence that was handed over.
fn backed(report: &Report) {
    let mut there = BTreeSet::new();
    for piece in &report.evidence {
        assert_eq!(
            piece.evidence.digest,
            Digest::of(&piece.bytes),
            "the digest is not of the bytes: {:?}",
            piece.evidence
        );
        there.insert(piece.evidence.digest);
    }
    for claim in &report.claims {
        assert!(!claim.evidence.is_empty(), "{} is claimed without evidence", claim.check);
        for cited in &claim.evidence {
            assert!(there.contains(cited), "{} cites {}, which was not handed over", claim.check, cited.short());
        }
    }
}
