//! The check that nothing critical is open.

use deploy_core::evidence::{Evidence, Refusal};
use deploy_core::release::Release;
use deploy_core::time::{Spell, Timestamp};

use super::assessment::{Assessment, Assessor, Figure};
use super::thresholds::Thresholds;
use crate::evidence::facts::{VexFacts, VexStatement, Vulnerability, VulnerabilityFacts, effective};

/// No scan of this artifact found anything from the wanted severity on that nobody cleared with a reason, and each scan knew
/// of what was published lately.
///
/// What a scanner leaves out by its own settings is a remark; what a statement clears must say why, and must speak of this
/// product. A severity that nobody states counts as the worst.
///
/// Rows: M13, M148, M173, M201.
#[must_use]
pub fn no_open_vulnerability(
    scans: &[(&Evidence, VulnerabilityFacts)],
    statements: &[VexFacts],
    release: &Release,
    now: Timestamp,
    thresholds: &Thresholds,
) -> Assessment {
    let mut found = Assessor::new();
    let all: Vec<&VexStatement> = statements.iter().flat_map(|facts| &facts.statements).collect();
    for facts in statements {
        found.doubts(&facts.doubts);
    }
    let ours: Vec<String> = release.artifacts.iter().map(|a| a.digest.to_string()).collect();
    for (evidence, scan) in scans {
        found.doubts(&scan.doubts);
        about_ours(&mut found, evidence, scan, &ours);
        fresh(&mut found, scan, now, thresholds);
        let cleared = |v: &Vulnerability| {
            let mut names = vec![v.id.as_str()];
            names.extend(v.aliases.iter().map(String::as_str));
            let mut products: Vec<&str> = ours.iter().map(String::as_str).collect();
            products.extend(v.purl.as_deref());
            effective(all.iter().copied(), &names, &products).filter(|statement| statement.clears())
        };
        let mut open = 0_u64;
        let mut first = None;
        for v in &scan.found {
            if let Some(statement) = cleared(v) {
                let why = statement.justification.as_deref().unwrap_or("fixed");
                found.note(format!("{} of {} is cleared: {why} ({})", v.id, v.package, statement.at));
            } else if v.severity.reaches(thresholds.vulnerability_fails_at) {
                open += 1;
                first = first.or(Some(v));
            } else if v.severity.reaches(thresholds.vulnerability_remarked_at) {
                found.remark(format!("{:?}: {} of {} {} ({})", v.severity, v.id, v.package, v.version, v.at));
            }
        }
        let at = first.map(|v| v.at.clone());
        let limit = format!("none from {:?} on", thresholds.vulnerability_fails_at).to_lowercase();
        found.figure(Figure::count("vulnerabilities open", open).limit(limit).at(at));
        found.figure(Figure::count("vulnerabilities found", scan.found.len() as u64));
        if let Some(v) = first {
            let named = format!("{} of {} {}", v.id, v.package, v.version);
            found.fail(format!("{open} open, the first of them {named}, {:?} ({})", v.severity, v.at));
        }
        if !scan.left_out.is_empty() {
            let names: Vec<&str> = scan.left_out.iter().map(|left| left.vulnerability.id.as_str()).collect();
            found.remark(format!("left out by the scanner's settings: {}", names.join(", ")));
        }
    }
    found.finish()
}

/// A scan that names digests must name one of ours; one that names none is bound by its evidence alone.
fn about_ours(found: &mut Assessor, evidence: &Evidence, scan: &VulnerabilityFacts, ours: &[String]) {
    let named = &scan.subject.digests;
    let bound = evidence.subject.artifact.is_some() || evidence.subject.commit.is_some();
    if let Some(first) = named.first() {
        found.figure(Figure::text("scanned", &first.value).at(first.at.clone()));
        if !named.iter().any(|digest| ours.contains(&digest.value)) {
            found.refuse(Refusal::Foreign(format!("{} scanned {first}, which is not released", scan.scanner)));
        }
    } else if !bound {
        found.refuse(Refusal::Foreign(format!("{} does not say what it scanned", scan.scanner)));
    }
}

/// A scan knows only what its database knows.
fn fresh(found: &mut Assessor, scan: &VulnerabilityFacts, now: Timestamp, thresholds: &Thresholds) {
    let limit = thresholds.database_max_age;
    match &scan.database {
        Some(database) => {
            let age = now.since(database.value);
            found.figure(
                Figure::text("database of", database.value)
                    .limit(format!("at most {} old", Spell(limit)))
                    .at(database.at.clone()),
            );
            if age > limit {
                found.refuse(Refusal::Stale(format!(
                    "the database of {} is {} old; at most {} is allowed ({})",
                    scan.scanner,
                    Spell(age),
                    Spell(limit),
                    database.at
                )));
            }
        }
        None if thresholds.live_databases.contains(&scan.scanner) => {
            found.note(format!("{} asks a service that is always of today", scan.scanner));
        }
        None => found.refuse(Refusal::Stale(format!(
            "{} does not say of when its database is; hand over what says so",
            scan.scanner
        ))),
    }
}
