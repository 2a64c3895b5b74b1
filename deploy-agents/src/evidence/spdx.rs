//! SPDX 2 and 3 in JSON.

use std::collections::{BTreeMap, BTreeSet};

use super::cyclonedx::{algorithm, remarks};
use super::facts::{BomComponent, BomFacts, BomFormat, LicenceStatement};
use super::json::{Document, Node, Tree};
use super::{Doubt, DoubtKind, Problem, ReadError, Source};

/// Reads an SPDX document: version 2 by its `spdxVersion`, version 3 by its `@graph`.
///
/// A concluded licence counts before a declared one; `NOASSERTION` is as good as none.
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn read(source: &Source<'_>) -> Result<BomFacts, ReadError> {
    let document = Document::parse(source, &["files", "snippets", "annotations"])?;
    let root = document.root();
    let mut facts = if root.get("@graph").is_some() { read_3(&root)? } else { read_2(&root)? };
    let mut seen = BTreeSet::new();
    for component in facts.subject.iter().chain(&facts.components) {
        if !component.reference.is_empty() && !seen.insert(component.reference.as_str()) {
            let text = format!("two packages are called {:?}", super::json::clip(&component.reference, 200));
            facts.doubts.push(Doubt::new(DoubtKind::Contradiction, component.at.clone(), text));
            break;
        }
    }
    remarks(&mut facts, root.at());
    Ok(facts)
}

fn read_2(root: &Node<'_>) -> Result<BomFacts, ReadError> {
    let version = root.need("spdxVersion")?;
    if !version.text()?.starts_with("SPDX-2.") {
        return Err(version.error(Problem::Version, "SPDX-2.x must stand here; version 3 has a @graph"));
    }
    let mut facts = BomFacts {
        format: BomFormat::Spdx2,
        spec_version: version.text()?.to_owned(),
        id: root.text_or_empty("documentNamespace")?,
        created: root.path(&["creationInfo", "created"]).map(|n| n.time()).transpose()?,
        ..BomFacts::default()
    };
    let mut described = BTreeSet::new();
    for reference in root.list("documentDescribes")? {
        described.insert(reference.text()?.to_owned());
    }
    for relation in root.list("relationships")? {
        facts.relations += 1;
        match relation.need("relationshipType")?.text()? {
            "DESCRIBES" => described.insert(relation.need("relatedSpdxElement")?.text()?.to_owned()),
            "DESCRIBED_BY" => described.insert(relation.need("spdxElementId")?.text()?.to_owned()),
            _ => continue,
        };
    }
    for package in root.list("packages")? {
        let component = package_2(&package)?;
        if described.contains(&component.reference) && facts.subject.is_none() && described.len() == 1 {
            facts.subject = Some(component);
        } else {
            facts.components.push(component);
        }
    }
    Ok(facts)
}

fn package_2(package: &Node<'_>) -> Result<BomComponent, ReadError> {
    let mut component = BomComponent {
        reference: package.need("SPDXID")?.text()?.to_owned(),
        name: package.need("name")?.text()?.to_owned(),
        version: package.text_or_empty("versionInfo")?,
        at: package.at(),
        ..BomComponent::default()
    };
    for reference in package.list("externalRefs")? {
        if reference.text_of("referenceType")? == Some("purl") {
            component.purl = Some(reference.need("referenceLocator")?.text()?.to_owned());
        }
    }
    for checksum in package.list("checksums")? {
        let value = checksum.need("checksumValue")?.text()?.to_ascii_lowercase();
        component.hashes.insert(algorithm(checksum.need("algorithm")?.text()?), value);
    }
    let mut stated = None;
    for name in ["licenseConcluded", "licenseDeclared"] {
        if let Some(text) = package.text_of(name)? {
            let said = LicenceStatement::of(text);
            if said != LicenceStatement::NoAssertion {
                stated = Some(said);
                break;
            }
            stated = stated.or(Some(said));
        }
    }
    component.licences.extend(stated);
    Ok(component)
}

