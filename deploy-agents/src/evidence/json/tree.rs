//! A JSON value under limits.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::super::{Limits, Place, Problem, ReadError, Source};
use super::clip;
use super::seek::Pass;

/// A value. Smaller than `serde_json::Value`, whose maps take 600 bytes for one entry: an input of empty objects would take
/// a hundred times its length in memory.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::evidence) enum Tree {
    Null,
    Flag(bool),
    Whole(u64),
    Negative(i64),
    Real(f64),
    Text(Box<str>),
    List(Box<[Self]>),
    /// Sorted by name.
    Object(Box<[(Box<str>, Self)]>),
}

impl serde::Serialize for Tree {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Whole(number) => serializer.serialize_u64(*number),
            Self::Negative(number) => serializer.serialize_i64(*number),
            Self::Real(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items.iter()),
            Self::Object(entries) => serializer.collect_map(entries.iter().map(|(name, value)| (name, value))),
        }
    }
}

impl Tree {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Flag(_) => "a boolean",
            Self::Whole(_) | Self::Negative(_) | Self::Real(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    pub(in crate::evidence) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(entries) = self else { return None };
        let at = entries.binary_search_by(|(mine, _)| (**mine).cmp(name)).ok()?;
        entries.get(at).map(|(_, value)| value)
    }
}

/// Reads one value, which is the whole of `text`. Places of errors are of `text`.
pub(super) fn parse_text(source: &Source<'_>, text: &str, skipped: &[&str]) -> Result<Tree, ReadError> {
    let state =
        State { left: Cell::new(source.limits.things), problem: Cell::new(None), limits: source.limits, skipped };
    deserialize(source, text, &state, Build { state: &state, depth: 0 })
}

pub(super) fn deserialize<'de, S: DeserializeSeed<'de>>(
    source: &Source<'_>,
    text: &'de str,
    state: &State<'_>,
    seed: S,
) -> Result<S::Value, ReadError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = seed.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| {
        let problem = match state.problem.get() {
            Some(problem) => problem,
            None if error.is_eof() => Problem::Truncated,
            None => Problem::Syntax,
        };
        let place = Place::Text { line: error.line() as u64, column: error.column() as u64 };
        let said = error.to_string();
        // The place stands in the pointer already.
        let reason = said.rsplit_once(" at line ").map_or(said.as_str(), |(reason, _)| reason).to_owned();
        ReadError::new(problem, source.at(place), reason)
    })
}

pub(super) struct State<'a> {
    pub(super) left: Cell<usize>,
    pub(super) problem: Cell<Option<Problem>>,
    pub(super) limits: Limits,
    pub(super) skipped: &'a [&'a str],
}

impl State<'_> {
    pub(super) fn refuse<E: serde::de::Error>(&self, problem: Problem, reason: impl fmt::Display) -> E {
        self.problem.set(Some(problem));
        E::custom(reason)
    }

    pub(super) fn deeper<E: serde::de::Error>(&self, depth: usize) -> Result<usize, E> {
        if depth >= self.limits.depth.min(120) {
            let reason = format!("deeper than {} is not read", self.limits.depth);
            return Err(self.refuse(Problem::TooLarge, reason));
        }
        Ok(depth + 1)
    }

    fn count<E: serde::de::Error>(&self) -> Result<(), E> {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                Err(self.refuse(Problem::TooLarge, format!("more than {} things are not read", self.limits.things)))
            }
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Build<'a> {
    pub(super) state: &'a State<'a>,
    pub(super) depth: usize,
}

impl Build<'_> {
    fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
        Ok(Self { state: self.state, depth: self.state.deeper(self.depth)? })
    }
}

impl<'de> DeserializeSeed<'de> for Build<'_> {
    type Value = Tree;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        self.state.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Build<'_> {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Flag(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Whole(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(u64::try_from(value).map_or(Tree::Negative(value), Tree::Whole))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Real(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Tree, E> {
        Ok(Tree::Text(value.into_boxed_str()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let inside = self.inside()?;
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(inside)? {
            items.push(item);
        }
        Ok(Tree::List(items.into_boxed_slice()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let inside = self.inside()?;
        let mut entries: Vec<(Box<str>, Tree)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let top = self.depth == 0;
            let skipped = |s: &&str| s.strip_prefix('/').map_or(**s == name, |s| top && s == name);
            if self.state.skipped.iter().any(skipped) {
                self.state.count()?;
                map.next_value_seed(Pass { state: self.state, depth: inside.depth })?;
                continue;
            }
            entries.push((name.into_boxed_str(), map.next_value_seed(inside)?));
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        if let Some([twice, _]) = entries.array_windows().find(|[a, b]| a.0 == b.0) {
            // Readers differ in which of the two they take, so a document can be one thing to us and another to them.
            let reason = format!("the name {:?} stands twice in one object", clip(&twice.0, 80));
            return Err(self.state.refuse(Problem::Hostile, reason));
        }
        Ok(Tree::Object(entries.into_boxed_slice()))
    }
}
