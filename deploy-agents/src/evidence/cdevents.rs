//! CDEvents about incidents.

use super::facts::{IncidentFacts, IncidentPredicate};
use super::json::{Document, LONGEST_NAME, Node, clip};
use super::{Doubt, DoubtKind, Problem, ReadError, Source};

/// How the types of the events that are read here begin.
const TYPE: &str = "dev.cdevents.incident.";

/// Reads one event about an incident, as CDEvents 0.1 to 0.5 write it, bare or in a CloudEvents 1.0 envelope in structured mode.
///
/// An event of another subject, and one of a version that is not known, is refused. What a monitoring system says is taken down as what
/// it says: the description, and whatever stands in the event's own data, never tells anybody what to do.
///
/// # Errors
///
/// [`ReadError`], with the place.
///
/// ```
/// use deploy_agents::evidence::facts::IncidentPredicate;
/// use deploy_agents::evidence::{Source, cdevents};
///
/// let event = br#"{"context": {"version": "0.4.1", "id": "e-1", "source": "/monitoring/eu", "timestamp": "2026-11-23T06:01:00Z",
///     "type": "dev.cdevents.incident.detected.0.2.0"},
///   "subject": {"id": "INC-7", "type": "incident", "content": {"environment": {"id": "production"}, "service": {"id": "shop"}}}}"#;
/// let facts = cdevents::read(&Source::new("event.json", event))?;
/// assert_eq!((facts.said, facts.incident.value.as_str()), (IncidentPredicate::Detected, "INC-7"));
/// assert_eq!(facts.service.expect("it names one").value, "shop");
/// # Ok::<(), deploy_agents::evidence::ReadError>(())
/// ```
pub fn read(source: &Source<'_>) -> Result<IncidentFacts, ReadError> {
    let document = Document::parse(source, &["customData"])?;
    let root = document.root();
    match (root.get("context"), root.get("data")) {
        (None, Some(data)) => enveloped(&root, &data),
        _ => event(&root),
    }
}

/// An event in an envelope of CloudEvents, which says some things twice.
fn enveloped(envelope: &Node<'_>, data: &Node<'_>) -> Result<IncidentFacts, ReadError> {
    let version = envelope.need("specversion")?;
    if version.text()? != "1.0" {
        return Err(version.error(Problem::Version, "CloudEvents 1.0 must stand here"));
    }
    let mut facts = event(data)?;
    for name in ["id", "source", "type"] {
        let outside = envelope.need(name)?;
        let inside = data.need("context")?.need(name)?;
        if outside.text()? != inside.text()? {
            let text = format!("the envelope says another {name} than the event in it");
            facts.doubts.push(Doubt::new(DoubtKind::Contradiction, outside.at(), text));
        }
    }
    Ok(facts)
}

fn event(root: &Node<'_>) -> Result<IncidentFacts, ReadError> {
    let context = root.need("context")?;
    let kind = context.need("type")?;
    let said = predicate(&kind)?;
    let subject = root.need("subject")?;
    let content = subject.need("content")?;
    let named = |node: &Node<'_>| {
        let id = node.need("id")?;
        match id.text()?.trim() {
            "" => Err(id.error(Problem::Field, "a name must stand here")),
            _ => id.sourced_text(),
        }
    };
    Ok(IncidentFacts {
        said,
        event: named(&context)?.value,
        source: clip(context.need("source")?.text()?, LONGEST_NAME),
        at: context.need("timestamp")?.time()?,
        incident: named(&subject)?,
        kept_at: subject.text_of("source")?.map(|source| clip(source, LONGEST_NAME)),
        environment: named(&content.need("environment")?)?,
        service: content.get("service").map(|service| named(&service)).transpose()?,
        artifact: content.text_of("artifactId")?.map(|artifact| clip(artifact, LONGEST_NAME)),
        description: content.short_of("description")?,
        ticket: content.text_of("ticketURI")?.map(|ticket| clip(ticket, LONGEST_NAME)),
        doubts: Vec::new(),
    })
}

/// What a type such as `dev.cdevents.incident.detected.0.2.0` says.
fn predicate(kind: &Node<'_>) -> Result<IncidentPredicate, ReadError> {
    let Some((word, version)) = kind.text()?.strip_prefix(TYPE).and_then(|rest| rest.split_once('.')) else {
        return Err(kind.error(Problem::Version, "an event about an incident must stand here"));
    };
    if !["0.1.0", "0.2.0", "0.3.0"].contains(&version) {
        return Err(kind.error(Problem::Version, "version 0.1.0, 0.2.0 or 0.3.0 of the event must stand here"));
    }
    match word {
        "detected" => Ok(IncidentPredicate::Detected),
        "reported" => Ok(IncidentPredicate::Reported),
        "resolved" => Ok(IncidentPredicate::Resolved),
        _ => Err(kind.error(Problem::Version, "detected, reported or resolved must stand here")),
    }
}
