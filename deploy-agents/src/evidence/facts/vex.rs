//! Facts of exploitability statements: OpenVEX, CSAF, CycloneDX.

use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::evidence::{Doubt, Pointer, Sourced};

/// What exploitability statements say.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VexFacts {
    /// Who says so.
    pub author: String,
    /// When the document was issued.
    pub issued: Option<Sourced<Timestamp>>,
    /// The statements, in the order of the document.
    pub statements: Vec<VexStatement>,
    /// What keeps the document from being taken at its word.
    pub doubts: Vec<Doubt>,
}

/// One statement: a vulnerability, products, and how these stand to it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VexStatement {
    /// The vulnerability, with its aliases.
    pub vulnerability: Vec<String>,
    /// The products that it speaks of: package URLs, digests (`sha256:…`) or names. None: it speaks of nothing.
    pub products: Vec<String>,
    /// The parts of the products that have the vulnerability, if it says.
    pub parts: Vec<String>,
    /// How the products stand to it.
    pub status: VexStatus,
    /// Why they are not affected: a word of the format's list, or a sentence about the impact.
    pub justification: Option<String>,
    /// What to do, for people.
    pub action: String,
    /// Of when the statement is: its own time, else its document's.
    pub timestamp: Option<Timestamp>,
    /// Where it stands.
    pub at: Pointer,
}

/// How a product stands to a vulnerability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VexStatus {
    /// Somebody is looking.
    #[default]
    UnderInvestigation,
    /// It has it.
    Affected,
    /// It had it.
    Fixed,
    /// It does not have it, for a stated reason.
    NotAffected,
}

impl VexStatement {
    /// Whether it takes the vulnerability out of the count: fixed, or not affected with a reason.
    #[must_use]
    pub fn clears(&self) -> bool {
        match self.status {
            VexStatus::Fixed => true,
            VexStatus::NotAffected => self.justification.as_ref().is_some_and(|reason| !reason.trim().is_empty()),
            VexStatus::UnderInvestigation | VexStatus::Affected => false,
        }
    }

    /// Whether it is about this vulnerability and about one of these products, each by any of its names.
    ///
    /// A product is the same if its name is the same. A package URL without a version stands for all versions of it.
    #[must_use]
    pub fn speaks_of(&self, vulnerability: &[&str], products: &[&str]) -> bool {
        let named = |id: &String| vulnerability.iter().any(|wanted| id.eq_ignore_ascii_case(wanted));
        let same = |mine: &str, theirs: &str| {
            mine == theirs
                || (mine.starts_with("pkg:")
                    && !mine.contains('@')
                    && theirs.strip_prefix(mine).is_some_and(|rest| rest.starts_with(['@', '?'])))
        };
        self.vulnerability.iter().any(named)
            && self.products.iter().chain(&self.parts).any(|mine| products.iter().any(|theirs| same(mine, theirs)))
    }
}

impl VexFacts {
    /// The statement that holds for a vulnerability and a product: the latest of those that speak of both, and of two of the
    /// same time the one that stands later in the document. One without a time is older than any with one.
    #[must_use]
    pub fn effective(&self, vulnerability: &[&str], products: &[&str]) -> Option<&VexStatement> {
        effective(&self.statements, vulnerability, products)
    }
}

/// The same as [`VexFacts::effective`], over statements of several documents.
pub fn effective<'a>(
    statements: impl IntoIterator<Item = &'a VexStatement>,
    vulnerability: &[&str],
    products: &[&str],
) -> Option<&'a VexStatement> {
    statements.into_iter().filter(|s| s.speaks_of(vulnerability, products)).max_by_key(|s| s.timestamp)
}
