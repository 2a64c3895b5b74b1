//! The JSON report of Grype.

use super::facts::{LeftOut, ScanSubject, SeverityRating, Vulnerability, VulnerabilityFacts};
use super::json::{Document, Node, Tree};
use super::{Doubt, DoubtKind, ReadError, Source, Sourced};

/// Reads the report that `grype -o json` writes.
///
/// Matches that a rule takes out of the count stand in `left_out`.
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn read(source: &Source<'_>) -> Result<VulnerabilityFacts, ReadError> {
    let document = Document::parse(source, &["matchDetails", "locations", "layers", "config", "configuration"])?;
    let root = document.root();
    let descriptor = root.need("descriptor")?;
    let mut facts = VulnerabilityFacts {
        scanner: "grype".to_owned(),
        scanner_version: descriptor.text_or_empty("version")?,
        scanned_at: descriptor.time_of("timestamp")?,
        ..VulnerabilityFacts::default()
    };
    if let Some(database) = descriptor.get("db") {
        // Version 6 of the database moved it under `status`.
        let built = database.get("built").or_else(|| database.path(&["status", "built"]));
        facts.database = built.map(|n| n.time()).transpose()?;
    }
    facts.subject = subject(&root)?;
    if facts.subject.digests.is_empty() {
        let text = "the report names no digest of what was scanned";
        facts.doubts.push(Doubt::new(DoubtKind::NoSubject, root.at(), text));
    }
    for node in root.need("matches")?.items()? {
        facts.found.push(found(&node)?);
    }
    for node in root.list("ignoredMatches")? {
        let vulnerability = found(&node)?;
        let mut reasons = Vec::new();
        for rule in node.list("appliedIgnoreRules")? {
            let words = [rule.text_of("reason")?, rule.text_of("vulnerability")?, rule.text_of("fix-state")?];
            reasons.extend(words.into_iter().flatten().filter(|word| !word.is_empty()).map(str::to_owned));
        }
        let text = format!("{} is left out by a rule", vulnerability.id);
        facts.doubts.push(Doubt::new(DoubtKind::LeftOut, node.at(), text));
        facts.left_out.push(LeftOut { vulnerability, reason: reasons.join("; ") });
    }
    Ok(facts)
}

fn subject(root: &Node<'_>) -> Result<ScanSubject, ReadError> {
    let mut subject = ScanSubject::default();
    let Some(target) = root.path(&["source", "target"]) else { return Ok(subject) };
    // A folder is named by a text, an image by an object.
    if let Tree::Text(text) = target.tree {
        subject.name = text.to_string();
        return Ok(subject);
    }
    subject.name = target.text_or_empty("userInput")?;
    for name in ["manifestDigest", "imageID"] {
        subject.digests.extend(target.get(name).map(|n| n.sourced_text()).transpose()?);
    }
    for name in target.list("repoDigests")? {
        let text = name.text()?;
        let digest = text.rsplit_once('@').map_or(text, |(_, digest)| digest);
        subject.digests.push(Sourced::new(digest.to_owned(), name.at()));
    }
    Ok(subject)
}

fn found(node: &Node<'_>) -> Result<Vulnerability, ReadError> {
    let (this, artifact) = (node.need("vulnerability")?, node.need("artifact")?);
    let mut found = Vulnerability {
        id: this.need("id")?.text()?.to_owned(),
        package: artifact.need("name")?.text()?.to_owned(),
        version: artifact.text_or_empty("version")?,
        purl: artifact.text_of("purl")?.map(str::to_owned),
        severity: SeverityRating::of_word(this.text_of("severity")?.unwrap_or_default()),
        title: this.text_or_empty("description")?,
        at: node.at(),
        ..Vulnerability::default()
    };
    for related in node.list("relatedVulnerabilities")? {
        found.aliases.push(related.need("id")?.text()?.to_owned());
    }
    if let Some(fix) = this.get("fix") {
        for version in fix.list("versions")? {
            found.fixed_in.push(version.text()?.to_owned());
        }
    }
    for score in this.list("cvss")? {
        let Some(number) = score.path(&["metrics", "baseScore"]).map(|n| n.number()).transpose()? else { continue };
        if found.score.as_ref().is_none_or(|before| before.value < number.value) {
            found.score = Some(number);
        }
    }
    Ok(found)
}
