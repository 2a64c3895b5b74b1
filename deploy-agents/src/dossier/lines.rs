//! A dossier as lines of JSON, each chained to the one before it, to be verified where there is no journal.
//!
//! ```text
//! {"dossier":1,"run":"r-1","head":{"next":2,"hash":"sha256:9b…"},"lines":3,"hash":"sha256:07…"}
//! {"hash":"sha256:41…","record":{"position":0,…}}
//! {"hash":"sha256:52…","record":{"position":1,…}}
//! {"hash":"sha256:07…","evidence":{"digest":"sha256:ba…","base64":"YWJj"}}
//! ```
//!
//! A line's hash is that of the hash before it followed by the text of its record or evidence; the first follows the text of
//! the run's name. The records have the journal's own chain besides, so that a head kept elsewhere vouches for them.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use deploy_core::digest::Digest;
use deploy_core::journal::{Chain, Head, Stored};
use deploy_core::name::RunId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Dossier;

const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    dossier: u32,
    run: RunId,
    head: Head,
    lines: u64,
    hash: Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    hash: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evidence: Option<Box<RawValue>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Piece {
    digest: Digest,
    base64: String,
}

/// Lines that are not the dossier that was exported: what is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
#[non_exhaustive]
pub struct DossierError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// It is not a line of a dossier, or not as one is written.
    Unreadable(String),
    /// Its hash does not follow from the line before it and its own text: one of them was changed.
    Changed,
    /// The record is not the one that the journal's chain has there.
    Record(String),
    /// The evidence does not have the digest that it stands under.
    Evidence(Digest),
    /// Lines are missing, or there are more than the first line says.
    Lines {
        /// How many there should be after the first.
        said: u64,
        /// How many there are.
        found: u64,
    },
    /// The last hash is not the one that the first line names.
    Hash,
    /// The records do not end in the head that was kept elsewhere.
    Anchor,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "it is not a line of a dossier: {why}"),
            Self::Changed => f.write_str("it was changed, or the line before it was"),
            Self::Record(why) => write!(f, "its record is not the run's: {why}"),
            Self::Evidence(digest) => write!(f, "the evidence under {digest} has another digest"),
            Self::Lines { said, found } => write!(f, "{found} lines follow it, and it says {said}"),
            Self::Hash => f.write_str("the last line does not have the hash that it names"),
            Self::Anchor => f.write_str("the records do not end in the head that was kept elsewhere"),
        }
    }
}

fn at(line: usize, problem: Problem) -> DossierError {
    DossierError { line, problem }
}

fn unreadable(line: usize) -> impl Fn(serde_json::Error) -> DossierError {
    move |error| at(line, Problem::Unreadable(error.to_string()))
}

impl Dossier {
    /// Writes it as lines of JSON.
    ///
    /// # Errors
    ///
    /// [`DossierError`] if a record is not text on one line; those of the engine are.
    pub fn export(&self) -> Result<String, DossierError> {
        let mut hash = Digest::of(self.run.as_str().as_bytes());
        let mut body = String::new();
        let mut lines = 0;
        let mut write = |line: usize, raw: String, record: bool| -> Result<(), DossierError> {
            hash = hash.then(raw.as_bytes());
            let raw = RawValue::from_string(raw).map_err(unreadable(line))?;
            let line_of = if record {
                Line { hash, record: Some(raw), evidence: None }
            } else {
                Line { hash, record: None, evidence: Some(raw) }
            };
            body.push_str(&serde_json::to_string(&line_of).map_err(unreadable(line))?);
            body.push('\n');
            lines += 1;
            Ok(())
        };
        for (line, bytes) in (2..).zip(&self.stored) {
            let text = String::from_utf8(bytes.clone()).map_err(|e| at(line, Problem::Unreadable(e.to_string())))?;
            write(line, text, true)?;
        }
        for (line, (digest, bytes)) in (2 + self.stored.len()..).zip(&self.evidence) {
            let piece = Piece { digest: *digest, base64: STANDARD.encode(bytes) };
            write(line, serde_json::to_string(&piece).map_err(unreadable(line))?, false)?;
        }
        let header = Header { dossier: FORMAT, run: self.run.clone(), head: self.head, lines, hash };
        Ok(format!("{}\n{body}", serde_json::to_string(&header).map_err(unreadable(1))?))
    }

