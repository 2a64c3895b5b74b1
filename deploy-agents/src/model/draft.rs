//! What a model drafts.

use serde::{Deserialize, Serialize};

/// A draft of a model: claims that cite, and concerns. Nothing in it is believed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// What the model says is so.
    #[serde(default)]
    pub claims: Vec<DraftClaim>,
    /// What the model worries about.
    #[serde(default)]
    pub concerns: Vec<String>,
}

/// One thing that a model says is so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DraftClaim {
    /// In the model's words. Never shown as a fact.
    pub text: String,
    /// What kind of claim it is.
    pub kind: ClaimKind,
    /// What it rests on: `E1/totals/failures`, `E1`, `C:tests-pass`, `T1`.
    #[serde(default)]
    pub cites: Vec<String>,
    /// The figure, the quotation, the verdict or the tool.
    #[serde(default)]
    pub value: String,
    /// The unit of a figure.
    #[serde(default)]
    pub unit: String,
}

/// What kind of claim it is, which says how it is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimKind {
    /// A figure: it is read again where the cited fact stands.
    Number,
    /// Whole lines of a piece of evidence, word for word.
    Quote,
    /// What a check said.
    Verdict,
    /// What was done with a tool: the runtime has a receipt of it, or it was not done.
    Action,
}

/// How many claims and concerns are looked at.
const MOST: usize = 200;

impl Draft {
    /// Reads the text of an answer: one JSON object, perhaps in a code block.
    ///
    /// # Errors
    ///
    /// Why it is none, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let inside = text.strip_prefix("```json").or_else(|| text.strip_prefix("```"));
        let text = inside.and_then(|rest| rest.strip_suffix("```")).unwrap_or(text);
        let draft: Self =
            serde_json::from_str(text).map_err(|error| format!("the draft is not of the form asked for: {error}"))?;
        if draft.claims.len() > MOST || draft.concerns.len() > MOST {
            return Err(format!("the draft has more than {MOST} claims or concerns"));
        }
        Ok(draft)
    }
}
