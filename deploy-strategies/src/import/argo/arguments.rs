//! `{{args.name}}`: what templates leave open, and who says what goes there.

use std::collections::{BTreeMap, BTreeSet};

use super::super::cursor::{Cursor, Findings, is_too_long};
use super::super::question::Binding;
use crate::document::{Entry, Node, Value};

/// What an argument stands for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Argument {
    Text(String),
    Bound(Binding),
}

/// The arguments of an analysis.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    values: BTreeMap<String, Argument>,
}

impl Arguments {
    /// From what the templates declare and what the rollout supplies, which wins.
    pub(super) fn resolve(
        declared: &[Cursor<'_>],
        supplied: &[Cursor<'_>],
        rollout: &Cursor<'_>,
        found: &mut Findings,
    ) -> Self {
        let mut values: BTreeMap<String, Argument> = BTreeMap::new();
        for at in supplied {
            let Some(name) = found.needed(&at.get("name")) else { continue };
            if let Some(value) = value(at, rollout, found) {
                values.insert(name, value);
            } else {
                found.invalid(at, "it has neither a value nor a valueFrom", "one of them");
            }
        }
        let given: BTreeSet<String> = values.keys().cloned().collect();
        for at in declared {
            let Some(name) = found.needed(&at.get("name")) else { continue };
            if given.contains(&name) {
                continue;
            }
            match (value(at, rollout, found), values.get(&name)) {
                (Some(own), Some(other)) if own != *other => {
                    found.invalid(
                        at,
                        format!("two templates give {name} different values"),
                        "one value, or one from the rollout",
                    );
                }
                (Some(own), _) => {
                    values.insert(name, own);
                }
                (None, Some(_)) => {}
                (None, None) => found.invalid(
                    at,
                    format!("nobody says what {name} is"),
                    "a value here, or among the args of the analysis that names the template",
                ),
            }
        }
        let known: BTreeSet<&str> = declared.iter().filter_map(|at| at.get("name").str()).collect();
        for at in supplied.iter().filter(|at| at.get("name").str().is_some_and(|name| !known.contains(name))) {
            found.differs(at, "no template asks for it");
        }
        Self { values }
    }

    /// The same value with every argument filled in. What only the host knows stays, and is noted in `bindings`.
    pub(super) fn fill(&self, at: &Cursor<'_>, bindings: &mut BTreeMap<String, Binding>, found: &mut Findings) -> Node {
        self.node(at.node, at, bindings, found)
    }

    fn node(
        &self,
        node: &Node,
        at: &Cursor<'_>,
        bindings: &mut BTreeMap<String, Binding>,
        found: &mut Findings,
    ) -> Node {
        let value = match &node.value {
            Value::Text(text) if text.contains("{{") => Value::Text(self.text(text, node, at, bindings, found)),
            Value::List(list) => {
                Value::List(list.iter().map(|inside| self.node(inside, at, bindings, found)).collect())
            }
            Value::Map(entries) => {
                let entry = |entry: &Entry| Entry {
                    key: entry.key.clone(),
                    place: entry.place,
                    node: self.node(&entry.node, at, bindings, found),
                };
                Value::Map(entries.iter().map(entry).collect())
            }
            other => other.clone(),
        };
        Node { place: node.place, value }
    }

    fn text(
        &self,
        text: &str,
        node: &Node,
        at: &Cursor<'_>,
        bindings: &mut BTreeMap<String, Binding>,
        found: &mut Findings,
    ) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            filled.push_str(before);
            if is_too_long(&filled, at, found) {
                return String::new();
            }
            let Some((tag, behind)) = after.split_once("}}") else {
                rest = after;
                filled.push_str("{{");
                continue;
            };
            match tag.trim().strip_prefix("args.").map(|name| (name, self.values.get(name))) {
                Some((_, Some(Argument::Text(value)))) => filled.push_str(value),
                Some((name, Some(Argument::Bound(binding)))) => {
                    bindings.insert(name.to_owned(), binding.clone());
                    filled.push_str(&format!("{{{{args.{name}}}}}"));
                }
                Some((name, None)) => {
                    let here = Cursor { place: node.place.or(at.place), ..at.clone() };
                    found.invalid(
                        &here,
                        format!("there is no argument {name}"),
                        "an argument that the template declares",
                    );
                }
                None => filled.push_str(&format!("{{{{{tag}}}}}")),
            }
            rest = behind;
        }
        filled.push_str(rest);
        filled
    }
}

/// What one argument stands for; nothing if it does not say.
fn value(at: &Cursor<'_>, rollout: &Cursor<'_>, found: &mut Findings) -> Option<Argument> {
    found.only(at, &["name", "value", "valueFrom"], &[]);
    let from = at.get("valueFrom");
    found.only(&from, &["fieldRef", "podTemplateHashValue", "secretKeyRef"], &[]);
    let given = at.get("value");
    if given.is_there() {
        // A text that could not be read is said already.
        return Some(Argument::Text(found.text(&given).unwrap_or_default()));
    }
    let hash = from.get("podTemplateHashValue");
    if hash.is_there() {
        return Some(Argument::Bound(match hash.str() {
            Some("Latest") => Binding::CandidateRevision,
            Some("Stable") => Binding::StableRevision,
            _ => {
                found.invalid(&hash, "it is neither", "Latest or Stable");
                Binding::CandidateRevision
            }
        }));
    }
    let secret = from.get("secretKeyRef");
    if secret.is_there() {
        found.only(&secret, &["name", "key"], &[]);
        let name = found.needed(&secret.get("name")).unwrap_or_default();
        let key = found.needed(&secret.get("key")).unwrap_or_default();
        return Some(Argument::Bound(Binding::Secret { name, key }));
    }
    let field = from.get("fieldRef");
    if field.is_there() {
        let path = found.needed(&field.get("fieldPath"))?;
        let text = field_of(rollout, &path);
        if text.is_none() {
            let wrong = format!("{path} is nothing that stands in the manifest of the rollout");
            found.none(
                &field,
                wrong,
                "metadata.name, metadata.namespace, a label or an annotation that is there, or a value",
            );
        }
        return Some(Argument::Text(text.unwrap_or_default()));
    }
    None
}

/// `metadata.labels['region']` and the like.
fn field_of(rollout: &Cursor<'_>, path: &str) -> Option<String> {
    let cursor = match path.split_once('[') {
        None => rollout.at(path),
        Some((map, key)) => rollout.at(map).get(key.strip_suffix(']')?.trim_matches(['\'', '"'])),
    };
    path.starts_with("metadata.").then(|| cursor.str().map(str::to_owned)).flatten()
}
