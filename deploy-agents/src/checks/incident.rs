//! The checks of incidents: that one is known, and how a security incident, or a drill of one, was handled.

use std::time::Duration;

use deploy_core::digest::Digest;
use deploy_core::evidence::{Evidence, Refusal};
use deploy_core::name::{NameError, ServiceName};
use deploy_core::release::Release;
use deploy_core::time::{Spell, Timestamp};
use serde::{Deserialize, Serialize};

use super::assessment::{Assessment, Assessor, Figure};
use super::document::{Document, Read};
use super::thresholds::Thresholds;
use crate::evidence::facts::{IncidentFacts, IncidentPredicate};

/// How much the clocks of two machines may differ.
const SKEW: Duration = Duration::from_secs(60);

/// Under which service the run goes that answers to an incident: one of its own, so that it never waits for a release of the service
/// that is stuck, nor for the answer to another incident.
///
/// ```
/// use deploy_agents::checks::incident::answering_service;
///
/// assert_eq!(answering_service("shop", "INC-7")?.as_str(), "shop-incident-INC-7");
/// // What can stand in no name is told apart by its digest.
/// assert!(answering_service("shop", "a red light")?.as_str().starts_with("shop-incident-"));
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
///
/// # Errors
///
/// [`NameError`] if the service is no name.
pub fn answering_service(service: &str, incident: &str) -> Result<ServiceName, NameError> {
    let service = ServiceName::new(service)?;
    ServiceName::new(format!("{service}-incident-{incident}")).or_else(|_| {
        let digest = Digest::of(format!("{service} {incident}").as_bytes()).short();
        let service: String = service.as_str().chars().take(60).collect();
        ServiceName::new(format!("{service}-incident-{digest}"))
    })
}

/// One incident is known, here and now: somebody detected or reported it, in the environment and of the service of the run that answers
/// to it. That it is said to be over is a remark: what is said is checked like everything else.
///
/// Rows: M232.
#[must_use]
pub fn incident_known(events: &[IncidentFacts], release: &Release, now: Timestamp) -> Assessment {
    let mut found = Assessor::new();
    let Some(first) = events.first() else {
        found.refuse(Refusal::Missing("there is no event about an incident".to_owned()));
        return found.finish();
    };
    found.figure(Figure::text("incident", &first.incident.value).at(first.incident.at.clone()));
    for event in events {
        found.doubts(&event.doubts);
        let (incident, at) = (&event.incident, &event.at);
        found.figure(Figure::text(event.said.as_str(), at.value).at(at.at.clone()));
        if incident.value != first.incident.value {
            found.refuse(Refusal::Foreign(format!("{} and {incident} are two incidents", first.incident.value)));
        }
        if event.environment.value != release.environment.as_str() {
            let theirs = &event.environment;
            found.refuse(Refusal::Foreign(format!("it happens in {theirs}, the run is of {}", release.environment)));
        }
        if let Some(service) = &event.service {
            let own = answering_service(&service.value, &incident.value);
            let same = service.value == release.service.as_str() || own.is_ok_and(|own| own == release.service);
            if !same {
                found.refuse(Refusal::Foreign(format!("it happens to {service}, the run is of {}", release.service)));
            }
        }
        if at.value > now.after(SKEW) {
            found.refuse(Refusal::FutureDated(format!("it was {} at {at}, and it is {now}", event.said)));
        }
    }
    let resolved = |event: &&IncidentFacts| event.said == IncidentPredicate::Resolved;
    found.require(!events.iter().all(|event| resolved(&event)), || "nobody detected or reported it".to_owned());
    if let Some(over) = events.iter().find(resolved) {
        found.remark(format!("it is said to be over since {}", over.at));
    }
    found.finish()
}

/// The record of a security incident, or of a drill of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityIncident {
    /// What it is called where incidents are kept.
    pub id: String,
    /// Who leads: one person.
    pub commander: String,
    /// When it was found.
    pub found_at: Timestamp,
    /// When it could do no more harm; absent: it still can.
    #[serde(default)]
    pub contained_at: Option<Timestamp>,
    /// What had to be preserved before anybody cleaned up, by the names under which it was preserved.
    pub must_keep: Vec<String>,
    /// What was done about it, in order.
    pub actions: Vec<IncidentAction>,
}