fn read_3(root: &Node<'_>) -> Result<BomFacts, ReadError> {
    let context = root.need("@context")?;
    let known = |node: &Node<'_>| node.text().is_ok_and(|text| text.starts_with("https://spdx.org/rdf/3."));
    let right = match context.tree {
        Tree::List(_) => context.items()?.iter().any(known),
        _ => known(&context),
    };
    if !right {
        return Err(context.error(Problem::Version, "the context https://spdx.org/rdf/3.x must stand here"));
    }
    let mut facts = BomFacts { format: BomFormat::Spdx3, ..BomFacts::default() };
    let mut licences: BTreeMap<String, LicenceStatement> = BTreeMap::new();
    let mut concluded: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut declared: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut roots = BTreeSet::new();
    let mut packages = Vec::new();
    for node in root.need("@graph")?.items()? {
        match node.text_of("type")?.unwrap_or_default() {
            "CreationInfo" => {
                facts.created = node.time_of("created")?.or(facts.created);
                facts.spec_version = node.text_or_empty("specVersion")?;
            }
            "SpdxDocument" => {
                facts.id = node.text_or_empty("spdxId")?;
                roots.extend(texts(&node, "rootElement")?);
            }
            "software_Sbom" => roots.extend(texts(&node, "rootElement")?),
            "software_Package" => packages.push(package_3(&node)?),
            "simplelicensing_LicenseExpression" => {
                let text = node.need("simplelicensing_licenseExpression")?.text()?;
                licences.insert(node.need("spdxId")?.text()?.to_owned(), LicenceStatement::of(text));
            }
            "Relationship" | "LifecycleScopedRelationship" => {
                facts.relations += 1;
                let from = node.need("from")?.text()?.to_owned();
                match node.need("relationshipType")?.text()? {
                    "hasConcludedLicense" => concluded.entry(from).or_default().extend(texts(&node, "to")?),
                    "hasDeclaredLicense" => declared.entry(from).or_default().extend(texts(&node, "to")?),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    let statement = |id: &String| {
        licences.get(id).cloned().unwrap_or_else(|| match id.rsplit(['/', '_']).next().unwrap_or_default() {
            "NoAssertionLicense" => LicenceStatement::NoAssertion,
            "NoneLicense" => LicenceStatement::None,
            // `https://spdx.org/licenses/MIT`.
            last if id.starts_with("https://spdx.org/licenses/") => LicenceStatement::of(last),
            _ => LicenceStatement::Name(id.clone()),
        })
    };
    // The root of a document is often its bill, whose own root is the package.
    let mut subject = None;
    for mut package in packages {
        let said = |of: &BTreeMap<String, Vec<String>>| -> Vec<LicenceStatement> {
            of.get(&package.reference).into_iter().flatten().map(statement).collect()
        };
        let first = said(&concluded);
        let useless = first.iter().all(|s| *s == LicenceStatement::NoAssertion);
        let second = said(&declared);
        package.licences = if useless && !second.is_empty() { second } else { first };
        if roots.contains(&package.reference) && subject.is_none() {
            subject = Some(package);
        } else {
            facts.components.push(package);
        }
    }
    facts.subject = subject;
    Ok(facts)
}

fn package_3(node: &Node<'_>) -> Result<BomComponent, ReadError> {
    let mut component = BomComponent {
        reference: node.need("spdxId")?.text()?.to_owned(),
        name: node.need("name")?.text()?.to_owned(),
        version: node.text_or_empty("software_packageVersion")?,
        purl: node.text_of("software_packageUrl")?.map(str::to_owned),
        at: node.at(),
        ..BomComponent::default()
    };
    for hash in node.list("verifiedUsing")? {
        if let (Some(name), Some(value)) = (hash.text_of("algorithm")?, hash.text_of("hashValue")?) {
            component.hashes.insert(algorithm(name), value.to_ascii_lowercase());
        }
    }
    Ok(component)
}

/// One text, or a list of them.
fn texts(node: &Node<'_>, name: &str) -> Result<Vec<String>, ReadError> {
    let Some(value) = node.get(name) else { return Ok(Vec::new()) };
    match value.tree {
        Tree::List(_) => value.items()?.iter().map(|n| n.text().map(str::to_owned)).collect(),
        _ => Ok(vec![value.text()?.to_owned()]),
    }
}
