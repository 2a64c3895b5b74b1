//! Plans of Terraform and OpenTofu in JSON.

use std::collections::BTreeSet;

use super::facts::{OutputChange, PlanAction, PlanCheck, PlanFacts, ResourceChange};
use super::json::{Document, Node, Tree, clip};
use super::{Doubt, DoubtKind, Problem, ReadError, Source};

/// The most characters of a check's complaint that are kept.
const LONGEST_MESSAGE: usize = 1_000;

/// Reads what `terraform show -json plan` writes, format version 1.
///
/// No value of a resource, an output or a variable is kept: names, paths and actions alone.
///
/// # Errors
///
/// [`ReadError`], with the place. A combination of actions that is not known is an error, since it may destroy something.
pub fn read(source: &Source<'_>) -> Result<PlanFacts, ReadError> {
    let document =
        Document::parse(source, &["/planned_values", "/prior_state", "/configuration", "/relevant_attributes"])?;
    let root = document.root();
    let version = root.need("format_version")?;
    if version.text()?.split('.').next() != Some("1") {
        return Err(version.error(Problem::Version, "format version 1 is known"));
    }
    let mut facts = PlanFacts {
        format_version: version.text()?.to_owned(),
        tool_version: root.text_or_empty("terraform_version")?,
        made: root.time_of("timestamp")?,
        errored: root.flag_of("errored")?,
        applyable: root.flag_of("applyable")?,
        complete: root.flag_of("complete")?,
        variables: root.map("variables")?.into_iter().map(|(name, _)| name.to_owned()).collect(),
        ..PlanFacts::default()
    };
    for node in root.list("resource_changes")? {
        facts.changes.push(change(&node)?);
    }
    for node in root.list("resource_drift")? {
        let drift = change(&node)?;
        if drift.action != PlanAction::NoOp {
            facts.drift.push(drift);
        }
    }
    for (name, node) in root.map("output_changes")? {
        let action = action(&node.need("actions")?)?;
        facts.outputs.push(OutputChange { name: name.to_owned(), action, at: node.at() });
    }
    for node in root.list("checks")? {
        facts.checks.push(check(&node)?);
    }
    if let Some(errored) = facts.errored.as_ref().filter(|errored| errored.value) {
        let text = "making the plan failed: what stands in it is a part";
        facts.doubts.push(Doubt::new(DoubtKind::Unfinished, errored.at.clone(), text));
    }
    if let Some(complete) = facts.complete.as_ref().filter(|complete| !complete.value) {
        let text = "the plan leaves something out: it needs more than one apply";
        facts.doubts.push(Doubt::new(DoubtKind::Incomplete, complete.at.clone(), text));
    }
    Ok(facts)
}

fn change(node: &Node<'_>) -> Result<ResourceChange, ReadError> {
    let change = node.need("change")?;
    let mut paths = Vec::new();
    for path in change.list("replace_paths")? {
        let mut parts = Vec::new();
        for part in path.items()? {
            parts.push(match part.tree {
                Tree::Text(text) => text.to_string(),
                _ => part.whole()?.value.to_string(),
            });
        }
        paths.push(parts.join("."));
    }
    Ok(ResourceChange {
        address: node.need("address")?.text()?.to_owned(),
        previous_address: node.text_of("previous_address")?.map(str::to_owned),
        kind: node.text_or_empty("type")?,
        provider: node.text_or_empty("provider_name")?,
        action: action(&change.need("actions")?)?,
        reason: node.text_or_empty("action_reason")?,
        replace_paths: paths,
        changed: changed(&change),
        at: node.at(),
    })
}

/// The names of the attributes that differ or that will only be known later.
fn changed(change: &Node<'_>) -> Vec<String> {
    let entries = |name: &str| match change.tree.get(name) {
        Some(Tree::Object(entries)) => &entries[..],
        _ => &[],
    };
    let (before, after, unknown) = (change.tree.get("before"), change.tree.get("after"), entries("after_unknown"));
    let names: BTreeSet<&str> =
        entries("before").iter().chain(entries("after")).chain(unknown).map(|(name, _)| &**name).collect();
    let differs = |name: &&str| {
        let of = |tree: Option<&Tree>| tree.and_then(|t| t.get(name)).filter(|t| **t != Tree::Null).cloned();
        let later = change.tree.get("after_unknown").and_then(|t| t.get(name)).is_some_and(truthy);
        later || of(before) != of(after)
    };
    names.into_iter().filter(differs).map(|name| clip(name, 200)).collect()
}

/// Whether there is a `true` anywhere in it.
fn truthy(tree: &Tree) -> bool {
    match tree {
        Tree::Flag(flag) => *flag,
        Tree::List(items) => items.iter().any(truthy),
        Tree::Object(entries) => entries.iter().any(|(_, value)| truthy(value)),
        _ => false,
    }
}

