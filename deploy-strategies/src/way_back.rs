//! Which way back may be taken: never around in a circle, and quickly only to what ran here a short while ago.

mod with_history;

use std::collections::BTreeSet;

use deploy_core::name::RevisionName;
use serde::{Deserialize, Serialize};

pub use self::with_history::WithHistory;

/// How far back a rollback may skip the steps of its strategy.
///
/// A window of `n` covers the current revision and the `n − 1` before it: from revision 5 with 3, revisions 4 and 3. That is what the
/// documentation of Argo Rollouts says; its code lets one more in.
///
/// ```
/// use deploy_strategies::way_back::RollbackWindow;
///
/// let window = RollbackWindow::new(3);
/// let history = ["r1", "r2", "r3", "r4", "r5"];
/// assert!(window.covers(&history, &"r5", &"r3"));
/// assert!(!window.covers(&history, &"r5", &"r2"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RollbackWindow(u32);

impl RollbackWindow {
    /// A window of so many revisions, the current one counted. Zero and one cover nothing.
    #[must_use]
    pub const fn new(revisions: u32) -> Self {
        Self(revisions)
    }

    /// Whether `to` is an earlier revision than `current` in this history, oldest first, and near enough to it. Whatever is
    /// not in the history is not covered. Leave out what never served, for example experiments.
    #[must_use]
    pub fn covers<T: PartialEq>(self, history: &[T], current: &T, to: &T) -> bool {
        let place = |revision: &T| history.iter().rposition(|one| one == revision);
        let (Some(current), Some(to)) = (place(current), place(to)) else { return false };
        let Some(between) = current.checked_sub(to + 1) else { return false };
        u32::try_from(between).is_ok_and(|between| between.saturating_add(1) < self.0)
    }
}

/// Why a way back is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WayBackRefused {
    /// It would undo an undoing: a person decides what comes next.
    #[error("a rollback is under way; it never starts another one")]
    RollingBackAlready,
    /// It would lead to where we are.
    #[error("{0} is what runs now; going back to it would change nothing")]
    SameRevision(RevisionName),
    /// It would lead to what has failed here: name another revision, or repair forward.
    #[error("{0} has failed here; going back to it would fail again")]
    FailedBefore(RevisionName),
}

/// Keeps ways back from leading around in a circle.
///
/// ```
/// use deploy_core::name::RevisionName;
/// use deploy_strategies::way_back::{LoopGuard, WayBackRefused};
///
/// let (v1, v2) = (RevisionName::new("v1")?, RevisionName::new("v2")?);
/// let mut guard = LoopGuard::default();
/// guard.failed(v2.clone());
/// assert!(guard.check(&v2, &v1).is_ok());
/// guard.failed(v1.clone());
/// assert_eq!(guard.check(&v2, &v1), Err(WayBackRefused::FailedBefore(v1)));
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LoopGuard {
    failed: BTreeSet<RevisionName>,
    rolling_back: bool,
}

impl LoopGuard {
    /// A revision failed here.
    pub fn failed(&mut self, revision: RevisionName) {
        self.failed.insert(revision);
    }

    /// A revision ran here well enough to be called good: it may be gone back to again.
    pub fn succeeded(&mut self, revision: &RevisionName) {
        self.failed.remove(revision);
        self.rolling_back = false;
    }

    /// A rollback begins.
    pub fn begins(&mut self) {
        self.rolling_back = true;
    }

    /// Whether the way from `current` back to `to` may be taken.
    ///
    /// # Errors
    ///
    /// [`WayBackRefused`] says why not.
    pub fn check(&self, current: &RevisionName, to: &RevisionName) -> Result<(), WayBackRefused> {
        if self.rolling_back {
            return Err(WayBackRefused::RollingBackAlready);
        }
        if current == to {
            return Err(WayBackRefused::SameRevision(to.clone()));
        }
        if self.failed.contains(to) {
            return Err(WayBackRefused::FailedBefore(to.clone()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use deploy_core::name::RevisionName;

    use super::{LoopGuard, RollbackWindow, WayBackRefused};

    /// D11 of `docs/differences.md`.
    #[test]
    fn a_window_is_counted_as_the_documentation_counts_it() {
        let history = [1, 2, 3, 4, 5];
        let covered = |n| (1..=5).filter(|to| RollbackWindow::new(n).covers(&history, &5, to)).collect::<Vec<i32>>();
        assert_eq!((covered(3), covered(2), covered(1), covered(0)), (vec![3, 4], vec![4], vec![], vec![]));
        assert!(!RollbackWindow::new(9).covers(&history, &3, &5), "forward is not back");
        assert!(!RollbackWindow::new(9).covers(&history, &5, &7), "what never ran is not covered");
    }

    #[test]
    fn nothing_leads_around_in_a_circle() {
        let (v1, v2) = (RevisionName::new("v1").unwrap(), RevisionName::new("v2").unwrap());
        let mut guard = LoopGuard::default();
        assert_eq!(guard.check(&v1, &v1), Err(WayBackRefused::SameRevision(v1.clone())));
        guard.begins();
        assert_eq!(guard.check(&v2, &v1), Err(WayBackRefused::RollingBackAlready));
        guard.succeeded(&v1);
        assert_eq!(guard.check(&v2, &v1), Ok(()));
    }
}
