//! The envelope of a record: kind, version, raw body.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::JournalError;
use crate::digest::Digest;
use crate::time::Now;

/// One record on its way into the journal. The body stays raw, so that a kind nobody knows survives a round trip to the byte.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Envelope {
    /// Its place in the run, from 0, without gaps.
    pub position: u64,
    /// When, as its writer read the clocks.
    pub at: Now,
    /// What kind of event it is.
    pub kind: String,
    /// Which shape the body has.
    #[serde(rename = "v")]
    pub version: u32,
    /// The body, as JSON.
    pub body: Box<RawValue>,
}

impl Envelope {
    /// The bytes that are stored and hashed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads stored bytes.
    ///
    /// # Errors
    ///
    /// [`JournalError::Damaged`] if they are not an envelope.
    pub fn parse(bytes: &[u8]) -> Result<Self, JournalError> {
        serde_json::from_slice(bytes).map_err(|e| JournalError::Damaged {
            what: "a record that is not an envelope".to_owned(),
            source: Some(e.into()),
        })
    }
}

impl PartialEq for Envelope {
    fn eq(&self, other: &Self) -> bool {
        self.to_bytes() == other.to_bytes()
    }
}

impl Eq for Envelope {}

/// One record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its place in the run.
    pub position: u64,
    /// The stored bytes: an [`Envelope`].
    pub bytes: Vec<u8>,
    /// The chain's hash after this record: that of the hash before it followed by `bytes`.
    pub hash: Digest,
}

/// Where a run's records end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Head {
    /// The position of the next record.
    pub next: u64,
    /// The chain's hash over all records so far; [`Digest::ZERO`] if there are none.
    pub hash: Digest,
}
