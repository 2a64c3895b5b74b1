//! What is there of an environment, and what should be.

use deploy_core::evidence::Refusal;
use deploy_core::release::Release;
use deploy_core::time::{Spell, Timestamp};
use serde::{Deserialize, Serialize};

use crate::checks::assessment::{Assessment, Assessor, Figure};
use crate::checks::document::{Document, Read};
use crate::checks::thresholds::Thresholds;

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
