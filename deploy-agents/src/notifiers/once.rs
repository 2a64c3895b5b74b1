//! Sends each notice until it arrives, and not again after that.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Delivery, Notice, NoticeKey, Notifier};

/// How many notices are remembered as delivered; whoever is told again after that is told under the same key.
const MOST_REMEMBERED: usize = 10_000;

/// A notifier for what is due again at every look: what has arrived is not sent again by this process, and by another one only under
/// the same key. What did not arrive is in the log, and is sent again at the next look.
#[derive(Clone)]
pub(crate) struct Once {
    notifier: Arc<dyn Notifier>,
    told: Arc<Mutex<BTreeSet<NoticeKey>>>,
}

impl Once {
    pub(crate) fn new(notifier: Arc<dyn Notifier>) -> Self {
        Self { notifier, told: Arc::default() }
    }

    /// Sends a notice that has not arrived yet, and answers with its delivery if it arrived now.
    pub(crate) async fn send(&self, notice: &Notice) -> Option<Delivery> {
        if self.told.lock().unwrap_or_else(PoisonError::into_inner).contains(notice.key()) {
            return None;
        }
        match self.notifier.notify(notice).await {
            Ok(delivery) => {
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                if told.len() >= MOST_REMEMBERED {
                    told.clear();
                }
                told.insert(notice.key().clone());
                Some(delivery)
            }
            Err(error) => {
                tracing::warn!(error = deploy_core::report::chain(&error), "a reminder did not arrive");
                None
            }
        }
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.notifier.fmt(f)
    }
}
