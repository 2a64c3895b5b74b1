//! Makes everything that a release needs to be judged, on the spot.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use deploy_agents::checks::{Thresholds, kind};
use deploy_core::agent::{Agent as _, Cancellation, Performed, StepContext, Task};
use deploy_core::effect::{EffectKey, Fence};
use deploy_core::name::{EnvironmentName, RevisionName, RunId, ServiceName};
use deploy_core::plan::StepPath;
use deploy_core::release::{Change, Release};
use deploy_core::time::Now;

use crate::Failure;
use crate::workshop::args::Args;
use crate::workshop::bench::Bench;
use crate::workshop::building::{self, Built};
use crate::workshop::place::{BOUND, Place};
use crate::workshop::repository::{AUTHOR, NEW, OLD, Repository};
use crate::workshop::shelf::Shelf;
use crate::workshop::tools::{Tools, read};
use crate::workshop::watch::{self, Prometheus};
use crate::workshop::{ground, papers, rehearsal, signing, steps};

/// Where it goes.
pub(crate) const ENVIRONMENT: &str = "production";
/// What does not apply to a service that is a few processes on one machine.
const NO_CLUSTER: &str = "the service runs as processes on one machine, not in a cluster";

/// Everything that was made, ready for the workflow.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) release: Release,
    pub(crate) built: Built,
    pub(crate) bench: Bench,
    pub(crate) thresholds: Thresholds,
    pub(crate) production: Arc<Place>,
    pub(crate) staging: Place,
    /// The configuration file of production, and what is to stand in it.
    pub(crate) settings: (PathBuf, Vec<u8>),
}

/// Makes it all.
pub(crate) async fn prepare(folder: &Path, args: &Args) -> Result<Prepared, Failure> {
    let tools = Tools::new(&args.without);
    let folder = folder.to_path_buf();
    let repository = Arc::new(Repository::make(&folder, &tools, args.fault).await?);
    let built = {
        let (folder, repository) = (folder.clone(), Arc::clone(&repository));
        apart(move || building::both(&folder, &repository)).await?
    };
    let release = release(&repository, &built)?;
    let mut shelf = Shelf::new(folder.join("reports"), repository.commit.clone(), built.digest)?;
    let mut thresholds = Thresholds::default();
    // A timing on a machine that does other things besides: a quarter is what it can tell.
    thresholds.slowdown_at_most = 25.0;
    if let Some(commit) = &repository.commit {
        let (envelope, key) = signing::provenance(commit, &built)?;
        shelf.put(kind::ATTESTATION, "workshop, signed", "provenance.json", envelope)?;
        thresholds.build_keys.insert("workshop".to_owned(), key);
    }
    shelf.without(&["runtime-security", "staging-same-digest", "workloads"], NO_CLUSTER);
    shelf.without(
        &["compliance"],
        "no policies are written for this service, and neither conftest nor opa is on this machine",
    );
    shelf.waive("security-audit", "nobody has audited a service that is an hour old; to be audited within a day");
    let (mut shelf, repository) = {
        let (folder, built, fault, repository) = (folder.clone(), built.clone(), args.fault, Arc::clone(&repository));
        apart(move || {
            building::report(&folder, &repository, &built, &tools, fault, &mut shelf)?;
            ground::infrastructure(&repository, &tools, fault, &mut shelf)?;
            ground::room(ENVIRONMENT, &mut shelf)?;
            ground::backup(&folder, &tools, fault, &mut shelf)?;
            papers::documents(&repository, &mut shelf)?;
            papers::people(&repository, &mut shelf)?;
            Ok((shelf, repository))
        })
        .await?
    };
    let tools = Tools::new(&args.without);
    let production = Place::start("production", &built, folder.join("logs/production")).await?;
    let staging = Place::start("staging", &built, folder.join("logs/staging")).await?;
    // A place of its own: a rehearsal that a later run finds again in staging would be older than what was seen there.
    let rehearsing = Place::start("rehearsal", &built, folder.join("logs/rehearsal")).await?;
    rehearsal::rehearse(&rehearsing, &release, &mut shelf).await?;
    rehearsing.close().await;
    let settings = settings(&folder, &repository, &built, &release, &production, &mut shelf).await?;
    let prometheus = Prometheus::start(&folder, &production, &tools).await?;
    if prometheus.is_none() {
        shelf.without(&["monitoring-up", "series-flow"], "Prometheus is not on this machine");
    }
    watch::alert_drill(&folder, &tools, &release, &mut shelf).await?;
    let bench = Bench::new(shelf, prometheus);
    Ok(Prepared { release, built, bench, thresholds, production: Arc::new(production), staging, settings })
}

/// Runs what waits for programs where waiting is allowed.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await?
}

fn release(repository: &Repository, built: &Built) -> Result<Release, Failure> {
    let change = Change { commit: repository.commit.clone(), authors: vec![AUTHOR.to_owned()], ..Change::default() };
    let (service, environment) = (ServiceName::new("orders")?, EnvironmentName::new(ENVIRONMENT)?);
    Ok(Release::new(service, environment, RevisionName::new(NEW)?).artifact("orders", built.digest).change(change))
}

/// The configuration is tried in staging, and the environment is looked at.
async fn settings(
    folder: &Path,
    repository: &Repository,
    built: &Built,
    release: &Release,
    production: &Place,
    shelf: &mut Shelf,
) -> Result<(PathBuf, Vec<u8>), Failure> {
    let before = read(&repository.old.join("config/settings.json"))?;
    let wanted = read(&repository.new.join("config/settings.json"))?;
    let file = |place: &str| folder.join(format!("{place}.settings.json"));
    for place in ["staging", "production"] {
        std::fs::write(file(place), &before)?;
    }
    let change = steps::configuration("try-configuration", &file("staging"), wanted.clone(), built)?;
    let step = StepPath::new("workshop/configuration")?;
    let task = Task::new(step.clone(), false, Arc::new(release.clone()), std::collections::BTreeMap::new());
    let key = EffectKey { run: RunId::new("workshop")?, step, undo: false, iteration: 0, attempt: 1 };
    let cx = StepContext::new(key, Fence::default(), Now::default(), BOUND, Cancellation::never());
    let Performed::Done(report) = change.perform(&task, &cx).await? else {
        return Err("a change of configuration is over when it answers".into());
    };
    for piece in report.evidence.into_iter().filter(|piece| piece.evidence.kind == "config-record") {
        shelf.put(
            "config-record",
            "the file in staging, tried by the new version",
            "config-record.json",
            piece.bytes,
        )?;
    }
    use deploy_core::target::Target as _;
    let seen = production.target().observe().await?;
    let serving = seen.serving().map(ToString::to_string);
    let probe = steps::environment(ENVIRONMENT, serving.as_deref(), &read(&file("production"))?, &before);
    shelf.put_document("environment-probe", "workshop, looking around", probe)?;
    debug_assert_eq!(serving.as_deref(), Some(OLD));
    Ok((file("production"), wanted))
}
