//! What an engine does all the time, whatever its runs do: it renews its lease, reads the inbox, and wakes who is due.

use std::sync::{PoisonError, Weak};
use std::time::Duration;

use super::clock::wait;
use super::driven::{Inner, Message, Slot};

/// How many waiting inputs are read at once from the journal.
const INBOX_PAGE: usize = 256;

/// Renews the lease three times as often as it must be.
pub(super) async fn keep_lease(engine: Weak<Inner>) {
    loop {
        let Some(inner) = engine.upgrade() else { return };
        let mut every = inner.options.lease / 3;
        let unreleased = std::mem::take(&mut *inner.unreleased.lock().unwrap_or_else(PoisonError::into_inner));
        for claim in unreleased {
            inner.give_back(claim).await;
        }
        let any = !inner.slots().is_empty();
        let asked_at = inner.lease.before_asking();
        if any {
            let renewed = inner.journal.renew(&inner.owner, inner.options.lease).await;
            match renewed {
                Ok(()) => {
                    inner.lease.granted(asked_at);
                }
                Err(error) => {
                    tracing::warn!(%error, "the lease could not be renewed; trying again");
                    every /= 4;
                }
            }
        } else {
            // Nobody can take over what nobody owns; claiming grants a new lease.
            inner.lease.granted(asked_at);
        }
        drop(inner);
        wait(every).await;
    }
}

/// Puts inputs that other processes gave before the loops of their runs.
pub(super) async fn read_inbox(engine: Weak<Inner>) {
    loop {
        let Some(inner) = engine.upgrade() else { return };
        let every = inner.options.inbox_every;
        let any = !inner.slots().is_empty();
        if any {
            let mut after = 0;
            loop {
                match inner.journal.inbox(&inner.owner, after, INBOX_PAGE).await {
                    Ok(page) => {
                        let whole = page.len() == INBOX_PAGE;
                        for waiting in page {
                            after = waiting.arrival;
                            if let Some(mailbox) = inner.mailbox(&waiting.run) {
                                // What does not fit now is read again next time: it waits in the journal until taken.
                                let _full = mailbox.try_send(Message::FromInbox(waiting.input));
                            }
                        }
                        if !whole {
                            break;
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the inbox could not be read; trying again");
                        break;
                    }
                }
            }
        }
        drop(inner);
        wait(every).await;
    }
}

/// Brings runs back into memory when they are due. Costs nothing for those that are not.
pub(super) async fn wake_dormant(engine: Weak<Inner>) {
    loop {
        let Some(inner) = engine.upgrade() else { return };
        let now = inner.clock.monotonic();
        let mut due = Vec::new();
        let mut next = None;
        {
            let mut alarms = inner.alarms();
            while let Some((at, run)) = alarms.first().cloned() {
                if at > now {
                    next = Some(at - now);
                    break;
                }
                alarms.remove(&(at, run.clone()));
                due.push(run);
            }
        }
        for run in due {
            // A run that came back for another reason, or is driven elsewhere by now, does not need waking.
            if matches!(inner.slots().get(&run), Some(Slot::Dormant(..))) {
                inner.adopt(&run);
            }
        }
        // Without an alarm it still looks now and then whether the engine is gone.
        let next = next.unwrap_or(inner.options.lease).min(inner.options.lease);
        let set = async { inner.alarm_set.notified().await };
        tokio::select! {
            () = wait(next.max(Duration::from_millis(1))) => {}
            () = set => {}
        }
    }
}
