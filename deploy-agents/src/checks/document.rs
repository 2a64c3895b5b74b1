//! Reads documents of our own formats: JSON, with a format number.

use deploy_core::evidence::{Evidence, Refusal};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::evidence::{Place, Pointer};

/// The longest document, in bytes: a register or an inventory of thousands of entries.
const LONGEST: usize = 4 * 1024 * 1024;

/// A document of a format of our own: JSON with `"format": 1` at its top. Fields that are not known are passed over; another
/// format number is refused.
pub trait Document: DeserializeOwned {
    /// The kind of evidence that it is.
    const KIND: &'static str;
}

/// A document that was read, with what points into it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Read<D> {
    /// What it says.
    pub document: D,
    /// The file that it stood in.
    pub file: String,
    /// Its particulars.
    pub evidence: Evidence,
}

impl<D> Read<D> {
    /// A place in it, as a JSON pointer.
    #[must_use]
    pub fn at(&self, pointer: impl Into<String>) -> Pointer {
        Pointer::new(self.file.as_str(), Place::Json(pointer.into()))
    }
}

#[derive(Deserialize)]
struct Head {
    format: Option<u32>,
}

/// Reads one document.
///
/// # Errors
///
/// The refusal says what was wrong, and where.
pub fn read<D: Document>(file: &str, bytes: &[u8]) -> Result<D, Refusal> {
    let refused = |text: String| Refusal::Unparseable(format!("{file}: {text}"));
    if bytes.len() > LONGEST {
        return Err(refused(format!("{} bytes; at most {LONGEST} are read", bytes.len())));
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Refusal::Missing(format!("{file}: there is nothing in it")));
    }
    let syntax = |e: serde_json::Error| match e.classify() {
        serde_json::error::Category::Eof => Refusal::Unfinished(format!("{file}: it ends in the middle: {e}")),
        _ => refused(e.to_string()),
    };
    let head: Head = serde_json::from_slice(bytes).map_err(syntax)?;
    match head.format {
        Some(1) => serde_json::from_slice(bytes).map_err(syntax),
        Some(other) => Err(refused(format!("its format is {other}, and format 1 is known here"))),
        None => Err(refused(format!("it has no format number; a document of kind {} has \"format\": 1", D::KIND))),
    }
}

/// Writes one document, with its format number, in the form that [`read`] reads.
///
/// # Errors
///
/// The document's own serialiser refused it, or it is not an object.
pub fn write<D: Document + Serialize>(document: &D) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(Serialize)]
    struct Numbered<'a, D> {
        format: u32,
        #[serde(flatten)]
        document: &'a D,
    }
    serde_json::to_vec_pretty(&Numbered { format: 1, document })
}

/// What a piece of evidence is called: its summary where that is one word, such as a path, or else its kind and digest.
#[must_use]
pub fn file_of(evidence: &Evidence) -> String {
    let summary = evidence.summary.trim();
    if !summary.is_empty() && !summary.contains(char::is_whitespace) {
        return summary.to_owned();
    }
    format!("{}@{}", evidence.kind, evidence.digest.short())
}
