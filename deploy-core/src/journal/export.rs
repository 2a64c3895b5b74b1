//! A run as lines of JSON, for text tools, for archives, and to be verified where there is no journal.
//!
//! The first line says which run it is and where it ended; every further line is one record with its hash:
//!
//! ```text
//! {"format":1,"run":"r-1","head":{"next":2,"hash":"sha256:9b…"}}
//! {"hash":"sha256:41…","record":{"position":0,"at":{"wall":0,"run":0},"kind":"started","v":1,"body":{}}}
//! {"hash":"sha256:9b…","record":{"position":1,"at":{"wall":5,"run":5},"kind":"ended","v":1,"body":{}}}
//! ```
//!
//! `record` is the stored text, byte for byte, so the hashes can be checked with any tool that knows SHA-256.

use std::io::{BufRead, Write};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Chain, ChainError, ChainReport, Head, Journal, JournalError, Stored, verify};
use crate::digest::Digest;
use crate::name::RunId;

/// The newest format that this build writes and reads.
const FORMAT: u32 = 1;

/// How many records are read at once.
const PAGE: usize = 1024;

/// The first line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExportHeader {
    /// The format of the lines.
    pub format: u32,
    /// The run.
    pub run: RunId,
    /// Where its records ended when it was exported.
    pub head: Head,
}

/// An export that was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Export {
    /// Which run it is, and where it ended.
    pub header: ExportHeader,
    /// Its records.
    pub records: Vec<Stored>,
}

impl Export {
    /// Checks the whole chain, up to the head that the header names and through `anchor`, if you kept one elsewhere.
    ///
    /// Who can change the lines can change the header too: only the anchor vouches for what they say.
    ///
    /// # Errors
    ///
    /// [`ChainError`] says what is wrong, and where.
    pub fn verify(&self, anchor: Option<Head>) -> Result<ChainReport, ChainError> {
        let report = verify(&self.records, Some(self.header.head))?;
        if report.head != self.header.head {
            return Err(ChainError::Surplus { said: self.header.head.next, found: report.head.next });
        }
        match anchor {
            Some(anchor) => verify(&self.records, Some(anchor)),
            None => Ok(report),
        }
    }
}

/// A run that could not be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The records could not be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record cannot be written as a line, because it is not JSON on one line: verify the run.
    #[error("record {position} cannot be written as a line of JSON")]
    NotALine {
        /// The record.
        position: u64,
    },
    /// The lines could not be written.
    #[error("the lines could not be written")]
    Write(#[from] std::io::Error),
}

/// Lines that are not an export.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// There is nothing: check the file.
    #[error("there is no first line")]
    Empty,
    /// A line cannot be read: it was changed or cut off.
    #[error("line {line} is not part of an export")]
    Line {
        /// Which line, from 1.
        line: usize,
        /// The parser's words.
        #[source]
        source: serde_json::Error,
    },
    /// A line means something, and no export writes it like that: it was changed.
    #[error("line {line} is not written as an export writes it")]
    Changed {
        /// Which line, from 1.
        line: usize,
    },
    /// It has another format: use the build that wrote it.
    #[error("the export has format {found}, and this build knows format {FORMAT}")]
    Format {
        /// The format that was found.
        found: u32,
    },
    /// The lines could not be read.
    #[error("line {line} could not be read")]
    Read {
        /// Which line, from 1.
        line: usize,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

#[derive(Serialize)]
struct WrittenLine<'a> {
    hash: Digest,
    record: &'a RawValue,
}

#[derive(Deserialize)]
struct ReadLine {
    hash: Digest,
    record: Box<RawValue>,
}

/// Writes a run as lines of JSON, and returns where it ended: keep that elsewhere as an anchor. Each record is checked against
/// the chain on the way.
///
/// # Errors
///
/// [`ExportError`] if the run could not be read or the lines could not be written.
///
/// # Cancel safety
///
/// What was written so far stays written; the journal is only read.
pub async fn export(journal: &dyn Journal, run: &RunId, lines: &mut (dyn Write + Send)) -> Result<Head, ExportError> {
    let head = journal.head(run).await?;
    let header = ExportHeader { format: FORMAT, run: run.clone(), head };
    write_line(lines, &header)?;
    let mut chain = Chain::new();
    let mut next = 0;
    while next < head.next {
        let left = usize::try_from(head.next - next).unwrap_or(PAGE);
        let page = journal.read(run, next, left.min(PAGE)).await?;
        if page.is_empty() {
            return Err(broken(run, ChainError::Truncated { anchored: head.next, found: next }).into());
        }
        for record in &page {
            chain.link(record).map_err(|error| broken(run, error))?;
            let text = std::str::from_utf8(&record.bytes).ok().filter(|text| !text.contains(['\n', '\r']));
            let raw: Option<&RawValue> = text.and_then(|text| serde_json::from_str(text).ok());
            let Some(raw) = raw else { return Err(ExportError::NotALine { position: record.position }) };
            write_line(lines, &WrittenLine { hash: record.hash, record: raw })?;
            next = record.position + 1;
        }
    }
    lines.flush()?;
    Ok(head)
}

fn broken(run: &RunId, error: ChainError) -> JournalError {
    JournalError::Damaged { what: format!("the chain of run {run} is broken"), source: Some(error.into()) }
}

fn write_line<T: Serialize>(lines: &mut (dyn Write + Send), line: &T) -> std::io::Result<()> {
    serde_json::to_writer(&mut *lines, line)?;
    lines.write_all(b"\n")
}

/// A line has one spelling only, so that no change to it goes unnoticed.
fn as_written<T: Serialize>(line: usize, text: &str, meant: &T) -> Result<(), ImportError> {
    match serde_json::to_string(meant) {
        Ok(written) if written == text => Ok(()),
        _ => Err(ImportError::Changed { line }),
    }
}

/// Reads the lines of an export. It says nothing about whether they were changed: [verify](Export::verify) them.
///
/// # Errors
///
/// [`ImportError`] names the line that is not part of an export.
///
/// # Examples
///
/// ```
/// let text = r#"{"format":1,"run":"r-1","head":{"next":1,"hash":"sha256:9999999999999999999999999999999999999999999999999999999999999999"}}"#;
/// let export = deploy_core::journal::import(text.as_bytes())?;
/// assert!(export.verify(None).is_err(), "its only record is missing");
/// # Ok::<(), deploy_core::journal::ImportError>(())
/// ```
pub fn import(lines: impl BufRead) -> Result<Export, ImportError> {
    let mut header: Option<ExportHeader> = None;
    let mut records = Vec::new();
    for (line, text) in (1..).zip(lines.lines()) {
        let text = text.map_err(|source| ImportError::Read { line, source })?;
        let unreadable = |source| ImportError::Line { line, source };
        if header.is_none() {
            let found: ExportHeader = serde_json::from_str(&text).map_err(unreadable)?;
            if found.format != FORMAT {
                return Err(ImportError::Format { found: found.format });
            }
            as_written(line, &text, &found)?;
            header = Some(found);
        } else {
            let found: ReadLine = serde_json::from_str(&text).map_err(unreadable)?;
            as_written(line, &text, &WrittenLine { hash: found.hash, record: &found.record })?;
            // The place is the line's; a record that says otherwise is found when the chain is checked.
            let position = u64::try_from(records.len()).unwrap_or(u64::MAX);
            let bytes = found.record.get().as_bytes().to_vec();
            records.push(Stored { position, bytes, hash: found.hash });
        }
    }
    Ok(Export { header: header.ok_or(ImportError::Empty)?, records })
}
