//! Reads documents of our own formats: JSON, with a format number.

use deploy_core::evidence::{Evidence, Refusal};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::evidence::{Place, Pointer};
use crate::upgrade::Formats;
pub use crate::upgrade::Upgrade;

/// The longest document, in bytes: a register or an inventory of thousands of entries.
const LONGEST: usize = 4 * 1024 * 1024;

/// A document of a format of our own: JSON with the number of its format at its top, `"format": 1` unless its kind says otherwise.
/// Fields that are not known are passed over. A document of an earlier format is brought to the newest, step by step; one of a newer
/// format than is known here is refused.
pub trait Document: DeserializeOwned {
    /// The kind of evidence that it is.
    const KIND: &'static str;
    /// The format that is written, the newest that is read. Default 1.
    const FORMAT: u32 = 1;
    /// How a document of each earlier format becomes one of the next; the last step leads to [`FORMAT`](Self::FORMAT). Where they begin at
    /// format 0, a document without a number is of that. Default none: then only the newest is read.
    const UPGRADES: &'static [Upgrade] = &[];
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
    format: Option<u64>,
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
    let formats = Formats::new(D::FORMAT, D::UPGRADES);
    formats.known(head.format).map_err(|error| refused(format!("as {}: {error}", D::KIND)))?;
    if !formats.is_earlier(head.format) {
        return serde_json::from_slice(bytes).map_err(syntax);
    }
    let document: Map<String, Value> = serde_json::from_slice(bytes).map_err(syntax)?;
    let document = formats.upgrade(document).map_err(|error| refused(format!("as {}: {error}", D::KIND)))?;
    serde_json::from_value(Value::Object(document)).map_err(|error| refused(error.to_string()))
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
    serde_json::to_vec_pretty(&Numbered { format: D::FORMAT, document })
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
