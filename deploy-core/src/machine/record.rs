//! A fact with its place and time, as it is written and read.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::event::Event;
use crate::journal::{Envelope, JournalError};
use crate::time::Now;

/// One fact, with its place and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place in the run, from 0.
    pub position: u64,
    /// When, as its writer read the clocks. Never before the record in front of it.
    pub at: Now,
    /// The fact.
    pub event: Event,
}

/// Why a stored record could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A newer build wrote it: the run waits for a host that knows the kind.
    #[error("record {position} is of kind {kind} version {version}, which this build does not know")]
    Unknown {
        /// Where.
        position: u64,
        /// Its kind.
        kind: String,
        /// Its version.
        version: u32,
    },
    /// A known kind whose body does not have its shape: the store is damaged.
    #[error("record {position} is of kind {kind}, and its body cannot be read")]
    Damaged {
        /// Where.
        position: u64,
        /// Its kind.
        kind: String,
        /// The reader's own words.
        source: serde_json::Error,
    },
}

impl Record {
    /// As it goes into the journal.
    ///
    /// # Errors
    ///
    /// Those of the serializer; our own types have none.
    pub fn seal(&self) -> Result<Envelope, serde_json::Error> {
        Ok(Envelope {
            position: self.position,
            at: self.at,
            kind: self.event.kind().to_owned(),
            version: self.event.version(),
            body: self.event.body()?,
        })
    }

    /// The bytes of [`Record::seal`], without an envelope on the way.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "simulation")]
    pub(crate) fn write_to(&self, bytes: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        #[derive(serde::Serialize)]
        struct Written<'a> {
            position: u64,
            at: Now,
            kind: &'static str,
            v: u32,
            #[serde(serialize_with = "Event::write")]
            body: &'a Event,
        }
        let Self { position, at, event } = self;
        let written = Written { position: *position, at: *at, kind: event.kind(), v: event.version(), body: event };
        serde_json::to_writer(bytes, &written)
    }

    /// As it comes from the journal. A known kind is parsed strictly; an unknown one is an error that names it.
    ///
    /// # Errors
    ///
    /// [`RecordError`].
    pub fn open(envelope: &Envelope) -> Result<Self, RecordError> {
        let Envelope { position, at, kind, version, body } = envelope;
        match Event::read(kind, *version, body.get()) {
            Some(Ok(event)) => Ok(Self { position: *position, at: *at, event }),
            Some(Err(source)) => Err(RecordError::Damaged { position: *position, kind: kind.clone(), source }),
            None => Err(RecordError::Unknown { position: *position, kind: kind.clone(), version: *version }),
        }
    }

    /// As it stands in the journal: what [`Envelope::parse`] and [`Record::open`] make of these bytes, in one pass where they are as
    /// [`Envelope::to_bytes`] writes them.
    ///
    /// # Errors
    ///
    /// Theirs.
    pub(crate) fn read<E: From<JournalError> + From<RecordError>>(bytes: &[u8]) -> Result<Self, E> {
        let read = std::str::from_utf8(bytes).ok().and_then(|text| serde_json::from_str::<AsWritten>(text).ok());
        match read {
            Some(AsWritten(record)) => Ok(record),
            None => Ok(Self::open(&Envelope::parse(bytes)?)?),
        }
    }
}

/// A record that is read in one pass: the fields of its envelope, each once, and the body after what says how to read it.
struct AsWritten(Record);

impl<'de> Deserialize<'de> for AsWritten {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields).map(Self)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record as it is written")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
        let position = next(&mut map, "position")?;
        let at = next(&mut map, "at")?;
        let kind: &str = next(&mut map, "kind")?;
        let version = next(&mut map, "v")?;
        key(&mut map, Some("body"))?;
        let event = Event::next(kind, version, &mut map)?.ok_or_else(otherwise)?;
        key(&mut map, None)?;
        Ok(Record { position, at, event })
    }
}

/// The value of the field that comes next, which must be this one.
fn next<'de, A: MapAccess<'de>, T: Deserialize<'de>>(map: &mut A, name: &str) -> Result<T, A::Error> {
    key(map, Some(name))?;
    map.next_value()
}

fn key<'de, A: MapAccess<'de>>(map: &mut A, due: Option<&str>) -> Result<(), A::Error> {
    if map.next_key::<&str>()? == due { Ok(()) } else { Err(otherwise()) }
}

