//! Documents from texts and back.

use deploy_core::pipeline::Pipeline;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::document::FORMATS;
use super::{DocumentErrors, DocumentFault, DocumentProblem, Lines, PipelineDocument, Registry};
use crate::upgrade::Formats;

/// The longest text that is read, in bytes: a pipeline of ten thousand steps.
pub(super) const LONGEST: usize = 4 * 1024 * 1024;

/// A document with the lines of the text that it came from, so that what does not bind is named with its line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded {
    /// The document.
    pub document: PipelineDocument,
    /// Where its parts stood; of a text of an earlier format, where the nearest part of it did.
    pub lines: Lines,
}

impl Loaded {
    /// Reads a JSON text.
    ///
    /// # Errors
    ///
    /// [`DocumentErrors`] if it is no JSON or not a pipeline, with the line.
    pub fn json(text: &str) -> Result<Self, DocumentErrors> {
        Self::json_of(text, FORMATS)
    }

    fn json_of(text: &str, formats: Formats) -> Result<Self, DocumentErrors> {
        sized(text)?;
        let said = |error: serde_json::Error| {
            // The place is said by the problem itself.
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
            unreadable(u32::try_from(error.line()).ok().filter(|line| *line > 0), message)
        };
        let head = serde_json::from_str::<Head>(text).ok();
        let document = match head.is_some_and(|head| formats.is_earlier(head.format)) {
            true => upgraded(formats, serde_json::from_str(text).map_err(said)?)?,
            false => serde_json::from_str(text).map_err(said)?,
        };
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

/// What a text says of its format, whatever else it says.
#[derive(Deserialize)]
pub(super) struct Head {
    pub(super) format: Option<u64>,
}

/// The document of an earlier format as one of the newest.
pub(super) fn upgraded(formats: Formats, document: Map<String, Value>) -> Result<PipelineDocument, DocumentErrors> {
    let document = formats.upgrade(document).map_err(|error| unreadable(None, error.to_string()))?;
    serde_json::from_value(Value::Object(document)).map_err(|error| unreadable(None, error.to_string()))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As if phases had been called stages, and had been texts alone, in a format before the first.
    const EARLIER: Formats = Formats::new(
        super::super::FORMAT,
        &[|document| {
            let stages = document.remove("stages").ok_or("it has no stages")?;
            let Value::Array(stages) = stages else { return Err("its stages are no list".to_owned()) };
            let phase = |name: Value| json!({ "name": name, "steps": [{ "name": "rest", "soak": "1m" }] });
            document.insert("phases".to_owned(), stages.into_iter().map(phase).collect());
            Ok(())
        }],
    );
    const OLD: &str = r#"{ "format": 0, "name": "x", "rollback": "previous", "stages": ["build"] }"#;

    /// Rows: M131.
    #[test]
    fn a_pipeline_of_an_earlier_format_is_read_as_one_of_the_newest() {
        let old = Loaded::json_of(OLD, EARLIER).expect("it is brought to the newest");
        let new = r#"{ "format": 1, "name": "x", "rollback": "previous",
            "phases": [{ "name": "build", "steps": [{ "name": "rest", "soak": "1m" }] }] }"#;
        assert_eq!(old.document, Loaded::json_of(new, EARLIER).expect("the newest").document);
        assert_eq!(old.document.format, super::super::FORMAT, "it is written as one of the newest");
        old.bind(&Registry::new()).expect("and makes a pipeline");

        let refused = |text: &str, formats| Loaded::json_of(text, formats).expect_err("refused").to_string();
        let lacking = OLD.replace("stages", "steps");
        assert!(refused(&lacking, EARLIER).contains("could not be brought to 1: it has no stages"));
        assert!(refused(OLD, FORMATS).contains("unknown field `stages`"), "there is no such format of ours");
    }

    /// Rows: M131.
    #[cfg(feature = "yaml")]
    #[test]
    fn so_is_one_in_yaml() {
        let yaml = "format: 0\nname: x\nrollback: previous\nstages: [build]\n";
        let old = Loaded::yaml_of(yaml, EARLIER).expect("it is brought to the newest");
        assert_eq!(old.document, Loaded::json_of(OLD, EARLIER).expect("the same in JSON").document);
    }
}
