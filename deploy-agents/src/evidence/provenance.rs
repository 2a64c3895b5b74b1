//! In-toto statements and SLSA provenance.

use std::collections::BTreeMap;

use super::dsse::{self, TrustedKey};
use super::facts::{AttestedSubject, BuildProvenance, Material, ProvenanceFacts};
use super::json::{Document, Node, Tree};
use super::{Doubt, DoubtKind, Problem, ReadError, Source, Sourced};

/// What an envelope with a statement calls its payload.
pub(super) const IN_TOTO: &str = "application/vnd.in-toto+json";

/// Reads an in-toto statement, in a signed envelope or bare.
///
/// A bare statement, and an envelope for which no key is given, is read with an empty `signed_by`: it proves nothing about who
/// says so. What is inside of an envelope is cited under the name of the file with `!payload` after it; its bytes are
/// [`dsse::Opened::payload`].
///
/// # Errors
///
/// [`ReadError`], with the place: [`Problem::Signature`] if keys are given and no signature by any of them is right.
pub fn read(source: &Source<'_>, keys: &[TrustedKey]) -> Result<ProvenanceFacts, ReadError> {
    let document = Document::parse(source, &[])?;
    if !dsse::is_envelope(&document.root()) {
        let mut facts = statement(&document.root())?;
        let text = "the statement is in no envelope: nobody signed it";
        facts.doubts.push(Doubt::new(DoubtKind::Unsigned, document.root().at(), text));
        return Ok(facts);
    }
    let at = document.root().at();
    drop(document);
    let opened = dsse::open(source, keys)?;
    if opened.payload_type != IN_TOTO {
        return Err(ReadError::new(Problem::Version, at, format!("{IN_TOTO} must be in the envelope")));
    }
    let file = format!("{}!payload", source.file);
    let inside = Document::parse(&Source::new(&file, &opened.payload).limits(source.limits), &[])?;
    let mut facts = statement(&inside.root())?;
    if opened.signed_by.is_empty() {
        let text = "no key is trusted, so it is not known whose word it is";
        facts.doubts.push(Doubt::new(DoubtKind::Unsigned, at, text));
    }
    facts.signed_by = opened.signed_by;
    facts.signatures = opened.signatures;
    Ok(facts)
}

fn statement(root: &Node<'_>) -> Result<ProvenanceFacts, ReadError> {
    let kind = root.need("_type")?;
    if !matches!(kind.text()?, "https://in-toto.io/Statement/v1" | "https://in-toto.io/Statement/v0.1") {
        return Err(kind.error(Problem::Version, "https://in-toto.io/Statement/v1 must stand here"));
    }
    let predicate_type = root.need("predicateType")?.text()?;
    let mut facts = ProvenanceFacts { predicate_type: predicate_type.to_owned(), ..ProvenanceFacts::default() };
    for node in root.need("subject")?.items()? {
        let subject = AttestedSubject { name: node.text_or_empty("name")?, digests: digests(&node)?, at: node.at() };
        if subject.digests.is_empty() {
            return Err(node.error(Problem::Field, "a subject without a digest could be anything"));
        }
        facts.subjects.push(subject);
    }
    if facts.subjects.is_empty() {
        let text = "the statement has no subject";
        facts.doubts.push(Doubt::new(DoubtKind::NothingMeasured, root.at(), text));
    }
    let Some(predicate) = root.get("predicate") else { return Ok(facts) };
    facts.build = match predicate_type {
        "https://slsa.dev/provenance/v1" => Some(build_1(&predicate)?),
        "https://slsa.dev/provenance/v0.2" => Some(build_02(&predicate)?),
        _ => None,
    };
    if matches!(predicate.tree, Tree::Object(_)) && facts.build.is_none() {
        for name in ["expires", "expiresOn", "validUntil"] {
            if let Some(time) = predicate.time_of(name)? {
                facts.expires = Some(time);
            }
        }
        let text = |names: &[&str]| {
            let node = names.iter().find_map(|name| predicate.get(name))?;
            node.sourced_text().ok()
        };
        facts.scope = text(&["scope"]);
        facts.result = text(&["verificationResult", "result", "verdict"]);
    }
    if let Some(BuildProvenance { started: Some(started), finished: Some(finished), .. }) = &facts.build
        && finished.value < started.value
    {
        let text = "the build ended before it began";
        facts.doubts.push(Doubt::new(DoubtKind::Times, finished.at.clone(), text));
    }
    Ok(facts)
}

fn digests(node: &Node<'_>) -> Result<BTreeMap<String, Sourced<String>>, ReadError> {
    let mut digests = BTreeMap::new();
    for (algorithm, digest) in node.map("digest")? {
        digests.insert(algorithm.to_owned(), digest.sourced_text()?);
    }
    Ok(digests)
}

fn material(node: &Node<'_>) -> Result<Material, ReadError> {
    Ok(Material { uri: node.text_or_empty("uri")?, digests: digests(node)? })
}

fn build_1(predicate: &Node<'_>) -> Result<BuildProvenance, ReadError> {
    let (definition, run) = (predicate.need("buildDefinition")?, predicate.need("runDetails")?);
    let metadata = run.get("metadata");
    let of = |name: &str| metadata.as_ref().map_or(Ok(None), |metadata| metadata.time_of(name));
    Ok(BuildProvenance {
        builder: run.need("builder")?.need("id")?.sourced_text()?,
        build_type: definition.need("buildType")?.sourced_text()?,
        materials: definition.list("resolvedDependencies")?.iter().map(material).collect::<Result<_, _>>()?,
        invocation: metadata.as_ref().map_or(Ok(String::new()), |m| m.text_or_empty("invocationId"))?,
        started: of("startedOn")?,
        finished: of("finishedOn")?,
    })
}

fn build_02(predicate: &Node<'_>) -> Result<BuildProvenance, ReadError> {
    let metadata = predicate.get("metadata");
    let of = |name: &str| metadata.as_ref().map_or(Ok(None), |metadata| metadata.time_of(name));
    let mut materials: Vec<Material> = predicate.list("materials")?.iter().map(material).collect::<Result<_, _>>()?;
    if let Some(source) = predicate.path(&["invocation", "configSource"]) {
        materials.push(material(&source)?);
    }
    Ok(BuildProvenance {
        builder: predicate.need("builder")?.need("id")?.sourced_text()?,
        build_type: predicate.need("buildType")?.sourced_text()?,
        materials,
        invocation: metadata.as_ref().map_or(Ok(String::new()), |m| m.text_or_empty("buildInvocationId"))?,
        started: of("buildStartedOn")?,
        finished: of("buildFinishedOn")?,
    })
}
