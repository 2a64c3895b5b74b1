//! What a host declares not to apply, as a document that checks read.

use std::collections::BTreeMap;

use deploy_core::evidence::Refusal;
use deploy_core::name::CheckName;
use serde::{Deserialize, Serialize};

use super::assessment::Assessment;
use super::document::{Document, Read};
use super::kind;

/// The checks that do not apply to what a host releases, each with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Excused {
    /// The reasons, by check.
    pub not_applicable: BTreeMap<CheckName, String>,
}

impl Document for Excused {
    const KIND: &'static str = kind::PROFILE;
}

impl Excused {
    /// The document, as it is written.
    ///
    /// # Errors
    ///
    /// It could not be written as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = serde_json::to_value(self)?;
        json["format"] = serde_json::json!(1);
        serde_json::to_vec(&json)
    }
}

/// What the declaration says of one check: that it does not apply, for the reason that stands there.
pub(super) fn excused(declared: &Read<Excused>, check: &CheckName) -> Assessment {
    match declared.document.not_applicable.get(check).filter(|reason| !reason.trim().is_empty()) {
        Some(reason) => Assessment::not_applicable(reason),
        None => Assessment::refused(Refusal::Missing(format!(
            "nobody declares with a reason that {check} does not apply ({})",
            declared.at("/not_applicable")
        ))),
    }
}
