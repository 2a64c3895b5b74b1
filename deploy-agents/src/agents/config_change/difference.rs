//! What differs between two documents.

use serde::Serialize;
use serde_json::Value;

/// One place where two documents differ, as a JSON pointer. Values are not kept: a configuration may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ConfigDifference {
    /// Where.
    pub pointer: String,
    /// How.
    pub how: Differs,
}

/// How a place differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Differs {
    /// It is only in the newer document.
    Added,
    /// It is only in the older one.
    Removed,
    /// It is in both, with two values.
    Changed,
}

impl std::fmt::Display for ConfigDifference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let how = match self.how {
            Differs::Added => "added",
            Differs::Removed => "removed",
            Differs::Changed => "changed",
        };
        let pointer = if self.pointer.is_empty() { "the whole" } else { &self.pointer };
        write!(f, "{pointer} {how}")
    }
}

/// What differs, in the order of the pointers. Elements of arrays are compared by their place.
#[must_use]
pub fn differences(before: &Value, after: &Value) -> Vec<ConfigDifference> {
    let mut found = Vec::new();
    compare(String::new(), before, after, &mut found);
    found.sort();
    found
}

fn compare(pointer: String, before: &Value, after: &Value, found: &mut Vec<ConfigDifference>) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in old {
                let at = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                match new.get(key) {
                    Some(other) => compare(at, value, other, found),
                    None => found.push(ConfigDifference { pointer: at, how: Differs::Removed }),
                }
            }
            for key in new.keys().filter(|key| !old.contains_key(*key)) {
                let at = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                found.push(ConfigDifference { pointer: at, how: Differs::Added });
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for index in 0..old.len().max(new.len()) {
                let at = format!("{pointer}/{index}");
                match (old.get(index), new.get(index)) {
                    (Some(value), Some(other)) => compare(at, value, other, found),
                    (Some(_), None) => found.push(ConfigDifference { pointer: at, how: Differs::Removed }),
                    (None, _) => found.push(ConfigDifference { pointer: at, how: Differs::Added }),
                }
            }
        }
        (old, new) if old == new => {}
        _ => found.push(ConfigDifference { pointer, how: Differs::Changed }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{Differs, differences};

    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i8>().prop_map(Value::from),
            "[a-z]{0,3}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c/~]{1,2}", inner, 0..4).prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn documents_differ_exactly_where_it_is_said(before in document(), after in document()) {
            let found = differences(&before, &after);
            prop_assert_eq!(found.is_empty(), before == after);
            for place in &found {
                let (old, new) = (before.pointer(&place.pointer), after.pointer(&place.pointer));
                match place.how {
                    Differs::Added => prop_assert!(old.is_none() && new.is_some(), "{place}"),
                    Differs::Removed => prop_assert!(old.is_some() && new.is_none(), "{place}"),
                    Differs::Changed => prop_assert!(old.is_some() && new.is_some() && old != new, "{place}"),
                }
            }
        }
    }

    #[test]
    fn no_value_is_shown() {
        let found =
            differences(&json!({"db": {"password": "old"}}), &json!({"db": {"password": "hunter2"}, "port": 1}));
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["/db/password changed", "/port added"]);
    }
}
