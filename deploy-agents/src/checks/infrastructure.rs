//! Checks of what a release stands on: environments, capacity, monitoring, backups, health.

use deploy_core::digest::Digest;
use deploy_core::evidence::Refusal;
use deploy_core::release::Release;
use deploy_core::time::{Spell, Timestamp};
use serde::{Deserialize, Serialize};

use super::assessment::{Assessment, Assessor, Figure};
use super::document::{Document, Read};
use super::thresholds::Thresholds;
use crate::evidence::facts::{BackupFacts, KubernetesFacts, PlanFacts, Progress, PrometheusFacts};
use crate::monitors::families::{Coverage, CoverageReport, MonitorKind};

/// What was found of an environment by looking at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentProbe {
    /// Which environment.
    pub environment: String,
    /// What is there, and what should be: versions, addresses, digests of configuration.
    pub facts: Vec<EnvironmentFact>,
    /// Certificates, and until when they hold.
    pub certificates: Vec<Certificate>,
}

/// One thing of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentFact {
    /// What.
    pub name: String,
    /// What should be there.
    pub wanted: String,
    /// What is there.
    pub actual: String,
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The host that shows it.
    pub host: String,
    /// Until when it holds.
    pub expires: Timestamp,
}

impl Document for EnvironmentProbe {
    const KIND: &'static str = "environment-probe";
}

/// The environment is what it is declared to be, and its certificates hold for long enough.
///
/// Rows: M16, M140, M143.
#[must_use]
pub fn environment(probe: &Read<EnvironmentProbe>, release: &Release, now: Timestamp, t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    let file = &probe.document;
    if file.environment != release.environment.as_str() {
        let (theirs, ours) = (&file.environment, &release.environment);
        found.refuse(Refusal::Foreign(format!("it is about {theirs}, the release goes to {ours}")));
    }
    found.require(!file.facts.is_empty(), || "nothing of the environment was looked at".to_owned());
    for (index, fact) in file.facts.iter().enumerate() {
        let at = probe.at(format!("/facts/{index}/actual"));
        found.figure(Figure::text(&fact.name, &fact.actual).limit(&fact.wanted).at(at.clone()));
        let (name, wanted, actual) = (&fact.name, &fact.wanted, &fact.actual);
        found.require(wanted == actual, || format!("{name} is {actual}, {wanted} is declared ({at})"));
    }
    let least = t.certificate_holds_at_least;
    for (index, certificate) in file.certificates.iter().enumerate() {
        let at = probe.at(format!("/certificates/{index}/expires"));
        let host = &certificate.host;
        let limit = format!("for at least {}", Spell(least));
        found.figure(
            Figure::text(format!("certificate of {host} holds until"), certificate.expires).limit(limit).at(at.clone()),
        );
        found.require(certificate.expires >= now.after(least), || {
            format!("the certificate of {host} holds until {} ({at})", certificate.expires)
        });
    }
    found.finish()
}

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

/// Every target is up and was scraped lately, and every rule can be evaluated.
///
/// Rows: M18, M141, M155, M180, M208.
#[must_use]
pub fn monitoring_up(targets: &PrometheusFacts, rules: &PrometheusFacts, now: Timestamp, t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    found.doubts(&targets.doubts);
    found.doubts(&rules.doubts);
    for warning in targets.warnings.iter().chain(&rules.warnings) {
        found.refuse(Refusal::Unfinished(format!("the server warns: {warning}")));
    }
    let up = targets.targets.iter().filter(|target| target.health.value == "up").count();
    let at = targets.targets.first().map(|target| target.health.at.clone());
    found.figure(Figure::count("targets up", up as u64).limit(format!("all {}", targets.targets.len())).at(at));
    found.require(!targets.targets.is_empty(), || "nothing is scraped".to_owned());
    for target in &targets.targets {
        let named = format!("{} of {}", target.instance, target.job);
        if target.health.value != "up" {
            found.fail(format!("{named} is {}: {} ({})", target.health.value, target.last_error, target.health.at));
        }
        match &target.last_scrape {
            None => found.fail(format!("{named} was never scraped")),
            Some(last) => found.require(now.since(last.value) <= t.scrape_max_age, || {
                let (age, limit) = (Spell(now.since(last.value)), Spell(t.scrape_max_age));
                format!("{named} was last scraped {age} ago; at most {limit} is allowed ({})", last.at)
            }),
        }
    }
    let alerting = rules.rules.iter().filter(|rule| rule.alerting).count();
    let at = rules.rules.first().map(|rule| rule.health.at.clone());
    found.figure(Figure::count("alerting rules", alerting as u64).limit("at least 1").at(at));
    found.require(alerting > 0, || "no rule would alert anybody".to_owned());
    for rule in rules.rules.iter().filter(|rule| rule.health.value != "ok") {
        found.fail(format!("rule {} is {} ({})", rule.name, rule.health.value, rule.health.at));
    }
    found.finish()
}

