//! The hash chain over a run's records, and the check that finds any change to them.
//!
//! Each record's hash is that of the hash before it followed by the record's stored bytes; the first follows 32 zero bytes.
//! Somebody who can write the store can rewrite a whole chain consistently. What they cannot do is reach a [`Head`] that was
//! kept elsewhere before: give it as the anchor.

use super::{Envelope, Head, Journal, JournalError, Stored};
use crate::digest::Digest;
use crate::name::RunId;

/// How many records are read at once while a run is verified: a megabyte or so at the usual size.
const PAGE: usize = 1024;

/// What a check of a chain found, where nothing was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ChainReport {
    /// Where the records end: keep it elsewhere as the next anchor.
    pub head: Head,
    /// How many records an anchor vouches for; none without an anchor.
    pub anchored: u64,
}

/// Where a chain is broken. Everything before that position is as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// A record is missing or in the wrong place: restore the run from a backup.
    #[error("position {expected} is followed by nothing of its own: a record of position {found} stands there")]
    Gap {
        /// The position that should stand there.
        expected: u64,
        /// The position that does.
        found: u64,
    },
    /// A record's bytes or its hash were changed: restore the run from a backup.
    #[error("record {position} was changed: its chain gives {computed}, and {stored} is stored")]
    Changed {
        /// The record.
        position: u64,
        /// The hash that its bytes give.
        computed: Digest,
        /// The hash that is stored.
        stored: Digest,
    },
    /// The bytes are not the envelope that belongs there, although the hash fits them: the chain was written anew.
    #[error("record {position} does not hold the envelope of its position: {found}")]
    Misplaced {
        /// The record.
        position: u64,
        /// What it holds.
        found: String,
    },
    /// Records at the end are missing: restore the run from a backup.
    #[error("the records end at {found}, and the anchor knows {anchored} of them")]
    Truncated {
        /// How many records the anchor knows.
        anchored: u64,
        /// How many there are.
        found: u64,
    },
    /// There are more records than the header of an export says: lines were added.
    #[error("the records end at {found}, and the header says {said}")]
    Surplus {
        /// How many records the header says.
        said: u64,
        /// How many there are.
        found: u64,
    },
    /// The chain is consistent in itself, and not the one that was anchored: something before the anchor was rewritten.
    #[error("the first {anchored} records give {found}, and the anchor knows {expected}")]
    Rewritten {
        /// How many records the anchor knows.
        anchored: u64,
        /// The hash that it knows.
        expected: Digest,
        /// The hash that they give.
        found: Digest,
    },
}

/// A run that could not be verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The chain is broken.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The records could not be read.
    #[error(transparent)]
    Journal(JournalError),
}

impl From<JournalError> for VerifyError {
    /// A journal that checks what it reads reports a broken chain itself; the position is not lost on the way.
    fn from(error: JournalError) -> Self {
        match &error {
            JournalError::Damaged { source: Some(source), .. } => match source.downcast_ref::<ChainError>() {
                Some(broken) => Self::Chain(broken.clone()),
                None => Self::Journal(error),
            },
            _ => Self::Journal(error),
        }
    }
}

/// Checks records one after another, in constant memory.
#[derive(Debug, Clone)]
pub struct Chain {
    head: Head,
    anchor: Option<Head>,
    anchored: u64,
}

impl Chain {
    /// Starts before the first record.
    #[must_use]
    pub fn new() -> Self {
        Self::after(Head { next: 0, hash: Digest::ZERO })
    }

    /// Starts after records that were checked before, for example at a snapshot.
    #[must_use]
    pub fn after(head: Head) -> Self {
        Self { head, anchor: None, anchored: 0 }
    }

    /// The same chain, which must also pass through `anchor`.
    #[must_use]
    pub fn anchored(mut self, anchor: Head) -> Self {
        self.anchor = Some(anchor);
        self
    }

