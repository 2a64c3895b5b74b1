//! CycloneDX, in JSON and in XML.

use std::collections::{BTreeMap, BTreeSet};

use deploy_core::time::Timestamp;

use super::facts::{BomComponent, BomFacts, BomFormat, LicenceStatement, VexFacts, VexStatement, VexStatus};
use super::json::{Document, Node, clip};
use super::xml::{Next, Xml};
use super::{Doubt, DoubtKind, Pointer, Problem, ReadError, Source, Sourced};

/// Reads a CycloneDX document of version 1, JSON or XML as its first character says.
///
/// Components inside of components are listed beside them. Statements about vulnerabilities are read too.
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn read(source: &Source<'_>) -> Result<BomFacts, ReadError> {
    let xml = source.text()?.trim_start().starts_with('<');
    let (mut facts, root) = if xml { read_xml(source)? } else { read_json(source)? };
    facts.format = BomFormat::CycloneDx;
    let mut seen = BTreeSet::new();
    for component in &facts.components {
        if !component.reference.is_empty() && !seen.insert(&component.reference) {
            let text = format!("two components are called {:?}", clip(&component.reference, 200));
            facts.doubts.push(Doubt::new(DoubtKind::Contradiction, component.at.clone(), text));
        }
    }
    remarks(&mut facts, root);
    resolve(&mut facts, source)?;
    Ok(facts)
}

/// Reads what a CycloneDX document states about vulnerabilities, and nothing else.
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn read_vex(source: &Source<'_>) -> Result<VexFacts, ReadError> {
    let bom = read(source)?;
    let author = bom.subject.as_ref().map(|s| s.name.clone()).unwrap_or_default();
    let mut doubts = super::openvex::unjustified(&bom.statements);
    if bom.statements.is_empty() {
        let text = "there is no statement about a vulnerability";
        doubts.push(Doubt::new(DoubtKind::NothingMeasured, source.at(super::Place::Whole), text));
    }
    Ok(VexFacts { author, issued: bom.created, statements: bom.statements, doubts })
}

/// What every bill of materials must not be taken at its word about.
pub(super) fn remarks(facts: &mut BomFacts, root: Pointer) {
    if facts.components.is_empty() {
        let text = "there is no component in the bill";
        facts.doubts.push(Doubt::new(DoubtKind::NothingMeasured, root.clone(), text));
    }
    if facts.subject.is_none() {
        let text = "the bill does not say what it is the bill of";
        facts.doubts.push(Doubt::new(DoubtKind::NoSubject, root, text));
    }
}

/// Puts package URLs and names beside the references of statements.
fn resolve(facts: &mut BomFacts, source: &Source<'_>) -> Result<(), ReadError> {
    let all = facts.subject.iter().chain(&facts.components);
    let named: BTreeMap<&str, &BomComponent> = all.map(|c| (c.reference.as_str(), c)).collect();
    let mut left = source.limits.bytes;
    for statement in &mut facts.statements {
        let mut names: BTreeSet<String> = statement.products.iter().cloned().collect();
        for component in statement.products.iter().filter_map(|r| named.get(r.as_str())) {
            names.extend(component.purl.clone());
            names.extend(component.hashes.get("sha256").map(|hex| format!("sha256:{hex}")));
            names.insert(component.name.clone());
            let length = component.purl.as_ref().map_or(0, String::len) + component.name.len() + 71;
            left = left.checked_sub(length).ok_or_else(|| {
                let reason = "the components that statements refer to have too long names for so many";
                ReadError::new(Problem::TooLarge, statement.at.clone(), reason)
            })?;
        }
        statement.products = names.into_iter().collect();
    }
    Ok(())
}

fn known(version: &str) -> bool {
    version.strip_prefix("1.").is_some_and(|minor| minor.len() <= 2 && minor.bytes().all(|b| b.is_ascii_digit()))
}

fn status(word: &str) -> Option<VexStatus> {
    match word {
        "resolved" | "resolved_with_pedigree" => Some(VexStatus::Fixed),
        "exploitable" => Some(VexStatus::Affected),
        "in_triage" => Some(VexStatus::UnderInvestigation),
        "false_positive" | "not_affected" => Some(VexStatus::NotAffected),
        _ => None,
    }
}

/// `SHA-256` is `sha256`.
pub(super) fn algorithm(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_ascii_lowercase()
}

