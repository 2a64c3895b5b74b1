//! What the journal says about a run that has ended. Nothing is remembered by this process: the records hold all of it.

use std::collections::BTreeMap;
use std::time::Duration;

use deploy_core::driver::RunHandle;
use deploy_core::machine::{AfterLook, Event, Outcome};
use deploy_core::monitor::JudgementResult;
use deploy_core::name::RevisionName;
use deploy_core::plan::StepId;
use deploy_core::strategy::{Next, ReasonCode};
use deploy_core::time::{RunTime, millis};
use futures::StreamExt as _;
use serde::Serialize;

use crate::Failure;

/// How a run went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RunFacts {
    pub(crate) run: String,
    pub(crate) version: String,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) because: String,
    pub(crate) duration_ms: u64,
    pub(crate) records: u64,
    /// How often a new engine took it up.
    pub(crate) taken_up: u32,
    /// How the strategy detected that it is bad, if it did.
    pub(crate) detected: Option<Detected>,
}

/// How a bad version was detected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Detected {
    /// One of the public list of reasons.
    pub(crate) code: String,
    pub(crate) sentence: String,
    /// What would have changed the decision.
    pub(crate) otherwise: String,
    /// Where on the ladder.
    pub(crate) stage: String,
    /// The share of the traffic that it had then, in percent.
    pub(crate) percent: u32,
    /// How long after it got its first traffic.
    pub(crate) after_ms: u64,
    pub(crate) measured: Vec<MeasuredFact>,
}

/// A number that was judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct MeasuredFact {
    pub(crate) metric: String,
    pub(crate) measured: Option<f64>,
    pub(crate) limit: String,
    pub(crate) broken: bool,
}

impl RunFacts {
    /// Reads a run that has ended, from its first record to its last.
    pub(crate) async fn read(handle: &RunHandle) -> Result<Self, Failure> {
        let mut records = std::pin::pin!(handle.events(0));
        let mut facts = Self {
            run: handle.id().to_string(),
            version: String::new(),
            outcome: None,
            because: String::new(),
            duration_ms: 0,
            records: 0,
            taken_up: 0,
            detected: None,
        };
        let (mut exposed, mut seen) = (None::<RunTime>, BTreeMap::<RevisionName, u32>::new());
        let (mut revision, mut stage) = (None, String::new());
        while let Some(record) = records.next().await {
            let record = record?;
            (facts.records, facts.duration_ms) = (record.position + 1, record.at.run.0);
            match record.event {
                Event::Started(started) => {
                    facts.version = started.plan.release.revision.to_string();
                    revision = Some(started.plan.release.revision.clone());
                }
                Event::Attached(attached) => facts.taken_up += u32::from(attached.absent > Duration::ZERO),
                Event::Looked(looked) if !looked.of.undo => {
                    if let Some(observed) = looked.observed {
                        seen = observed.weights;
                    }
                    let percent = revision.as_ref().and_then(|revision| seen.get(revision)).copied().unwrap_or(0);
                    if percent > 0 {
                        exposed.get_or_insert(record.at.run);
                    }
                    if looked.decision.next == Next::RollBack || looked.then == AfterLook::Fail {
                        let decision = looked.decision;
                        facts.detected = Some(Detected {
                            code: decision.reason.code.to_string(),
                            sentence: decision.reason.sentence.clone(),
                            otherwise: decision.reason.otherwise.clone(),
                            // The decision itself is already about the way back.
                            stage: std::mem::take(&mut stage),
                            percent,
                            after_ms: millis(record.at.run.since(exposed.unwrap_or(record.at.run))),
                            measured: decision.judgements.iter().map(MeasuredFact::of).collect(),
                        });
                    } else {
                        stage = looked.decision.stage.name;
                    }
                }
                Event::Ended(ended) => (facts.outcome, facts.because) = (Some(ended.outcome), ended.because),
                _ => {}
            }
        }
        Ok(facts)
    }
}

impl MeasuredFact {
    fn of(judgement: &deploy_core::monitor::Judgement) -> Self {
        Self {
            metric: judgement.metric.to_string(),
            measured: judgement.measured.map(deploy_core::real::Real::get),
            limit: judgement.limit.map(|(how, limit)| format!("{how} {limit}")).unwrap_or_default(),
            broken: judgement.result == JudgementResult::Fail,
        }
    }
}

/// One line about a record that people want to know of; nothing about the others.
pub(crate) fn remark(event: &Event, path: impl Fn(StepId) -> String) -> Option<(&'static str, String)> {
    Some(match event {
        Event::Attached(attached) if attached.absent > Duration::ZERO => (
            "taken_up",
            "an engine took the run up; what was under way is looked up before anything is done again".to_owned(),
        ),
        Event::Verified(verified) => {
            let checks = verified.receipts.iter().map(|receipt| {
                let read: usize = receipt.read.len();
                let met = if receipt.verdict.is_met() { "met" } else { "NOT met" };
                format!("{} is {met}, {read} piece of evidence read again", receipt.check)
            });
            ("verified", format!("{}: {}", path(verified.of.step), checks.collect::<Vec<_>>().join("; ")))
        }
        Event::Looked(looked) if looked.decision.reason.code == ReasonCode::Advanced => {
            ("advanced", format!("{}: on to {}", path(looked.of.step), looked.decision.stage.name))
        }
        Event::Passed(passed) => ("go", format!("{}: go", path(passed.of.step))),
        Event::Held(held) => ("hold", format!("{}: hold, {}", path(held.of.step), held.reason)),
        Event::AttemptFailed(failed) => ("failed", format!("{}: {}", path(failed.of.step), failed.reason)),
        Event::StepFailed(failed) => ("failed", format!("{}: {}", path(failed.step), failed.reason)),
        Event::Stumbled(stumbled) => ("stumbled", format!("{}: {}", path(stumbled.of.step), stumbled.fault.message)),
        Event::Drifted(drifted) => ("drifted", format!("{}: somebody else changed the place", path(drifted.of.step))),
        Event::TurnedBack(turned) => ("turned_back", format!("the run goes back: {}", turned.because)),
        Event::UndoPassed(passed) => ("passed_over", format!("{}: {}", path(passed.step), passed.reason)),
        Event::Parked(parked) => ("parked", format!("{} is parked: {}", path(parked.of.step), parked.why.sentence())),
        Event::Ended(ended) => ("ended", format!("the run {}: {}", ended.outcome, ended.because)),
        _ => return None,
    })
}
