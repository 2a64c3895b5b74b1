//! OSV advisories, and the report of osv-scanner that holds them.

use std::collections::BTreeMap;

use deploy_core::time::Timestamp;

use super::cvss::base_score;
use super::facts::{LeftOut, SeverityRating, Vulnerability, VulnerabilityFacts};
use super::json::{Budget, Document, LONGEST_NAME, Node, Tree, clip};
use super::{Doubt, DoubtKind, Problem, ReadError, Source, Sourced};

/// Reads the JSON report of osv-scanner, one OSV advisory, or a list of advisories.
///
/// Advisories alone are no scan: nobody looked for them in anything, and a doubt says so. A withdrawn advisory does not
/// count.
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn read(source: &Source<'_>) -> Result<VulnerabilityFacts, ReadError> {
    let document = Document::parse(source, &[])?;
    let root = document.root();
    let mut facts = VulnerabilityFacts { scanner: "osv".to_owned(), ..VulnerabilityFacts::default() };
    if root.get("results").is_some() {
        "osv-scanner".clone_into(&mut facts.scanner);
        read_report(&root, &mut facts)?;
        return Ok(facts);
    }
    let advisories = if matches!(root.tree, Tree::List(_)) { root.items()? } else { vec![root.clone()] };
    if advisories.is_empty() {
        facts.doubts.push(Doubt::new(DoubtKind::NothingMeasured, root.at(), "there is no advisory in the list"));
    }
    let mut names = Budget::new(source.limits.things);
    for advisory in &advisories {
        advisory.need("modified")?.time()?;
        let advisory_read = Advisory::of(advisory)?;
        for (package, fixed) in affected(advisory)? {
            // Each entry holds all names of its advisory.
            names.take(1 + advisory_read.vulnerability.aliases.len(), advisory)?;
            let entry = Vulnerability { package, fixed_in: fixed, ..advisory_read.vulnerability.clone() };
            advisory_read.put(entry, &mut facts);
        }
    }
    let text = "these are advisories, and no scan: nobody looked for them in anything";
    facts.doubts.push(Doubt::new(DoubtKind::NoSubject, root.at(), text));
    Ok(facts)
}

fn read_report(root: &Node<'_>, facts: &mut VulnerabilityFacts) -> Result<(), ReadError> {
    let mut packages = 0_u64;
    let results = root.need("results")?.items()?;
    for result in &results {
        result.need("source")?;
        for entry in result.list("packages")? {
            packages += 1;
            let package = entry.need("package")?;
            let whole_name = package.need("name")?.text()?;
            let name = clip(whole_name, LONGEST_NAME);
            let version = package.short_of("version")?;
            let groups = groups(&entry)?;
            for node in entry.list("vulnerabilities")? {
                let advisory = Advisory::of(&node)?;
                let mut vulnerability = advisory.vulnerability.clone();
                vulnerability.package.clone_from(&name);
                vulnerability.version.clone_from(&version);
                vulnerability.fixed_in = affected(&node)?
                    .into_iter()
                    .filter(|(package, _)| package == whole_name)
                    .flat_map(|(_, fixed)| fixed)
                    .collect();
                // The group's number is the highest of all names that the vulnerability has.
                if let Some(score) = groups.get(&vulnerability.id) {
                    let rated = SeverityRating::of_score(score.value);
                    if vulnerability.severity == SeverityRating::Unknown || rated > vulnerability.severity {
                        vulnerability.severity = rated;
                        vulnerability.score = Some(score.clone());
                    }
                }
                advisory.put(vulnerability, facts);
            }
        }
    }
    if packages == 0 {
        // osv-scanner lists only what it found something in, unless it is asked for all packages.
        let text = "no package is listed: it cannot be told whether any was looked at (run with --all-packages)";
        facts.doubts.push(Doubt::new(DoubtKind::NothingMeasured, root.at(), text));
    }
    Ok(())
}

/// The highest score of each name.
fn groups(entry: &Node<'_>) -> Result<BTreeMap<String, Sourced<f64>>, ReadError> {
    let mut groups = BTreeMap::new();
    for group in entry.list("groups")? {
        let Some(node) = group.get("max_severity") else { continue };
        let text = node.text()?;
        if text.is_empty() {
            continue;
        }
        let score: Option<f64> = text.parse().ok().filter(|score| (0.0..=10.0).contains(score));
        let score = score.ok_or_else(|| node.error(Problem::Field, "a score from 0 to 10 must stand here"))?;
        for id in group.list("ids")? {
            let highest = groups.entry(id.text()?.to_owned()).or_insert_with(|| Sourced::new(score, node.at()));
            if highest.value < score {
                *highest = Sourced::new(score, node.at());
            }
        }
    }
    Ok(groups)
}

/// What an advisory says, whatever it is found in.
struct Advisory {
    vulnerability: Vulnerability,
    withdrawn: Option<Timestamp>,
}

