//! The instances of a revision, as the proxy sees them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::Notify;

use super::statistics::Statistics;

/// One address that serves a revision.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    in_flight: AtomicUsize,
    retired: AtomicBool,
    /// Told whenever the last request under way has ended.
    idle: Notify,
    /// Until when it is passed over, in milliseconds of the proxy's monotonic clock.
    skipped_until: AtomicU64,
}

impl Upstream {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            in_flight: AtomicUsize::new(0),
            retired: AtomicBool::new(false),
            idle: Notify::new(),
            skipped_until: AtomicU64::new(0),
        }
    }

    /// Passes it over until `until`, in milliseconds of the proxy's clock.
    pub(crate) fn skip_until(&self, until: u64) {
        self.skipped_until.store(until, SeqCst);
    }

    /// Takes no new requests from here on.
    pub(crate) fn retire(&self) {
        self.retired.store(true, SeqCst);
        self.idle.notify_waiters();
    }

    /// Begins a request, unless the instance is on its way out.
    ///
    /// The count rises *before* the flag is read, and [`drained`](Self::drained) reads the count after the flag was set:
    /// whichever comes first, no request is begun that the drain does not see.
    fn begin(self: &Arc<Self>) -> Option<Busy> {
        self.in_flight.fetch_add(1, SeqCst);
        let busy = Busy(Arc::clone(self));
        (!self.retired.load(SeqCst)).then_some(busy)
    }

    /// Waits until no request is under way, at most for `bound`; tells how many are left.
    pub(crate) async fn drained(&self, bound: Duration) -> usize {
        let wait = async {
            loop {
                let idle = self.idle.notified();
                if self.in_flight.load(SeqCst) == 0 {
                    return;
                }
                idle.await;
            }
        };
        match tokio::time::timeout(bound, wait).await {
            Ok(()) => 0,
            Err(_) => self.in_flight.load(SeqCst),
        }
    }
}

/// A request under way at one instance; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Busy(pub(crate) Arc<Upstream>);

impl Drop for Busy {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, SeqCst) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

/// All instances of one revision, taking turns.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) upstreams: Vec<Arc<Upstream>>,
    pub(crate) statistics: Arc<Statistics>,
    pub(crate) turn: AtomicUsize,
}

impl Pool {
    /// The next instance in turn that was not tried yet. Instances that refused a connection a moment ago come last, not
    /// never: when all did, one of them is the best there is.
    pub(crate) fn begin(&self, tried: &[SocketAddr], now_ms: u64) -> Option<Busy> {
        let n = self.upstreams.len();
        let first = self.turn.fetch_add(1, SeqCst);
        let in_turn =
            || (0..n).map(|i| &self.upstreams[(first.wrapping_add(i)) % n]).filter(|u| !tried.contains(&u.address));
        let well = in_turn().filter(|u| u.skipped_until.load(SeqCst) <= now_ms).find_map(Upstream::begin);
        well.or_else(|| in_turn().find_map(Upstream::begin))
    }
}

impl Pool {
    pub(crate) fn find(&self, address: SocketAddr) -> Option<Arc<Upstream>> {
        self.upstreams.iter().find(|upstream| upstream.address == address).cloned()
    }
}
