//! Proof that code read the bytes, and the word of a person who answers instead.

use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::digest::Digest;
use crate::name::CheckName;
use crate::operator::Principal;
use crate::time::Timestamp;

/// Proof that the engine's verifier read the evidence behind a check.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Receipt {
    /// The check.
    pub check: CheckName,
    /// The digests of the bytes that were read.
    pub read: Vec<Digest>,
    /// What the check says.
    pub verdict: Verdict,
}

/// A person's word in place of a check. Person, reason and expiry are never absent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Waiver {
    /// Who answers for it.
    pub person: Principal,
    /// Why.
    pub reason: String,
    /// Until when.
    pub expires: Timestamp,
}
