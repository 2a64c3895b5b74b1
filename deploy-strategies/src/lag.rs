//! What a strategy is shown may be older than its own last statement. Until the place has been seen to take that statement, the
//! strategy is shown the worst that can be there: the newest observation, with its own later statements worked in. What users met
//! of the new revision is counted on the same way, from what was really seen.

use std::collections::{BTreeMap, BTreeSet};

use deploy_core::name::RevisionName;
use deploy_core::strategy::{Decision, Exposure, Memory, Next, Situation};
use deploy_core::target::{DesiredState, RevisionState, TargetState};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::beside::{self, Beside};
use crate::exposure::{Met, share};
use crate::share::part_down;

/// How many looks old an observation may be. After so many without a change of ours, what is seen is believed: then it was
/// somebody else.
const OLDEST: u8 = 3;

/// More than one; how many more makes no difference.
const SEVERAL: u8 = 2;

/// The statements that no observation has shown yet. Nothing is remembered where observations are fresh.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Lag {
    asked: BTreeMap<RevisionName, Asked>,
    /// Looks since the last of these statements.
    looks: u8,
    /// How many statements there are, counted to two.
    statements: u8,
}

/// How many instances of a revision these statements asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    /// The fewest and the most, what was there before them counted.
    range: (u32, u32),
    /// By the first of them.
    first: u32,
    /// How many were added after the first.
    added: u32,
    /// How many were on their way out when the first was made.
    #[serde(default, skip_serializing_if = "is_zero")]
    ending: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// What was really seen, beside the worst that can be there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) seen: &'a TargetState,
    /// What users have met of the new revision before it was proven.
    pub(crate) met: Exposure,
}

/// Decides on what can be relied upon, and remembers what was asked for until it is seen. `proven` says whether what is in place after
/// a decision counts as good. What is decided on is handed what the strategy itself remembers: a beginning if there is nothing, or
/// nothing that can be read.
pub(crate) fn through<M: DeserializeOwned + Default>(
    situation: &Situation<'_>,
    proven: impl FnOnce(&Decision) -> bool,
    decide: impl FnOnce(&Situation<'_>, Known<'_>, M) -> Decision,
) -> Decision {
    let (kept, memory) = Beside::of(situation.memory);
    let mut met = kept.met.unwrap_or_default();
    met.look(situation, share(situation));
    let others = situation.observed.wanted_by_others.map(|wanted| Others::look(kept.others, wanted));
    let follows = others.map(|others| others.follows);
    let lag = kept.lag;
    let seen = situation.wanted.is_none_or(|wanted| taken(situation.observed, wanted));
    let lag = lag.filter(|lag| !came_after(situation) && lag.waits(seen) && !lag.surprised(situation.observed));
    let mut worst = lag.as_ref().zip(situation.wanted).map(|(lag, wanted)| lag.worst(situation, wanted));
    if follows != situation.observed.wanted_by_others {
        worst.get_or_insert_with(|| situation.observed.clone()).wanted_by_others = follows;
    }
    let mut shown = *situation;
    if let Some(worst) = &worst {
        shown.observed = worst;
    }
    let mut decision = decide(&shown, Known { seen: situation.observed, met: met.met }, memory);
    if decision.memory == *situation.memory {
        decision.memory = beside::own(situation.memory);
    }
    let good = proven(&decision);
    met.tell(&mut decision, good);
    if decision.next == Next::RollBack {
        // The run decides about the way back; this statement is not made.
        decision.memory = kept_with(&decision.memory, lag.as_ref(), others, met);
        return decision;
    }
    if let (Some(worst), Some(wanted)) = (&worst, situation.wanted)
        && decision.want.weights == worst.weights
        && worst.weights != situation.observed.weights
    {
        // What stays as it is, is what was asked for last.
        decision.want.weights.clone_from(&wanted.weights);
    }
    let seen = taken(situation.observed, &decision.want);
    let waited = lag.is_some();
    let mut lag = lag.unwrap_or_default();
    lag.looks = lag.looks.saturating_add(1);
    // The engine states again what is new, and what is seen to be otherwise.
    if !seen || situation.wanted.is_some_and(|wanted| !wanted.says_as(&decision.want)) {
        let before = match situation.wanted {
            Some(wanted) if waited => wanted.capacity.clone(),
            _ => situation.observed.as_desired().capacity,
        };
        lag.ask(&before, &decision.want, situation.observed);
        // What is there already cannot be told from what will be there.
        lag.statements = lag.statements.saturating_add(u8::from(seen)).min(SEVERAL);
    }
    let waits = lag.waits(false);
    decision.memory = kept_with(&decision.memory, Some(&lag).filter(|_| waits), others, met);
    decision
}

