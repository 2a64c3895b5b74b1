//! What a step of a document is.

use std::collections::BTreeSet;
use std::fmt;

use deploy_core::plan::OnFailure;
use deploy_core::release::ReleaseKind;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::{KeyDocument, Length, StepDocument};

/// What a step is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "most steps are tasks, and a document is small")]
pub enum StepWork {
    /// A task for an agent.
    Task(TaskDocument),
    /// A question to a gate.
    Gate(GateDocument),
    /// A question to people.
    Approval(ApprovalDocument),
    /// Observed time that must pass.
    Soak(Length),
    /// A strategy at work on a target.
    Rollout(RolloutDocument),
}

/// A task for an agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskDocument {
    /// The agent.
    pub agent: String,
    /// What it reads, where that is not plain: default what earlier phases promise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<NeedDocument>,
    /// What it hands over, for readers; the agent's card must say so too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provides: Vec<KeyDocument>,
    /// How long one attempt may take. Default `30m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Length>,
    /// How often and when a failed attempt is made again. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryDocument>,
    /// The agent that undoes it. Default: there is nothing to undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<UndoDocument>,
    /// The checks without which it is not done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verify: Vec<VerifyDocument>,
    /// Why there is no way back once it was begun, and what people are asked before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point_of_no_return: Option<NoReturnDocument>,
}

/// What a task reads, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NeedDocument {
    /// The name of the deliverable.
    pub name: String,
    /// Its version. Default: the one on the agent's card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The step that hands it over: its name in this phase, or its path. Default: the phase that promises it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// How a task is undone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UndoDocument {
    /// The agent; it may be the one that did it.
    pub agent: String,
    /// How often and when a failed undo is made again. Default three attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryDocument>,
    /// How long one attempt may take. Default `30m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Length>,
}

/// How often and when a failed attempt is made again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RetryDocument {
    /// How many attempts in all.
    pub attempts: u32,
    /// How long to wait before the second. Default `1s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Length>,
    /// Each further wait is this many times longer, in percent. Default 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth_percent: Option<u32>,
    /// No wait is longer than this. Default `1m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_at_most: Option<Length>,
    /// How much of each wait is left to chance, in percent. Default 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter_percent: Option<u32>,
}

/// A check that a task must pass: in the document its name alone, or with what its evidence must satisfy where that differs
/// from the check's own policy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "super::schema::Verify"))]
pub struct VerifyDocument {
    /// The check.
    pub check: String,
    /// The kind of report that is asked for; `any` for whatever there is.
    pub kind: Option<String>,
    /// The oldest that the evidence may be.
    pub max_age: Option<Length>,
    /// Whether the agent that claims may also be the producer.
    pub self_attested: Option<bool>,
}

/// A point of no return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NoReturnDocument {
    /// Why there is no way back.
    pub reason: String,
    /// What people are asked before.
    pub ask: ApprovalDocument,
}

/// A question to a gate.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GateDocument {
    /// The gate.
    pub name: String,
    /// How long it may hold in all. Default `1d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_at_most: Option<Length>,
    /// How long one answer may take. Default `1m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Length>,
    /// How often and when a gate that could not find out is asked again. Default five attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryDocument>,
}

/// A question to people.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApprovalDocument {
    /// What they are asked, in a sentence.
    pub question: String,
    /// Any one of these roles is enough. Default: anybody whom the host lets through.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<String>,
    /// Any of these people is enough too.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub people: BTreeSet<String>,
    /// How many different people must say yes. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<u32>,
    /// Whether an author of the change or whoever started the run may say yes. Default no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub self_approval: bool,
    /// How long they are asked. Default `1d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<Length>,
}

/// A strategy at work on a target.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RolloutDocument {
    /// The strategy.
    pub strategy: String,
    /// The target.
    pub target: String,
    /// The monitors that the strategy may ask.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub monitors: Vec<String>,
    /// How often to look, at least. Default `10s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observe_every: Option<Length>,
    /// How often in a row a look or a change may fail before the rollout does. Default 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors_at_most: Option<u32>,
    /// How often to put back what somebody else changed before the run parks. Default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reassert_at_most: Option<u32>,
    /// How long it may take in all. Default `1d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Length>,
    /// How long the way back may take before the run parks. Default `1h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_timeout: Option<Length>,
}

