//! Documents in YAML.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::document::FORMATS;
use super::lines::escaped;
use super::read::{Head, sized, unreadable, upgraded};
use super::{DocumentErrors, Lines, Loaded, PipelineDocument};
use crate::upgrade::Formats;

impl Loaded {
    /// Reads a YAML text; JSON is YAML too. Aliases are followed within the limits of the reader; names that stand twice in one
    /// mapping are refused.
    ///
    /// # Errors
    ///
    /// [`DocumentErrors`] if it is no YAML or not a pipeline, with the line.
    pub fn yaml(text: &str) -> Result<Self, DocumentErrors> {
        Self::yaml_of(text, FORMATS)
    }

    pub(super) fn yaml_of(text: &str, formats: Formats) -> Result<Self, DocumentErrors> {
        sized(text)?;
        let head = read::<Head>(text).ok();
        let document = match head.is_some_and(|head| formats.is_earlier(head.format)) {
            true => upgraded(formats, read(text)?)?,
            false => read(text)?,
        };
        let mut lines = Lines::default();
        read::<Spanned<Shape>>(text)?.value.note("", 1, &mut lines);
        Ok(Self { document, lines })
    }
}

impl PipelineDocument {
    /// This document as YAML.
    ///
    /// # Errors
    ///
    /// The parameters of a declared block hold what YAML cannot.
    pub fn to_yaml(&self) -> Result<String, serde_saphyr::ser::Error> {
        serde_saphyr::to_string(self)
    }
}

fn read<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, DocumentErrors> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().and_then(|location| u32::try_from(location.line()).ok());
        // The place is said by the problem itself.
        let message = error.without_snippet().to_string();
        let message = message.lines().next().unwrap_or_default();
        unreadable(line, message.split(" at line ").next().unwrap_or(message).to_owned())
    })
}

/// A YAML document of which only the places are kept.
enum Shape {
    Leaf,
    List(Vec<Spanned<Self>>),
    Map(Vec<(String, Spanned<Self>)>),
}

impl Shape {
    fn note(self, at: &str, line: u32, lines: &mut Lines) {
        lines.set(at, line);
        let line_of = |value: &Spanned<Self>| u32::try_from(value.referenced.line()).unwrap_or(line);
        match self {
            Self::Leaf => {}
            Self::List(items) => {
                for (index, item) in items.into_iter().enumerate() {
                    let line = line_of(&item);
                    item.value.note(&format!("{at}/{index}"), line, lines);
                }
            }
            Self::Map(members) => {
                for (name, value) in members {
                    let line = line_of(&value);
                    value.value.note(&format!("{at}/{}", escaped(&name)), line, lines);
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visit)
    }
}

struct Visit;

impl<'de> Visitor<'de> for Visit {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Leaf)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Leaf)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Leaf)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Leaf)
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Leaf)
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Leaf)
    }

    fn visit_none<E>(self) -> Result<Shape, E> {
        Ok(Shape::Leaf)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Shape, D::Error> {
        Shape::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Shape::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Shape::Map(members))
    }
}
