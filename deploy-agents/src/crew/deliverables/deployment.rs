//! What was carried out, and who was there.

use std::collections::BTreeMap;

use deploy_core::evidence::Refusal;
use serde::{Deserialize, Serialize};

use crate::checks::infrastructure::HealthReport;
use crate::checks::kind;
use crate::checks::people::{NoticeRecord, Roster};
use crate::crew::issued::Content;
use crate::crew::material::Material;

/// How the release stands where it serves: its workloads, its health, and what users felt while it went out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RolloutRecord {
    /// The revision that was asked for its health.
    pub revision: String,
    /// How many instances answered.
    pub instances: u64,
    /// The health checks that are declared.
    pub health_checks: Vec<String>,
    /// How many instances of each workload are ready.
    pub ready: BTreeMap<String, u64>,
    /// How many requests stood on it while it went out.
    pub requests: Option<u64>,
    /// How many of them failed.
    pub failed: Option<u64>,
}

impl Content for RolloutRecord {
    const NAME: &'static str = "rollout-record";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let health = material.reading().document::<HealthReport>()?.document;
        let instances: std::collections::BTreeSet<&String> = health.results.iter().map(|r| &r.instance).collect();
        let instances = instances.len() as u64;
        // Not every service runs in a cluster, or was under load while it went out: the checks say what is asked for.
        let objects = material.reading().objects(kind::KUBERNETES).ok();
        let loads = material.reading().rollout_loads().unwrap_or_default();
        let ready = objects.iter().flat_map(|facts| &facts.workloads).map(|workload| {
            let name = format!("{}/{}", workload.namespace, workload.name);
            (name, workload.ready.as_ref().map_or(0, |ready| ready.value))
        });
        let sum = |of: &dyn Fn(&crate::evidence::facts::LoadFacts) -> Option<u64>| {
            if loads.is_empty() { None } else { loads.iter().map(of).sum::<Option<u64>>() }
        };
        Ok(Self {
            revision: health.revision,
            instances,
            health_checks: health.declared,
            ready: ready.collect(),
            requests: sum(&|load| load.requests.as_ref().map(|n| n.value)),
            failed: sum(&|load| load.failed()),
        })
    }
}

/// Who knows, and who is there while the release goes out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Coordination {
    /// The parties that were told, with the receipt of each; without a receipt it is not known whether they were.
    pub told: BTreeMap<String, Option<String>>,
    /// The parties that must take note and have not.
    pub not_acknowledged: Vec<String>,
    /// Who is on call now.
    pub on_call: Vec<String>,
}

impl Content for Coordination {
    const NAME: &'static str = "coordination";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let notices = material.reading().document::<NoticeRecord>()?.document;
        let roster = material.reading().document::<Roster>()?.document;
        let now = material.now();
        let silent = notices.parties.iter().filter(|p| p.must_acknowledge && p.acknowledged_at.is_none());
        let there = roster.shifts.iter().filter(|shift| shift.from <= now && now < shift.until);
        Ok(Self {
            not_acknowledged: silent.map(|party| party.name.clone()).collect(),
            on_call: there.map(|shift| shift.person.clone()).collect(),
            told: notices.parties.into_iter().map(|p| (p.name, p.receipt.map(|r| r.id))).collect(),
        })
    }
}
