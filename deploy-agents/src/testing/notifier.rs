//! A stand-in for whoever carries notices.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use deploy_core::time::Timestamp;

use crate::notifiers::{Delivery, Notice, NoticeKey, Notifier, NotifyError, Party};

/// A notifier in this process: it keeps what it was given, one notice for each key, and fails where it is told to.
///
/// It dates deliveries with the time that it is told, so that tests in virtual time give the same bytes.
#[derive(Default)]
pub struct NotifierStandIn {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    now: Timestamp,
    taken: BTreeMap<NoticeKey, (Notice, Delivery)>,
    order: Vec<NoticeKey>,
    calls: u64,
    broken: BTreeMap<String, Fault>,
    acknowledged: BTreeMap<String, Timestamp>,
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Refuses,
    NotThere,
    TakesSilently,
}

impl NotifierStandIn {
    /// One that takes everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Deliveries from now on happen at this time.
    pub fn set_time(&self, now: Timestamp) {
        self.held().now = now;
    }

    /// Notices to this party are refused from now on.
    pub fn refuse(&self, party: impl Into<String>) {
        self.held().broken.insert(party.into(), Fault::Refuses);
    }

    /// Notices to this party reach nobody from now on.
    pub fn lose_connection(&self, party: impl Into<String>) {
        self.held().broken.insert(party.into(), Fault::NotThere);
    }

    /// Notices to this party are taken from now on, but no answer comes back.
    pub fn take_without_answer(&self, party: impl Into<String>) {
        self.held().broken.insert(party.into(), Fault::TakesSilently);
    }

    /// Notices to this party are delivered again.
    pub fn mend(&self, party: &str) {
        self.held().broken.remove(party);
    }

    /// This party says now, at this time, that they have read what they were sent.
    pub fn acknowledge(&self, party: impl Into<String>, at: Timestamp) {
        self.held().acknowledged.insert(party.into(), at);
    }

    /// What arrived, in order, each notice once.
    #[must_use]
    pub fn arrived(&self) -> Vec<Notice> {
        let inner = self.held();
        inner.order.iter().filter_map(|key| Some(inner.taken.get(key)?.0.clone())).collect()
    }

    /// How many notices of this key arrived.
    #[must_use]
    pub fn arrived_under(&self, key: &NoticeKey) -> usize {
        self.held().order.iter().filter(|known| *known == key).count()
    }

    /// How often it was called, repeats included.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.held().calls
    }

    fn held(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for NotifierStandIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotifierStandIn").field("arrived", &self.held().order.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Notifier for NotifierStandIn {
    fn channel(&self, _party: &Party) -> String {
        "stand-in".to_owned()
    }

    async fn notify(&self, notice: &Notice) -> Result<Delivery, NotifyError> {
        let (party, channel) = (notice.party().name.clone(), self.channel(notice.party()));
        let mut inner = self.held();
        inner.calls += 1;
        let fault = inner.broken.get(&party).copied();
        match fault {
            Some(Fault::Refuses) => {
                return Err(NotifyError::Refused { party, channel, said: "told to refuse".to_owned() });
            }
            Some(Fault::NotThere) => {
                let source = std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into();
                return Err(NotifyError::NotSent { party, channel, source });
            }
            Some(Fault::TakesSilently) | None => {}
        }
        let delivery = match inner.taken.get(notice.key()) {
            Some((_, known)) => known.clone(),
            None => {
                inner.order.push(notice.key().clone());
                let id = format!("n-{}", inner.order.len());
                let made = Delivery::new(&*party, &*channel, inner.now, id).map_err(|error| {
                    NotifyError::NoReceipt { party: party.clone(), channel: channel.clone(), reason: error.to_string() }
                })?;
                inner.taken.insert(notice.key().clone(), (notice.clone(), made.clone()));
                made
            }
        };
        if fault.is_some() {
            let source = std::io::Error::from(std::io::ErrorKind::TimedOut).into();
            return Err(NotifyError::Unanswered { party, channel, source });
        }
        Ok(delivery)
    }

    async fn acknowledged(&self, key: &NoticeKey, delivery: &Delivery) -> Result<Option<Timestamp>, NotifyError> {
        let inner = self.held();
        let known = inner.taken.get(key).is_some_and(|(_, known)| known.id == delivery.id);
        Ok(known.then(|| inner.acknowledged.get(&delivery.party).copied()).flatten())
    }
}
