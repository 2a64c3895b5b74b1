//! Telling people: notices, and receipts of their delivery.
//!
//! ```text
//!  Announcement ─► Announce (an agent) ─► one Notice for each party ─► Notifier ─► chat, mail, pager, another system
//!                        │                                                │
//!                        └── evidence of kind `notices` ◄── Delivery ─────┘ {whom, through what, when, the remote's id}
//! ```
//!
//! A notice that was sent is not a notice that arrived: a [`Notifier`] answers with a [`Delivery`] only when whatever carries the
//! notice has taken it and has named it. The check `stakeholders-notified` reads nothing else.
//!
//! Who is asked by a run is told by [`ApprovalReminders`], and reminded until they answer.
//!
//! An escalation stands on the same three things: [`Notice::acknowledge_by`] says until when somebody must react,
//! [`Notifier::acknowledged`] says whether they did, and [`Directory`] says through what each party is reached.

mod announce;
mod announcement;
mod approval_reminders;
mod delivery;
mod directory;
mod error;
mod notice;
mod once;
mod template;
mod webhook;

use std::fmt::Debug;

use async_trait::async_trait;
use deploy_core::time::Timestamp;

pub use self::announce::Announce;
pub use self::announcement::{Announcement, AnnouncementError, WorkStarts};
pub use self::approval_reminders::ApprovalReminders;
pub use self::delivery::{Delivery, DeliveryError};
pub use self::directory::Directory;
pub use self::error::NotifyError;
pub use self::notice::{Notice, NoticeError, NoticeKey, Party};
pub(crate) use self::once::Once;
pub use self::template::{Template, TemplateError};
pub use self::webhook::{ReceiptAt, WebhookNotifier};

/// Brings one notice to one party, and says when it has arrived.
///
/// # Contract for implementors
///
/// - `Ok` means that whatever carries the notice has taken it and has named it. What was merely handed to a queue of one's own
///   is an error, or is waited for.
/// - The same [`NoticeKey`] again is the same notice: it does not arrive twice, and the answer names the same delivery. Send the
///   key along, and let the receiver compare; a notifier whose receiver cannot compare says so in its documentation.
/// - An error names the party, and holds neither the notice's text nor anything secret.
/// - It is called by agents and gates, from many runs at once.
///
/// `deploy_agents::testing::NotifierSuite` (feature `testing`) holds an implementation to this.
///
/// Rows: M28.
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a notifier",
    note = "use `deploy_agents::notifiers::WebhookNotifier`, or implement `deploy_agents::notifiers::Notifier` (`channel` and `notify`)"
)]
pub trait Notifier: Debug + Send + Sync + 'static {
    /// Through what it delivers to this party, for receipts and for people: `webhook hooks.example`, for example. Never secret.
    fn channel(&self, party: &Party) -> String;

    /// Delivers the notice.
    ///
    /// # Errors
    ///
    /// [`NotifyError`], which names the party, and says whether it may have arrived all the same.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave the notice delivered. Under the same key it can be sent again.
    async fn notify(&self, notice: &Notice) -> Result<Delivery, NotifyError>;

    /// When the party said that they have read it; nothing: not yet, or nobody can tell. The default cannot tell.
    ///
    /// # Errors
    ///
    /// [`NotifyError`] if the question itself failed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    async fn acknowledged(&self, key: &NoticeKey, delivery: &Delivery) -> Result<Option<Timestamp>, NotifyError> {
        let _ = (key, delivery);
        Ok(None)
    }
}

macro_rules! forward_notifier {
    ($($kind:ty),*) => {$(
        #[async_trait]
        impl<T: Notifier + ?Sized> Notifier for $kind {
            fn channel(&self, party: &Party) -> String {
                (**self).channel(party)
            }
            async fn notify(&self, notice: &Notice) -> Result<Delivery, NotifyError> {
                (**self).notify(notice).await
            }
            async fn acknowledged(&self, key: &NoticeKey, delivery: &Delivery) -> Result<Option<Timestamp>, NotifyError> {
                (**self).acknowledged(key, delivery).await
            }
        }
    )*};
}

forward_notifier!(std::sync::Arc<T>, Box<T>);
