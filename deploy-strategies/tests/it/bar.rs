//! What is held against every statement of a strategy: the invariants on capacity, traffic and weights, relative to the newest
//! observation that it was shown and to its own later statements.

use std::collections::BTreeSet;

use deploy_core::name::RevisionName;
use deploy_core::release::Release;
use deploy_core::target::{DesiredState, TargetState};

/// The limits.
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    /// The fewest ready instances that our own action may leave.
    pub(crate) least: u32,
    /// The most instances that we may ask for in all.
    pub(crate) most: u32,
    /// Whether instances on their way out count among them when more are asked for.
    pub(crate) with_ending: bool,
}

/// What the strategy knew.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    /// The newest observation.
    pub(crate) observed: &'a TargetState,
    /// What was asked for after it was made, oldest first. Nothing where it is fresh.
    pub(crate) since: &'a [&'a DesiredState],
    /// What was asked for last, seen or not.
    pub(crate) last: Option<&'a DesiredState>,
    pub(crate) from: &'a TargetState,
    pub(crate) release: &'a Release,
}

impl Shown<'_> {
    fn names<'b>(&'b self, want: &'b DesiredState) -> BTreeSet<&'b RevisionName> {
        let since = self.since.iter().flat_map(|want| want.capacity.keys());
        self.observed.revisions.keys().chain(since).chain(want.capacity.keys()).collect()
    }

    fn ready(&self, name: &RevisionName) -> u32 {
        self.observed.revision(name).ready
    }

    /// The ready instances that our own later statements have not taken away.
    fn sure(&self, name: &RevisionName) -> u32 {
        let kept = self.since.iter().map(|want| asked(want, name)).min();
        kept.map_or_else(|| self.ready(name), |kept| kept.min(self.ready(name)))
    }

    fn serves(&self, name: &RevisionName) -> bool {
        let later = self.since.last().is_some_and(|want| want.weights.contains_key(name));
        self.observed.max_weight == 0 || self.observed.weight(name) > 0 || later
    }

    /// What was there or asked for last: asking again for what was asked for last, which somebody else took away meanwhile, is
    /// not asking for more.
    fn last(&self, name: &RevisionName) -> u32 {
        let is = self.observed.revision(name).desired;
        let last = self.last.map_or(is, |want| asked(want, name));
        self.since.last().map_or_else(|| last.max(is), |want| asked(want, name))
    }

    /// The room that a revision can take at most, every instance that was ever asked for since counted, with those on their way
    /// out.
    fn room(&self, name: &RevisionName, want: Option<&DesiredState>) -> u32 {
        let now = self.observed.revision(name);
        let mut room = now.desired.max(now.ready) + now.terminating;
        let mut before = now.desired;
        for want in self.since.iter().copied().chain(want) {
            room += asked(want, name).saturating_sub(before);
            before = asked(want, name);
        }
        room
    }

    /// Whether none of the sides that could carry traffic has a ready instance.
    fn nobody_else(&self, want: &DesiredState, but: &RevisionName) -> bool {
        let sides = want.weights.keys().chain(self.from.weights.keys()).chain([&self.release.revision]);
        sides.into_iter().all(|name| name == but || self.ready(name) == 0)
    }
}

fn asked(want: &DesiredState, name: &RevisionName) -> u32 {
    want.capacity.get(name).copied().unwrap_or(0)
}

impl Bar {
    /// Panics if a statement breaks a promise.
    pub(crate) fn hold(&self, shown: &Shown<'_>, want: &DesiredState, story: &dyn Fn() -> String) {
        self.hold_traffic(shown, want, story);
        self.hold_capacity(shown, want, story);
    }

    /// Weights are whole, and none goes where nobody is ready.
    #[expect(clippy::unused_self, reason = "beside its sibling")]
    pub(crate) fn hold_traffic(&self, shown: &Shown<'_>, want: &DesiredState, story: &dyn Fn() -> String) {
        let observed = shown.observed;
        assert!(want.weights_are_whole(), "I10: weights are not whole: {}", story());
        let sides: BTreeSet<&RevisionName> = shown.from.weights.keys().chain([&shown.release.revision]).collect();
        let alive = sides.iter().any(|name| shown.ready(name) > 0);
        for (name, weight) in &want.weights {
            let last = shown.last.and_then(|last| last.weights.get(name)).copied().unwrap_or(0);
            let raised = *weight > observed.weight(name).max(last);
            assert!(!raised || shown.ready(name) > 0, "I9: raised to {name} without a ready instance: {}", story());
            let bare = alive && shown.ready(name) == 0 && !shown.nobody_else(want, name);
            assert!(!bare, "I9: traffic stays on {name}: {}", story());
        }
    }

    /// Enough serve, and not too many take room.
    pub(crate) fn hold_capacity(&self, shown: &Shown<'_>, want: &DesiredState, story: &dyn Fn() -> String) {
        let names = shown.names(want);
        // What serves keeps as many ready instances as there were, or the declared least.
        let serving = || names.iter().copied().filter(|name| shown.serves(name));
        let kept: u32 = serving().map(|name| shown.sure(name).min(asked(want, name))).sum();
        let before: u32 = serving().map(|name| shown.sure(name)).sum();
        let least = self.least;
        assert!(
            kept >= before.min(least),
            "I8: {kept} of {before} serving are kept, the least is {least}: {}",
            story()
        );
        // Whatever serves or not, the last healthy copy stays.
        let copies: u32 = names.iter().map(|name| shown.sure(name).min(asked(want, name))).sum();
        let alive = names.iter().any(|name| shown.sure(name) > 0);
        assert!(copies > 0 || !alive || least == 0, "I8: the last healthy copy goes: {}", story());
        let all: u32 = names.iter().map(|name| asked(want, name)).sum();
        let there: u32 = names.iter().map(|name| shown.last(name).max(shown.observed.revision(name).desired)).sum();
        let most = self.most;
        assert!(all <= most.max(there), "I8: {all} are asked for, the most is {most}: {}", story());
        if self.with_ending && names.iter().any(|name| asked(want, name) > shown.last(name)) {
            let room: u32 = names.iter().map(|name| shown.room(name, Some(want))).sum();
            assert!(room <= most, "I8: {room} take room when more are asked for, the most is {most}: {}", story());
        }
    }
}