fn read_json(source: &Source<'_>) -> Result<(BomFacts, Pointer), ReadError> {
    let document = Document::parse(source, &[])?;
    let root = document.root();
    let format = root.need("bomFormat")?;
    if format.text()? != "CycloneDX" {
        return Err(format.error(Problem::Version, "CycloneDX must stand here"));
    }
    let version = root.need("specVersion")?;
    if !known(version.text()?) {
        return Err(version.error(Problem::Version, "the versions from 1.0 are known"));
    }
    let mut facts = BomFacts {
        spec_version: version.text()?.to_owned(),
        id: root.text_or_empty("serialNumber")?,
        ..BomFacts::default()
    };
    if let Some(metadata) = root.get("metadata") {
        facts.created = metadata.time_of("timestamp")?;
        facts.subject = metadata.get("component").map(|node| component(&node)).transpose()?;
    }
    let mut waiting = root.list("components")?;
    waiting.reverse();
    while let Some(node) = waiting.pop() {
        facts.components.push(component(&node)?);
        let mut inside = node.list("components")?;
        inside.reverse();
        waiting.append(&mut inside);
    }
    for dependency in root.list("dependencies")? {
        facts.relations += dependency.list("dependsOn")?.len() as u64;
    }
    for vulnerability in root.list("vulnerabilities")? {
        facts.statements.extend(statement(&vulnerability, facts.created.as_ref().map(|c| c.value))?);
    }
    Ok((facts, root.at()))
}

fn component(node: &Node<'_>) -> Result<BomComponent, ReadError> {
    let name = node.need("name")?.text()?;
    let mut component = BomComponent {
        reference: node.text_or_empty("bom-ref")?,
        name: match node.text_of("group")? {
            Some(group) if !group.is_empty() => format!("{group}/{name}"),
            _ => name.to_owned(),
        },
        version: node.text_or_empty("version")?,
        purl: node.text_of("purl")?.map(str::to_owned),
        at: node.at(),
        ..BomComponent::default()
    };
    for hash in node.list("hashes")? {
        let content = hash.need("content")?.text()?.to_ascii_lowercase();
        component.hashes.insert(algorithm(hash.need("alg")?.text()?), content);
    }
    for choice in node.list("licenses")? {
        let text = match (choice.text_of("expression")?, choice.get("license")) {
            (Some(expression), _) => Some(expression),
            (None, Some(licence)) => match licence.text_of("id")? {
                Some(id) => Some(id),
                None => licence.text_of("name")?,
            },
            (None, None) => None,
        };
        component.licences.push(LicenceStatement::of(text.unwrap_or_default()));
    }
    Ok(component)
}

fn statement(node: &Node<'_>, issued: Option<Timestamp>) -> Result<Option<VexStatement>, ReadError> {
    let Some(analysis) = node.get("analysis") else { return Ok(None) };
    let Some(state) = analysis.get("state") else { return Ok(None) };
    let status = status(state.text()?).ok_or_else(|| state.error(Problem::Field, "this state is not known"))?;
    let mut names: Vec<String> = node.text_of("id")?.map(str::to_owned).into_iter().collect();
    for reference in node.list("references")? {
        names.extend(reference.text_of("id")?.map(str::to_owned));
    }
    let mut products = Vec::new();
    for affected in node.list("affects")? {
        products.push(affected.need("ref")?.text()?.to_owned());
    }
    let updated = analysis.get("lastUpdated").and_then(|n| n.time().ok()).map(|t| t.value);
    let reason = match analysis.text_of("justification")? {
        Some(word) => Some(word),
        None => analysis.text_of("detail")?,
    };
    Ok(Some(VexStatement {
        vulnerability: names,
        products,
        parts: Vec::new(),
        status,
        justification: reason.map(str::to_owned),
        action: String::new(),
        timestamp: updated.or(issued),
        at: node.at(),
    }))
}

fn read_xml(source: &Source<'_>) -> Result<(BomFacts, Pointer), ReadError> {
    let mut xml = Xml::new(source)?;
    let mut reading = XmlReading::default();
    loop {
        match xml.next()? {
            Next::Open(element) => {
                if reading.path.is_empty() {
                    reading.root = element.at();
                    let space = element.attribute("xmlns").unwrap_or_default();
                    let version = space.strip_prefix("http://cyclonedx.org/schema/bom/").unwrap_or_default();
                    if element.name != "bom" || !known(version) {
                        let reason =
                            "a bom element of the namespace http://cyclonedx.org/schema/bom/1.x must stand here";
                        return Err(ReadError::new(Problem::Version, element.at(), reason));
                    }
                    reading.facts.spec_version = version.to_owned();
                    reading.facts.id = element.text_or_empty("serialNumber");
                }
                reading.open(&element);
            }
            Next::Text(text) => reading.text.push_str(&text),
            Next::Close(name) => reading.close(&name)?,
            Next::End => break,
        }
    }
    Ok((reading.facts, reading.root))
}

