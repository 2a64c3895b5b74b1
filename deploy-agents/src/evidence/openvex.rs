//! OpenVEX.

use super::dsse::{self, TrustedKey};
use super::facts::{VerifiedSignature, VexFacts, VexStatement, VexStatus};
use super::json::{Document, Node, Tree, clip};
use super::provenance::IN_TOTO;
use super::{Doubt, DoubtKind, Problem, ReadError, Source};

/// The reasons that OpenVEX and CSAF know for a product that is not affected.
pub(super) const REASONS: [&str; 5] = [
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
];

/// Reads an OpenVEX document of version 0.0.1 or 0.2.
///
/// A statement `not_affected` without a reason is kept and clears nothing; a doubt says so. A word that is none of the five
/// reasons is no reason.
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn read(source: &Source<'_>) -> Result<VexFacts, ReadError> {
    read_document(&Document::parse(source, &[])?.root())
}

/// Reads an OpenVEX document that somebody signed: an envelope with an in-toto statement whose predicate it is. Also says whose
/// signatures are right; with no key, nobody's are.
///
/// # Errors
///
/// [`ReadError`], with the place: [`Problem::Signature`] if keys are given and no signature by any of them is right.
pub fn read_signed(source: &Source<'_>, keys: &[TrustedKey]) -> Result<(VexFacts, Vec<VerifiedSignature>), ReadError> {
    let opened = dsse::open(source, keys)?;
    let file = format!("{}!payload", source.file);
    let document = Document::parse(&Source::new(&file, &opened.payload).limits(source.limits), &[])?;
    let root = document.root();
    let kind = root.need("predicateType")?;
    if opened.payload_type != IN_TOTO || !kind.text()?.starts_with("https://openvex.dev/ns") {
        return Err(kind.error(Problem::Version, "a statement with an OpenVEX document must be in the envelope"));
    }
    Ok((read_document(&root.need("predicate")?)?, opened.signed_by))
}

fn read_document(root: &Node<'_>) -> Result<VexFacts, ReadError> {
    let context = root.need("@context")?;
    let version = context.text()?.strip_prefix("https://openvex.dev/ns");
    if !version.is_some_and(|v| v.is_empty() || v == "/v0.0.1" || v.starts_with("/v0.2.")) {
        return Err(context.error(Problem::Version, "https://openvex.dev/ns/v0.2.0 must stand here"));
    }
    let mut facts = VexFacts {
        author: root.need("author")?.text()?.to_owned(),
        issued: Some(root.need("timestamp")?.time()?),
        ..VexFacts::default()
    };
    let issued = facts.issued.as_ref().map(|t| t.value);
    for node in root.need("statements")?.items()? {
        let mut statement = statement(&node)?;
        statement.timestamp = statement.timestamp.or(issued);
        facts.statements.push(statement);
    }
    if facts.statements.is_empty() {
        facts.doubts.push(Doubt::new(DoubtKind::NothingMeasured, root.at(), "there is no statement"));
    }
    facts.doubts.append(&mut unjustified(&facts.statements));
    Ok(facts)
}

/// A doubt for each statement that would clear something and has no reason.
pub(super) fn unjustified(statements: &[VexStatement]) -> Vec<Doubt> {
    let without = statements.iter().filter(|s| s.status == VexStatus::NotAffected && !s.clears());
    let doubt = |s: &VexStatement| {
        let name = s.vulnerability.first().map_or("a vulnerability", String::as_str);
        let text = format!("{} is said not to affect anything, without a reason", clip(name, 100));
        Doubt::new(DoubtKind::Unjustified, s.at.clone(), text)
    };
    without.map(doubt).collect()
}

fn statement(node: &Node<'_>) -> Result<VexStatement, ReadError> {
    let mut statement = VexStatement { at: node.at(), ..VexStatement::default() };
    let vulnerability = node.need("vulnerability")?;
    match vulnerability.tree {
        Tree::Text(text) => statement.vulnerability.push(text.to_string()),
        _ => {
            for name in ["name", "@id"] {
                statement.vulnerability.extend(vulnerability.text_of(name)?.map(str::to_owned));
            }
            for alias in vulnerability.list("aliases")? {
                statement.vulnerability.push(alias.text()?.to_owned());
            }
        }
    }
    for product in node.list("products")? {
        names(&product, &mut statement.products)?;
        for part in product.list("subcomponents")? {
            names(&part, &mut statement.parts)?;
        }
    }
    let word = node.need("status")?;
    statement.status = match word.text()? {
        "not_affected" => VexStatus::NotAffected,
        "affected" => VexStatus::Affected,
        "fixed" => VexStatus::Fixed,
        "under_investigation" => VexStatus::UnderInvestigation,
        _ => {
            return Err(
                word.error(Problem::Field, "not_affected, affected, fixed or under_investigation must stand here")
            );
        }
    };
    let reason = node.text_of("justification")?.filter(|word| REASONS.contains(word));
    let reason = match reason {
        Some(word) => Some(word),
        None => node.text_of("impact_statement")?,
    };
    statement.justification = reason.map(str::to_owned);
    statement.action = node.text_or_empty("action_statement")?;
    let updated = match node.time_of("last_updated")? {
        Some(time) => Some(time),
        None => node.time_of("timestamp")?,
    };
    statement.timestamp = updated.map(|t| t.value);
    Ok(statement)
}

/// All names of a product: its identifier, its package URL, its digests.
fn names(node: &Node<'_>, into: &mut Vec<String>) -> Result<(), ReadError> {
    if let Tree::Text(text) = node.tree {
        into.push(text.to_string());
        return Ok(());
    }
    into.extend(node.text_of("@id")?.map(str::to_owned));
    for (_, identifier) in node.map("identifiers")? {
        into.push(identifier.text()?.to_owned());
    }
    for (algorithm, hash) in node.map("hashes")? {
        into.push(format!("{}:{}", super::cyclonedx::algorithm(algorithm), hash.text()?.to_ascii_lowercase()));
    }
    Ok(())
}
