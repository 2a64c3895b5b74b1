//! The JSON report of cargo-audit.

use super::cvss::base_score;
use super::facts::{LeftOut, SeverityRating, Vulnerability, VulnerabilityFacts, VulnerabilityKind};
use super::json::{Document, Node};
use super::{Doubt, DoubtKind, ReadError, Source};

/// Reads the report that `cargo audit --json` writes.
///
/// A report over no dependency is a blocking doubt. What the settings leave out stands in `left_out`, by name.
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn read(source: &Source<'_>) -> Result<VulnerabilityFacts, ReadError> {
    let document = Document::parse(source, &[])?;
    let root = document.root();
    let database = root.need("database")?;
    let scanned = root.need("lockfile")?.need("dependency-count")?.whole()?;
    let mut facts = VulnerabilityFacts {
        scanner: "cargo-audit".to_owned(),
        database: database.time_of("last-updated")?,
        ..VulnerabilityFacts::default()
    };
    if scanned.value == 0 {
        let text = "no dependency was looked at";
        facts.doubts.push(Doubt::new(DoubtKind::NothingMeasured, scanned.at.clone(), text));
    }
    facts.scanned = Some(scanned);
    if let Some(count) = database.whole_of("advisory-count")?.filter(|count| count.value == 0) {
        let text = "the database has no advisory";
        facts.doubts.push(Doubt::new(DoubtKind::NothingMeasured, count.at, text));
    }
    if let Some(settings) = root.get("settings") {
        for ignored in settings.list("ignore")? {
            let id = ignored.text()?.to_owned();
            let text = format!("{id} is left out by a setting");
            facts.doubts.push(Doubt::new(DoubtKind::LeftOut, ignored.at(), text));
            let vulnerability = Vulnerability { id, at: ignored.at(), ..Vulnerability::default() };
            facts.left_out.push(LeftOut { vulnerability, reason: "left out by a setting of cargo-audit".to_owned() });
        }
        if let Some(severity) = settings.get("severity") {
            let text = format!("what is below {} is left out by a setting", severity.text()?);
            facts.doubts.push(Doubt::new(DoubtKind::LeftOut, severity.at(), text));
        }
    }
    let vulnerabilities = root.need("vulnerabilities")?;
    let list = vulnerabilities.need("list")?.items()?;
    for node in &list {
        facts.found.push(advisory(node, VulnerabilityKind::Vulnerability)?);
    }
    if let Some(count) = vulnerabilities.whole_of("count")?.filter(|count| count.value != list.len() as u64) {
        let text = format!("the report counts {} vulnerabilities, and {} stand in its list", count.value, list.len());
        facts.doubts.push(Doubt::new(DoubtKind::CountsDiffer, count.at, text));
    }
    if let Some(found) = vulnerabilities.flag_of("found")?.filter(|found| found.value == list.is_empty()) {
        let text = format!("the report says found: {}, and {} stand in its list", found.value, list.len());
        facts.doubts.push(Doubt::new(DoubtKind::CountsDiffer, found.at, text));
    }
    for (name, warnings) in root.map("warnings")? {
        let kind = match name {
            "unmaintained" => VulnerabilityKind::Unmaintained,
            "unsound" => VulnerabilityKind::Unsound,
            "yanked" => VulnerabilityKind::Yanked,
            _ => VulnerabilityKind::Notice,
        };
        for node in warnings.items()? {
            facts.found.push(advisory(&node, kind)?);
        }
    }
    Ok(facts)
}

fn advisory(node: &Node<'_>, kind: VulnerabilityKind) -> Result<Vulnerability, ReadError> {
    let package = node.need("package")?;
    let mut found = Vulnerability {
        kind,
        package: package.need("name")?.text()?.to_owned(),
        version: package.text_or_empty("version")?,
        at: node.at(),
        ..Vulnerability::default()
    };
    // A version that was withdrawn by its author has no advisory.
    if let Some(advisory) = node.get("advisory") {
        found.id = advisory.need("id")?.text()?.to_owned();
        found.title = advisory.text_or_empty("title")?;
        for alias in advisory.list("aliases")? {
            found.aliases.push(alias.text()?.to_owned());
        }
        let score = advisory.text_of("cvss")?.and_then(base_score);
        found.severity = score.map_or(SeverityRating::Unknown, SeverityRating::of_score);
    }
    if let Some(versions) = node.get("versions") {
        for patched in versions.list("patched")? {
            found.fixed_in.push(patched.text()?.to_owned());
        }
    }
    Ok(found)
}