/// One thing that was done about an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentAction {
    /// What.
    pub what: String,
    /// By whom.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

impl Document for SecurityIncident {
    const KIND: &'static str = "security-incident";
}

/// The list that [`PreserveEvidence`](crate::monitors::PreserveEvidence) writes of what it kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreservedList {
    /// When it was taken, in RFC 3339.
    pub taken_at: String,
    /// The sources.
    pub sources: Vec<PreservedSource>,
}

/// One source, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreservedSource {
    /// Its name.
    pub source: String,
    /// The digest of what was kept.
    #[serde(default)]
    pub digest: Option<Digest>,
    /// Whether there was more than was kept.
    #[serde(default)]
    pub cut_off: bool,
    /// Why nothing was kept, if nothing was.
    #[serde(default)]
    pub lost: Option<String>,
}

impl Document for PreservedList {
    const KIND: &'static str = "preserved-list";
}

/// One named person led, what had to be kept was kept before the incident was contained and is still what it was, and it was contained in
/// time.
///
/// `kept` are the pieces of evidence that were preserved; their bytes were compared with their digests when they were accepted.
///
/// Rows: M79.
#[must_use]
pub fn security_incident(
    incident: &Read<SecurityIncident>,
    list: &Read<PreservedList>,
    kept: &[&Evidence],
    t: &Thresholds,
) -> Assessment {
    let mut found = Assessor::new();
    let file = &incident.document;
    found.require(!file.commander.trim().is_empty(), || format!("nobody led it ({})", incident.at("/commander")));
    found.require(!file.must_keep.is_empty(), || {
        "nothing had to be kept, so that nobody could learn from it".to_owned()
    });
    found.require(!file.actions.is_empty(), || "nothing was done about it".to_owned());
    for (index, action) in file.actions.iter().enumerate() {
        let at = incident.at(format!("/actions/{index}"));
        let named = !action.by.trim().is_empty() && !action.what.trim().is_empty();
        found.require(named, || format!("an action has no name, or nobody did it ({at})"));
        found.require(action.at >= file.found_at, || format!("{} was done before it was found ({at})", action.what));
    }
    let taken = Timestamp::parse(&list.document.taken_at)
        .map_err(|error| Refusal::Unparseable(format!("{}: {error}", list.at("/taken_at"))));
    let taken = found.accept(taken);
    match file.contained_at {
        None => found.fail("it is not contained"),
        Some(contained) => {
            let at = incident.at("/contained_at");
            let took = contained.since(file.found_at);
            let limit = format!("at most {} s", t.containment_at_most.as_secs());
            found.figure(Figure::number("containment took", took.as_secs_f64(), "s").limit(limit).at(at.clone()));
            found.require(contained >= file.found_at, || format!("it was contained before it was found ({at})"));
            found.require(took <= t.containment_at_most, || format!("it was contained after {} ({at})", Spell(took)));
            if let Some(taken) = taken {
                let at = list.at("/taken_at");
                found.figure(Figure::text("evidence kept", taken).limit(format!("before {contained}")).at(at.clone()));
                found.require(taken >= file.found_at, || format!("the evidence is from before it was found ({at})"));
                found.require(taken <= contained, || format!("evidence was kept only after it was contained ({at})"));
            }
        }
    }
    for wanted in &file.must_keep {
        let source = list.document.sources.iter().enumerate().find(|(_, source)| source.source == *wanted);
        let Some((index, source)) = source else {
            found.fail(format!("{wanted} was not kept"));
            continue;
        };
        let at = list.at(format!("/sources/{index}"));
        match (&source.lost, source.digest) {
            (Some(why), _) => found.fail(format!("{wanted} was lost: {why} ({at})")),
            (None, None) => found.fail(format!("{wanted} has no digest ({at})")),
            (None, Some(digest)) if kept.iter().all(|piece| piece.digest != digest) => {
                found.refuse(Refusal::Missing(format!(
                    "{wanted} was kept as {}, which is not there ({at})",
                    digest.short()
                )));
            }
            (None, Some(_)) if source.cut_off => found.remark(format!("{wanted} was kept in part ({at})")),
            (None, Some(_)) => {}
        }
    }
    found.finish()
}
