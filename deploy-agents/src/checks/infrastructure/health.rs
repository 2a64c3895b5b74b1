//! What serves: health checks, workloads, and the images that run.

use deploy_core::evidence::Refusal;
use deploy_core::release::Release;
use serde::{Deserialize, Serialize};

use crate::checks::assessment::{Assessment, Assessor, Figure};
use crate::checks::document::{Document, Read};
use crate::evidence::facts::{KubernetesFacts, Progress};

/// What health checks said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReport {
    /// The revision that was asked.
    pub revision: String,
    /// The checks that are declared, by name.
    pub declared: Vec<String>,
    /// How often in a row a check must have said yes.
    pub consecutive: u32,
    /// What the checks said, instance by instance.
    pub results: Vec<HealthResult>,
}

/// What one health check said of one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthResult {
    /// The check.
    pub check: String,
    /// The instance.
    pub instance: String,
    /// How often in a row it said yes, up to now.
    pub passes_in_a_row: u32,
}

impl Document for HealthReport {
    const KIND: &'static str = "health-report";
}

/// Every declared health check said yes often enough in a row, of every instance.
///
/// Rows: M151, M175, M205.
#[must_use]
pub fn health(report: &Read<HealthReport>, release: &Release) -> Assessment {
    let mut found = Assessor::new();
    let file = &report.document;
    if file.revision != release.revision.as_str() {
        let (theirs, ours) = (&file.revision, &release.revision);
        found.refuse(Refusal::Foreign(format!("it is about revision {theirs}, the release is {ours}")));
    }
    found.require(!file.declared.is_empty(), || "no health check is declared".to_owned());
    let least = file.consecutive.max(1);
    let mut good = 0;
    for declared in &file.declared {
        let of = || file.results.iter().enumerate().filter(|(_, result)| result.check == *declared);
        found.require(of().next().is_some(), || format!("{declared} was never asked"));
        let bad = of().find(|(_, result)| result.passes_in_a_row < least);
        match bad {
            Some((index, result)) => {
                let at = report.at(format!("/results/{index}/passes_in_a_row"));
                let (instance, times) = (&result.instance, result.passes_in_a_row);
                found.fail(format!(
                    "{declared} of {instance} said yes {times} times in a row, {least} are wanted ({at})"
                ));
            }
            None => good += u64::from(of().next().is_some()),
        }
    }
    let limit = format!("all {}", file.declared.len());
    found.figure(Figure::count("health checks passing", good).limit(limit).at(report.at("/results")));
    found.finish()
}

/// Every workload is where it is wanted, and runs the approved image.
///
/// Rows: M42, M151, M204.
#[must_use]
pub fn workloads(objects: &KubernetesFacts, release: &Release) -> Assessment {
    let mut found = Assessor::new();
    found.doubts(&objects.doubts);
    found.require(!objects.workloads.is_empty(), || "there is no workload".to_owned());
    for workload in &objects.workloads {
        let named = format!("{} {}", workload.kind, workload.name);
        match workload.progress() {
            Progress::Complete => {}
            Progress::Stale(why) => found.refuse(Refusal::Stale(format!("{named}: {why} ({})", workload.at))),
            Progress::Underway(why) | Progress::Stuck(why) => found.fail(format!("{named}: {why} ({})", workload.at)),
            Progress::Paused => found.fail(format!("{named} is paused ({})", workload.at)),
        }
    }
    let complete = objects.workloads.iter().filter(|w| w.progress() == Progress::Complete).count();
    let at = objects.workloads.first().map(|workload| workload.at.clone());
    found.figure(
        Figure::count("workloads complete", complete as u64).limit(format!("all {}", objects.workloads.len())).at(at),
    );
    found.include("images", running_images(objects, release));
    found.finish()
}

/// Every container that runs is of an image of the release, by digest.
///
/// Rows: M30, M39, M42.
#[must_use]
pub fn running_images(objects: &KubernetesFacts, release: &Release) -> Assessment {
    let mut found = Assessor::new();
    found.doubts(&objects.doubts);
    let ours: Vec<String> = release.artifacts.iter().map(|a| a.digest.to_string()).collect();
    let mut matching = 0_u64;
    let mut at = None;
    for pod in objects.pods.iter().filter(|pod| !pod.terminating && pod.phase == "Running") {
        for container in &pod.containers {
            match &container.digest {
                Some(digest) if ours.contains(&digest.value) => {
                    matching += 1;
                    at.get_or_insert_with(|| digest.at.clone());
                }
                Some(digest) => {
                    found.fail(format!("{} of {} runs {digest}, which is not released", container.name, pod.name))
                }
                None => found.refuse(Refusal::Missing(format!(
                    "nobody says which image {} of {} runs ({})",
                    container.name, pod.name, pod.at
                ))),
            }
        }
    }
    found.figure(Figure::count("containers of a released image", matching).limit("all that run").at(at));
    found.require(matching > 0, || "nothing of the release runs".to_owned());
    found.finish()
}
