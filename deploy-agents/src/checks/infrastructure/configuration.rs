//! A change of configuration.

use deploy_core::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::checks::assessment::{Assessment, Assessor, Figure};
use crate::checks::document::{Document, Read};

/// A change of configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigRecord {
    /// The digest before.
    pub before: Digest,
    /// The digest that was approved.
    pub approved: Digest,
    /// The digest that is there now.
    pub after: Digest,
    /// What its schema said: the faults, none if it is valid.
    pub schema_errors: Vec<String>,
    /// Whether one instance took it in a dry run.
    pub dry_run_passed: bool,
}

impl Document for ConfigRecord {
    const KIND: &'static str = "config-record";
}

/// The configuration that is there is the approved one, follows its schema, and one instance took it before all did.
///
/// Rows: M33, M203.
#[must_use]
pub fn configuration(record: &Read<ConfigRecord>) -> Assessment {
    let mut found = Assessor::new();
    let file = &record.document;
    found.figure(Figure::text("configuration", file.after).limit(file.approved).at(record.at("/after")));
    found.require(file.after == file.approved, || {
        format!("{} is there, and {} was approved ({})", file.after.short(), file.approved.short(), record.at("/after"))
    });
    let errors = file.schema_errors.len() as u64;
    found.figure(Figure::count("schema errors", errors).limit("none").at(record.at("/schema_errors")));
    if let Some(first) = file.schema_errors.first() {
        found.fail(format!("{errors} faults by its schema, the first of them: {first}"));
    }
    found.require(file.dry_run_passed, || {
        format!("no instance took it in a dry run ({})", record.at("/dry_run_passed"))
    });
    if file.before == file.after {
        found.note("nothing changed");
    }
    found.finish()
}
