//! Documents from texts and back.

use deploy_core::pipeline::Pipeline;

use super::{DocumentErrors, DocumentFault, DocumentProblem, Lines, PipelineDocument, Registry};

/// The longest text that is read, in bytes: a pipeline of ten thousand steps.
pub(super) const LONGEST: usize = 4 * 1024 * 1024;

/// A document with the lines of the text that it came from, so that what does not bind is named with its line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded {
    /// The document.
    pub document: PipelineDocument,
    /// Where its parts stood.
    pub lines: Lines,
}

impl Loaded {
    /// Reads a JSON text.
    ///
    /// # Errors
    ///
    /// [`DocumentErrors`] if it is no JSON or not a pipeline, with the line.
    pub fn json(text: &str) -> Result<Self, DocumentErrors> {
        sized(text)?;
        let document = serde_json::from_str(text).map_err(|error| {
            // The place is said by the problem itself.
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
            unreadable(u32::try_from(error.line()).ok().filter(|line| *line > 0), message)
        })?;
        let (lines, twice) = Lines::of_json(text);
        match twice {
            None => Ok(Self { document, lines }),
            Some((at, name)) => {
                let message = format!("{name:?} stands twice in {}", if at.is_empty() { "the document" } else { &at });
                Err(unreadable(lines.of(&at), message))
            }
        }
    }

    /// Makes a pipeline of it: see [`PipelineDocument::bind`].
    ///
    /// # Errors
    ///
    /// As [`PipelineDocument::bind`], with lines.
    pub fn bind(&self, registry: &Registry) -> Result<Pipeline, DocumentErrors> {
        self.document.bind_at(registry, &self.lines)
    }
}

impl PipelineDocument {
    /// This document as JSON, laid out for people.
    ///
    /// # Errors
    ///
    /// The parameters of a declared block hold what JSON cannot.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

pub(super) fn sized(text: &str) -> Result<(), DocumentErrors> {
    if text.len() > LONGEST {
        return Err(unreadable(None, format!("it has {} bytes, and at most {LONGEST} are read", text.len())));
    }
    Ok(())
}

pub(super) fn unreadable(line: Option<u32>, message: String) -> DocumentErrors {
    let problem = DocumentProblem { line, at: String::new(), fault: DocumentFault::Unreadable(message) };
    DocumentErrors { document: "without a name".to_owned(), problems: vec![problem] }
}
