//! The receipt of a notice.

use deploy_core::digest::Digest;
use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::NoticeKey;

/// The longest name of a delivery, in bytes: a URL of a message still fits.
const LONGEST_ID: usize = 128;

/// Says that a notice has arrived: whom, through what, when, and what whatever carried it calls it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Delivery {
    /// Whom it reached.
    pub party: String,
    /// Through what.
    pub channel: String,
    /// When whatever carries it had taken it.
    pub delivered_at: Timestamp,
    /// What whatever carries it calls it.
    pub id: String,
}

impl Delivery {
    /// A receipt.
    ///
    /// # Errors
    ///
    /// [`DeliveryError`] if the carrier's name for it is none: a notice without one cannot be asked for later.
    pub fn new(
        party: impl Into<String>,
        channel: impl Into<String>,
        delivered_at: Timestamp,
        id: impl Into<String>,
    ) -> Result<Self, DeliveryError> {
        let id = id.into();
        if id.trim().is_empty()
            || id.len() > LONGEST_ID
            || id.contains(|c: char| c.is_control() || c == '"' || c == '\\')
        {
            return Err(DeliveryError { bytes: id.len() });
        }
        Ok(Self { party: party.into(), channel: channel.into(), delivered_at, id })
    }

    /// What stands for a name where a carrier gives none: the key, or its digest where the key is too long.
    pub(super) fn own_id(key: &NoticeKey) -> String {
        let key = key.as_str();
        if key.len() <= LONGEST_ID { key.to_owned() } else { Digest::of(key.as_bytes()).to_string() }
    }
}

/// A carrier that named a delivery with something that is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name of a delivery is one line of 1 to {LONGEST_ID} bytes without quotes; this one has {bytes}")]
#[non_exhaustive]
pub struct DeliveryError {
    /// How long it was.
    pub bytes: usize,
}
