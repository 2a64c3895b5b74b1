//! Who is who at a target: the new revision, the stable one, and how traffic may be split between them.

use std::collections::BTreeMap;

use deploy_core::name::RevisionName;
use deploy_core::strategy::{Exposure, Situation};
use deploy_core::target::{DesiredState, Experiment, RevisionState, TargetState};

use crate::lag::Known;
use crate::share::part_down;

/// The sides of a rollout, worked out once per decision.
#[derive(Debug)]
pub(crate) struct Field<'a> {
    pub(crate) s: &'a Situation<'a>,
    pub(crate) new: &'a RevisionName,
    /// Who served before: the revision with the most traffic other than the new one; where nothing is routed, the one
    /// with the most instances. Nothing on a first install, and when the new revision serves already.
    pub(crate) stable: Option<&'a RevisionName>,
    /// How many instances the service has when nothing is being rolled out.
    pub(crate) size: u32,
    /// What was really seen, where the situation shows the worst that can be there by now: who is ready for traffic is read
    /// here, since traffic that stays with the dead does more harm than traffic that comes a look too early.
    seen: &'a TargetState,
    /// What users have met of the new revision before it was proven.
    pub(crate) met: Exposure,
    /// The fresh baseline with which analyses compare.
    fresh: Option<RevisionName>,
}

impl<'a> Field<'a> {
    /// `instances` is what the author wrote; otherwise what an autoscaler wants counts, then what was there before.
    pub(crate) fn of(s: &'a Situation<'a>, instances: Option<u32>) -> Self {
        let new = &s.release.revision;
        let stable = stable(s.from, new);
        let before = stable.map_or(0, |name| s.from.revision(name).desired);
        let here = s.from.revision(new).desired;
        let known = instances.or(s.observed.wanted_by_others).unwrap_or(if before > 0 { before } else { here });
        Self { s, new, stable, size: known.max(1), seen: s.observed, met: Exposure::NONE, fresh: None }
    }

    /// The same, with what was really seen.
    pub(crate) fn knowing(self, known: Known<'a>) -> Self {
        Self { seen: known.seen, met: known.met, ..self }
    }

    /// The same for a service of another size.
    pub(crate) fn sized(&self, size: u32) -> Self {
        Self {
            s: self.s,
            new: self.new,
            stable: self.stable,
            size,
            seen: self.seen,
            met: self.met,
            fresh: self.fresh.clone(),
        }
    }

    /// The name of a fresh baseline of the stable side.
    pub(crate) fn fresh_name(&self) -> Option<RevisionName> {
        self.stable.map(Experiment::revision_of)
    }

    /// The same with a fresh baseline, with which analyses compare.
    pub(crate) fn against(&self, fresh: Option<RevisionName>) -> Self {
        Self { fresh, ..self.sized(self.size) }
    }

    /// Whom analyses compare with.
    pub(crate) fn baseline(&self) -> Option<&RevisionName> {
        self.fresh.as_ref().or(self.stable)
    }

    /// The whole that weights are parts of; zero where nothing is routed.
    pub(crate) fn whole(&self) -> u32 {
        self.s.observed.max_weight
    }

    pub(crate) fn new_now(&self) -> RevisionState {
        self.s.observed.revision(self.new)
    }

    pub(crate) fn stable_now(&self) -> RevisionState {
        self.stable.map(|name| self.s.observed.revision(name)).unwrap_or_default()
    }

    /// The weight that the new revision has now.
    pub(crate) fn weight_now(&self) -> u32 {
        self.s.observed.weight(self.new)
    }

    /// How many instances the stable revision has when it carries everything.
    pub(crate) fn stable_size(&self) -> u32 {
        let before = self.stable.map_or(0, |name| self.s.from.revision(name).desired);
        self.s.observed.wanted_by_others.unwrap_or(before).max(1)
    }

    /// The statement with this capacity and these weights; everything else as it is, so that nobody else's work is undone.
    pub(crate) fn statement(
        &self,
        capacity: BTreeMap<RevisionName, u32>,
        weights: BTreeMap<RevisionName, u32>,
    ) -> DesiredState {
        DesiredState { capacity: without_zeros(capacity), weights, ..self.s.observed.as_desired() }
    }

    /// The end of a rollout: the new revision alone.
    pub(crate) fn goal(&self) -> DesiredState {
        let mut weights = BTreeMap::new();
        if self.whole() > 0 {
            weights.insert(self.new.clone(), self.whole());
        }
        self.statement(BTreeMap::from([(self.new.clone(), self.size)]), weights)
    }

