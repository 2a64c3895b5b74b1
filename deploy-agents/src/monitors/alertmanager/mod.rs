//! Alertmanager: what fires is asked, alerts and silences are posted, and what it sends is read as data.

mod client;
mod drill;
mod firing;
mod inbox;
mod message;
mod silence;

pub use self::client::{Alertmanager, AlertmanagerError};
pub use self::drill::AlertDrill;
pub use self::firing::{FiringAlerts, Watchdog};
pub use self::inbox::{AlertInbox, Delivered};
pub use self::message::{ActiveAlert, Alert, AlertState, MessageError, SentAlert, WebhookMessage};
pub use self::silence::{HidesAll, Matcher, Silence, SilenceError, SilenceId};
