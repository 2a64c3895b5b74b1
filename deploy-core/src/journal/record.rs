//! The envelope of a record: kind, version, raw body.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{JournalError, Snapshot};
use crate::digest::Digest;
use crate::name::RunId;
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

/// What the other fields of an envelope take, in bytes, as a rule.
const ROOM: usize = 160;

impl Envelope {
    /// The bytes that are stored and hashed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // The body is nearly all of it.
        let mut bytes = Vec::with_capacity(self.body.get().len() + ROOM);
        // A structure of numbers and texts is always written.
        if serde_json::to_writer(&mut bytes, self).is_err() {
            bytes.clear();
        }
        bytes
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

/// Records stand at consecutive positions from `from` on, each on one line, so that an export is one line a record.
pub(super) fn check_positions(run: &RunId, from: u64, records: &[Envelope]) -> Result<(), JournalError> {
    let mut expected = from;
    for record in records {
        if record.position != expected {
            let found = record.position;
            return Err(JournalError::Malformed(format!(
                "a record of run {run} at position {expected} says that it stands at {found}"
            )));
        }
        if record.body.get().bytes().any(|byte| matches!(byte, b'\n' | b'\r')) {
            return Err(JournalError::Malformed(format!("record {expected} of run {run} has a body of several lines")));
        }
        expected = expected.wrapping_add(1);
    }
    Ok(())
}

/// Blobs stand under the digest of their bytes.
pub(super) fn check_blobs(blobs: &[(Digest, Vec<u8>)]) -> Result<(), JournalError> {
    match blobs.iter().find(|(digest, bytes)| Digest::of(bytes) != *digest) {
        None => Ok(()),
        Some((digest, bytes)) => {
            let found = Digest::of(bytes);
            Err(JournalError::Malformed(format!("a blob was to be kept under {digest}, and its bytes give {found}")))
        }
    }
}

/// What was read back under a digest has that digest.
pub(super) fn check_blob(digest: &Digest, bytes: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, JournalError> {
    match bytes {
        Some(bytes) if Digest::of(&bytes) != *digest => Err(JournalError::Damaged {
            what: format!("the bytes kept under {digest} give {}", Digest::of(&bytes)),
            source: None,
        }),
        bytes => Ok(bytes),
    }
}

/// A snapshot belongs to records that are there: `hash` is the chain's before its position.
pub(super) fn check_snapshot(run: &RunId, snapshot: &Snapshot, hash: Option<Digest>) -> Result<(), JournalError> {
    match hash {
        Some(hash) if hash == snapshot.hash => Ok(()),
        Some(hash) => Err(JournalError::Malformed(format!(
            "a snapshot of run {run} at {} names {}, and the chain has {hash} there",
            snapshot.position, snapshot.hash
        ))),
        None => Err(JournalError::Malformed(format!(
            "a snapshot of run {run} at {} lies beyond its records",
            snapshot.position
        ))),
    }
}
