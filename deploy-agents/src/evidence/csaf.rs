//! CSAF 2.0, the VEX profile.

use std::collections::BTreeMap;

use super::facts::{VexFacts, VexStatement, VexStatus};
use super::json::{Budget, Document, LONGEST_NAME, Node, clip};
use super::openvex::{REASONS, unjustified};
use super::{Doubt, DoubtKind, Problem, ReadError, Source};

/// Reads a CSAF document and what it states about its products.
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn read(source: &Source<'_>) -> Result<VexFacts, ReadError> {
    let document = Document::parse(source, &["notes", "references", "acknowledgments"])?;
    let root = document.root();
    let about = root.need("document")?;
    let version = about.need("csaf_version")?;
    if !version.text()?.starts_with("2.") {
        return Err(version.error(Problem::Version, "version 2 is known"));
    }
    let tracking = about.need("tracking")?;
    let mut facts = VexFacts {
        author: about.path(&["publisher", "name"]).map(|n| n.text()).transpose()?.unwrap_or_default().to_owned(),
        issued: Some(tracking.need("current_release_date")?.time()?),
        ..VexFacts::default()
    };
    let status = tracking.need("status")?;
    if status.text()? == "draft" {
        facts.doubts.push(Doubt::new(DoubtKind::Unfinished, status.at(), "the document is a draft"));
    }
    let mut products = Products::default();
    if let Some(tree) = root.get("product_tree") {
        products.read(&tree)?;
    }
    let issued = facts.issued.as_ref().map(|t| t.value);
    // References are counted: a group of many products that is named many times must not multiply.
    let mut budget = Budget::new(source.limits.things);
    for node in root.list("vulnerabilities")? {
        for mut statement in statements(&node, &products, &mut budget)? {
            statement.timestamp = issued;
            facts.statements.push(statement);
        }
    }
    if facts.statements.is_empty() {
        facts.doubts.push(Doubt::new(DoubtKind::NothingMeasured, root.at(), "there is no statement"));
    }
    facts.doubts.append(&mut unjustified(&facts.statements));
    Ok(facts)
}

/// The names of products, by the identifiers that the document gives them.
#[derive(Default)]
struct Products {
    names: BTreeMap<String, Vec<String>>,
    groups: BTreeMap<String, Vec<String>>,
    /// Combinations of two products, by their own identifiers.
    combined: BTreeMap<String, Vec<(String, String)>>,
}

impl Products {
    fn read(&mut self, tree: &Node<'_>) -> Result<(), ReadError> {
        let mut waiting = tree.list("branches")?;
        while let Some(branch) = waiting.pop() {
            if let Some(product) = branch.get("product") {
                self.product(&product)?;
            }
            waiting.append(&mut branch.list("branches")?);
        }
        for product in tree.list("full_product_names")? {
            self.product(&product)?;
        }
        for relation in tree.list("relationships")? {
            let product = relation.need("full_product_name")?;
            self.product(&product)?;
            let parts = self.combined.entry(product.need("product_id")?.text()?.to_owned()).or_default();
            parts.push((
                relation.need("product_reference")?.text()?.to_owned(),
                relation.need("relates_to_product_reference")?.text()?.to_owned(),
            ));
        }
        for group in tree.list("product_groups")? {
            let ids =
                group.list("product_ids")?.iter().map(|n| n.text().map(str::to_owned)).collect::<Result<_, _>>()?;
            self.groups.insert(group.need("group_id")?.text()?.to_owned(), ids);
        }
        Ok(())
    }

    fn product(&mut self, product: &Node<'_>) -> Result<(), ReadError> {
        let names = self.names.entry(product.need("product_id")?.text()?.to_owned()).or_default();
        names.push(clip(product.need("name")?.text()?, LONGEST_NAME));
        let Some(helper) = product.get("product_identification_helper") else { return Ok(()) };
        for name in ["purl", "cpe"] {
            names.extend(helper.text_of(name)?.map(|text| clip(text, LONGEST_NAME)));
        }
        for file in helper.list("hashes")? {
            for hash in file.list("file_hashes")? {
                let (name, value) = (hash.need("algorithm")?.text()?, hash.need("value")?.text()?);
                names.push(format!(
                    "{}:{}",
                    super::cyclonedx::algorithm(name),
                    clip(value, LONGEST_NAME).to_ascii_lowercase()
                ));
            }
        }
        Ok(())
    }

    /// A product by all its names, and the parts that it is combined of.
    fn of(&self, id: &str) -> (Vec<String>, Vec<String>) {
        let mut names = vec![id.to_owned()];
        names.extend(self.names.get(id).into_iter().flatten().cloned());
        let mut parts = Vec::new();
        for (part, whole) in self.combined.get(id).into_iter().flatten() {
            parts.extend(self.names.get(part).into_iter().flatten().cloned());
            names.extend(self.names.get(whole).into_iter().flatten().cloned());
        }
        (names, parts)
    }
}

fn statements(node: &Node<'_>, products: &Products, budget: &mut Budget) -> Result<Vec<VexStatement>, ReadError> {
    let mut names: Vec<String> = node.text_of("cve")?.map(|text| clip(text, LONGEST_NAME)).into_iter().collect();
    for id in node.list("ids")? {
        names.push(clip(id.need("text")?.text()?, LONGEST_NAME));
    }
    let mut reasons: BTreeMap<String, String> = BTreeMap::new();
    for threat in node.list("threats")? {
        if threat.text_of("category")? == Some("impact") {
            let details = threat.need("details")?.text()?;
            for id in concerned(&threat, products, budget)? {
                reasons.insert(id, clip(details, LONGEST_NAME));
            }
        }
    }
    for flag in node.list("flags")? {
        let label = flag.need("label")?.text()?;
        if REASONS.contains(&label) {
            for id in concerned(&flag, products, budget)? {
                reasons.insert(id, label.to_owned());
            }
        }
    }
    let mut all = Vec::new();
    for (kind, list) in node.map("product_status")? {
        let status = match kind {
            "known_not_affected" => VexStatus::NotAffected,
            "known_affected" | "first_affected" | "last_affected" => VexStatus::Affected,
            "fixed" | "first_fixed" => VexStatus::Fixed,
            "under_investigation" => VexStatus::UnderInvestigation,
            _ => continue,
        };
        for product in list.items()? {
            let id = product.text()?;
            let (product_names, parts) = products.of(id);
            budget.take(names.len() + product_names.len() + parts.len(), &product)?;
            all.push(VexStatement {
                vulnerability: names.clone(),
                products: product_names,
                parts,
                status,
                justification: reasons.get(id).cloned(),
                at: product.at(),
                ..VexStatement::default()
            });
        }
    }
    Ok(all)
}

fn concerned(node: &Node<'_>, products: &Products, budget: &mut Budget) -> Result<Vec<String>, ReadError> {
    let mut ids = Vec::new();
    for id in node.list("product_ids")? {
        ids.push(id.text()?.to_owned());
    }
    for group in node.list("group_ids")? {
        let members = products.groups.get(group.text()?).map_or(&[][..], Vec::as_slice);
        budget.take(members.len(), &group)?;
        ids.extend(members.iter().cloned());
    }
    Ok(ids)
}
