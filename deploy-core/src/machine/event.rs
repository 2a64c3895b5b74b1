//! What is recorded as fact.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::command::Try;
use super::input::{Fault, Reported};
use super::state::{Outcome, Park};
use crate::agent::Handle;
use crate::evidence::Receipt;
use crate::journal::{Envelope, JournalError};
use crate::monitor::Measured;
use crate::name::{InputId, RunId};
use crate::operator::OperatorInput;
use crate::plan::{Plan, StepId};
use crate::strategy::{Decision, Promotion};
use crate::target::TargetState;
use crate::time::{Now, RunTime};

/// Version 1 of the rules that [`apply`](super::Machine::apply) follows. A run is driven under the version in its first record.
pub const MACHINE_VERSION: u32 = 1;

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

/// Which steps an event touches: those whose command may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touches {
    /// None.
    None,
    /// One.
    One(StepId),
    /// Any that is open.
    Open,
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $kind:literal { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* } touches $touches:expr;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
        )*

        /// One fact about a run. The kinds and their bodies are for years: a changed body is a new version.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Event { $($(#[$doc])* $name($name),)* }

        $(impl From<$name> for Event {
            fn from(event: $name) -> Self {
                Self::$name(event)
            }
        })*

        impl Event {
            /// Every kind that this build knows.
            pub const KINDS: &'static [&'static str] = &[$($kind,)*];

            /// Its kind, as records write it.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$name(_) => $kind,)* }
            }

            /// The steps whose command may have changed.
            #[must_use]
            pub fn touches(&self) -> Touches {
                match self { $(Self::$name(event) => { let touches: fn(&$name) -> Touches = $touches; touches(event) })* }
            }

            fn body(&self) -> Result<Box<RawValue>, serde_json::Error> {
                match self { $(Self::$name(event) => serde_json::value::to_raw_value(event),)* }
            }

            #[cfg(feature = "simulation")]
            fn write<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self { $(Self::$name(event) => event.serialize(serializer),)* }
            }

            fn read(kind: &str, version: u32, body: &str) -> Option<Result<Self, serde_json::Error>> {
                match (kind, version) {
                    $(($kind, 1) => Some(serde_json::from_str::<$name>(body).map(Self::$name)),)*
                    _ => None,
                }
            }

            /// The value that comes next, as the body of this kind and version; nothing if this build does not know them.
            fn next<'de, A: MapAccess<'de>>(kind: &str, version: u32, map: &mut A) -> Result<Option<Self>, A::Error> {
                match (kind, version) {
                    $(($kind, 1) => map.next_value::<$name>().map(|event| Some(Self::$name(event))),)*
                    _ => Ok(None),
                }
            }
        }
    };
}

/// What follows a failed attempt.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterFailure {
    /// Another attempt.
    Retry {
        /// Its name.
        of: Try,
        /// When.
        due: RunTime,
        /// Whether it spends one of the repeats with the same key.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        repeat: bool,
    },
    /// The step fails.
    Fail,
}

/// What follows a look.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterLook {
    /// The target is changed.
    Apply,
    /// The next look.
    Rest {
        /// When.
        at: RunTime,
    },
    /// People are asked; meanwhile the next look.
    Ask {
        /// When to look.
        at: RunTime,
        /// When nobody is asked any more.
        expires: RunTime,
    },
    /// The rollout is done.
    Complete,
    /// The rollout failed, for the decision's reason.
    Fail,
}