    /// Reads exported lines back and verifies all of them: hashes, records, evidence, and the end. `anchor` is a head of the
    /// run that was kept elsewhere; without one, somebody who rewrites every line is not found out.
    ///
    /// # Errors
    ///
    /// [`DossierError`] says what was changed, and in which line.
    pub fn import(text: &str, anchor: Option<Head>) -> Result<Self, DossierError> {
        let (first, body) = text.split_once('\n').unwrap_or((text, ""));
        let header: Header = serde_json::from_str(first).map_err(unreadable(1))?;
        as_written(1, first, &header)?;
        if header.dossier != FORMAT {
            return Err(at(1, Problem::Unreadable(format!("format {} is not known here", header.dossier))));
        }
        let found = body.split_inclusive('\n').count() as u64;
        let mut hash = Digest::of(header.run.as_str().as_bytes());
        let mut chain = Chain::new();
        let mut journal_hash = Digest::ZERO;
        let (mut stored, mut evidence) = (Vec::new(), BTreeMap::new());
        for (number, text) in (2..).zip(body.split_inclusive('\n')) {
            let text =
                text.strip_suffix('\n').ok_or_else(|| at(number, Problem::Unreadable("it is cut off".to_owned())))?;
            let line: Line = serde_json::from_str(text).map_err(unreadable(number))?;
            as_written(number, text, &line)?;
            let raw = match (&line.record, &line.evidence) {
                (Some(raw), None) | (None, Some(raw)) => raw.get(),
                _ => return Err(at(number, Problem::Unreadable("it holds neither or both".to_owned()))),
            };
            hash = hash.then(raw.as_bytes());
            if hash != line.hash {
                return Err(at(number, Problem::Changed));
            }
            if line.record.is_some() {
                journal_hash = journal_hash.then(raw.as_bytes());
                let record =
                    Stored { position: stored.len() as u64, bytes: raw.as_bytes().to_vec(), hash: journal_hash };
                chain.check(&record).map_err(|e| at(number, Problem::Record(e.to_string())))?;
                stored.push(record.bytes);
            } else {
                let piece: Piece = serde_json::from_str(raw).map_err(unreadable(number))?;
                as_written(number, raw, &piece)?;
                let bytes =
                    STANDARD.decode(&piece.base64).map_err(|e| at(number, Problem::Unreadable(e.to_string())))?;
                if Digest::of(&bytes) != piece.digest || STANDARD.encode(&bytes) != piece.base64 {
                    return Err(at(number, Problem::Evidence(piece.digest)));
                }
                evidence.insert(piece.digest, bytes);
            }
        }
        if found != header.lines {
            return Err(at(1, Problem::Lines { said: header.lines, found }));
        }
        if hash != header.hash {
            return Err(at(1, Problem::Hash));
        }
        let head = chain.finish().map_err(|e| at(1, Problem::Record(e.to_string())))?.head;
        if head != header.head {
            return Err(at(
                1,
                Problem::Record(format!("the records end at {}, and it says {}", head.next, header.head.next)),
            ));
        }
        if anchor.is_some_and(|anchor| anchor != head) {
            return Err(at(1, Problem::Anchor));
        }
        let dossier = Self::of_records(header.run, head, stored);
        let mut dossier = dossier.map_err(|e| at(2, Problem::Record(deploy_core::report::chain(&e))))?;
        dossier.evidence = evidence;
        Ok(dossier)
    }
}

/// A line has one spelling only, so that no change to it goes unnoticed.
fn as_written<T: Serialize>(line: usize, text: &str, meant: &T) -> Result<(), DossierError> {
    match serde_json::to_string(meant) {
        Ok(written) if written == text => Ok(()),
        _ => Err(at(line, Problem::Unreadable("no dossier is written like that".to_owned()))),
    }
}