fn action(node: &Node<'_>) -> Result<PlanAction, ReadError> {
    let actions: Vec<&str> = node.items()?.iter().map(Node::text).collect::<Result<_, _>>()?;
    match actions.as_slice() {
        ["no-op"] => Ok(PlanAction::NoOp),
        ["read"] => Ok(PlanAction::Read),
        ["create"] => Ok(PlanAction::Create),
        ["update"] => Ok(PlanAction::Update),
        ["delete", "create"] => Ok(PlanAction::DeleteThenCreate),
        ["create", "delete"] => Ok(PlanAction::CreateThenDelete),
        ["delete"] => Ok(PlanAction::Delete),
        ["forget"] => Ok(PlanAction::Forget),
        ["create", "forget"] => Ok(PlanAction::CreateThenForget),
        _ => Err(node.error(Problem::Field, "this combination of actions is not known")),
    }
}

fn check(node: &Node<'_>) -> Result<PlanCheck, ReadError> {
    let mut check = PlanCheck {
        address: node.need("address")?.text_or_empty("to_display")?,
        status: node.need("status")?.text()?.to_owned(),
        at: node.at(),
        ..PlanCheck::default()
    };
    for instance in node.list("instances")? {
        for problem in instance.list("problems")? {
            check.problems.push(clip(problem.text_of("message")?.unwrap_or_default(), LONGEST_MESSAGE));
        }
    }
    Ok(check)
}

/// What stands in place of a secret.
const REDACTED: &str = "(redacted)";

/// The same plan as JSON without what is secret: for keeping. The digest of the original is what an apply is compared with.
///
/// Taken out are all values of variables, all values that the plan marks as sensitive on either side of a change, every other
/// text that is the same as one of those, and the parts that repeat them: planned values, prior state, configuration.
///
/// # Errors
///
/// [`ReadError`], with the place, also if the input is no plan.
pub fn redact(source: &Source<'_>) -> Result<Vec<u8>, ReadError> {
    read(source)?;
    let skipped = ["/planned_values", "/prior_state", "/configuration", "/relevant_attributes"];
    let mut tree = Document::parse(source, &skipped)?.into_tree();
    let mut secrets = BTreeSet::new();
    if let Tree::Object(entries) = &mut tree {
        for (name, value) in entries {
            match (&**name, value) {
                ("variables", Tree::Object(variables)) => {
                    for (_, variable) in variables {
                        take_out(variable, None, &mut secrets);
                    }
                }
                ("resource_changes" | "resource_drift", Tree::List(changes)) => {
                    for entry in changes {
                        if let Tree::Object(fields) = entry {
                            fields
                                .iter_mut()
                                .filter(|(n, _)| &**n == "change")
                                .for_each(|(_, c)| sides(c, &mut secrets));
                        }
                    }
                }
                ("output_changes", Tree::Object(outputs)) => {
                    for (_, output) in outputs {
                        sides(output, &mut secrets);
                    }
                }
                _ => {}
            }
        }
    }
    // Short texts are words like `true` or `eu`: taking them out would leave nothing, and they are no secrets.
    secrets.retain(|secret| secret.len() >= 6);
    take_same(&mut tree, &secrets);
    let whole = |e: serde_json::Error| ReadError::new(Problem::Syntax, source.at(super::Place::Whole), e.to_string());
    serde_json::to_vec(&tree).map_err(whole)
}

/// Takes out of `before` and `after` what either side marks.
fn sides(change: &mut Tree, secrets: &mut BTreeSet<Box<str>>) {
    let marks: Vec<Tree> =
        ["before_sensitive", "after_sensitive"].iter().filter_map(|name| change.get(name)).cloned().collect();
    let Tree::Object(fields) = change else { return };
    for (name, value) in fields {
        if matches!(&**name, "before" | "after") {
            marks.iter().for_each(|mark| take_out(value, Some(mark), secrets));
        }
    }
}

/// Takes out of a value what a mark of the same shape says; all of it without a mark.
fn take_out(value: &mut Tree, mark: Option<&Tree>, secrets: &mut BTreeSet<Box<str>>) {
    match (value, mark) {
        (Tree::Null, _) | (_, Some(Tree::Flag(false) | Tree::Null)) => {}
        (Tree::Object(entries), Some(mark @ Tree::Object(_))) => {
            for (name, value) in entries {
                if let Some(mark) = mark.get(name) {
                    take_out(value, Some(mark), secrets);
                }
            }
        }
        (Tree::List(items), Some(Tree::List(marks))) => {
            items.iter_mut().zip(marks).for_each(|(value, mark)| take_out(value, Some(mark), secrets));
        }
        (value, _) => {
            remember(value, secrets);
            *value = Tree::Text(REDACTED.into());
        }
    }
}

fn remember(value: &Tree, secrets: &mut BTreeSet<Box<str>>) {
    match value {
        Tree::Text(text) if &**text != REDACTED => {
            secrets.insert(text.clone());
        }
        Tree::List(items) => items.iter().for_each(|item| remember(item, secrets)),
        Tree::Object(entries) => entries.iter().for_each(|(_, value)| remember(value, secrets)),
        _ => {}
    }
}

fn take_same(tree: &mut Tree, secrets: &BTreeSet<Box<str>>) {
    match tree {
        Tree::Text(text) if secrets.contains(text) => *tree = Tree::Text(REDACTED.into()),
        Tree::List(items) => items.iter_mut().for_each(|item| take_same(item, secrets)),
        Tree::Object(entries) => entries.iter_mut().for_each(|(_, value)| take_same(value, secrets)),
        _ => {}
    }
}
