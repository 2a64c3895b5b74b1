//! What a strategy is handed back.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// What a strategy asks to be shown again: JSON of at most [`Memory::LONGEST`] bytes.
///
/// In a record it stands as what it is, JSON to the byte. A text is read as the JSON in it, as version 1 of `looked` wrote it; so what is
/// no JSON, nothing at all, and JSON that is itself a text are still written as a text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Memory(String);

impl Serialize for Memory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serde_json::from_str::<&RawValue>(&self.0) {
            Ok(json) if json.get().len() == self.0.len() && !self.0.starts_with('"') => json.serialize(serializer),
            _ => serializer.serialize_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Memory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        if json.get().starts_with('"') {
            serde_json::from_str(json.get()).map(Self).map_err(D::Error::custom)
        } else {
            Ok(Self(String::from(Box::<str>::from(json))))
        }
    }
}

/// A memory that could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// It is too long: remember sums, not samples.
    #[error("a strategy wants to remember {0} bytes; at most {max} are kept", max = Memory::LONGEST)]
    TooLong(usize),
    /// It does not have the shape of the type that was asked for, or could not be written.
    #[error("a strategy's memory could not be read or written")]
    Shape(#[from] serde_json::Error),
}

/// Room for so many bytes is made before a memory is written: as long as most are.
const AT_ONCE: usize = 4 * 1024;

impl Memory {
    /// The longest memory, in bytes: it stands in every record of a rollout.
    pub const LONGEST: usize = 16 * 1024;

    /// Nothing to remember.
    #[must_use]
    pub const fn empty() -> Self {
        Self(String::new())
    }

    /// Remembers a value.
    ///
    /// # Errors
    ///
    /// [`MemoryError`] if it cannot be written or is too long.
    pub fn of<T: Serialize>(value: &T) -> Result<Self, MemoryError> {
        let mut json = Vec::with_capacity(AT_ONCE);
        serde_json::to_writer(&mut json, value)?;
        // What is written is text; were it not, it could not be read back.
        Self::kept(String::from_utf8(json).map_err(<serde_json::Error as serde::ser::Error>::custom)?)
    }

    /// The same with the fields of `more` after its own, without reading what is there: each look of a rollout does this. Both must be
    /// written as objects, and have no field of the same name.
    ///
    /// # Errors
    ///
    /// [`MemoryError`] if `more` cannot be written as an object, this is none, or both together are too long.
    pub fn with<T: Serialize>(&self, more: &T) -> Result<Self, MemoryError> {
        let more = serde_json::to_string(more)?;
        let own = if self.0.is_empty() { "{}" } else { self.0.as_str() };
        // A text of JSON that ends so is an object: texts end with a quote.
        let (Some(own), Some(rest)) = (own.strip_suffix('}'), more.strip_prefix('{')) else {
            return Err(MemoryError::Shape(serde::ser::Error::custom("fields are added to an object")));
        };
        let between = if own == "{" || rest == "}" { "" } else { "," };
        let mut both = String::with_capacity(own.len() + between.len() + rest.len());
        for part in [own, between, rest] {
            both.push_str(part);
        }
        Self::kept(both)
    }

    fn kept(json: String) -> Result<Self, MemoryError> {
        if json.len() > Self::LONGEST { Err(MemoryError::TooLong(json.len())) } else { Ok(Self(json)) }
    }

    /// Reads back what was remembered; nothing at the first look.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Shape`] if it was written by something else.
    pub fn read<T: DeserializeOwned>(&self) -> Result<Option<T>, MemoryError> {
        if self.0.is_empty() { Ok(None) } else { Ok(Some(serde_json::from_str(&self.0)?)) }
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Memory, MemoryError};

    fn of(value: &serde_json::Value) -> Memory {
        Memory::of(value).expect("it is short")
    }

    #[test]
    fn it_stands_in_a_record_as_json_and_is_read_from_a_text_as_before() {
        let texts =
            [r#"{"a":"}","b":[1.50]}"#, "[1,2]", "7", "null", "", "\"a\"", " {}", "{} ", "{", "no JSON", "\"\\\"\""];
        let as_json = ["{", "[", "7", "n"];
        for text in texts {
            let memory = Memory(text.to_owned());
            let written = serde_json::to_string(&memory).expect("it is written");
            let plain = serde_json::from_str::<serde_json::Value>(text).is_ok()
                && as_json.iter().any(|b| text.starts_with(b))
                && !text.ends_with(' ');
            assert_eq!(written, if plain { text.to_owned() } else { json!(text).to_string() });
            for stored in [written, json!(text).to_string()] {
                assert_eq!(serde_json::from_str::<Memory>(&stored).expect("it is read"), memory, "{stored}");
            }
            let value = serde_json::to_value(&memory).expect("it is a value");
            let read = serde_json::from_value::<Memory>(value).expect("it is read");
            assert_eq!(read.read::<serde_json::Value>().ok(), memory.read::<serde_json::Value>().ok(), "{text}");
        }
    }

    #[test]
    fn fields_are_added_without_reading_what_is_there() {
        for own in [json!({}), json!({ "a": "}" }), json!({ "a": { "b": [1] } })] {
            for more in [json!({}), json!({ "c": null }), json!({ "c": 1, "d": "{\"a\":" })] {
                let both = of(&own).with(&more).expect("two objects").read::<serde_json::Value>();
                let mut due = own.clone();
                due.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
                assert_eq!(both.expect("JSON"), Some(due));
            }
        }
        let from_nothing = Memory::empty().with(&json!({ "c": 1 })).expect("an object");
        assert_eq!(from_nothing, of(&json!({ "c": 1 })));
        for (own, more) in
            [(json!([1]), json!({})), (json!("}"), json!({})), (json!({}), json!([])), (json!({}), json!("{"))]
        {
            assert!(matches!(of(&own).with(&more), Err(MemoryError::Shape(_))), "{own} {more}");
        }
        let long = json!({ "c": "x".repeat(Memory::LONGEST) });
        assert!(matches!(Memory::empty().with(&long), Err(MemoryError::TooLong(_))));
    }
}
