//! One value of a JSON document, found without keeping the rest.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::super::{Problem, ReadError, Source};
use super::clip;
use super::tree::{Build, State, Tree, deserialize};

/// The single value at an RFC 6901 pointer, if one stands there. Nothing else is kept, whatever the size of the document.
pub(in crate::evidence) fn find(source: &Source<'_>, pointer: &str) -> Result<Option<Tree>, ReadError> {
    let text = source.text()?;
    let state = State { left: Cell::new(usize::MAX), problem: Cell::new(None), limits: source.limits, skipped: &[] };
    let names: Vec<String> = pointer.split('/').skip(1).map(|n| n.replace("~1", "/").replace("~0", "~")).collect();
    deserialize(source, text, &state, Seek { names: &names, state: &state, depth: 0 })
}

/// Passes over a value without keeping it, and still reads all of it: what serde ignores may be no JSON at all.
#[derive(Clone, Copy)]
pub(super) struct Pass<'a> {
    pub(super) state: &'a State<'a>,
    pub(super) depth: usize,
}

macro_rules! passes_over_scalars {
    ($value:ty, $nothing:expr) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON value")
        }

        fn visit_unit<E>(self) -> Result<$value, E> {
            Ok($nothing)
        }

        fn visit_bool<E>(self, _: bool) -> Result<$value, E> {
            Ok($nothing)
        }

        fn visit_u64<E>(self, _: u64) -> Result<$value, E> {
            Ok($nothing)
        }

        fn visit_i64<E>(self, _: i64) -> Result<$value, E> {
            Ok($nothing)
        }

        fn visit_f64<E>(self, _: f64) -> Result<$value, E> {
            Ok($nothing)
        }

        fn visit_str<E>(self, _: &str) -> Result<$value, E> {
            Ok($nothing)
        }
    };
}

impl<'de> DeserializeSeed<'de> for Pass<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Pass<'_> {
    type Value = ();

    passes_over_scalars!((), ());

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let inside = Self { state: self.state, depth: self.state.deeper(self.depth)? };
        while list.next_element_seed(inside)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inside = Self { state: self.state, depth: self.state.deeper(self.depth)? };
        while map.next_key_seed(inside)?.is_some() {
            map.next_value_seed(inside)?;
        }
        Ok(())
    }
}

/// Goes down a path of names and passes over everything beside it.
#[derive(Clone, Copy)]
struct Seek<'a> {
    names: &'a [String],
    state: &'a State<'a>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = Option<Tree>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Tree>, D::Error> {
        if self.names.is_empty() {
            // A list or an object is no single value, but its items must not be kept to find that out.
            let build = Build { state: self.state, depth: self.state.limits.depth };
            return deserializer.deserialize_any(Single(build, Pass { state: self.state, depth: self.depth }));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = Option<Tree>;

    passes_over_scalars!(Option<Tree>, None);

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Option<Tree>, A::Error> {
        let depth = self.state.deeper(self.depth)?;
        let wanted = self.names.first().and_then(|name| name.parse::<usize>().ok());
        let inside = Self { names: self.names.get(1..).unwrap_or_default(), state: self.state, depth };
        let (mut at, mut found) = (0_usize, None);
        loop {
            if Some(at) == wanted {
                let Some(value) = list.next_element_seed(inside)? else { return Ok(found) };
                found = value;
            } else if list.next_element_seed(Pass { state: self.state, depth })?.is_none() {
                return Ok(found);
            }
            at += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Tree>, A::Error> {
        let depth = self.state.deeper(self.depth)?;
        let inside = Self { names: self.names.get(1..).unwrap_or_default(), state: self.state, depth };
        let (mut seen, mut found) = (false, None);
        while let Some(name) = map.next_key::<String>()? {
            if self.names.first() != Some(&name) {
                map.next_value_seed(Pass { state: self.state, depth })?;
                continue;
            }
            if seen {
                let reason = format!("the name {:?} stands twice in one object", clip(&name, 80));
                return Err(self.state.refuse(Problem::Hostile, reason));
            }
            (seen, found) = (true, map.next_value_seed(inside)?);
        }
        Ok(found)
    }
}

/// A value that is no list and no object.
struct Single<'a>(Build<'a>, Pass<'a>);

impl<'de> Visitor<'de> for Single<'_> {
    type Value = Option<Tree>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_unit<E>(self) -> Result<Option<Tree>, E> {
        Ok(None)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Option<Tree>, E> {
        self.0.visit_bool(value).map(Some)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Option<Tree>, E> {
        self.0.visit_u64(value).map(Some)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Option<Tree>, E> {
        self.0.visit_i64(value).map(Some)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Option<Tree>, E> {
        self.0.visit_f64(value).map(Some)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Option<Tree>, E> {
        self.0.visit_str(value).map(Some)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Option<Tree>, A::Error> {
        self.1.visit_seq(list).map(|()| None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<Tree>, A::Error> {
        self.1.visit_map(map).map(|()| None)
    }
}
