//! An infrastructure plan: nothing is left to change, and what was applied is what was approved.

use deploy_core::digest::Digest;
use deploy_core::evidence::Refusal;
use serde::{Deserialize, Serialize};

use crate::checks::assessment::{Assessment, Assessor, Figure};
use crate::checks::document::{Document, Read};
use crate::evidence::facts::PlanFacts;

/// What is there is what is declared: the plan would change nothing, and nobody else changed anything.
///
/// Rows: M16, M149, M183, M202.
#[must_use]
pub fn no_drift(plan: &PlanFacts) -> Assessment {
    let mut found = Assessor::new();
    found.doubts(&plan.doubts);
    if let Some(errored) = plan.errored.as_ref().filter(|errored| errored.value) {
        found.refuse(Refusal::Unfinished(format!("making the plan failed ({})", errored.at)));
    }
    let changes: Vec<_> = plan.effective().collect();
    let whole = plan.errored.as_ref().or(plan.complete.as_ref()).map(|stated| stated.at.clone());
    let whole = plan.changes.first().map(|change| change.at.clone()).or(whole);
    let at = changes.first().map(|change| change.at.clone()).or_else(|| whole.clone());
    found.figure(Figure::count("changes planned", changes.len() as u64).limit("none").at(at));
    if let Some(first) = changes.first() {
        found.fail(format!(
            "{} changes are planned, the first of them {} ({})",
            changes.len(),
            first.address,
            first.at
        ));
    }
    let drift = plan.drift.iter().filter(|change| change.action.changes()).count();
    let at = plan.drift.first().map(|change| change.at.clone()).or(whole);
    found.figure(Figure::count("resources drifted", drift as u64).limit("none").at(at));
    found.require(drift == 0, || format!("{drift} resources were changed by somebody else"));
    found.finish()
}

/// What became of an infrastructure plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IacApply {
    /// The digest of the plan that people approved.
    pub approved_plan: Digest,
    /// The digest of the plan that was applied.
    pub applied_plan: Digest,
    /// How the program that applied it ended.
    pub exit_code: i64,
    /// Whether the configuration was valid.
    pub valid: bool,
    /// Resources that may be taken away, by address; a `*` at the end stands for the rest.
    #[serde(default)]
    pub may_destroy: Vec<String>,
}

impl Document for IacApply {
    const KIND: &'static str = "iac-apply";
}

/// The plan that was applied is the one that was approved, it ended well, and takes nothing away that nobody permitted.
///
/// Rows: M135, M149, M202.
#[must_use]
pub fn plan_applied(apply: &Read<IacApply>, plan: &PlanFacts, plan_digest: &Digest) -> Assessment {
    let mut found = Assessor::new();
    found.doubts(&plan.doubts);
    let file = &apply.document;
    found.figure(Figure::text("applied", file.applied_plan).limit(file.approved_plan).at(apply.at("/applied_plan")));
    found.require(file.applied_plan == file.approved_plan, || {
        format!("plan {} was applied, and {} approved", file.applied_plan.short(), file.approved_plan.short())
    });
    if file.approved_plan != *plan_digest {
        let (theirs, ours) = (file.approved_plan.short(), plan_digest.short());
        found.refuse(Refusal::Foreign(format!("the plan at hand is {ours}, and {theirs} was approved")));
    }
    found.figure(Figure::text("exit code", file.exit_code).limit("0").at(apply.at("/exit_code")));
    found.require(file.exit_code == 0, || format!("applying it ended with {}", file.exit_code));
    found.require(file.valid, || format!("the configuration is not valid ({})", apply.at("/valid")));
    let permitted = |address: &str| {
        file.may_destroy.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(front) => address.starts_with(front),
            None => address == pattern,
        })
    };
    let forbidden: Vec<_> = plan.destructive().filter(|change| !permitted(&change.address)).collect();
    let at = forbidden.first().map(|change| change.at.clone());
    found.figure(Figure::count("forbidden destructions", forbidden.len() as u64).limit("none").at(at));
    if let Some(first) = forbidden.first() {
        found.fail(format!("{} would be taken away, and nobody permitted it ({})", first.address, first.at));
    }
    found.finish()
}