    /// Checks the place and the hash of the next record, and leaves its envelope alone.
    ///
    /// # Errors
    ///
    /// [`ChainError`] says what is wrong, and where.
    pub fn link(&mut self, record: &Stored) -> Result<(), ChainError> {
        self.meet_anchor()?;
        if record.position != self.head.next {
            return Err(ChainError::Gap { expected: self.head.next, found: record.position });
        }
        let computed = self.head.hash.then(&record.bytes);
        if computed != record.hash {
            return Err(ChainError::Changed { position: record.position, computed, stored: record.hash });
        }
        self.head = Head { next: record.position + 1, hash: computed };
        Ok(())
    }

    /// Checks the next record, its envelope included.
    ///
    /// # Errors
    ///
    /// [`ChainError`] says what is wrong, and where.
    pub fn check(&mut self, record: &Stored) -> Result<(), ChainError> {
        self.link(record)?;
        let found = match Envelope::parse(&record.bytes) {
            Ok(envelope) if envelope.position == record.position => return Ok(()),
            Ok(envelope) => format!("an envelope of position {}", envelope.position),
            Err(_) => "bytes that are not an envelope".to_owned(),
        };
        Err(ChainError::Misplaced { position: record.position, found })
    }

    /// Ends the check after the last record.
    ///
    /// # Errors
    ///
    /// [`ChainError::Truncated`] or [`ChainError::Rewritten`] if the records do not pass through the anchor.
    pub fn finish(mut self) -> Result<ChainReport, ChainError> {
        self.meet_anchor()?;
        match self.anchor {
            Some(anchor) if anchor.next > self.head.next => {
                Err(ChainError::Truncated { anchored: anchor.next, found: self.head.next })
            }
            _ => Ok(ChainReport { head: self.head, anchored: self.anchored }),
        }
    }

    /// Compares with the anchor where the chain has come to it.
    fn meet_anchor(&mut self) -> Result<(), ChainError> {
        match self.anchor {
            Some(anchor) if anchor.next == self.head.next => {
                if anchor.hash != self.head.hash {
                    return Err(ChainError::Rewritten {
                        anchored: anchor.next,
                        expected: anchor.hash,
                        found: self.head.hash,
                    });
                }
                self.anchored = anchor.next;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}

/// Checks all records of a run, off line: any change, gap, swap or, relative to an anchored head, truncation is found.
///
/// # Errors
///
/// [`ChainError`] says what is wrong, and where.
///
/// # Examples
///
/// ```
/// use deploy_core::digest::Digest;
/// use deploy_core::journal::{Stored, verify};
///
/// let bytes = br#"{"position":0,"at":{"wall":0,"run":0},"kind":"started","v":1,"body":{}}"#.to_vec();
/// let hash = Digest::ZERO.then(&bytes);
/// let mut records = vec![Stored { position: 0, bytes, hash }];
/// assert_eq!(verify(&records, None)?.head.next, 1);
///
/// records[0].bytes[60] ^= 1;
/// assert!(verify(&records, None).is_err());
/// # Ok::<(), deploy_core::journal::ChainError>(())
/// ```
pub fn verify<'a>(
    records: impl IntoIterator<Item = &'a Stored>,
    anchor: Option<Head>,
) -> Result<ChainReport, ChainError> {
    let mut chain = Chain { anchor, ..Chain::new() };
    records.into_iter().try_for_each(|record| chain.check(record))?;
    chain.finish()
}

/// Checks all records of a run in a journal, page by page.
///
/// # Errors
///
/// [`VerifyError::Chain`] says what is wrong, and where.
///
/// # Cancel safety
///
/// It only reads.
pub async fn verify_run(journal: &dyn Journal, run: &RunId, anchor: Option<Head>) -> Result<ChainReport, VerifyError> {
    let mut chain = Chain { anchor, ..Chain::new() };
    loop {
        let page = journal.read(run, chain.head.next, PAGE).await?;
        if page.is_empty() {
            return Ok(chain.finish()?);
        }
        page.iter().try_for_each(|record| chain.check(record))?;
    }
}

/// Appends envelopes to records that end at `head`.
pub(super) fn extend(records: &mut Vec<Stored>, mut head: Head, envelopes: &[Envelope]) -> Head {
    for envelope in envelopes {
        let bytes = envelope.to_bytes();
        let hash = head.hash.then(&bytes);
        records.push(Stored { position: envelope.position, bytes, hash });
        head = Head { next: envelope.position + 1, hash };
    }
    head
}
