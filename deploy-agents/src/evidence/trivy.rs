//! The JSON reports of Trivy.

use deploy_core::time::Timestamp;

use super::facts::{LeftOut, ScanSubject, SeverityRating, Vulnerability, VulnerabilityFacts, VulnerabilityKind};
use super::json::{Document, Node};
use super::{Doubt, DoubtKind, Problem, ReadError, Source, Sourced};

/// Reads the report that `trivy --format json` writes, schema version 2.
///
/// A report without results is a blocking doubt: Trivy leaves them out when it found nothing *to look at*, and what it looked
/// at and found clean stands there without vulnerabilities. Of when the database is does not stand in the report; see
/// [`read_database`].
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn read(source: &Source<'_>) -> Result<VulnerabilityFacts, ReadError> {
    let document = Document::parse(source, &["Packages", "ImageConfig", "Layers", "History", "Code"])?;
    let root = document.root();
    let version = root.need("SchemaVersion")?;
    if version.whole()?.value != 2 {
        return Err(version.error(Problem::Version, "schema version 2 is known"));
    }
    let mut facts = VulnerabilityFacts {
        scanner: "trivy".to_owned(),
        scanner_version: root.path(&["Trivy", "Version"]).map(|n| n.text()).transpose()?.unwrap_or_default().to_owned(),
        subject: ScanSubject { name: root.need("ArtifactName")?.text()?.to_owned(), digests: Vec::new() },
        scanned_at: root.time_of("CreatedAt")?,
        ..VulnerabilityFacts::default()
    };
    if let Some(metadata) = root.get("Metadata") {
        for name in metadata.list("RepoDigests")? {
            let text = name.text()?;
            let digest = text.rsplit_once('@').map_or(text, |(_, digest)| digest);
            facts.subject.digests.push(Sourced::new(digest.to_owned(), name.at()));
        }
        facts.subject.digests.extend(metadata.get("ImageID").map(|n| n.sourced_text()).transpose()?);
    }
    if facts.subject.digests.is_empty() {
        let text = "the report names no digest of what was scanned";
        facts.doubts.push(Doubt::new(DoubtKind::NoSubject, root.at(), text));
    }
    let results = root.list("Results")?;
    if results.is_empty() {
        let text = "there are no results: Trivy found nothing to look at";
        facts.doubts.push(Doubt::new(DoubtKind::NothingMeasured, root.at(), text));
    }
    for result in results {
        read_result(&result, &mut facts)?;
    }
    Ok(facts)
}

fn read_result(result: &Node<'_>, facts: &mut VulnerabilityFacts) -> Result<(), ReadError> {
    let target = result.short_of("Target")?;
    for node in result.list("Vulnerabilities")? {
        facts.found.push(vulnerability(&node)?);
    }
    for node in result.list("Misconfigurations")? {
        // Rules that were kept stand there too, if they were asked for.
        if matches!(node.text_of("Status")?, None | Some("FAIL")) {
            facts.found.push(finding(&node, "ID", VulnerabilityKind::Misconfiguration, &target)?);
        }
    }
    for node in result.list("Secrets")? {
        facts.found.push(finding(&node, "RuleID", VulnerabilityKind::Secret, &target)?);
    }
    for modified in result.list("ExperimentalModifiedFindings")? {
        let found = modified.get("Finding").map(|n| vulnerability(&n)).transpose()?.unwrap_or_default();
        let (status, why) = (modified.text_or_empty("Status")?, modified.text_or_empty("Statement")?);
        let text = format!("{} is left out: {status}", found.id);
        facts.doubts.push(Doubt::new(DoubtKind::LeftOut, modified.at(), text));
        facts.left_out.push(LeftOut { vulnerability: found, reason: format!("{status}: {why}") });
    }
    Ok(())
}

fn vulnerability(node: &Node<'_>) -> Result<Vulnerability, ReadError> {
    let mut found = Vulnerability {
        id: node.need("VulnerabilityID")?.text()?.to_owned(),
        kind: VulnerabilityKind::Vulnerability,
        package: node.text_or_empty("PkgName")?,
        version: node.text_or_empty("InstalledVersion")?,
        purl: node.path(&["PkgIdentifier", "PURL"]).map(|n| n.text()).transpose()?.map(str::to_owned),
        severity: SeverityRating::of_word(node.text_of("Severity")?.unwrap_or_default()),
        title: node.text_or_empty("Title")?,
        at: node.at(),
        ..Vulnerability::default()
    };
    for alias in node.list("VendorIDs")? {
        found.aliases.push(alias.text()?.to_owned());
    }
    // Several versions stand in one text.
    let fixed = node.text_of("FixedVersion")?.unwrap_or_default();
    found.fixed_in = fixed.split(", ").filter(|v| !v.is_empty()).map(str::to_owned).collect();
    // What the source of the severity says, else the first that states a number.
    let by = node.text_of("SeveritySource")?.unwrap_or_default();
    let scores = node.map("CVSS")?;
    let preferred = scores.iter().find(|(name, _)| *name == by).into_iter().chain(&scores);
    for (_, score) in preferred {
        if let Some(number) = score.number_of("V3Score")? {
            found.score = Some(number);
            break;
        }
    }
    Ok(found)
}

fn finding(node: &Node<'_>, id: &str, kind: VulnerabilityKind, target: &str) -> Result<Vulnerability, ReadError> {
    Ok(Vulnerability {
        id: node.need(id)?.text()?.to_owned(),
        kind,
        package: target.to_owned(),
        severity: SeverityRating::of_word(node.text_of("Severity")?.unwrap_or_default()),
        title: node.text_or_empty("Title")?,
        at: node.at(),
        ..Vulnerability::default()
    })
}

/// Reads of when the database is, from what `trivy version --format json` writes.
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn read_database(source: &Source<'_>) -> Result<Sourced<Timestamp>, ReadError> {
    let document = Document::parse(source, &[])?;
    document.root().need("VulnerabilityDB")?.need("UpdatedAt")?.time()
}
