//! What stands in a memory beside what a strategy itself remembers: read together with it in one pass, and written after it.

use std::fmt;
use std::marker::PhantomData;

use deploy_core::strategy::Memory;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, IntoDeserializer as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::exposure::Met;
use crate::lag::{Lag, Others};

/// What stands in a memory beside what the strategy itself remembers, which has no field of these names. `L` is a [`Lag`], or a reference
/// to one.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Beside<L> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lag: Option<L>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) others: Option<Others>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) met: Option<Met>,
}

impl<L> Default for Beside<L> {
    fn default() -> Self {
        Self { lag: None, others: None, met: None }
    }
}

impl Beside<Lag> {
    /// What is remembered beside, and what the strategy itself remembers. Each is a beginning if it is not there or cannot be read.
    pub(crate) fn of<M: DeserializeOwned + Default>(memory: &Memory) -> (Self, M) {
        match memory.read::<Both<M>>() {
            Ok(Some(both)) => (both.beside, both.own),
            Ok(None) => Default::default(),
            // One of the two may still be readable.
            Err(_) => {
                let beside = memory.read().ok().flatten().unwrap_or_default();
                (beside, memory.read().ok().flatten().unwrap_or_default())
            }
        }
    }
}

/// The memory without what stands beside: a decision that hands back the memory it was shown would have it twice.
pub(crate) fn own(memory: &Memory) -> Memory {
    let Ok(Some(mut fields)) = memory.read::<serde_json::Map<String, serde_json::Value>>() else {
        return memory.clone();
    };
    fields.retain(|name, _| !matches!(name.as_str(), "lag" | "others" | "met"));
    Memory::of(&fields).unwrap_or_else(|_| memory.clone())
}

impl<L: Serialize> Beside<L> {
    /// The memory with these in it.
    pub(crate) fn kept_with(&self, memory: &Memory) -> Memory {
        memory.with(self).unwrap_or_else(|_| memory.clone())
    }
}

/// Both, out of one object.
struct Both<M> {
    own: M,
    beside: Beside<Lag>,
}

impl<'de, M: Deserialize<'de>> Deserialize<'de> for Both<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object(PhantomData))
    }
}

struct Object<M>(PhantomData<M>);

impl<'de, M: Deserialize<'de>> Visitor<'de> for Object<M> {
    type Value = Both<M>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Both<M>, A::Error> {
        let mut beside = Beside::default();
        let own = M::deserialize(MapAccessDeserializer::new(Sieve { map, beside: &mut beside }))?;
        Ok(Both { own, beside })
    }
}

/// The fields of an object without those that stand beside, which are kept.
struct Sieve<'a, A> {
    map: A,
    beside: &'a mut Beside<Lag>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Sieve<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let mut seed = seed;
        loop {
            match self.map.next_key_seed(Key(seed))? {
                None => return Ok(None),
                Some(Field::Own(key)) => return Ok(Some(key)),
                Some(Field::Lag(unused)) => {
                    take(&mut self.map, &mut self.beside.lag)?;
                    seed = unused;
                }
                Some(Field::Others(unused)) => {
                    take(&mut self.map, &mut self.beside.others)?;
                    seed = unused;
                }
                Some(Field::Met(unused)) => {
                    take(&mut self.map, &mut self.beside.met)?;
                    seed = unused;
                }
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

/// Takes the value that comes next; a second one of the same name is refused.
fn take<'de, A: MapAccess<'de>, T: Deserialize<'de>>(map: &mut A, into: &mut Option<T>) -> Result<(), A::Error> {
    let value: Option<T> = map.next_value()?;
    if into.is_some() {
        return Err(A::Error::custom("it stands there twice"));
    }
    *into = value;
    Ok(())
}

/// The name of a field: one of the strategy's own, or one beside, with the seed that was not needed.
enum Field<'de, K: DeserializeSeed<'de>> {
    Own(K::Value),
    Lag(K),
    Others(K),
    Met(K),
}

struct Key<K>(K);

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for Key<K> {
    type Value = Field<'de, K>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<'de, K: DeserializeSeed<'de>> Visitor<'de> for Key<K> {
    type Value = Field<'de, K>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(match name {
            "lag" => Field::Lag(self.0),
            "others" => Field::Others(self.0),
            "met" => Field::Met(self.0),
            own => Field::Own(self.0.deserialize(own.into_deserializer())?),
        })
    }
}

#[cfg(test)]
mod tests {
    use deploy_core::strategy::Memory;
    use serde::{Deserialize, Serialize};
    use serde_json::{Value, json};

    use super::Beside;
    use crate::lag::Lag;

    #[derive(Debug, PartialEq, Default, Serialize, Deserialize)]
    struct Own {
        #[serde(default)]
        step: u32,
        #[serde(default)]
        rest: Vec<Value>,
    }

    /// As each reads it alone.
    fn apart(memory: &Memory) -> (Beside<Lag>, Own) {
        (memory.read().ok().flatten().unwrap_or_default(), memory.read().ok().flatten().unwrap_or_default())
    }

    #[test]
    fn one_pass_reads_what_two_would() {
        let met = json!({ "met": 5, "seen": 7 });
        let lag =
            json!({ "asked": { "v2": { "range": [1, 2], "first": 1, "added": 0 } }, "looks": 1, "statements": 1 });
        let others = json!({ "follows": 3, "looks": 0 });
        let read = [
            json!({}),
            json!({ "step": 2, "rest": [{ "met": { "met": 1 }, "lag": "}" }], "met": met }),
            json!({ "lag": lag, "step": 2, "others": others, "rest": [1], "met": met, "unknown": [{}] }),
            json!({ "step": 2, "lag": null, "met": null }),
            // One of the two cannot be read, or neither.
            json!({ "step": "two", "met": met }),
            json!({ "step": 2, "met": "much" }),
            json!({ "step": [], "met": [1] }),
            json!([1, 2]),
            json!("step"),
        ];
        for value in read {
            let memory = Memory::of(&value).expect("it is short");
            assert_eq!(Beside::of::<Own>(&memory), apart(&memory), "{value}");
        }
        let both = Memory::of(&json!({ "step": 2, "met": met })).expect("it is short");
        let (beside, own) = Beside::of::<Own>(&both);
        assert_eq!((beside.met.is_some(), own.step), (true, 2));
        // What stands there twice.
        for more in [json!({ "met": met }), json!({ "lag": lag }), json!({ "others": others })] {
            let twice = both.with(&more).and_then(|once| once.with(&more)).expect("it is short");
            assert_eq!(Beside::of::<Own>(&twice), apart(&twice), "{more}");
        }
        assert_eq!(Beside::of::<Own>(&Memory::empty()), apart(&Memory::empty()));
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let own = Own { step: 3, rest: vec![json!("x")] };
        let beside: Beside<Lag> = serde_json::from_value(json!({ "met": { "seen": 9 } })).expect("it has this shape");
        let memory = beside.kept_with(&Memory::of(&own).expect("it is short"));
        assert_eq!(Beside::of::<Own>(&memory), (beside, own));
    }
}
