//! Which claims of a draft are so.

use std::time::Duration;

use deploy_core::time::{Spell, Timestamp};
use serde::{Deserialize, Serialize};

use super::{ClaimKind, Draft, DraftClaim, Extracts, ToolReceipt};

/// Checks the claims of a draft against the bytes: reads figures again where they stand, looks quotations up word for word,
/// compares verdicts with what the checks said, and actions with the receipts of the runtime.
#[derive(Debug)]
pub struct ClaimVerifier<'a> {
    extracts: &'a Extracts,
    receipts: &'a [ToolReceipt],
    now: Timestamp,
    max_age: Duration,
}

/// What became of a draft.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct VerifiedDraft {
    /// What is so, in our words: the model's are not used.
    pub accepted: Vec<String>,
    /// What is not so, with the reason.
    pub rejected: Vec<RejectedClaim>,
    /// Things that went wrong and that the draft leaves out, in our words.
    pub omitted: Vec<String>,
}

/// A claim that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RejectedClaim {
    /// Which of the draft's claims, from 0.
    pub claim: usize,
    /// Why.
    pub why: Rejection,
}

/// Why a claim was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rejection {
    /// It rests on nothing, or on nothing of the kind that it needs: UNVERIFIED.
    #[error("it cites nothing that could show it")]
    Unverified,
    /// It cites what is not there.
    #[error("it cites {0}, which is not there")]
    UnknownId(String),
    /// The bytes are not those of their digest, or the place is gone.
    #[error("{0} cannot be read again")]
    Unreadable(String),
    /// What it cites is older than is allowed.
    #[error("{0} is too old")]
    Stale(String),
    /// The figure is another.
    #[error("it is {0}")]
    Mismatch(String),
    /// The unit is another.
    #[error("it is counted in {0}")]
    Unit(String),
    /// The quotation does not stand there as whole lines.
    #[error("{0} does not say so")]
    NotVerbatim(String),
}

impl<'a> ClaimVerifier<'a> {
    /// A verifier over these extracts, at this time. Evidence may be 24 hours old, as checks have it by default.
    #[must_use]
    pub fn new(extracts: &'a Extracts, now: Timestamp) -> Self {
        Self { extracts, receipts: &[], now, max_age: Duration::from_secs(24 * 60 * 60) }
    }

    /// The same verifier with what was done with tools.
    #[must_use]
    pub fn receipts(mut self, receipts: &'a [ToolReceipt]) -> Self {
        self.receipts = receipts;
        self
    }

    /// The same verifier with another age.
    #[must_use]
    pub fn max_age(mut self, span: Duration) -> Self {
        self.max_age = span;
        self
    }

    /// Checks a draft.
    #[must_use]
    pub fn verify(&self, draft: &Draft) -> VerifiedDraft {
        let mut verified = VerifiedDraft::default();
        let mut said = std::collections::BTreeSet::new();
        for (number, claim) in draft.claims.iter().enumerate() {
            match self.claim(claim) {
                Ok(statement) => {
                    said.extend(claim.cites.iter().map(String::as_str));
                    if !verified.accepted.contains(&statement) {
                        verified.accepted.push(statement);
                    }
                }
                Err(why) => verified.rejected.push(RejectedClaim { claim: number, why }),
            }
        }
        for (id, fact) in self.extracts.facts().filter(|(id, fact)| fact.adverse && !said.contains(id)) {
            let value = self.extracts.value(fact);
            let is_zero = value.as_deref().and_then(number).is_some_and(|value| value.digits == "0");
            if !is_zero {
                let value = value.unwrap_or_else(|| "unreadable".to_owned());
                verified.omitted.push(format!("{id} is {value} {}", fact.unit));
            }
        }
        verified
    }