/// There are series of the version that is to be released: before traffic, so that nobody flies blind.
///
/// Rows: M35, M152.
#[must_use]
pub fn series_flow(answer: &PrometheusFacts, revision: &str) -> Assessment {
    let mut found = Assessor::new();
    found.doubts(&answer.doubts);
    for warning in &answer.warnings {
        found.refuse(Refusal::Unfinished(format!("the server warns: {warning}")));
    }
    let of_ours = |labels: &std::collections::BTreeMap<String, String>| labels.values().any(|value| value == revision);
    let ours: Vec<_> = answer.series.iter().filter(|series| of_ours(&series.labels)).collect();
    let filled = ours.iter().filter(|series| series.samples.iter().any(|sample| sample.value.is_some())).count();
    let at = ours.first().map(|series| series.at.clone());
    found.figure(Figure::count(format!("series of {revision} with samples"), filled as u64).limit("at least 1").at(at));
    if ours.is_empty() {
        found.refuse(Refusal::Missing(format!("no series has the label {revision}")));
    } else if filled == 0 {
        found.refuse(Refusal::Missing(format!("the series of {revision} have no sample that is a number")));
    }
    found.finish()
}

/// A test of the way from an alert to whoever must hear it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertDrill {
    /// The alerts that were set off.
    pub alerts: Vec<DrilledAlert>,
}

/// One alert of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrilledAlert {
    /// Its name.
    pub name: String,
    /// Who answers for it.
    pub owner: String,
    /// What to do when it fires.
    pub runbook: String,
    /// When it was set off.
    pub fired_at: Timestamp,
    /// When its receiver got it, by the receiver's own record; absent: it never did.
    #[serde(default)]
    pub received_at: Option<Timestamp>,
    /// Who received it.
    #[serde(default)]
    pub receiver: String,
}

impl Document for AlertDrill {
    const KIND: &'static str = "alert-drill";
}

/// Every alert of the test reached its receiver in time, and has an owner and a runbook.
///
/// Rows: M36, M152, M209.
#[must_use]
pub fn alerts_delivered(drill: &Read<AlertDrill>, t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    found.require(!drill.document.alerts.is_empty(), || "no alert was set off".to_owned());
    for (index, alert) in drill.document.alerts.iter().enumerate() {
        let at = drill.at(format!("/alerts/{index}/received_at"));
        let name = &alert.name;
        found.require(!alert.owner.trim().is_empty(), || format!("{name} has no owner"));
        found.require(!alert.runbook.trim().is_empty(), || format!("{name} has no runbook"));
        match alert.received_at {
            None => found.fail(format!("{name} never reached anybody ({at})")),
            Some(received) if received < alert.fired_at => {
                found.fail(format!("{name} was received before it was set off ({at})"));
            }
            Some(received) => {
                let took = received.since(alert.fired_at);
                let limit = format!("at most {} s", t.alert_delivery_at_most.as_secs());
                found.figure(
                    Figure::number(format!("{name} took"), took.as_secs_f64(), "s").limit(limit).at(at.clone()),
                );
                found.require(took <= t.alert_delivery_at_most, || format!("{name} took {} ({at})", Spell(took)));
                found.require(!alert.receiver.trim().is_empty(), || format!("nobody says who received {name}"));
            }
        }
    }
    found.finish()
}

/// What a restore gave back, and when writes last stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreRecord {
    /// Which backup, by the name that the backup program gives it.
    pub label: String,
    /// When it was restored.
    pub at: Timestamp,
    /// What was compared after it: `rows`, `checksums`, for example.
    pub compared: String,
    /// Whether it was what was wanted.
    pub matches: bool,
    /// When writes were last frozen, or the schema last changed: the backup must be later. Absent: never.
    #[serde(default)]
    pub last_freeze: Option<Timestamp>,
}

impl Document for RestoreRecord {
    const KIND: &'static str = "restore-record";
}