/// Whether what is shown was seen after the last statement was made, for certain. Where a place counts its changes it refuses what rests
/// on an earlier count; so a later one shows what the statement made of the place, or somebody who came before it.
fn came_after(situation: &Situation<'_>) -> bool {
    let rests_on = situation.wanted.and_then(|wanted| wanted.based_on);
    rests_on.zip(situation.observed.version).is_some_and(|(rests_on, is)| is > rests_on)
}

/// Whether the place has been seen to take a statement: it asks for as many instances, and traffic goes as stated.
fn taken(observed: &TargetState, want: &DesiredState) -> bool {
    observed.routes_as(want) && observed.counts_as(want)
}

fn asked(capacity: &BTreeMap<RevisionName, u32>, name: &RevisionName) -> u32 {
    capacity.get(name).copied().unwrap_or(0)
}

impl Lag {
    fn ask(&mut self, before: &BTreeMap<RevisionName, u32>, want: &DesiredState, observed: &TargetState) {
        for name in before.keys().chain(want.capacity.keys()).collect::<BTreeSet<_>>() {
            let (was, now) = (asked(before, name), want.instances(name));
            let first = if self.statements == 0 { now } else { was };
            let ending = observed.revision(name).terminating;
            let of = self.asked.entry(name.clone()).or_insert(Asked { range: (was, was), first, added: 0, ending });
            of.range = (of.range.0.min(now), of.range.1.max(now));
            if self.statements > 0 {
                of.added = of.added.saturating_add(now.saturating_sub(was));
            }
        }
        self.looks = 0;
        self.statements = self.statements.saturating_add(1).min(SEVERAL);
    }

    /// Whether a statement may still be unseen. What looks like the last of several may be what was there before all of them.
    fn waits(&self, seen: bool) -> bool {
        self.looks < OLDEST && self.statements > 0 && !(seen && self.statements == 1)
    }

    /// Whether a count is seen that nobody here asked for: then it was somebody else, and what is seen is believed. After one
    /// statement there is what was there before it or what it asked for, and nothing in between. And where one is on its way out that was
    /// not before, the statement that asked for fewer has come through: who asks for as many as before is somebody else.
    fn surprised(&self, observed: &TargetState) -> bool {
        self.asked.iter().any(|(name, of)| {
            let (fewest, most) = of.range;
            let is = observed.revision(name).desired;
            let came_through = of.first < most && observed.revision(name).terminating > of.ending;
            let else_asked = (is != fewest && is != most) || (is == most && came_through);
            is < fewest || is > most || (self.statements == 1 && else_asked)
        })
    }

    /// The fewest that can be ready, and the most that can take room.
    fn worst(&self, s: &Situation<'_>, wanted: &DesiredState) -> TargetState {
        let mut state = s.observed.clone();
        let names: BTreeSet<&RevisionName> = s.observed.revisions.keys().chain(self.asked.keys()).collect();
        for name in names {
            let is = s.observed.revision(name);
            let desired = wanted.instances(name);
            let nothing = Asked { range: (desired, desired), first: desired, added: 0, ending: 0 };
            let of = self.asked.get(name).copied().unwrap_or(nothing);
            // What somebody else took away meanwhile is added again.
            let first = of.first.max(desired.saturating_sub(of.added));
            let added = of.added.saturating_add(first.saturating_sub(is.desired));
            let room = is.desired.max(is.ready).saturating_add(is.terminating).saturating_add(added);
            let worst = RevisionState {
                desired,
                ready: is.ready.min(of.range.0).min(desired),
                terminating: room.saturating_sub(desired),
            };
            if worst == RevisionState::default() {
                state.revisions.remove(name);
            } else {
                state.revisions.insert(name.clone(), worst);
            }
        }
        state.weights = between(s, wanted);
        state
    }
}