    fn claim(&self, claim: &DraftClaim) -> Result<String, Rejection> {
        match claim.kind {
            ClaimKind::Number => self.number(claim),
            ClaimKind::Quote => self.quote(claim),
            ClaimKind::Verdict => {
                let cited = one(claim)?;
                let check = cited.strip_prefix("C:").ok_or(Rejection::Unverified)?;
                let verdict = self.extracts.verdict(check).ok_or_else(|| Rejection::UnknownId(cited.to_owned()))?;
                if claim.value != verdict.as_str() {
                    return Err(Rejection::Mismatch(verdict.as_str().to_owned()));
                }
                Ok(format!("check {check} says {}", verdict.as_str()))
            }
            ClaimKind::Action => {
                let cited = one(claim)?;
                let receipt = self.receipts.iter().find(|receipt| receipt.id == cited);
                let receipt = receipt.ok_or_else(|| Rejection::UnknownId(cited.to_owned()))?;
                if !receipt.allowed || receipt.tool != claim.value {
                    let was = if receipt.allowed { &receipt.tool } else { "refused" };
                    return Err(Rejection::Mismatch(was.to_owned()));
                }
                Ok(format!("tool {} was called ({})", receipt.tool, receipt.id))
            }
        }
    }

    fn number(&self, claim: &DraftClaim) -> Result<String, Rejection> {
        let cited = one(claim)?;
        let unknown = || Rejection::UnknownId(cited.to_owned());
        if !cited.contains('/') {
            return Err(if self.extracts.piece(cited).is_some() { Rejection::Unverified } else { unknown() });
        }
        let fact = self.extracts.fact_of(cited).ok_or_else(unknown)?;
        self.fresh(cited, fact.piece)?;
        let is = self.extracts.value(fact).ok_or_else(|| Rejection::Unreadable(cited.to_owned()))?;
        match (number(&is), number(&claim.value)) {
            (Some(there), Some(said)) if there == said => {}
            _ => return Err(Rejection::Mismatch(is)),
        }
        if claim.unit != fact.unit {
            return Err(Rejection::Unit(fact.unit.clone()));
        }
        Ok(format!("{cited} is {is} {}", fact.unit))
    }

    fn quote(&self, claim: &DraftClaim) -> Result<String, Rejection> {
        let cited = one(claim)?;
        let piece = self.extracts.piece(cited).ok_or_else(|| Rejection::UnknownId(cited.to_owned()))?;
        if deploy_core::digest::Digest::of(&piece.bytes) != piece.evidence.digest {
            return Err(Rejection::Unreadable(cited.to_owned()));
        }
        self.aged(cited, piece.evidence.observed_at)?;
        let text = String::from_utf8_lossy(&piece.bytes);
        // Whole lines only: half a sentence can say the opposite of the whole.
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let quoted: Vec<&str> = claim.value.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let there = !quoted.is_empty() && lines.windows(quoted.len()).any(|window| window == quoted);
        if !there {
            return Err(Rejection::NotVerbatim(cited.to_owned()));
        }
        Ok(format!("{cited} says: {:?}", quoted.join("\n")))
    }

    fn fresh(&self, cited: &str, piece: usize) -> Result<(), Rejection> {
        let observed = self.extracts.observed(piece).ok_or_else(|| Rejection::UnknownId(cited.to_owned()))?;
        self.aged(cited, observed)
    }

    fn aged(&self, cited: &str, observed: Timestamp) -> Result<(), Rejection> {
        let age = self.now.since(observed);
        if age > self.max_age {
            return Err(Rejection::Stale(format!("{cited}, observed {} ago,", Spell(age))));
        }
        Ok(())
    }
}

/// The one thing that a claim cites.
fn one(claim: &DraftClaim) -> Result<&str, Rejection> {
    match claim.cites.as_slice() {
        [one] => Ok(one),
        _ => Err(Rejection::Unverified),
    }
}

/// A decimal number without what does not change it, so that 12, 12.0 and 1.2e1 are one and 0.1 is exactly 0.1.
#[derive(PartialEq, Eq)]
struct Decimal {
    negative: bool,
    /// Without zeros at either end.
    digits: String,
    exponent: i64,
}

fn number(text: &str) -> Option<Decimal> {
    let text = text.trim();
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, power) = match text.split_once(['e', 'E']) {
        Some((mantissa, power)) => (mantissa, power.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all(whole) || !all(part) || text.len() > 64 {
        return None;
    }
    let digits = format!("{whole}{part}");
    let significant = digits.trim_start_matches('0');
    let trimmed = significant.trim_end_matches('0');
    if trimmed.is_empty() {
        return Some(Decimal { negative: false, digits: "0".to_owned(), exponent: 0 });
    }
    let dropped = i64::try_from(significant.len() - trimmed.len()).ok()?;
    let exponent = i64::from(power) - i64::try_from(part.len()).ok()? + dropped;
    Some(Decimal { negative, digits: trimmed.to_owned(), exponent })
}
