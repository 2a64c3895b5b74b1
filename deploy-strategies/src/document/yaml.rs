//! Reads YAML 1.2; JSON is part of it.

use std::collections::HashSet;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::node::{Entry, Node, Value};
use super::{Place, Unreadable};

impl Node {
    /// Every document of a text, empty ones left out.
    pub(crate) fn yaml(text: &str) -> Result<Vec<Self>, Unreadable> {
        // What manifests need is far below; what a hostile text can cost stays small.
        let budget = serde_saphyr::budget! {
            max_depth: 48,
            flow_nesting_limit: 48,
            max_nodes: 60_000,
            max_events: 250_000,
            max_aliases: 500,
            max_anchors: 500,
            max_documents: 500,
            max_merge_keys: 500,
            max_total_scalar_bytes: super::LONGEST,
        };
        let limits = serde_saphyr::alias_limits! {
            max_total_replayed_events: 50_000,
            max_alias_expansions_per_anchor: 200,
        };
        let options = serde_saphyr::options! {
            budget: budget,
            alias_limits: limits,
            with_snippet: false,
        };
        let documents: Vec<Spanned<Read>> =
            serde_saphyr::from_multiple_with_options(text, options).map_err(|error| Unreadable {
                place: error.location().and_then(place),
                wrong: in_short(&error.without_snippet().to_string()),
            })?;
        let nodes: Vec<Self> = documents.into_iter().map(node).filter(|node| node.value != Value::Null).collect();
        match nodes.iter().find_map(standing_twice) {
            Some(Entry { key, place, .. }) => {
                Err(Unreadable { place: *place, wrong: format!("the key {key:?} stands here twice") })
            }
            None => Ok(nodes),
        }
    }
}

/// The second entry of a key in one map. The reader refuses keys that are written alike; what is left are those that say the same in
/// different spellings, such as `1` and `"1"`.
fn standing_twice(node: &Node) -> Option<&Entry> {
    let mut seen = HashSet::new();
    match &node.value {
        Value::List(list) => list.iter().find_map(standing_twice),
        Value::Map(entries) => entries
            .iter()
            .find_map(|entry| if seen.insert(entry.key.as_str()) { standing_twice(&entry.node) } else { Some(entry) }),
        _ => None,
    }
}

/// The message of the reader without the place, which stands apart, and without hints at options that nobody can set here.
fn in_short(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    message.split(", set ").next().unwrap_or(message).to_owned()
}

fn place(location: Location) -> Option<Place> {
    let count = |n: u64| u32::try_from(n).ok().filter(|n| *n > 0);
    Some(Place { line: count(location.line())?, column: count(location.column())? })
}

fn node(read: Spanned<Read>) -> Node {
    Node { place: place(read.referenced), value: read.value.0 }
}

/// A value as the reader hands it over.
struct Read(Value);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;

        impl<'de> Visitor<'de> for Values {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_none<E: de::Error>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
                Read::deserialize(deserializer).map(|read| read.0)
            }

            fn visit_bool<E: de::Error>(self, is: bool) -> Result<Value, E> {
                Ok(Value::Bool(is))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
                Ok(Value::Whole(number.into()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
                Ok(Value::Whole(number.into()))
            }

            fn visit_i128<E: de::Error>(self, number: i128) -> Result<Value, E> {
                Ok(Value::Whole(number))
            }

            fn visit_u128<E: de::Error>(self, number: u128) -> Result<Value, E> {
                Ok(i128::try_from(number).map_or_else(|_| Value::Text(number.to_string()), Value::Whole))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
                Ok(Value::Number(number))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
                let mut list = Vec::new();
                while let Some(read) = access.next_element()? {
                    list.push(node(read));
                }
                Ok(Value::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
                let mut entries: Vec<Entry> = Vec::new();
                while let Some(key) = access.next_key::<Spanned<String>>()? {
                    let place = place(key.referenced);
                    entries.push(Entry { key: key.value, place, node: node(access.next_value()?) });
                }
                Ok(Value::Map(entries))
            }
        }

        deserializer.deserialize_any(Values).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Place, Value};
    use super::Node;

    #[test]
    fn every_value_and_key_has_its_place() {
        let all = Node::yaml("# a\na: 1\nb:\n  - x: yes\n  - {y: 'z', w: 1.5}\n---\n---\n[1, \"2\", null]\n").unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].find("b[1].w"), Some(Place { line: 5, column: 14 }));
        assert_eq!(all[0].find("b[0].x"), Some(Place { line: 4, column: 5 }));
        assert_eq!(all[0].find("a.nothing"), Some(Place { line: 2, column: 1 }));
        assert_eq!(all[1].find("[1]"), Some(Place { line: 8, column: 5 }));
        assert_eq!(all[0].get("a").map(|node| &node.value), Some(&Value::Whole(1)));
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_place() {
        let place = |text: &str| Node::yaml(text).expect_err(text).place.map(|place| (place.line, place.column));
        assert_eq!(place("a: [1, 2"), Some((1, 4)));
        assert_eq!(place("a: 1\na: 2\n"), Some((2, 1)));
        assert_eq!(place("a: *b"), Some((1, 4)));
        assert_eq!(place("a: &x [*x]"), Some((1, 8)));
        assert_eq!(place("a: b: c"), Some((1, 5)));
        for deep in ["[".repeat(5_000), "- ".repeat(5_000), "{a: ".repeat(5_000)] {
            assert!(Node::yaml(&deep).is_err());
        }
        let twice = Node::yaml("a: 1\nb: {c: 1, c: 2}").expect_err("a key stands there twice");
        assert_eq!(twice.wrong, "duplicate mapping key: c");
        let alike = Node::yaml("a: 1\nb:\n  1: x\n  \"1\": y\n").expect_err("a key stands there twice");
        assert_eq!(alike.wrong, "the key \"1\" stands here twice");
        assert_eq!(alike.place, Some(Place { line: 4, column: 3 }));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..12 {
            bomb += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", "));
        }
        assert!(Node::yaml(&bomb).is_err(), "a small text that stands for a thousand million values");
    }
}