/// There is a sound backup that is new enough, made after writes were last frozen, and one of this store was restored and
/// compared lately.
///
/// Rows: M19, M144, M198.
#[must_use]
pub fn backup(facts: &BackupFacts, restores: &[Read<RestoreRecord>], now: Timestamp, t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    found.doubts(&facts.doubts);
    for store in &facts.stores {
        if let Some(code) = store.code.as_ref().filter(|code| code.value != 0) {
            found.fail(format!("{} says {}: {} ({})", store.name, code.value, store.message, code.at));
        }
    }
    if let Some(check) = facts.check.as_ref().filter(|check| !check.sound) {
        found.fail(format!("the repository is not sound: {} (exit code {})", check.meaning, check.exit_code));
    }
    let freeze = restores.iter().filter_map(|r| r.document.last_freeze).max();
    match facts.newest_good() {
        None => found.fail("there is no backup that ended well"),
        Some(newest) => {
            let (made, at) = match newest.started.as_ref().or(newest.finished.as_ref()) {
                Some(time) => (Some(time.value), time.at.clone()),
                None => (None, newest.at.clone()),
            };
            let Some(made) = made else {
                found.refuse(Refusal::Unparseable(format!("{} does not say when it was made ({at})", newest.label)));
                return found.finish();
            };
            let limit = format!("at most {} old", Spell(t.backup_max_age));
            found.figure(Figure::text(format!("newest backup {}", newest.label), made).limit(limit).at(at.clone()));
            if made > now.after(std::time::Duration::from_secs(60)) {
                found.refuse(Refusal::FutureDated(format!("{} was made at {made}, and it is {now}", newest.label)));
            }
            let age = now.since(made);
            found.require(age <= t.backup_max_age, || format!("the newest backup is {} old ({at})", Spell(age)));
            if let Some(freeze) = freeze {
                found.require(made >= freeze, || {
                    format!("the newest backup is of {made}, before writes were frozen at {freeze}")
                });
            }
        }
    }
    let known = |label: &str| facts.backups.iter().any(|backup| backup.label == label);
    let good = restores.iter().filter(|r| r.document.matches && r.document.at <= now && known(&r.document.label));
    match good.max_by_key(|r| r.document.at) {
        None => found.fail("no backup of this store was ever restored and compared"),
        Some(last) => {
            let age = now.since(last.document.at);
            let limit = format!("at most {} ago", Spell(t.restore_max_age));
            found.figure(
                Figure::text(format!("{} restored", last.document.label), last.document.at)
                    .limit(limit)
                    .at(last.at("/at")),
            );
            found.require(age <= t.restore_max_age, || {
                format!("the last restore was {} ago ({})", Spell(age), last.at("/at"))
            });
        }
    }
    found.finish()
}

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

/// Which of the sixteen kinds of monitoring are bound, as a self-test of the monitors found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitoringCoverage {
    /// Each kind.
    pub kinds: Vec<CoveredKind>,
}

/// One kind of monitoring, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoveredKind {
    /// Which.
    pub kind: MonitorKind,
    /// The metrics that were asked and gave an answer of the right kind, each as `metric of monitor`.
    #[serde(default)]
    pub measures: Vec<String>,
    /// The metrics that are bound and gave none, each with the reason; or that were never asked.
    #[serde(default)]
    pub silent: Vec<String>,
    /// Why it does not apply to this service, if it does not.
    #[serde(default)]
    pub not_applicable: Option<String>,
}

impl Document for MonitoringCoverage {
    const KIND: &'static str = "monitoring-coverage";
}

impl From<&CoverageReport> for MonitoringCoverage {
    fn from(report: &CoverageReport) -> Self {
        let kinds = report.kinds.iter().map(|covered| {
            let mut kind =
                CoveredKind { kind: covered.kind, measures: Vec::new(), silent: Vec::new(), not_applicable: None };
            match &covered.coverage {
                Coverage::Bound(seen) => {
                    for seen in seen {
                        let name = format!("{} of {}", seen.metric, seen.monitor);
                        match &seen.measures {
                            Some(Ok(())) => kind.measures.push(name),
                            Some(Err(why)) => kind.silent.push(format!("{name}: {why}")),
                            None => kind.silent.push(format!("{name}: it was never asked")),
                        }
                    }
                }
                Coverage::NotApplicable { reason } => kind.not_applicable = Some(reason.clone()),
                Coverage::Missing { .. } => {}
            }
            kind
        });
        Self { kinds: kinds.collect() }
    }
}

/// Enough of the sixteen kinds of monitoring are bound to metrics that were asked and answered; kinds that do not apply need a
/// reason, and count as covered.
///
/// Rows: M124, M155.
#[must_use]
pub fn monitoring_coverage(coverage: &Read<MonitoringCoverage>, t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    let mut covered = 0;
    let mut seen = std::collections::BTreeSet::new();
    for (index, kind) in coverage.document.kinds.iter().enumerate() {
        let at = coverage.at(format!("/kinds/{index}"));
        if !seen.insert(kind.kind) {
            found.refuse(Refusal::Duplicate(format!("{} stands there twice ({at})", kind.kind)));
            continue;
        }
        match &kind.not_applicable {
            Some(reason) if reason.trim().is_empty() => {
                found.fail(format!("{} is said not to apply, without a reason ({at})", kind.kind));
            }
            Some(reason) => {
                covered += 1;
                found.note(format!("{} does not apply: {reason}", kind.kind));
            }
            None if kind.measures.is_empty() => found.note(format!("{} is not measured ({at})", kind.kind)),
            None => covered += 1,
        }
        for silent in &kind.silent {
            found.remark(format!("{}: {silent} ({at})", kind.kind));
        }
    }
    let limit = format!("at least {}", t.monitor_kinds_at_least);
    found.figure(Figure::count("kinds of monitoring covered", covered).limit(limit).at(coverage.at("/kinds")));
    found.require(covered >= t.monitor_kinds_at_least && covered > 0, || {
        format!("{covered} of 16 kinds of monitoring are covered; at least {} must be", t.monitor_kinds_at_least)
    });
    found.finish()
}
