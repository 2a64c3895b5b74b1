//! A tree as serde reads it, strictly: a map is a map and a list is a list. Serde's own formats let a list stand for a map, and a map
//! for a name.

use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{self, Deserializer, EnumAccess, IntoDeserializer, Unexpected, VariantAccess, Visitor};

use super::node::{Node, Value};

impl Node {
    fn unexpected(&self) -> Unexpected<'_> {
        match &self.value {
            Value::Null => Unexpected::Unit,
            Value::Bool(is) => Unexpected::Bool(*is),
            Value::Whole(number) => match (u64::try_from(*number), i64::try_from(*number)) {
                (Ok(number), _) => Unexpected::Unsigned(number),
                (_, Ok(number)) => Unexpected::Signed(number),
                _ => Unexpected::Other("a number that is too large"),
            },
            Value::Number(number) => Unexpected::Float(*number),
            Value::Text(text) => Unexpected::Str(text),
            Value::List(_) => Unexpected::Seq,
            Value::Map(_) => Unexpected::Map,
        }
    }

    fn unfit(&self, wanted: &str) -> Error {
        de::Error::invalid_type(self.unexpected(), &wanted)
    }
}

impl<'de> IntoDeserializer<'de> for &'de Node {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(is) => visitor.visit_bool(*is),
            Value::Whole(number) => match (u64::try_from(*number), i64::try_from(*number)) {
                (Ok(number), _) => visitor.visit_u64(number),
                (_, Ok(number)) => visitor.visit_i64(number),
                _ => Err(de::Error::invalid_type(self.unexpected(), &visitor)),
            },
            Value::Number(number) => visitor.visit_f64(*number),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::List(list) => {
                let mut access = SeqDeserializer::new(list.iter());
                let read = visitor.visit_seq(&mut access)?;
                access.end().map(|()| read)
            }
            Value::Map(entries) => {
                let mut access = MapDeserializer::new(entries.iter().map(|entry| (entry.key.as_str(), &entry.node)));
                let read = visitor.visit_map(&mut access)?;
                access.end().map(|()| read)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.value == Value::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if matches!(self.value, Value::Map(_)) { self.deserialize_any(visitor) } else { Err(self.unfit("a map")) }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let wanted = || format!("one of {}", variants.join(", "));
        match &self.value {
            Value::Text(text) => visitor.visit_enum(Variant { name: text, inside: None }),
            Value::Map(entries) => match entries.as_slice() {
                [one] => visitor.visit_enum(Variant { name: &one.key, inside: Some(&one.node) }),
                more => Err(de::Error::invalid_length(more.len(), &wanted().as_str())),
            },
            _ => Err(self.unfit(&wanted())),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

/// A choice: a name alone, or a name with something inside.
struct Variant<'de> {
    name: &'de str,
    inside: Option<&'de Node>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: de::DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let name = seed.deserialize(de::value::BorrowedStrDeserializer::<Error>::new(self.name))?;
        Ok((name, self))
    }
}

impl<'de> Variant<'de> {
    fn inside(&self) -> Result<&'de Node, Error> {
        self.inside.ok_or_else(|| {
            de::Error::custom(format!("{} needs what belongs to it, as {{{}: …}}", self.name, self.name))
        })
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.inside {
            None => Ok(()),
            Some(_) => Err(de::Error::custom(format!("{} stands alone", self.name))),
        }
    }

    fn newtype_variant_seed<T: de::DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.inside()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.inside()?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        let inside = self.inside()?;
        if matches!(inside.value, Value::Map(_)) { inside.deserialize_any(visitor) } else { Err(inside.unfit("a map")) }
    }
}