#[derive(Default)]
struct XmlReading {
    facts: BomFacts,
    root: Pointer,
    path: Vec<(String, Pointer)>,
    text: String,
    /// The open components, the innermost last.
    components: Vec<(BomComponent, String)>,
    hash: String,
    vulnerability: Option<(VexStatement, bool)>,
}

impl XmlReading {
    fn open(&mut self, element: &super::xml::Element) {
        self.text.clear();
        match element.name.as_str() {
            "component" => {
                let component = BomComponent {
                    reference: element.text_or_empty("bom-ref"),
                    at: element.at(),
                    ..BomComponent::default()
                };
                self.components.push((component, String::new()));
            }
            "hash" => self.hash = algorithm(&element.text_or_empty("alg")),
            "dependency" if self.parent() == "dependency" => self.facts.relations += 1,
            "vulnerability" => {
                self.vulnerability = Some((VexStatement { at: element.at(), ..VexStatement::default() }, false));
            }
            _ => {}
        }
        self.path.push((element.name.clone(), element.at()));
    }

    fn parent(&self) -> &str {
        self.path.last().map_or("", |(name, _)| name)
    }

    fn close(&mut self, name: &str) -> Result<(), ReadError> {
        let at = self.path.pop().map(|(_, at)| at).unwrap_or_default();
        let parent = self.parent().to_owned();
        let text = std::mem::take(&mut self.text).trim().to_owned();
        match (parent.as_str(), name) {
            ("metadata", "timestamp") => {
                let time = Timestamp::parse(&text)
                    .map_err(|e| ReadError::new(Problem::Field, at.clone(), clip(&e.to_string(), 200)))?;
                self.facts.created = Some(Sourced::new(time, at));
            }
            ("metadata", "component") => self.facts.subject = self.components.pop().map(named).transpose()?,
            ("components", "component") => {
                // The tools that made the bill are not in what it is the bill of.
                let listed = !self.path.iter().any(|(name, _)| name == "tools");
                if let Some(component) = self.components.pop().filter(|_| listed) {
                    self.facts.components.push(named(component)?);
                }
            }
            (_, "component") => {
                self.components.pop();
            }
            ("vulnerability", "id") | ("reference", "id") => {
                if let Some((statement, _)) = &mut self.vulnerability {
                    statement.vulnerability.push(text);
                }
            }
            ("analysis", "state") => {
                if let Some((statement, stated)) = &mut self.vulnerability {
                    let known = status(&text);
                    statement.status =
                        known.ok_or_else(|| ReadError::new(Problem::Field, at, "this state is not known"))?;
                    *stated = true;
                }
            }
            ("analysis", "justification" | "detail") => {
                if let Some((statement, _)) = &mut self.vulnerability
                    && (name == "justification" || statement.justification.is_none())
                {
                    statement.justification = Some(text);
                }
            }
            ("target", "ref") => {
                if let Some((statement, _)) = &mut self.vulnerability {
                    statement.products.push(text);
                }
            }
            ("vulnerabilities", "vulnerability") => {
                let issued = self.facts.created.as_ref().map(|c| c.value);
                if let Some((statement, true)) = self.vulnerability.take() {
                    self.facts.statements.push(VexStatement { timestamp: issued, ..statement });
                }
            }
            _ => self.close_in_component(&parent, name, text),
        }
        Ok(())
    }

    fn close_in_component(&mut self, parent: &str, name: &str, text: String) {
        let Some((component, group)) = self.components.last_mut() else { return };
        match (parent, name) {
            ("component", "group") => *group = text,
            ("component", "name") => component.name = text,
            ("component", "version") => component.version = text,
            ("component", "purl") => component.purl = Some(text),
            ("hashes", "hash") => {
                component.hashes.insert(std::mem::take(&mut self.hash), text.to_ascii_lowercase());
            }
            ("licenses", "expression") | ("license", "id" | "name") => {
                component.licences.push(LicenceStatement::of(&text));
            }
            _ => {}
        }
    }
}

fn named((mut component, group): (BomComponent, String)) -> Result<BomComponent, ReadError> {
    if component.name.is_empty() {
        return Err(ReadError::new(Problem::Field, component.at, "a name is missing here"));
    }
    if !group.is_empty() {
        component.name = format!("{group}/{}", component.name);
    }
    Ok(component)
}