/// The memory with these in it.
fn kept_with(memory: &Memory, lag: Option<&Lag>, others: Option<Others>, met: Met) -> Memory {
    let met = Some(met).filter(|met| *met != Met::default());
    Beside { lag, others, met }.kept_with(memory)
}

/// How many instances an autoscaler wants, without its flutter: a larger number is followed at once, a smaller one when it
/// has stood for [`STEADY`] looks in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Others {
    follows: u32,
    looks: u8,
}

/// Half a minute where looks come every 10 s: long enough that a rollout's own few more instances do not send the number
/// up and down, short beside the minutes that autoscalers wait themselves.
const STEADY: u8 = 3;

impl Others {
    fn look(before: Option<Self>, wanted: u32) -> Self {
        match before {
            Some(before) if wanted < before.follows && before.looks + 1 < STEADY => {
                Self { looks: before.looks + 1, ..before }
            }
            _ => Self { follows: wanted, looks: 0 },
        }
    }
}

/// Traffic that may be as it was seen or as it was asked for: neither nothing nor everything for whoever has some in either.
fn between(s: &Situation<'_>, wanted: &DesiredState) -> BTreeMap<RevisionName, u32> {
    let (whole, new) = (s.observed.max_weight, &s.release.revision);
    let (was, will) = (s.observed.weight(new), asked(&wanted.weights, new));
    let other = |weights: &BTreeMap<RevisionName, u32>| {
        weights.iter().filter(|(name, _)| *name != new).max_by_key(|(_, weight)| **weight).map(|(name, _)| name.clone())
    };
    let others = other(&s.observed.weights).or_else(|| other(&wanted.weights));
    match others {
        Some(others) if was != will && whole > 1 => {
            let middle = part_down(1, was.saturating_add(will), 2).clamp(1, whole - 1);
            BTreeMap::from([(new.clone(), middle), (others, whole - middle)])
        }
        _ => s.observed.weights.clone(),
    }
}

#[cfg(test)]
mod tests {
    use deploy_core::name::{EnvironmentName, RevisionName, ServiceName};
    use deploy_core::release::Release;
    use deploy_core::strategy::{Memory, Situation};
    use deploy_core::target::{RevisionState, TargetState};
    use deploy_core::time::RunTime;
    use serde::de::IgnoredAny;

    use super::{Beside, Lag, through};

    /// The way back of a first installation hands back the memory that it is shown, look after look.
    #[test]
    fn what_stands_beside_is_remembered_once_however_often_the_same_memory_is_handed_back() {
        let (service, environment) = (ServiceName::new("shop"), EnvironmentName::new("production"));
        let v1 = RevisionName::new("v1").expect("a name");
        let release = Release::new(service.expect("a name"), environment.expect("a name"), v1.clone());
        let leaving = RevisionState { desired: 2, ready: 2, terminating: 0 };
        let there = TargetState {
            revisions: [(v1.clone(), leaving)].into(),
            weights: [(v1, 100)].into(),
            ..TargetState::default()
        };
        let before = TargetState { max_weight: 100, ..TargetState::default() };
        let mut memory = Memory::of(&serde_json::json!({ "step": 2 })).expect("it is short");
        let mut longest = 0;
        for look in 0..20 {
            let mut situation = Situation::first(&release, &there);
            (situation.memory, situation.from, situation.now) = (&memory, &before, RunTime(look * 5_000));
            let decision = through(&situation, |_| false, |s, _, _: IgnoredAny| s.restore());
            let (beside, own) = Beside::<Lag>::of::<serde_json::Value>(&decision.memory);
            assert!(beside.lag.is_some() && beside.met.is_some(), "look {look}: {:?}", decision.memory);
            assert_eq!(own, serde_json::json!({ "step": 2 }), "look {look}");
            longest = longest.max(decision.memory.len());
            memory = decision.memory;
        }
        assert!(longest < 400, "{longest}: {memory:?}");
    }
}
