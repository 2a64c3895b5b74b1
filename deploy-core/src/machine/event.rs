//! What is recorded as fact.

use std::sync::Arc;
use std::time::Duration;

use serde::de::MapAccess;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::command::Try;
use super::input::{Fault, Reported};
use super::state::{Outcome, Park};
use crate::agent::Handle;
use crate::evidence::Receipt;
use crate::monitor::Measured;
use crate::name::{InputId, RunId};
use crate::operator::OperatorInput;
use crate::plan::{Plan, StepId};
use crate::strategy::{Decision, Promotion};
use crate::target::TargetState;
use crate::time::RunTime;

/// Version 1 of the rules that [`apply`](super::Machine::apply) follows. A run is driven under the version in its first record.
pub const MACHINE_VERSION: u32 = 1;

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
    ($($(#[$doc:meta])* $name:ident = $kind:literal $version:literal { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* } touches $touches:expr;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
        )*

        /// One fact about a run. The kinds and their bodies are for years: a changed body is a new version, and the older ones are read.
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

            /// The version of its body, as records write it. Every version from 1 up to this one is read.
            pub(super) fn version(&self) -> u32 {
                match self { $(Self::$name(_) => $version,)* }
            }

            pub(super) fn body(&self) -> Result<Box<RawValue>, serde_json::Error> {
                match self { $(Self::$name(event) => serde_json::value::to_raw_value(event),)* }
            }

            #[cfg(feature = "simulation")]
            pub(super) fn write<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self { $(Self::$name(event) => event.serialize(serializer),)* }
            }

            pub(super) fn read(kind: &str, version: u32, body: &str) -> Option<Result<Self, serde_json::Error>> {
                match (kind, version) {
                    $(($kind, 1..=$version) => Some(serde_json::from_str::<$name>(body).map(Self::$name)),)*
                    _ => None,
                }
            }

            /// The value that comes next, as the body of this kind and version; nothing if this build does not know them.
            pub(super) fn next<'de, A: MapAccess<'de>>(kind: &str, version: u32, map: &mut A) -> Result<Option<Self>, A::Error> {
                match (kind, version) {
                    $(($kind, 1..=$version) => map.next_value::<$name>().map(|event| Some(Self::$name(event))),)*
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
    Started = "started" 1 {
        /// The run.
        run: RunId,
        /// The version of the machine's rules.
        machine: u32,
        /// The plan.
        plan: Arc<Plan>,
    } touches |_| Touches::None;

    /// The run got its lock.
    Admitted = "admitted" 1 {
        /// The lock's epoch.
        epoch: u64,
    } touches |_| Touches::Open;

    /// A driver took the run up again.
    Attached = "attached" 1 {
        /// The lock's epoch, if the run holds the lock.
        epoch: Option<u64>,
        /// How long nobody looked.
        #[serde(with = "crate::time::duration_ms")]
        absent: Duration,
    } touches |_| Touches::Open;

    /// A step was started.
    Opened = "opened" 1 {
        /// The step.
        step: StepId,
        /// When it is cancelled, given up, expires or is over, by what it is.
        due: RunTime,
    } touches |e| Touches::One(e.step);

    /// A step that is a mere join was passed.
    Joined = "joined" 1 {
        /// The step.
        step: StepId,
    } touches |e| Touches::One(e.step);

    /// Long work is under way.
    Running = "running" 1 {
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
    Completed = "completed" 1 {
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
    Verified = "verified" 1 {
        /// The attempt.
        of: Try,
        /// What the verifier found.
        receipts: Vec<Receipt>,
    } touches |e| Touches::One(e.of.step);

    /// A gate opened.
    Passed = "passed" 1 {
        /// The question.
        of: Try,
        /// What was let through, and why.
        conditions: Vec<String>,
    } touches |e| Touches::One(e.of.step);

    /// A gate holds.
    Held = "held" 1 {
        /// The question.
        of: Try,
        /// When to ask again.
        at: RunTime,
        /// What it waits for.
        reason: String,
    } touches |e| Touches::One(e.of.step);

    /// An attempt failed.
    AttemptFailed = "attempt_failed" 1 {
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
    BecameUnsure = "became_unsure" 1 {
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
    TimedOut = "timed_out" 1 {
        /// The attempt.
        of: Try,
    } touches |e| Touches::One(e.of.step);

    /// An attempt is made: again after a back-off, or again because an operator said so.
    Retried = "retried" 1 {
        /// The attempt.
        of: Try,
        /// When it is cancelled.
        due: RunTime,
    } touches |e| Touches::One(e.of.step);

    /// A soak is over.
    Soaked = "soaked" 1 {
        /// The soak.
        of: Try,
    } touches |e| Touches::One(e.of.step);

    /// People said yes.
    Granted = "granted" 1 {
        /// The question.
        of: Try,
        /// When to look again, where a rollout asked.
        at: RunTime,
    } touches |e| Touches::One(e.of.step);

    /// A look at a rollout, and what its strategy decided. In version 1 the decision's memory is a text, since then JSON.
    Looked = "looked" 2 {
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
    PutOff = "put_off" 1 {
        /// The look.
        of: Try,
        /// When to look again.
        at: RunTime,
    } touches |e| Touches::One(e.of.step);

    /// A look or a change failed.
    Stumbled = "stumbled" 1 {
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
    Applied = "applied" 1 {
        /// The command.
        of: Try,
        /// When to look.
        at: RunTime,
    } touches |e| Touches::One(e.of.step);

    /// Somebody else changed the target; what is wanted is put back.
    Drifted = "drifted" 1 {
        /// The look.
        of: Try,
        /// What was found.
        observed: TargetState,
        /// How often it was put back, this time included.
        reasserted: u32,
    } touches |e| Touches::One(e.of.step);

    /// An operator skipped a wait of a rollout.
    Promoted = "promoted" 1 {
        /// The rollout.
        of: Try,
        /// Which.
        promotion: Promotion,
        /// When to look.
        at: RunTime,
    } touches |e| Touches::One(e.of.step);

    /// A step failed.
    StepFailed = "step_failed" 1 {
        /// The step.
        step: StepId,
        /// Why.
        reason: String,
    } touches |e| Touches::One(e.step);

    /// An operator's input was taken.
    Took = "took" 1 {
        /// The input.
        input: OperatorInput,
    } touches |_| Touches::Open;

    /// An operator's input came early and is kept.
    Kept = "kept" 1 {
        /// The input.
        input: OperatorInput,
    } touches |_| Touches::None;

    /// An early input could not be taken after all.
    Dropped = "dropped" 1 {
        /// The input.
        id: InputId,
        /// Why.
        reason: String,
    } touches |_| Touches::None;

    /// The run turns back.
    TurnedBack = "turned_back" 1 {
        /// What it ends as when everything is undone.
        to: Outcome,
        /// Why.
        because: String,
    } touches |_| Touches::Open;

    /// The undo of a step was started.
    UndoOpened = "undo_opened" 1 {
        /// The attempt.
        of: Try,
        /// When it is cancelled.
        due: RunTime,
    } touches |e| Touches::One(e.of.step);

    /// A started step is passed on the way back.
    UndoPassed = "undo_passed" 1 {
        /// The step.
        step: StepId,
        /// Why there is nothing to undo, or no way back.
        reason: String,
        /// Whether something is left standing that a person should know of.
        left_standing: bool,
    } touches |e| Touches::One(e.step);

    /// A step waits for a person to find a way out.
    Parked = "parked" 1 {
        /// The attempt.
        of: Try,
        /// Why.
        why: Park,
    } touches |e| Touches::One(e.of.step);

    /// The run is over.
    Ended = "ended" 1 {
        /// How.
        outcome: Outcome,
        /// Why, in a sentence.
        because: String,
    } touches |_| Touches::Open;
}