/// A step as it stands in a document: one field for each kind of work, of which exactly one is there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "StepDocument")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Step", transform = super::schema::one_kind_of_work))]
pub(super) struct RawStep {
    /// Its name, in its phase. Several parts are joined by `/`.
    name: String,
    /// What it is for, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    about: String,
    /// A task for an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task: Option<TaskDocument>,
    /// A question to a gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gate: Option<GateDocument>,
    /// A question to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approval: Option<ApprovalDocument>,
    /// Observed time that must pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    soak: Option<Length>,
    /// A strategy at work on a target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rollout: Option<RolloutDocument>,
    /// The steps of its phase that must be done before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    after: Vec<String>,
    /// What its failure means: `roll_back` (the default), or `continue` with the reason.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "super::strict::failure")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::strict::Failure>"))]
    on_failure: Option<OnFailure>,
    /// The kinds of release that it is part of. Default: those of its phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<super::schema::Kind>>"))]
    only_for: Option<Vec<ReleaseKind>>,
}

/// A step that is nothing, or several things.
#[derive(Debug, thiserror::Error)]
#[error("step {name} is {is}; give it exactly one of task, gate, approval, soak and rollout")]
pub(super) struct NotOneKind {
    name: String,
    is: String,
}

impl TryFrom<RawStep> for StepDocument {
    type Error = NotOneKind;
    fn try_from(raw: RawStep) -> Result<Self, NotOneKind> {
        let kinds = [
            ("task", raw.task.is_some()),
            ("gate", raw.gate.is_some()),
            ("approval", raw.approval.is_some()),
            ("soak", raw.soak.is_some()),
            ("rollout", raw.rollout.is_some()),
        ];
        let there: Vec<_> = kinds.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
        let task = raw.task.map(StepWork::Task);
        let work = task
            .or_else(|| raw.gate.map(StepWork::Gate))
            .or_else(|| raw.approval.map(StepWork::Approval))
            .or_else(|| raw.soak.map(StepWork::Soak))
            .or_else(|| raw.rollout.map(StepWork::Rollout));
        match work {
            Some(work) if there.len() == 1 => Ok(Self {
                name: raw.name,
                about: raw.about,
                work,
                after: raw.after,
                on_failure: raw.on_failure.unwrap_or(OnFailure::RollBack),
                only_for: raw.only_for,
            }),
            Some(_) => Err(NotOneKind { name: raw.name, is: there.join(" and ") }),
            None => Err(NotOneKind { name: raw.name, is: "no kind of work".to_owned() }),
        }
    }
}

impl From<StepDocument> for RawStep {
    fn from(step: StepDocument) -> Self {
        let mut raw = Self {
            name: step.name,
            about: step.about,
            task: None,
            gate: None,
            approval: None,
            soak: None,
            rollout: None,
            after: step.after,
            on_failure: (step.on_failure != OnFailure::RollBack).then_some(step.on_failure),
            only_for: step.only_for,
        };
        match step.work {
            StepWork::Task(task) => raw.task = Some(task),
            StepWork::Gate(gate) => raw.gate = Some(gate),
            StepWork::Approval(approval) => raw.approval = Some(approval),
            StepWork::Soak(soak) => raw.soak = Some(soak),
            StepWork::Rollout(rollout) => raw.rollout = Some(rollout),
        }
        raw
    }
}

/// The long form of a check that must be passed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "VerifyDocument")]
struct LongVerify {
    check: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_age: Option<Length>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    self_attested: Option<bool>,
}

impl VerifyDocument {
    /// A check under its own policy.
    #[must_use]
    pub fn new(check: impl Into<String>) -> Self {
        Self { check: check.into(), kind: None, max_age: None, self_attested: None }
    }
}

impl Serialize for VerifyDocument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { check, kind, max_age, self_attested } = self.clone();
        if kind.is_none() && max_age.is_none() && self_attested.is_none() {
            return serializer.serialize_str(&check);
        }
        LongVerify { check, kind, max_age, self_attested }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for VerifyDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ShortOrLong;
        impl<'de> Visitor<'de> for ShortOrLong {
            type Value = VerifyDocument;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a check, or `check` with `kind`, `max_age` or `self_attested`")
            }
            fn visit_str<E: de::Error>(self, check: &str) -> Result<VerifyDocument, E> {
                Ok(VerifyDocument::new(check))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<VerifyDocument, A::Error> {
                let LongVerify { check, kind, max_age, self_attested } =
                    LongVerify::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(VerifyDocument { check, kind, max_age, self_attested })
            }
        }
        deserializer.deserialize_any(ShortOrLong)
    }
}
