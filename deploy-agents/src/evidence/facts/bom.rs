//! Facts of bills of materials: CycloneDX, SPDX.

use std::collections::BTreeMap;

use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::VexStatement;
use crate::evidence::{Doubt, Pointer, Sourced};

/// What a bill of materials says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BomFacts {
    /// Which format.
    pub format: BomFormat,
    /// The version of the format, for example `1.6` or `SPDX-2.3`.
    pub spec_version: String,
    /// What it is recognised by: a serial number or a namespace.
    pub id: String,
    /// When it was made.
    pub created: Option<Sourced<Timestamp>>,
    /// What it is the bill of.
    pub subject: Option<BomComponent>,
    /// What is in it. The subject itself is not.
    pub components: Vec<BomComponent>,
    /// How many dependencies between components it states.
    pub relations: u64,
    /// What it says about vulnerabilities.
    pub statements: Vec<VexStatement>,
    /// What keeps it from being taken at its word.
    pub doubts: Vec<Doubt>,
}

/// A format of bills of materials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BomFormat {
    /// CycloneDX, JSON or XML.
    #[default]
    CycloneDx,
    /// SPDX 2.
    Spdx2,
    /// SPDX 3.
    Spdx3,
}

/// One component.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BomComponent {
    /// What others in the bill call it.
    pub reference: String,
    /// Its name, with the group in front if it has one: `group/name`.
    pub name: String,
    /// Its version, empty where none is stated.
    pub version: String,
    /// Its package URL.
    pub purl: Option<String>,
    /// Its digests, by algorithm in lower case without dashes, for example `sha256`; values in lower-case hexadecimal.
    pub hashes: BTreeMap<String, String>,
    /// Its licences. Several entries mean that each of them applies.
    pub licences: Vec<LicenceStatement>,
    /// Where it stands.
    pub at: Pointer,
}

/// What is said about a licence.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LicenceStatement {
    /// An SPDX identifier or expression that could be parsed.
    Expression(String),
    /// A name that is not an SPDX expression: a person must look.
    Name(String),
    /// The author of the bill declines to say: the same as not knowing.
    NoAssertion,
    /// There is no licence: nothing is permitted.
    None,
}

/// Whether a component may be used under a list of licences.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LicenceAnswer {
    /// Each statement can be met by licences on the list.
    Permitted,
    /// A statement cannot be met by licences on the list.
    Refused(String),
    /// There is no statement, or one that says nothing that can be compared.
    Unknown(String),
}