/// Nobody sees it: the record is read in two passes then.
fn otherwise<E: serde::de::Error>() -> E {
    E::custom("it is written otherwise")
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::collections::BTreeSet;

    use super::{AsWritten, Event, Record, RecordError};
    use crate::journal::{Envelope, JournalError};
    use crate::name::{BlockName, TargetName};
    use crate::simulation::{Faults, Simulation};
    use crate::testing::explore::{Judged, ScriptedStrategy};
    use crate::testing::plans;

    #[derive(Debug, thiserror::Error)]
    enum Unread {
        #[error(transparent)]
        Journal(#[from] JournalError),
        #[error(transparent)]
        Record(#[from] RecordError),
    }

    fn in_two_passes(bytes: &[u8]) -> Result<Record, Unread> {
        Ok(Record::open(&Envelope::parse(bytes)?)?)
    }

    /// Of runs in which everything goes wrong that can.
    fn stored() -> Vec<Vec<u8>> {
        let name = BlockName::new("roll").expect("a name");
        let straight_on = ScriptedStrategy::new(name, Judged::Promote);
        let plans = plans::small().expect("fixed names").into_iter().chain(plans::larger().expect("fixed names"));
        let runs = plans.flat_map(|(_, plan)| (0..3).map(move |seed| (std::sync::Arc::clone(&plan), seed)));
        let run = |(plan, seed)| {
            Simulation::new(plan, seed)
                .target(TargetName::new("roll").expect("a name"), plans::before().expect("fixed names"))
                .faults(Faults::of_every_kind())
                .run(&straight_on)
                .expect("it ends")
                .records
        };
        runs.flat_map(run).collect()
    }

    #[test]
    fn one_pass_writes_and_reads_what_two_do() {
        let mut kinds = BTreeSet::new();
        for bytes in stored() {
            let record = in_two_passes(&bytes).expect("a record");
            kinds.insert(record.event.kind());
            assert_eq!(record.seal().expect("it is written").to_bytes(), bytes);
            let mut written = Vec::new();
            record.write_to(&mut written).expect("it is written");
            assert_eq!(written, bytes);
            let text = std::str::from_utf8(&bytes).expect("it is text");
            assert_eq!(serde_json::from_str::<AsWritten>(text).expect("as we write it").0, record);
        }
        assert!(kinds.len() * 2 > Event::KINDS.len(), "{kinds:?}");
    }

    #[test]
    fn a_look_of_version_1_has_its_memory_as_a_text() {
        let mut looks = 0;
        for bytes in stored() {
            let mut value: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
            if value["kind"] != "looked" {
                assert_eq!(value["v"], 1);
                continue;
            }
            looks += 1;
            assert_eq!(value["v"], 2);
            let mut with = |version: u32, memory: serde_json::Value| {
                value["v"] = version.into();
                value["body"]["decision"]["memory"] = memory;
                serde_json::to_vec(&value).expect("it is written")
            };
            let memory = serde_json::json!({ "step": 1 });
            let (before, now) = (with(1, memory.to_string().into()), with(2, memory));
            let read = |bytes: &[u8]| Record::read::<Unread>(bytes).expect("it is read");
            assert_eq!(read(&before), read(&now));
            assert_ne!(read(&now), read(&bytes), "these remember nothing");
        }
        assert!(looks > 0);
    }

    #[test]
    fn what_is_written_otherwise_is_read_or_refused_as_in_two_passes() {
        let written = r#"{"position":4,"at":{"wall":5,"run":6},"kind":"admitted","v":1,"body":{"epoch":7}}"#;
        let otherwise = [
            ("\"kind\":\"admitted\",\"v\":1", "\"v\":1,\"kind\":\"admitted\""),
            ("{\"position\":4,", "{\"more\":[1],\"position\":4,"),
            ("{\"epoch\":7}}", "{\"epoch\":7},\"more\":{}}"),
            ("\"admitted\"", "\"\\u0061dmitted\""),
            ("\"position\"", "\"p\\u006fsition\""),
            (",\"v\"", " , \"v\" "),
            ("\"admitted\"", "\"of_tomorrow\""),
            ("\"v\":1", "\"v\":2"),
            ("{\"epoch\":7}", "{\"epoch\":-7}"),
            ("{\"epoch\":7}", "{\"epoch\":7,\"more\":1}"),
            ("{\"epoch\":7}", "{\"epoch\":7,\"epoch\":7}"),
            ("\"position\":4,", "\"position\":4,\"position\":4,"),
            ("\"position\":4,", ""),
            ("{\"epoch\":7}}", "{\"epoch\":7}}}"),
            ("{\"epoch\":7}}", "{\"epoch\":7}"),
            ("\"admitted\"", "\"\u{e4}\""),
        ];
        for (part, instead) in otherwise {
            assert!(written.contains(part), "{part}");
            let bytes = written.replacen(part, instead, 1).into_bytes();
            for bytes in [&bytes[..], &bytes[..bytes.len() / 2], &[&bytes[..], &[0xff]].concat()] {
                let (read, due) = (Record::read::<Unread>(bytes), in_two_passes(bytes));
                assert_eq!(format!("{read:?}"), format!("{due:?}"), "{}", String::from_utf8_lossy(bytes));
            }
        }
    }
}
