//! A tree of values.

use std::collections::HashSet;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Place, Unreadable};

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// Nothing where the text has no lines, or they are not known.
    pub(crate) place: Option<Place>,
    pub(crate) value: Value,
}

/// What a document is made of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// A whole number.
    Whole(i128),
    /// Any other number.
    Number(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the text; no key twice.
    Map(Vec<Entry>),
}

/// One key of a map.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Option<Place>,
    pub(crate) node: Node,
}

impl Node {
    /// Reads JSON.
    pub(crate) fn json(text: &str) -> Result<Self, Unreadable> {
        serde_json::from_str(text).map_err(|error| {
            let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            let place = Place { line: count(error.line()).max(1), column: count(error.column()).max(1) };
            let whole = error.to_string();
            let wrong = whole.rsplit_once(" at line ").map_or(whole.as_str(), |(wrong, _)| wrong);
            Unreadable { place: Some(place), wrong: wrong.to_owned() }
        })
    }

    /// The value of a key.
    #[cfg(feature = "import")]
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// The keys, if it is a map.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The place that a path such as `steps[2].soak` leads to, or the nearest one before it. A key's own place where the key is the
    /// last of the path.
    pub(crate) fn find(&self, path: &str) -> Option<Place> {
        let mut here = self;
        let mut place = self.place;
        for part in path.split(['.', '[']).filter(|part| !part.is_empty()) {
            if let Some(index) = part.strip_suffix(']').and_then(|index| index.parse::<usize>().ok()) {
                let Value::List(list) = &here.value else { break };
                let Some(next) = list.get(index) else { break };
                here = next;
                place = next.place.or(place);
            } else {
                let Some(next) = here.entries().iter().find(|entry| entry.key == part) else { break };
                here = &next.node;
                place = next.place.or(next.node.place).or(place);
            }
        }
        place
    }

    /// What kind of value it is, in a word or two.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Whole(_) => "a whole number",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// The same without places.
    #[cfg(feature = "import")]
    pub(crate) fn plain(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(is) => (*is).into(),
            Value::Whole(number) => u64::try_from(*number)
                .map(Into::into)
                .or_else(|_| i64::try_from(*number).map(Into::into))
                .unwrap_or_else(|_| serde_json::Value::String(number.to_string())),
            Value::Number(number) => (*number).into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(list) => list.iter().map(Self::plain).collect(),
            Value::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), entry.node.plain())).collect(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    /// From any format, without places. A key that stands twice is refused.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Nodes;

        impl<'de> Visitor<'de> for Nodes {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
                Ok(Value::Null.into())
            }

            fn visit_none<E: de::Error>(self) -> Result<Node, E> {
                Ok(Value::Null.into())
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
                Node::deserialize(deserializer)
            }

            fn visit_bool<E: de::Error>(self, is: bool) -> Result<Node, E> {
                Ok(Value::Bool(is).into())
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Node, E> {
                Ok(Value::Whole(number.into()).into())
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Node, E> {
                Ok(Value::Whole(number.into()).into())
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Node, E> {
                Ok(Value::Number(number).into())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Node, E> {
                Ok(Value::Text(text.to_owned()).into())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
                let mut list = Vec::new();
                while let Some(node) = access.next_element()? {
                    list.push(node);
                }
                Ok(Value::List(list).into())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
                let mut entries: Vec<Entry> = Vec::new();
                let mut seen = HashSet::new();
                while let Some(key) = access.next_key::<String>()? {
                    if !seen.insert(key.clone()) {
                        return Err(de::Error::custom(format!("the key {key:?} stands here twice")));
                    }
                    entries.push(Entry { key, place: None, node: access.next_value()? });
                }
                Ok(Value::Map(entries).into())
            }
        }

        deserializer.deserialize_any(Nodes)
    }
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        Self { place: None, value }
    }
}
