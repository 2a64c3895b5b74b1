//! A strategy that knows what ran here before.

use std::sync::Arc;

use deploy_core::name::{BlockName, RevisionName};
use deploy_core::release::Release;
use deploy_core::strategy::{Decision, Outline, Promotion, Reason, ReasonCode, Situation, Strategy};
use deploy_core::target::{Capabilities, TargetState};
use deploy_core::time::Timestamp;

use super::{LoopGuard, RollbackWindow};

/// A strategy that knows what ran here before: a way back to a named revision is an ordinary release of that revision.
///
/// - One that ran here a short while ago ([`RollbackWindow`]) has been proven here: no step, soak, analysis or person of the strategy is
///   waited for, as if an operator had promoted it fully at the first look. Instances still come before traffic, and limits hold.
/// - One that ran here before and has failed since is refused before anything is recorded ([`LoopGuard`]); so is any while a rollback is
///   under way. A release of something that never served here is no way back, and is never refused.
///
/// The history is the host's: its journal knows which releases succeeded.
///
/// ```
/// use std::time::Duration;
///
/// use deploy_core::name::RevisionName;
/// use deploy_core::release::Release;
/// use deploy_core::strategy::Strategy as _;
/// use deploy_core::target::TargetState;
/// use deploy_core::time::Timestamp;
/// use deploy_strategies::canary::{Canary, Step};
/// use deploy_strategies::way_back::{LoopGuard, RollbackWindow, WithHistory};
///
/// let revision = |name: &str| RevisionName::new(name);
/// let canary = Canary::builder().step(Step::weight(10).soak(Duration::from_secs(3_600))).build()?;
/// let mut guard = LoopGuard::default();
/// guard.failed(revision("v1")?);
/// let history = [revision("v1")?, revision("v2")?, revision("v3")?];
/// let strategy = WithHistory::new(canary, history).window(RollbackWindow::new(2)).guard(guard);
///
/// let release = |name: &str| Ok::<_, Box<dyn std::error::Error>>(
///     Release::new("shop".try_into()?, "production".try_into()?, revision(name)?)
/// );
/// let refused = strategy.objection(&release("v1")?, Timestamp(0));
/// assert_eq!(refused.as_deref(), Some("v1 has failed here; going back to it would fail again"));
/// assert_eq!(strategy.objection(&release("v4")?, Timestamp(0)), None);
/// assert_eq!(strategy.outline(&release("v2")?, &TargetState::default()).stages.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct WithHistory {
    inner: Arc<dyn Strategy>,
    history: Vec<RevisionName>,
    window: RollbackWindow,
    guard: LoopGuard,
}

impl WithHistory {
    /// A strategy at a place where these revisions have served, oldest first; the last one serves now. Leave out what never served, for
    /// example experiments. Nothing is skipped until there is a [`window`](Self::window).
    #[must_use]
    pub fn new(strategy: impl Strategy, history: impl IntoIterator<Item = RevisionName>) -> Self {
        Self {
            inner: Arc::new(strategy),
            history: history.into_iter().collect(),
            window: RollbackWindow::new(0),
            guard: LoopGuard::default(),
        }
    }

    /// The same, within which the steps are skipped.
    #[must_use]
    pub fn window(mut self, window: RollbackWindow) -> Self {
        self.window = window;
        self
    }

    /// The same, by which ways back are refused.
    #[must_use]
    pub fn guard(mut self, guard: LoopGuard) -> Self {
        self.guard = guard;
        self
    }

    /// What serves now.
    fn current(&self) -> Option<&RevisionName> {
        self.history.last()
    }

    /// Why the steps are skipped.
    fn near(&self, revision: &RevisionName) -> String {
        let back = self.history.iter().rev().position(|one| one == revision).unwrap_or_default();
        format!(
            "{revision} is {back} back in the history of this place, within the rollback window of {}",
            self.window.0
        )
    }

    fn is_proven(&self, revision: &RevisionName) -> bool {
        self.current().is_some_and(|current| self.window.covers(&self.history, current, revision))
    }
}

impl Strategy for WithHistory {
    fn name(&self) -> BlockName {
        self.inner.name()
    }

    fn needs(&self) -> Capabilities {
        self.inner.needs()
    }

    fn monitors(&self) -> Vec<BlockName> {
        self.inner.monitors()
    }

    fn objection(&self, release: &Release, wall: Timestamp) -> Option<String> {
        let to = &release.revision;
        let earlier = |current: &&RevisionName| *current != to && self.history.contains(to);
        let refused = self.current().filter(earlier).and_then(|current| self.guard.check(current, to).err());
        refused.map(|refused| refused.to_string()).or_else(|| self.inner.objection(release, wall))
    }

    fn outline(&self, release: &Release, from: &TargetState) -> Outline {
        let outline = self.inner.outline(release, from);
        if !self.is_proven(&release.revision) {
            return outline;
        }
        let last = outline.stages.into_iter().next_back();
        let basis = format!("{}, so there is one stage; {}", self.near(&release.revision), outline.basis);
        Outline { stages: last.into_iter().collect(), basis }
    }

    fn decide(&self, situation: &Situation<'_>) -> Decision {
        let revision = &situation.release.revision;
        if situation.wanted.is_some() || situation.promotion == Promotion::Full || !self.is_proven(revision) {
            return self.inner.decide(situation);
        }
        let decision = self.inner.decide(&situation.promotion(Promotion::Full));
        if decision.reason.code != ReasonCode::PromotedFullyByOperator {
            return decision;
        }
        let text = format!("{}, so no step is waited for", self.near(revision));
        let reason =
            Reason::new(ReasonCode::Advanced, text).otherwise("outside its rollback window it would take every step");
        Decision { reason, ..decision }
    }

    fn revert(&self, situation: &Situation<'_>) -> Decision {
        self.inner.revert(situation)
    }
}
