//! What a company asks of its releases: the numbers that checks are held against, and what does not apply, each with its reason.

use std::collections::BTreeMap;
use std::path::Path;

use deploy_agents::checks::Thresholds;
use deploy_agents::crew::{Crew, EvidenceFolder, SEATS, Seat};
use deploy_agents::workflows::WorkflowBuilder;
use deploy_core::name::CheckName;
use serde::Deserialize;

use crate::Failure;
use crate::trouble::Trouble;

/// A profile of releases, as a file says it.
///
/// ```json
/// {
///   "thresholds": { "line_coverage_above": 80.0, "build_keys": { "ci": "-----BEGIN PUBLIC KEY----- ..." } },
///   "without_checks": { "security-audit": "nobody audits a test service" },
///   "without": { "pm-3": "nobody measures the business of a test service" }
/// }
/// ```
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Profile {
    thresholds: Thresholds,
    without_checks: BTreeMap<String, String>,
    without: BTreeMap<String, String>,
}

/// Reads a file with a profile.
pub(crate) fn profile(path: &str) -> Result<Profile, String> {
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    serde_json::from_slice(&text).map_err(|error| format!("it is not a profile: {error}"))
}

impl Profile {
    /// The numbers.
    pub(crate) fn thresholds(&self) -> Thresholds {
        self.thresholds.clone()
    }

    /// A crew that reads this folder.
    pub(crate) fn crew(&self, evidence: &Path) -> Result<Crew, Failure> {
        let mut crew = Crew::new(EvidenceFolder::new(evidence), self.thresholds());
        for (check, reason) in &self.without_checks {
            let name = CheckName::new(check).ok().filter(|name| crew.catalogue().check(name.as_str()).is_some());
            let name =
                name.ok_or_else(|| Trouble::usage(format!("the profile leaves out {check}, which is no check")))?;
            crew = crew.without_check(&name, reason);
        }
        Ok(crew)
    }

    /// A workflow that asks for this, and no more. The builder itself refuses what it does not have, and what has no reason.
    pub(crate) fn ask(&self, workflow: WorkflowBuilder) -> Result<WorkflowBuilder, Failure> {
        let mut workflow = workflow.thresholds(self.thresholds());
        for (check, reason) in &self.without_checks {
            workflow = workflow.without_check(check, reason);
        }
        for (seat, reason) in &self.without {
            workflow = workflow.without(named(seat)?, reason);
        }
        Ok(workflow)
    }
}

fn named(seat: &str) -> Result<Seat, Failure> {
    let found = SEATS.into_iter().find(|there| there.to_string() == seat);
    found.ok_or_else(|| {
        Trouble::usage(format!("the profile leaves out {seat}, which is no seat; see `deployctl workflow list`"))
    })
}
