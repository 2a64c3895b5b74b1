//! How long a run usually takes, by those before it.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::journal::{Journal, Which};
use deploy_core::machine::{Machine, Mode, Outcome};
use deploy_core::time::millis;
use serde::Serialize;

use crate::Failure;
use crate::journal::JournalFile;
use crate::select::runs;
use crate::watcher::Watcher;

/// How many of the runs before are looked at: enough for a median, and few enough to be read at once.
const LOOKED_AT: usize = 10;

/// How long runs like this one took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Estimate {
    takes: Duration,
    runs: usize,
}

/// What that says of a run under way.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Usually {
    /// The median of the runs before.
    pub(crate) takes_ms: u64,
    /// Of how many.
    pub(crate) runs: usize,
    /// What is left of it; 0 once it takes longer than usual.
    pub(crate) left_ms: u64,
}

impl Estimate {
    /// By the last runs of the same pipeline, for the same service and environment, that succeeded. Nothing without any.
    pub(crate) async fn of(
        file: &JournalFile,
        journal: &Arc<dyn Journal>,
        run: &Machine,
    ) -> Result<Option<Self>, Failure> {
        let mut took = Vec::new();
        for entry in runs(&**journal, Which::All).await?.iter().rev() {
            let (release, ended) = (&run.plan().release, entry.outcome.is_some());
            if !ended || entry.service != release.service || entry.environment != release.environment {
                continue;
            }
            // A run that cannot be read says nothing of others.
            let Ok(mut before) = Watcher::open(file, Arc::clone(journal), &entry.run).await else { continue };
            if before.catch_up().await.is_err() {
                continue;
            }
            let (plan, state) = (before.machine().plan(), before.machine().state());
            let went_well = matches!(state.mode, Mode::Ended { outcome: Outcome::Succeeded, .. });
            if went_well && plan.pipeline == run.plan().pipeline {
                took.push(Duration::from_millis(state.at.run.0));
            }
            if took.len() == LOOKED_AT {
                break;
            }
        }
        Ok(Self::median(took))
    }

    fn median(mut took: Vec<Duration>) -> Option<Self> {
        took.sort_unstable();
        let takes = *took.get(took.len() / 2)?;
        Some(Self { takes, runs: took.len() })
    }

    /// What it says of a run that has been under way for so long.
    pub(crate) fn after(self, elapsed: Duration) -> Usually {
        let left = self.takes.saturating_sub(elapsed);
        Usually { takes_ms: millis(self.takes), runs: self.runs, left_ms: millis(left) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Estimate;

    #[test]
    fn the_median_of_those_before_is_what_is_usual() {
        let of = |seconds: &[u64]| Estimate::median(seconds.iter().map(|s| Duration::from_secs(*s)).collect());
        assert_eq!(of(&[]), None);
        let one = of(&[900, 30, 40]).expect("three runs");
        let usually = one.after(Duration::from_secs(25));
        assert_eq!((usually.takes_ms, usually.left_ms, usually.runs), (40_000, 15_000, 3));
        assert_eq!(one.after(Duration::from_secs(400)).left_ms, 0, "longer than usual");
    }
}
