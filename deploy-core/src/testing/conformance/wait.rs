//! Waiting for a condition, with a bound.

use std::future::Future;
use std::time::Duration;

/// How long a suite waits for something to become so, and how often it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long at most. Default 60 s: far longer than anything takes, so that a slow machine fails nothing.
    pub bound: Duration,
    /// How often. Default 10 ms.
    pub every: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { bound: Duration::from_secs(60), every: Duration::from_millis(10) }
    }
}

impl Patience {
    /// Asks until there is an answer; nothing when the bound has passed.
    #[expect(clippy::disallowed_methods, reason = "real places take real time; the suites wait for them here alone")]
    pub(super) async fn until<T, F: Future<Output = Option<T>>>(self, mut ask: impl FnMut() -> F) -> Option<T> {
        let asking = async {
            loop {
                if let Some(answer) = ask().await {
                    return answer;
                }
                tokio::time::sleep(self.every).await;
            }
        };
        tokio::time::timeout(self.bound, asking).await.ok()
    }
}
