//! Says through what each party is reached.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use deploy_core::time::Timestamp;

use super::{Delivery, Notice, NoticeKey, Notifier, NotifyError, Party};

/// Hands each notice to the notifier of its party: the pager of the ones on call, the chat of the team, the mail of everybody else.
///
/// Somebody for whom there is none is an error, unless there is a notifier for everybody else.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    ways: BTreeMap<String, Arc<dyn Notifier>>,
    others: Option<Arc<dyn Notifier>>,
}

impl Directory {
    /// An empty one, which reaches nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with this way to this party.
    #[must_use]
    pub fn reach(mut self, party: impl Into<String>, through: Arc<dyn Notifier>) -> Self {
        self.ways.insert(party.into(), through);
        self
    }

    /// The same, with this way to everybody who has none of their own.
    #[must_use]
    pub fn everybody_else(mut self, through: Arc<dyn Notifier>) -> Self {
        self.others = Some(through);
        self
    }

    fn way(&self, party: &str) -> Option<&Arc<dyn Notifier>> {
        self.ways.get(party).or(self.others.as_ref())
    }

    fn must(&self, party: &str) -> Result<&Arc<dyn Notifier>, NotifyError> {
        let reason = || "the directory does not know them".to_owned();
        self.way(party).ok_or_else(|| NotifyError::NoWay { party: party.to_owned(), reason: reason() })
    }
}

#[async_trait]
impl Notifier for Directory {
    fn channel(&self, party: &Party) -> String {
        self.way(&party.name).map_or_else(|| "nothing".to_owned(), |way| way.channel(party))
    }

    async fn notify(&self, notice: &Notice) -> Result<Delivery, NotifyError> {
        self.must(&notice.party().name)?.notify(notice).await
    }

    async fn acknowledged(&self, key: &NoticeKey, delivery: &Delivery) -> Result<Option<Timestamp>, NotifyError> {
        self.must(&delivery.party)?.acknowledged(key, delivery).await
    }
}
