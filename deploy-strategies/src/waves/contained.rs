//! A rollout that takes itself back before it fails.

use std::sync::Arc;

use deploy_core::name::BlockName;
use deploy_core::release::Release;
use deploy_core::strategy::{Decision, Memory, Next, Outline, Reason, Situation, Strategy};
use deploy_core::target::{Capabilities, TargetState};
use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A strategy that goes back by itself before its rollout fails, so that the run may go on elsewhere.
///
/// Where the inner strategy decides to roll back, its way back is taken at once; only when that is complete does the rollout fail, for
/// the reason for which it went back. If the whole run goes back later, there is nothing left to do here.
#[derive(Debug, Clone)]
pub struct Contained {
    inner: Arc<dyn Strategy>,
    name: BlockName,
}

/// What is remembered beside what the inner strategy remembers.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Remembered {
    /// Why it goes back, once it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<Reason>,
    #[serde(skip_serializing_if = "Value::is_null")]
    inner: Value,
}

impl Contained {
    /// This strategy, contained. Its name is the inner one's and `-contained`.
    #[must_use]
    pub fn new(inner: Arc<dyn Strategy>) -> Self {
        let name = BlockName::new(format!("{}-contained", inner.name())).unwrap_or_else(|_| inner.name());
        Self { inner, name }
    }

    fn back(&self, situation: &Situation<'_>, because: Reason) -> Decision {
        let decision = self.inner.revert(situation);
        if decision.next == Next::Complete {
            return Decision {
                next: Next::RollBack,
                memory: kept(Some(&because), &decision.memory),
                reason: because,
                ..decision
            };
        }
        let sentence = format!("{}; {}", because.sentence, decision.reason.sentence);
        let reason = Reason { sentence, ..decision.reason };
        Decision { memory: kept(Some(&because), &decision.memory), reason, ..decision }
    }
}

fn read(memory: &Memory) -> (Option<Reason>, Memory) {
    let kept: Remembered = memory.read().ok().flatten().unwrap_or_default();
    let inner = if kept.inner.is_null() { Memory::empty() } else { Memory::of(&kept.inner).unwrap_or_default() };
    (kept.because, inner)
}

fn kept(because: Option<&Reason>, inner: &Memory) -> Memory {
    let inner: Option<Value> = inner.read().ok().flatten();
    let kept = Remembered { because: because.cloned(), inner: inner.unwrap_or_default() };
    Memory::of(&kept).unwrap_or_default()
}

impl Strategy for Contained {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    fn needs(&self) -> Capabilities {
        self.inner.needs()
    }

    fn monitors(&self) -> Vec<BlockName> {
        self.inner.monitors()
    }

    fn objection(&self, release: &Release, wall: Timestamp) -> Option<String> {
        self.inner.objection(release, wall)
    }

    fn outline(&self, release: &Release, from: &TargetState) -> Outline {
        self.inner.outline(release, from)
    }

    fn decide(&self, situation: &Situation<'_>) -> Decision {
        let (because, inner) = read(situation.memory);
        let shown = situation.memory(&inner);
        if let Some(because) = because {
            return self.back(&shown, because);
        }
        let decision = self.inner.decide(&shown);
        if decision.next == Next::RollBack {
            // Its statement is already the first of the way back.
            let judgements = decision.judgements.clone();
            let back = self.back(&shown.memory(&decision.memory), decision.reason);
            return Decision { judgements, exposure: decision.exposure.max(back.exposure), ..back };
        }
        Decision { memory: kept(None, &decision.memory), ..decision }
    }

    fn revert(&self, situation: &Situation<'_>) -> Decision {
        let (because, inner) = read(situation.memory);
        let decision = self.inner.revert(&situation.memory(&inner));
        Decision { memory: kept(because.as_ref(), &decision.memory), ..decision }
    }
}
