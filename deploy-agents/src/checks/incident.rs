//! The check of how a security incident, or a drill of one, was handled.

use deploy_core::digest::Digest;
use deploy_core::evidence::{Evidence, Refusal};
use deploy_core::time::{Spell, Timestamp};
use serde::{Deserialize, Serialize};

use super::assessment::{Assessment, Assessor, Figure};
use super::document::{Document, Read};
use super::thresholds::Thresholds;

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
