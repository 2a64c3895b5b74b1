//! Room for the strategy at its widest.

use deploy_core::evidence::Refusal;
use deploy_core::release::Release;
use serde::{Deserialize, Serialize};

use crate::checks::assessment::{Assessment, Assessor, Figure};
use crate::checks::document::{Document, Read};
use crate::checks::thresholds::Thresholds;

/// What a release needs, and what is free.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapacityReport {
    /// Which environment.
    pub environment: String,
    /// How many instances serve now.
    pub instances: u64,
    /// How many times as many the strategy needs at its widest: 2 for blue-green, 1 plus the surge for a rolling one.
    pub strategy_factor: f64,
    /// The resources, each for all instances together.
    pub resources: Vec<Resource>,
}

/// One resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// What, for example `instances`, `cpu` or `memory`.
    pub name: String,
    /// How much one instance needs.
    pub per_instance: f64,
    /// How much is free now, beside what serves.
    pub free: f64,
    /// How much may be used in all.
    pub quota: f64,
}

impl Document for CapacityReport {
    const KIND: &'static str = "capacity";
}

/// There is room for the strategy at its widest, with headroom, both of what is free and of what is allowed.
///
/// Rows: M17, M143.
#[must_use]
pub fn capacity(report: &Read<CapacityReport>, release: &Release, t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    let file = &report.document;
    if file.environment != release.environment.as_str() {
        let (theirs, ours) = (&file.environment, &release.environment);
        found.refuse(Refusal::Foreign(format!("it is about {theirs}, the release goes to {ours}")));
    }
    found.require(file.instances > 0, || "it says that nothing serves".to_owned());
    found.require(!file.resources.is_empty(), || "no resource was looked at".to_owned());
    found.require(file.strategy_factor >= 1.0, || {
        format!("a strategy needs at least what serves, not {}", file.strategy_factor)
    });
    #[expect(clippy::cast_precision_loss, reason = "instances stay far below 2^52")]
    let now = file.instances as f64;
    let widest = (now * file.strategy_factor).ceil();
    let room = 1.0 + t.capacity_headroom / 100.0;
    for (index, resource) in file.resources.iter().enumerate() {
        let Resource { name, per_instance, free, quota } = resource;
        let (more, all) = ((widest - now) * per_instance * room, widest * per_instance);
        let at = |field: &str| report.at(format!("/resources/{index}/{field}"));
        found.figure(
            Figure::number(format!("{name} free"), *free, "").limit(format!("at least {more:.3}")).at(at("free")),
        );
        found.figure(
            Figure::number(format!("{name} allowed"), *quota, "").limit(format!("at least {all:.3}")).at(at("quota")),
        );
        // Written so that what is not a number is not enough.
        let enough = |have: f64, need: f64| have.is_finite() && have + 1e-9 >= need;
        found.require(enough(*free, more), || {
            format!("{free} of {name} are free, {more:.3} are needed ({})", at("free"))
        });
        found.require(enough(*quota, all), || {
            format!("{quota} of {name} are allowed, {all:.3} are needed ({})", at("quota"))
        });
    }
    found.finish()
}
