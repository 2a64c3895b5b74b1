//! What stands under the service, and what was done to it.

use std::collections::BTreeMap;

use deploy_core::digest::Digest;
use deploy_core::evidence::Refusal;
use serde::{Deserialize, Serialize};

use crate::checks::infrastructure::{CapacityReport, EnvironmentProbe, IacApply};
use crate::checks::kind;
use crate::checks::people::AccessExport;
use crate::crew::issued::Content;
use crate::crew::material::Material;
use crate::evidence::facts::PolicyOutcome;

/// What was applied, and what is left to be changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InfraRecord {
    /// The plan that people approved.
    pub approved: Digest,
    /// The plan that was applied.
    pub applied: Digest,
    /// How the tool ended.
    pub exit_code: i64,
    /// The resources that the plan changed.
    pub changed: Vec<String>,
    /// The resources that still differ from what is declared. None: nothing drifted.
    pub drifted: Vec<String>,
}

impl Content for InfraRecord {
    const NAME: &'static str = "infra-record";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let apply = material.reading().document::<IacApply>()?.document;
        let (_, plan) = material.reading().plan(kind::TERRAFORM_PLAN)?;
        let (_, after) = material.reading().plan(kind::TERRAFORM_PLAN_AFTER)?;
        let drifted = after.effective().chain(&after.drift).map(|change| change.address.clone());
        Ok(Self {
            approved: apply.approved_plan,
            applied: apply.applied_plan,
            exit_code: apply.exit_code,
            changed: plan.effective().map(|change| change.address.clone()).collect(),
            drifted: drifted.collect(),
        })
    }
}

/// The controls, and the evidence for each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HardeningReport {
    /// Who deploys.
    pub deployer: String,
    /// Who may deploy.
    pub may_deploy: Vec<String>,
    /// How many rights are given, by who holds them.
    pub permissions: BTreeMap<String, u64>,
    /// The oldest secret, where there are secrets.
    pub oldest_secret: Option<String>,
}

impl Content for HardeningReport {
    const NAME: &'static str = "hardening-report";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let export = material.reading().document::<AccessExport>()?.document;
        let given = export.bindings.iter().map(|b| (b.subject.clone(), b.permissions.len() as u64));
        Ok(Self {
            permissions: given.collect(),
            oldest_secret: export.secrets.iter().min_by_key(|s| s.rotated_at).map(|s| s.name.clone()),
            deployer: export.deployer,
            may_deploy: export.may_deploy,
        })
    }
}

/// What each policy says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ComplianceReport {
    /// The engines that evaluated.
    pub engines: Vec<String>,
    /// How many rules were kept.
    pub kept: u64,
    /// The rules that were not, with what their engine says.
    pub not_kept: Vec<(String, String)>,
}

impl Content for ComplianceReport {
    const NAME: &'static str = "compliance-report";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let policies = material.reading().policies()?;
        let results = || policies.iter().flat_map(|(_, facts)| &facts.results);
        let not_kept = policies.iter().flat_map(|(_, facts)| facts.not_kept());
        let named = results().filter(|r| r.outcome == PolicyOutcome::Kept).count() as u64;
        let counted: u64 = policies.iter().map(|(_, facts)| facts.successes).sum();
        Ok(Self {
            engines: policies.iter().map(|(_, facts)| facts.engine.clone()).collect(),
            kept: named.saturating_add(counted),
            not_kept: not_kept.map(|r| (r.rule.clone(), r.message.clone())).collect(),
        })
    }
}

/// Whether what stands under the service is fit for the release, as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InfraReadiness {
    /// The environment.
    pub environment: String,
    /// What is not as it was declared: the fact, what was wanted, what is.
    pub deviations: Vec<(String, String, String)>,
    /// How many times the need is free, for the scarcest resource.
    pub scarcest: Option<(String, f64)>,
}

impl Content for InfraReadiness {
    const NAME: &'static str = "infra-readiness";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let probe = material.reading().document::<EnvironmentProbe>()?.document;
        let capacity = material.reading().document::<CapacityReport>()?.document;
        let wrong = probe.facts.iter().filter(|fact| fact.wanted != fact.actual);
        #[expect(clippy::cast_precision_loss, reason = "counts of instances stay far below 2^52")]
        let instances = capacity.instances as f64;
        let room = capacity.resources.iter().map(|resource| {
            // What the strategy needs beside what serves already.
            let needed = resource.per_instance * instances * (capacity.strategy_factor - 1.0).max(0.0);
            (resource.name.clone(), if needed > 0.0 { resource.free / needed } else { f64::MAX })
        });
        Ok(Self {
            deviations: wrong.map(|f| (f.name.clone(), f.wanted.clone(), f.actual.clone())).collect(),
            scarcest: room.filter(|(_, times)| *times < f64::MAX).min_by(|a, b| a.1.total_cmp(&b.1)),
            environment: probe.environment,
        })
    }
}
