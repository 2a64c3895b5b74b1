//! Results of policies: conftest and OPA.

use super::facts::{PolicyFacts, PolicyOutcome, PolicyResult};
use super::json::{Document, LONGEST_NAME, Node, Tree, clip};
use super::{Doubt, DoubtKind, ReadError, Source};

/// The most characters of a message that are kept.
const LONGEST_MESSAGE: usize = 1_000;

/// Reads what `conftest test --output json` writes.
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn read_conftest(source: &Source<'_>) -> Result<PolicyFacts, ReadError> {
    let document = Document::parse(source, &[])?;
    let root = document.root();
    let mut facts = PolicyFacts { engine: "conftest".to_owned(), ..PolicyFacts::default() };
    for file in root.items()? {
        let (input, rule) = (clip(file.need("filename")?.text()?, LONGEST_NAME), file.short_of("namespace")?);
        facts.successes = facts.successes.saturating_add(file.whole_of("successes")?.map_or(0, |n| n.value));
        for (name, outcome) in [
            ("failures", PolicyOutcome::Broken),
            ("warnings", PolicyOutcome::Warning),
            ("exceptions", PolicyOutcome::Excepted),
            ("skipped", PolicyOutcome::Skipped),
        ] {
            for node in file.list(name)? {
                let message = clip(node.text_of("msg")?.unwrap_or_default(), LONGEST_MESSAGE);
                let (rule, input) = (rule.clone(), input.clone());
                facts.results.push(PolicyResult { rule, input, outcome, message, at: node.at() });
            }
        }
    }
    if facts.results.is_empty() && facts.successes == 0 {
        facts.doubts.push(Doubt::new(DoubtKind::NothingMeasured, root.at(), "no rule was evaluated"));
    }
    Ok(facts)
}

/// Reads what `opa eval --format json` or `opa exec` writes.
///
/// A rule without a value is `Undefined`: that is not the same as `false`, and neither is it kept. Rules whose name begins with
/// `deny` or `violation` list what is wrong, so an empty list is kept; of others, only `true` is.
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn read_opa(source: &Source<'_>) -> Result<PolicyFacts, ReadError> {
    let document = Document::parse(source, &["location", "bindings", "metrics", "explanation"])?;
    let root = document.root();
    let mut facts = PolicyFacts { engine: "opa".to_owned(), ..PolicyFacts::default() };
    for error in root.list("errors")? {
        let message = clip(error.text_of("message")?.unwrap_or_default(), LONGEST_MESSAGE);
        facts.results.push(result("", "", PolicyOutcome::Unevaluated, &message, &error));
    }
    for entry in root.list("result")? {
        if let Some(path) = entry.get("path") {
            executed(path.text()?, &entry, &mut facts)?;
            continue;
        }
        for expression in entry.need("expressions")?.items()? {
            let rule = expression.need("text")?.text()?;
            value(rule, "", expression.get("value").as_ref(), &expression, &mut facts);
        }
    }
    if facts.results.is_empty() {
        facts.results.push(result("", "", PolicyOutcome::Undefined, "the query has no result", &root));
    }
    Ok(facts)
}

/// One entry of `opa exec`.
fn executed(input: &str, entry: &Node<'_>, facts: &mut PolicyFacts) -> Result<(), ReadError> {
    match entry.get("error") {
        Some(error) => {
            let message = clip(error.text_of("message")?.unwrap_or("it could not be evaluated"), LONGEST_MESSAGE);
            facts.results.push(result("", input, PolicyOutcome::Unevaluated, &message, &error));
        }
        None => value("", input, entry.get("result").as_ref(), entry, facts),
    }
    Ok(())
}

fn result(rule: &str, input: &str, outcome: PolicyOutcome, message: &str, node: &Node<'_>) -> PolicyResult {
    PolicyResult {
        rule: clip(rule, LONGEST_NAME),
        input: clip(input, LONGEST_NAME),
        outcome,
        message: message.to_owned(),
        at: node.at(),
    }
}

fn value(rule: &str, input: &str, value: Option<&Node<'_>>, entry: &Node<'_>, facts: &mut PolicyFacts) {
    let last = rule.rsplit('.').next().unwrap_or_default();
    let lists_wrongs = last.starts_with("deny") || last.starts_with("violation");
    let one = |outcome, message: &str, node: &Node<'_>| result(rule, input, outcome, message, node);
    let Some(value) = value else {
        facts.results.push(one(PolicyOutcome::Undefined, "it has no value", entry));
        return;
    };
    match value.tree {
        // A rule that denies and is true says that something is wrong.
        Tree::Flag(flag) => {
            let outcome = if *flag != lists_wrongs { PolicyOutcome::Kept } else { PolicyOutcome::Broken };
            facts.results.push(one(outcome, "", value));
        }
        Tree::List(items) if lists_wrongs && items.is_empty() => {
            facts.results.push(one(PolicyOutcome::Kept, "", value))
        }
        Tree::Object(entries) if lists_wrongs && entries.is_empty() => {
            facts.results.push(one(PolicyOutcome::Kept, "", value));
        }
        Tree::List(items) if lists_wrongs => {
            for item in items {
                facts.results.push(one(PolicyOutcome::Broken, &message(item), value));
            }
        }
        Tree::Object(entries) if lists_wrongs => {
            for (name, _) in entries {
                facts.results.push(one(PolicyOutcome::Broken, &clip(name, LONGEST_MESSAGE), value));
            }
        }
        _ => facts.results.push(one(PolicyOutcome::Unevaluated, "its value is neither true nor false", value)),
    }
}

fn message(item: &Tree) -> String {
    let text = match item {
        Tree::Text(text) => Some(text),
        other => match other.get("msg") {
            Some(Tree::Text(text)) => Some(text),
            _ => None,
        },
    };
    text.map_or_else(|| "something is wrong".to_owned(), |text| clip(text, LONGEST_MESSAGE))
}
