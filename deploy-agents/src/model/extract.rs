//! What a model is shown: extracts with ids, and nothing else.

use std::collections::BTreeMap;
use std::fmt::Write;

use deploy_core::digest::Digest;
use deploy_core::evidence::{Collected, Verdict};
use deploy_core::name::CheckName;
use deploy_core::time::Timestamp;
use serde_json::Value;

use crate::evidence::{Original, Place, Source};
use crate::secret::{Secret, redact};

/// How much of one piece of evidence is shown, in bytes. Enough for the head of a report; facts carry the figures.
const SHOWN: usize = 8 * 1024;

/// How many facts are taken from one piece of evidence.
const FACTS: usize = 200;

/// The evidence of a report as a model may see and cite it: `E1`, `E2` …, the figures in it as `E1/name`, and the verdicts of checks
/// as `C:check`. All of it is data; what it says is never followed.
#[derive(Debug, Clone)]
pub struct Extracts {
    pieces: Vec<Collected>,
    facts: BTreeMap<String, Fact>,
    verdicts: BTreeMap<CheckName, Verdict>,
    secrets: Vec<Secret>,
}

/// A figure that a model may cite.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fact {
    /// Which piece of evidence it stands in, from 0.
    pub piece: usize,
    /// What it is, in words.
    pub label: String,
    /// Where it stands.
    pub place: Place,
    /// What it counts. A claim must name the same unit.
    pub unit: String,
    /// Whether a draft that leaves it out hides something, as long as it is not zero.
    pub adverse: bool,
}

impl Extracts {
    /// Takes the evidence of a report. Of JSON, every number is a fact; others are added with [`fact`](Self::fact).
    #[must_use]
    pub fn new(pieces: impl IntoIterator<Item = Collected>) -> Self {
        let pieces: Vec<Collected> = pieces.into_iter().collect();
        let mut facts = BTreeMap::new();
        for (piece, collected) in pieces.iter().enumerate() {
            if let Ok(value) = serde_json::from_slice::<Value>(&collected.bytes) {
                let mut found = Vec::new();
                numbers(&value, String::new(), &mut found);
                for pointer in found.into_iter().take(FACTS) {
                    let label = pointer.trim_start_matches('/').to_owned();
                    let last = label.rsplit('/').next().unwrap_or(&label).to_lowercase();
                    let (unit, adverse) = (unit_of(&last), is_adverse(&last));
                    let id = format!("E{}/{label}", piece + 1);
                    facts.insert(id, Fact { piece, label, place: Place::Json(pointer), unit, adverse });
                }
            }
        }
        Self { pieces, facts, verdicts: BTreeMap::new(), secrets: Vec::new() }
    }

    /// The same extracts with a figure of the piece numbered `piece` (from 0), which may be of any format.
    #[must_use]
    pub fn fact(
        mut self,
        piece: usize,
        label: impl Into<String>,
        place: Place,
        unit: impl Into<String>,
        adverse: bool,
    ) -> Self {
        let label = label.into();
        let id = format!("E{}/{label}", piece + 1);
        self.facts.insert(id, Fact { piece, label, place, unit: unit.into(), adverse });
        self
    }

    /// The same extracts with what checks said.
    #[must_use]
    pub fn verdicts(mut self, verdicts: impl IntoIterator<Item = (CheckName, Verdict)>) -> Self {
        self.verdicts.extend(verdicts);
        self
    }

    /// The same extracts, in which these never stand.
    #[must_use]
    pub fn redacting(mut self, secrets: impl IntoIterator<Item = Secret>) -> Self {
        self.secrets.extend(secrets);
        self
    }

    /// The piece that an id such as `E2` names.
    #[must_use]
    pub fn piece(&self, id: &str) -> Option<&Collected> {
        let number: usize = id.strip_prefix('E')?.parse().ok()?;
        self.pieces.get(number.checked_sub(1)?)
    }

    /// The fact that an id such as `E2/totals/failures` names.
    #[must_use]
    pub fn fact_of(&self, id: &str) -> Option<&Fact> {
        self.facts.get(id)
    }

    /// The facts by id.
    pub fn facts(&self) -> impl Iterator<Item = (&str, &Fact)> {
        self.facts.iter().map(|(id, fact)| (id.as_str(), fact))
    }

    /// What a check said.
    #[must_use]
    pub fn verdict(&self, check: &str) -> Option<&Verdict> {
        self.verdicts.get(&CheckName::new(check).ok()?)
    }

    /// Reads what stands at a fact, from the bytes, which must still be those of their digest.
    #[must_use]
    pub fn value(&self, fact: &Fact) -> Option<String> {
        let collected = self.pieces.get(fact.piece)?;
        if Digest::of(&collected.bytes) != collected.evidence.digest {
            return None;
        }
        let source = Source::new(&collected.evidence.kind, &collected.bytes);
        Original::open(&source).text_at(&fact.place).ok()
    }

    /// When a piece was observed.
    pub(super) fn observed(&self, piece: usize) -> Option<Timestamp> {
        self.pieces.get(piece).map(|collected| collected.evidence.observed_at)
    }

    /// Everything as the model is shown it. No text of evidence can end its own block, or begin another.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut page = String::new();
        for (number, collected) in (1..).zip(&self.pieces) {
            let clean = redact(&collected.bytes, &self.secrets);
            let text = String::from_utf8_lossy(&clean);
            let end = (0..=SHOWN.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let (evidence, more) = (&collected.evidence, if end < text.len() { " truncated=\"true\"" } else { "" });
            // Writing to a text cannot fail.
            let _ = writeln!(
                page,
                "<evidence id=\"E{number}\" sha256=\"{}\" kind=\"{}\"{more}>\n{}\n</evidence>",
                evidence.digest,
                escape(&evidence.kind),
                escape(&text[..end])
            );
        }
        for (id, fact) in &self.facts {
            let unit = &fact.unit;
            if let Some(value) = self.value(fact) {
                let _ =
                    writeln!(page, "<fact id=\"{}\" unit=\"{}\">{}</fact>", escape(id), escape(unit), escape(&value));
            }
        }
        for (check, verdict) in &self.verdicts {
            let _ = writeln!(page, "<check id=\"C:{check}\">{}</check>", verdict.as_str());
        }
        page
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn numbers(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Number(_) => found.push(at),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| numbers(item, format!("{at}/{index}"), found));
        }
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                numbers(member, format!("{at}/{name}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The unit that a field's own name says, or the field's name: what it counts.
fn unit_of(field: &str) -> String {
    let units =
        [("ms", "ms"), ("seconds", "s"), ("secs", "s"), ("percent", "%"), ("bytes", "bytes"), ("ratio", "ratio")];
    let said = units.iter().find(|(ending, _)| field == *ending || field.ends_with(&format!("_{ending}")));
    said.map_or(field, |(_, unit)| unit).to_owned()
}

fn is_adverse(field: &str) -> bool {
    ["failures", "failed", "errors", "critical", "high", "unhealthy", "dropped", "timeouts"].contains(&field)
}