    /// The instances that are asked for now, of every revision but the new one.
    pub(crate) fn others_now(&self) -> BTreeMap<RevisionName, u32> {
        let all = self.s.observed.revisions.iter();
        // A fresh baseline is stated apart from the capacity, and goes when it is not stated.
        let fresh = self.fresh_name();
        all.filter(|(name, r)| *name != self.new && Some(*name) != fresh.as_ref() && r.desired > 0)
            .map(|(name, r)| (name.clone(), r.desired))
            .collect()
    }

    /// How many ready instances of it were really seen.
    pub(crate) fn ready_seen(&self, name: &RevisionName) -> u32 {
        self.seen.revision(name).ready
    }

    /// Whether a ready instance of it was really seen.
    pub(crate) fn answers(&self, name: &RevisionName) -> bool {
        self.ready_seen(name) > 0
    }

    /// Splits traffic between the two sides, the new one getting `wished` parts if that can be. Traffic goes only to a side
    /// that has a ready instance, as long as there is one: a side without any gets nothing, and the other one everything.
    /// Where neither has one, what is there stays, since moving traffic would raise it somewhere where nobody answers.
    pub(crate) fn split(&self, wished: u32) -> BTreeMap<RevisionName, u32> {
        let whole = self.whole();
        if whole == 0 {
            return BTreeMap::new();
        }
        let new = match (self.stable.is_some_and(|stable| self.answers(stable)), self.answers(self.new)) {
            (true, true) => wished.min(whole),
            (true, false) => 0,
            (false, true) => whole,
            (false, false) => return self.weights_now(),
        };
        let stable = self.stable.map(|name| (name.clone(), whole - new));
        without_zeros(stable.into_iter().chain([(self.new.clone(), new)]).collect())
    }

    /// The statement with this capacity; where the place routes by weight, in proportion to the ready instances that stay.
    pub(crate) fn shared_out(&self, capacity: BTreeMap<RevisionName, u32>) -> DesiredState {
        let whole = self.whole();
        let stays =
            |name: &RevisionName| self.s.observed.revision(name).ready.min(capacity.get(name).copied().unwrap_or(0));
        let new = stays(self.new);
        let old = self.stable.map_or(0, stays);
        let wished = match (new, old) {
            (0, 0) => self.weight_now(),
            (0, _) => 0,
            (_, 0) => whole,
            _ => part_down(new, whole, new.saturating_add(old)).clamp(1, whole.saturating_sub(1).max(1)),
        };
        let weights = self.split(wished);
        self.statement(capacity, weights)
    }

    /// The weights as they were asked for last; before that as they are, or none if they are not whole.
    fn weights_now(&self) -> BTreeMap<RevisionName, u32> {
        let wanted = self.s.wanted.filter(|wanted| wanted.max_weight == self.whole() && wanted.weights_are_whole());
        let now = || Some(self.seen.as_desired()).filter(DesiredState::weights_are_whole);
        wanted.cloned().or_else(now).map(|statement| statement.weights).unwrap_or_default()
    }

    /// Whether the new revision gets exactly `weight` and nobody but the two sides gets anything.
    pub(crate) fn routed(&self, weight: u32) -> bool {
        self.whole() == 0 || {
            let stable = self.stable.map_or(0, |name| self.s.observed.weight(name));
            let fresh = self.fresh.as_ref().map_or(0, |name| self.s.observed.weight(name));
            self.weight_now() == weight && stable + fresh == self.whole().saturating_sub(weight)
        }
    }
}

/// Who served before, in `from`; see [`Field::stable`].
fn stable<'a>(from: &'a TargetState, new: &RevisionName) -> Option<&'a RevisionName> {
    let first_of_most = |best: Option<(&'a RevisionName, u32)>, (name, amount): (&'a RevisionName, u32)| match best {
        Some((_, most)) if most >= amount => best,
        _ => Some((name, amount)),
    };
    if from.max_weight > 0 {
        let others = from.weights.iter().filter(|(name, w)| *name != new && **w > 0);
        return others.map(|(name, w)| (name, *w)).fold(None, first_of_most).map(|(name, _)| name);
    }
    let others = from.revisions.iter().filter(|(name, r)| *name != new && r.desired > 0);
    others.map(|(name, r)| (name, r.ready.max(r.desired))).fold(None, first_of_most).map(|(name, _)| name)
}

pub(crate) fn without_zeros(mut parts: BTreeMap<RevisionName, u32>) -> BTreeMap<RevisionName, u32> {
    parts.retain(|_, amount| *amount > 0);
    parts
}
