//! The one place that waits on the wall clock.

use std::future::Future;
use std::time::Duration;

use deploy_core::time::Spell;

/// A condition that did not come true within its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the condition did not come true within {}", Spell(*bound))]
pub struct TimedOut {
    /// How long it was waited for.
    pub bound: Duration,
}

/// Asks `condition` every `every` until it answers `Some`, at most for `bound`. It is asked at once, and a question that
/// itself takes too long counts against the bound.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::time::Duration;
/// use deploy_agents::wait::until;
///
/// let mut asked = 0;
/// let answer = until(Duration::from_secs(5), Duration::from_millis(1), || {
///     asked += 1;
///     let now = asked;
///     async move { (now == 3).then_some("three times") }
/// });
/// assert_eq!(answer.await, Ok("three times"));
/// # });
/// ```
///
/// # Errors
///
/// [`TimedOut`] when the bound has passed.
///
/// # Cancel safety
///
/// Dropping the future drops the question under way and leaves nothing else behind.
pub async fn until<T, C, F>(bound: Duration, every: Duration, mut condition: C) -> Result<T, TimedOut>
where
    C: FnMut() -> F + Send,
    F: Future<Output = Option<T>> + Send,
    T: Send,
{
    let asked = async {
        loop {
            if let Some(answer) = condition().await {
                return answer;
            }
            pause(every).await;
        }
    };
    tokio::time::timeout(bound, asked).await.map_err(|_| TimedOut { bound })
}

/// Lets `span` pass.
#[expect(
    clippy::disallowed_methods,
    reason = "processes and sockets live on the wall clock; this is the one place that waits for it"
)]
pub(crate) async fn pause(span: Duration) {
    tokio::time::sleep(span).await;
}

/// Waits until it is told to stop, or until nobody is left to tell.
pub(crate) async fn told(stop: &mut tokio::sync::watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
