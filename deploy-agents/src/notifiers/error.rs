//! A notice that did not arrive.

use std::error::Error;

/// A notice that did not arrive, or of which nobody can tell whether it did. Each names the party, none holds the notice's text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// Nobody says how this party is reached: add a way, or mend its address.
    #[error("there is no way to reach {party}: {reason}")]
    NoWay {
        /// Who was not told.
        party: String,
        /// Why.
        reason: String,
    },
    /// Nobody was reached, so nothing was done: it may be sent again.
    #[error("the notice to {party} reached nobody at {channel}")]
    NotSent {
        /// Who was not told.
        party: String,
        /// Through what they were to be told.
        channel: String,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The carrier said no: mend the address or the access.
    #[error("{channel} refused the notice to {party}: {said}")]
    Refused {
        /// Who was not told.
        party: String,
        /// Who refused.
        channel: String,
        /// In its own words, without anything secret.
        said: String,
    },
    /// The carrier could not do it now, and said so: it may be sent again under the same key.
    #[error("{channel} cannot deliver to {party} now: {said}")]
    Busy {
        /// Who was not told.
        party: String,
        /// Who cannot do it now.
        channel: String,
        /// In its own words, without anything secret.
        said: String,
    },
    /// No whole answer came: it may have arrived. Send it again under the same key.
    #[error("no whole answer came from {channel} about the notice to {party}")]
    Unanswered {
        /// Who may not have been told.
        party: String,
        /// Who did not answer.
        channel: String,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The carrier took it and gave no receipt that can be used: tell the notifier where its name stands.
    #[error("{channel} gave no receipt for the notice to {party}: {reason}")]
    NoReceipt {
        /// Who may have been told, without proof.
        party: String,
        /// Who gave no receipt.
        channel: String,
        /// What is wrong with what it gave.
        reason: String,
    },
}

impl NotifyError {
    /// Who was not told, or of whom nobody can tell.
    #[must_use]
    pub fn party(&self) -> &str {
        match self {
            Self::NoWay { party, .. }
            | Self::NotSent { party, .. }
            | Self::Refused { party, .. }
            | Self::Busy { party, .. }
            | Self::Unanswered { party, .. }
            | Self::NoReceipt { party, .. } => party,
        }
    }

    /// Whether the same notice under the same key may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::NotSent { .. } | Self::Busy { .. } | Self::Unanswered { .. })
    }

    /// Whether it may have arrived all the same.
    #[must_use]
    pub fn may_have_arrived(&self) -> bool {
        matches!(self, Self::Unanswered { .. } | Self::NoReceipt { .. })
    }
}