events! {
    /// The first record of a run: pins the plan and the machine version.
    Started = "started" {
        /// The run.
        run: RunId,
        /// The version of the machine's rules.
        machine: u32,
        /// The plan.
        plan: Arc<Plan>,
    } touches |_| Touches::None;

    /// The run got its lock.
    Admitted = "admitted" {
        /// The lock's epoch.
        epoch: u64,
    } touches |_| Touches::Open;

    /// A driver took the run up again.
    Attached = "attached" {
        /// The lock's epoch, if the run holds the lock.
        epoch: Option<u64>,
        /// How long nobody looked.
        #[serde(with = "crate::time::duration_ms")]
        absent: Duration,
    } touches |_| Touches::Open;

    /// A step was started.
    Opened = "opened" {
        /// The step.
        step: StepId,
        /// When it is cancelled, given up, expires or is over, by what it is.
        due: RunTime,
    } touches |e| Touches::One(e.step);

    /// A step that is a mere join was passed.
    Joined = "joined" {
        /// The step.
        step: StepId,
    } touches |e| Touches::One(e.step);

    /// Long work is under way.
    Running = "running" {
        /// The attempt.
        of: Try,
        /// Names the work where it runs.
        handle: Handle,
        /// When to ask about it.
        at: RunTime,
        /// When it is cancelled.
        deadline: RunTime,
    } touches |e| Touches::One(e.of.step);

    /// An attempt is done.
    Completed = "completed" {
        /// The attempt.
        of: Try,
        /// Its report.
        report: Box<Reported>,
        /// Whether it claims something although the step asks for no check: then the claims are verified before the step is done.
        /// Absent in older records, in which such claims were kept and never verified.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        claimed: bool,
    } touches |e| Touches::One(e.of.step);

    /// The mandatory checks of a step are met.
    Verified = "verified" {
        /// The attempt.
        of: Try,
        /// What the verifier found.
        receipts: Vec<Receipt>,
    } touches |e| Touches::One(e.of.step);

    /// A gate opened.
    Passed = "passed" {
        /// The question.
        of: Try,
        /// What was let through, and why.
        conditions: Vec<String>,
    } touches |e| Touches::One(e.of.step);

    /// A gate holds.
    Held = "held" {
        /// The question.
        of: Try,
        /// When to ask again.
        at: RunTime,
        /// What it waits for.
        reason: String,
    } touches |e| Touches::One(e.of.step);

    /// An attempt failed.
    AttemptFailed = "attempt_failed" {
        /// The attempt.
        of: Try,
        /// Why.
        reason: String,
        /// What the verifier found, if that is why.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        receipts: Vec<Receipt>,
        /// What follows.
        then: AfterFailure,
    } touches |e| Touches::One(e.of.step);

    /// Nobody knows what became of an attempt; it is looked up.
    BecameUnsure = "became_unsure" {
        /// The attempt.
        of: Try,
        /// What was last heard.
        reason: String,
        /// When to look it up.
        at: RunTime,
        /// How often the lookup itself has failed.
        asked: u32,
        /// Whether it is unsure because a driver stopped.
        interrupted: bool,
    } touches |e| Touches::One(e.of.step);

    /// An attempt took too long; it is being stopped.
    TimedOut = "timed_out" {
        /// The attempt.
        of: Try,
    } touches |e| Touches::One(e.of.step);

    /// An attempt is made: again after a back-off, or again because an operator said so.
    Retried = "retried" {
        /// The attempt.
        of: Try,
        /// When it is cancelled.
        due: RunTime,
    } touches |e| Touches::One(e.of.step);

    /// A soak is over.
    Soaked = "soaked" {
        /// The soak.
        of: Try,
    } touches |e| Touches::One(e.of.step);

    /// People said yes.
    Granted = "granted" {
        /// The question.
        of: Try,
        /// When to look again, where a rollout asked.
        at: RunTime,
    } touches |e| Touches::One(e.of.step);

    /// A look at a rollout, and what its strategy decided.
    Looked = "looked" {
        /// The look.
        of: Try,
        /// What is there; absent if it is as it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        observed: Option<TargetState>,
        /// What was measured.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        measured: Vec<Measured>,
        /// What was decided.
        decision: Box<Decision>,
        /// How long the decision's stage was observed, in milliseconds.
        observed_ms: u64,
        /// What follows.
        then: AfterLook,
    } touches |e| Touches::One(e.of.step);

    /// A look was not judged, because the run is paused or going another way.
    PutOff = "put_off" {
        /// The look.
        of: Try,
        /// When to look again.
        at: RunTime,
    } touches |e| Touches::One(e.of.step);

    /// A look or a change failed.
    Stumbled = "stumbled" {
        /// The command.
        of: Try,
        /// Why.
        fault: Fault,
        /// How many failed in a row, this one included.
        errors: u32,
        /// When to look again.
        at: RunTime,
    } touches |e| Touches::One(e.of.step);

    /// The target took what is wanted.
    Applied = "applied" {
        /// The command.
        of: Try,
        /// When to look.
        at: RunTime,
    } touches |e| Touches::One(e.of.step);

    /// Somebody else changed the target; what is wanted is put back.
    Drifted = "drifted" {
        /// The look.
        of: Try,
        /// What was found.
        observed: TargetState,
        /// How often it was put back, this time included.
        reasserted: u32,
    } touches |e| Touches::One(e.of.step);

    /// An operator skipped a wait of a rollout.
    Promoted = "promoted" {
        /// The rollout.
        of: Try,
        /// Which.
        promotion: Promotion,
        /// When to look.
        at: RunTime,
    } touches |e| Touches::One(e.of.step);

    /// A step failed.
    StepFailed = "step_failed" {
        /// The step.
        step: StepId,
        /// Why.
        reason: String,
    } touches |e| Touches::One(e.step);

    /// An operator's input was taken.
    Took = "took" {
        /// The input.
        input: OperatorInput,
    } touches |_| Touches::Open;

    /// An operator's input came early and is kept.
    Kept = "kept" {
        /// The input.
        input: OperatorInput,
    } touches |_| Touches::None;

    /// An early input could not be taken after all.
    Dropped = "dropped" {
        /// The input.
        id: InputId,
        /// Why.
        reason: String,
    } touches |_| Touches::None;

    /// The run turns back.
    TurnedBack = "turned_back" {
        /// What it ends as when everything is undone.
        to: Outcome,
        /// Why.
        because: String,
    } touches |_| Touches::Open;

    /// The undo of a step was started.
    UndoOpened = "undo_opened" {
        /// The attempt.
        of: Try,
        /// When it is cancelled.
        due: RunTime,
    } touches |e| Touches::One(e.of.step);

    /// A started step is passed on the way back.
    UndoPassed = "undo_passed" {
        /// The step.
        step: StepId,
        /// Why there is nothing to undo, or no way back.
        reason: String,
        /// Whether something is left standing that a person should know of.
        left_standing: bool,
    } touches |e| Touches::One(e.step);

    /// A step waits for a person to find a way out.
    Parked = "parked" {
        /// The attempt.
        of: Try,
        /// Why.
        why: Park,
    } touches |e| Touches::One(e.of.step);

    /// The run is over.
    Ended = "ended" {
        /// How.
        outcome: Outcome,
        /// Why, in a sentence.
        because: String,
    } touches |_| Touches::Open;
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
            version: 1,
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
        #[derive(Serialize)]
        struct Written<'a> {
            position: u64,
            at: Now,
            kind: &'static str,
            v: u32,
            #[serde(serialize_with = "Event::write")]
            body: &'a Event,
        }
        let Self { position, at, event } = self;
        let written = Written { position: *position, at: *at, kind: event.kind(), v: 1, body: event };
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
    use crate::machine::Strategies;
    use crate::name::{BlockName, TargetName};
    use crate::simulation::{Faults, Simulation};
    use crate::strategy::Strategy;
    use crate::testing::explore::{Judged, ScriptedStrategy};
    use crate::testing::plans;

    struct StraightOn(ScriptedStrategy);

    impl Strategies for StraightOn {
        fn strategy(&self, _name: &BlockName) -> Option<&dyn Strategy> {
            Some(&self.0)
        }
    }

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
        let straight_on = StraightOn(ScriptedStrategy::new(name, Judged::Promote));
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
