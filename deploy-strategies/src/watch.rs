//! Adds up observed time, so that gaps in which nobody looked never count.

use std::time::Duration;

use deploy_core::strategy::Situation;
use deploy_core::time::millis;
use serde::{Deserialize, Serialize};

/// Time between looks of one stage, and how long nothing has moved. Milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Watch {
    /// What [`Situation::observed_for`] was at the last look of this stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<u64>,
    /// How long nothing has moved.
    #[serde(default)]
    waited: u64,
    /// The furthest that what we wait for has come.
    #[serde(default)]
    best: u64,
}

impl Watch {
    /// Observed time since the last look. Zero at the first look of a stage: nobody knows what was before it.
    pub(crate) fn tick(&mut self, s: &Situation<'_>) -> Duration {
        let now = millis(s.observed_for);
        let since = match self.seen {
            None => 0,
            // A smaller figure means that the count began again.
            Some(seen) if now < seen => now,
            Some(seen) => now - seen,
        };
        self.seen = Some(now);
        Duration::from_millis(since)
    }

    /// Waits on: how long there has been no progress. `progress` only counts when it exceeds the best so far, so that
    /// something that comes and goes does not wait for ever.
    pub(crate) fn wait(&mut self, tick: Duration, progress: u64) -> Duration {
        if progress > self.best {
            self.best = progress;
            self.waited = 0;
        } else {
            self.waited = self.waited.saturating_add(millis(tick));
        }
        Duration::from_millis(self.waited)
    }

    /// Nothing is waited for now.
    pub(crate) fn rest(&mut self) {
        (self.waited, self.best) = (0, 0);
    }

    /// The same clock at the beginning of another stage.
    pub(crate) fn next_stage() -> Self {
        Self::default()
    }
}