impl Advisory {
    fn of(node: &Node<'_>) -> Result<Self, ReadError> {
        let mut vulnerability = Vulnerability {
            id: clip(node.need("id")?.text()?, LONGEST_NAME),
            title: node.short_of("summary")?,
            at: node.at(),
            ..Vulnerability::default()
        };
        for alias in node.list("aliases")? {
            vulnerability.aliases.push(clip(alias.text()?, LONGEST_NAME));
        }
        let mut vectors = node.list("severity")?;
        for entry in node.list("affected")? {
            vectors.append(&mut entry.list("severity")?);
        }
        let mut best: Option<f64> = None;
        for vector in vectors {
            if let Some(score) = base_score(vector.need("score")?.text()?) {
                best = Some(best.map_or(score, |before| before.max(score)));
            }
        }
        vulnerability.severity = best.map_or(SeverityRating::Unknown, SeverityRating::of_score);
        if let Some(word) = node.path(&["database_specific", "severity"]).and_then(|n| n.text().ok()) {
            vulnerability.severity = vulnerability.severity.max(SeverityRating::of_word(word));
        }
        Ok(Self { vulnerability, withdrawn: node.time_of("withdrawn")?.map(|t| t.value) })
    }

    fn put(&self, vulnerability: Vulnerability, facts: &mut VulnerabilityFacts) {
        match self.withdrawn {
            Some(at) => {
                facts.left_out.push(LeftOut { vulnerability, reason: format!("its publisher withdrew it on {at}") });
            }
            None => facts.found.push(vulnerability),
        }
    }
}

/// The packages that an advisory names, each with the versions that have it no more.
fn affected(node: &Node<'_>) -> Result<Vec<(String, Vec<String>)>, ReadError> {
    let mut packages = Vec::new();
    for entry in node.list("affected")? {
        let name = entry.path(&["package", "name"]).map(|n| n.text()).transpose()?.unwrap_or_default();
        let mut fixed = Vec::new();
        for range in entry.list("ranges")? {
            for event in range.list("events")? {
                fixed.extend(event.text_of("fixed")?.map(str::to_owned));
            }
        }
        packages.push((name.to_owned(), fixed));
    }
    Ok(packages)
}

/// Whether a version is affected, as far as it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Affected {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// The versions of this ecosystem have an order that is not known here, and the advisory does not list them.
    Unknown,
}

/// Whether one version of a package is affected by an advisory.
///
/// Listed versions are compared as texts. Ranges are compared by Semantic Versioning, where the range is of that type or
/// the ecosystem has no other versions (crates.io, npm, Go, Hex, Pub, SwiftURL); Debian's, PyPI's or Maven's
/// order is another one, and is not guessed.
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn affects(source: &Source<'_>, package: &str, version: &str) -> Result<Affected, ReadError> {
    let document = Document::parse(source, &[])?;
    let root = document.root();
    if root.time_of("withdrawn")?.is_some() {
        return Ok(Affected::No);
    }
    let mut answer = Affected::No;
    for entry in root.list("affected")? {
        let this = entry.get("package");
        if this.as_ref().and_then(|p| p.get("name")).map(|n| n.text()).transpose()? != Some(package) {
            continue;
        }
        for listed in entry.list("versions")? {
            if listed.text()? == version {
                return Ok(Affected::Yes);
            }
        }
        let ecosystem = this.and_then(|p| p.get("ecosystem")).map(|n| n.text()).transpose()?.unwrap_or_default();
        for range in entry.list("ranges")? {
            let semantic = range.text_of("type")? == Some("SEMVER")
                || matches!(ecosystem, "crates.io" | "npm" | "Go" | "Hex" | "Pub" | "SwiftURL");
            match (semantic, semver::Version::parse(version)) {
                (true, Ok(version)) => {
                    if in_range(&range, &version)? {
                        return Ok(Affected::Yes);
                    }
                }
                _ => answer = Affected::Unknown,
            }
        }
    }
    Ok(answer)
}

/// The algorithm of the OSV schema, "evaluation": events in the order of their versions, the last before the version decides.
fn in_range(range: &Node<'_>, version: &semver::Version) -> Result<bool, ReadError> {
    let mut events = Vec::new();
    for event in range.need("events")?.items()? {
        for (kind, node) in event.entries()? {
            let text = node.text()?;
            let at = match text {
                "0" => semver::Version::new(0, 0, 0),
                text => semver::Version::parse(text).map_err(|e| node.error(Problem::Field, e.to_string()))?,
            };
            events.push((at, kind.to_owned(), text == "0"));
        }
    }
    events.sort_by(|a, b| a.0.cmp_precedence(&b.0));
    let mut inside = false;
    for (at, kind, from_the_start) in events {
        let order = version.cmp_precedence(&at);
        match kind.as_str() {
            "introduced" if from_the_start || order.is_ge() => inside = true,
            "fixed" if order.is_ge() => inside = false,
            "last_affected" if order.is_gt() => inside = false,
            _ => {}
        }
    }
    Ok(inside)
}
