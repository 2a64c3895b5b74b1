//! What a review says, as evidence, and the check that reads it.

use deploy_core::evidence::{Check, CheckInput, EvidencePolicy, Refusal, Verdict};
use deploy_core::name::CheckName;
use serde::{Deserialize, Serialize};

use super::{Draft, Spent, ToolReceipt, VerifiedDraft};
use crate::excerpt::excerpt;

/// What a model made of a report, as it is kept. The same conversation gives the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Review {
    /// The format of this document: 1.
    pub format: u32,
    /// How it ended.
    pub end: ReviewEnd,
    /// The model that was asked for.
    pub model: String,
    /// The digests of what was asked, in order.
    pub requests: Vec<String>,
    /// What was spent.
    pub spent: Spent,
    /// The draft as it came. Nothing in it is believed.
    pub draft: Draft,
    /// What of it is so.
    pub verified: VerifiedDraft,
    /// What was done with tools.
    pub receipts: Vec<ToolReceipt>,
}

/// How a review ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewEnd {
    /// No model was asked.
    Off,
    /// There is a draft.
    Drafted,
    /// There is none, and why: a budget is used up, the model cannot be reached, what it says is no draft.
    Inconclusive(String),
}

impl Review {
    /// The kind of evidence that a review is.
    pub const KIND: &'static str = "model-review";

    /// The name of the check that reads it.
    pub const CHECK: &'static str = "model-review";

    pub(super) fn off() -> Self {
        Self {
            format: 1,
            end: ReviewEnd::Off,
            model: String::new(),
            requests: Vec::new(),
            spent: Spent::default(),
            draft: Draft::default(),
            verified: VerifiedDraft::default(),
            receipts: Vec::new(),
        }
    }

    /// What people should hear of, in order: what the draft leaves out, what it got wrong, what it worries about.
    #[must_use]
    pub fn concerns(&self) -> Vec<String> {
        let omitted = self.verified.omitted.iter().map(|omitted| format!("the draft leaves out that {omitted}"));
        let rejected = self.verified.rejected.iter();
        let rejected =
            rejected.map(|rejected| format!("claim {} of the draft is not so: {}", rejected.claim + 1, rejected.why));
        let worries = self.draft.concerns.iter().map(|concern| format!("the model worries: {}", clean(concern)));
        omitted.chain(rejected).chain(worries).collect()
    }

    /// What it says of the release: at best that there is nothing to add.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match &self.end {
            ReviewEnd::Off => Verdict::NotApplicable { reason: "no model is asked".to_owned() },
            ReviewEnd::Inconclusive(reason) => {
                Verdict::Inconclusive { refusal: Refusal::Unfinished(format!("the review has no end: {reason}")) }
            }
            ReviewEnd::Drafted => match self.concerns() {
                concerns if concerns.is_empty() => Verdict::Pass,
                remarks => Verdict::Concerns { remarks },
            },
        }
    }

    /// The check that reads reviews. It stands beside all others: it can lower what a gate decides, and no review of any content
    /// changes what another check says.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "the literal is a name")]
    pub fn check() -> Check {
        let name = CheckName::new(Self::CHECK).expect("a literal of letters and hyphens is a name");
        let policy = EvidencePolicy { kind: Some(Self::KIND.to_owned()), ..EvidencePolicy::default() };
        Check::new(name, judge).policy(policy)
    }
}

fn judge(input: &CheckInput<'_>) -> Verdict {
    let refused = |text: String| Verdict::Inconclusive { refusal: Refusal::Unparseable(text) };
    let [(_, bytes)] = input.evidence else {
        return refused(format!("{} reviews where one is asked for", input.evidence.len()));
    };
    match serde_json::from_slice::<Review>(bytes) {
        Ok(review) if review.format == 1 => review.verdict(),
        Ok(review) => refused(format!("the review is of format {}", review.format)),
        Err(error) => refused(format!("no review: {error}")),
    }
}

/// A model's words, for a line of ours.
pub(super) fn clean(text: &str) -> String {
    excerpt(text, 300)
}
