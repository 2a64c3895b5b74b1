//! A model of a place: instances that become ready after some ticks, die, are scaled by others, and take room while they end.

use std::collections::BTreeMap;

use deploy_core::name::{EnvironmentName, RevisionName, ServiceName};
use deploy_core::release::Release;
use deploy_core::target::{DesiredState, Experiment, RevisionState, TargetState};

pub(crate) fn revision(name: &str) -> RevisionName {
    RevisionName::new(name).unwrap()
}

pub(crate) fn release(name: &str) -> Release {
    Release::new(ServiceName::new("shop").unwrap(), EnvironmentName::new("prod").unwrap(), revision(name))
}

/// A place where `name` serves alone.
pub(crate) fn serving(name: &str, instances: u32) -> TargetState {
    TargetState {
        revisions: BTreeMap::from([(
            revision(name),
            RevisionState { desired: instances, ready: instances, terminating: 0 },
        )]),
        weights: BTreeMap::from([(revision(name), 100)]),
        max_weight: 100,
        ..TargetState::default()
    }
}

/// One revision's instances: how many ticks each one still needs until it is ready; and until it is gone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(crate) struct Instances {
    pub(crate) desired: u32,
    /// Ticks to go; zero is ready. Kept sorted, so that equal places are equal.
    pub(crate) starting: Vec<u32>,
    pub(crate) ending: Vec<u32>,
}

/// A place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) instances: BTreeMap<RevisionName, Instances>,
    pub(crate) state: TargetState,
    /// How many ticks an instance takes to become ready, and to end.
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Revisions whose instances never become ready.
    pub(crate) broken: Vec<RevisionName>,
}

impl Place {
    pub(crate) fn new(state: &TargetState, start: u32, end: u32) -> Self {
        let instances = state
            .revisions
            .iter()
            .map(|(name, r)| {
                (
                    name.clone(),
                    Instances { desired: r.desired, starting: vec![0; r.ready as usize], ending: Vec::new() },
                )
            })
            .collect();
        Self { instances, state: state.clone(), start, end, broken: Vec::new() }
    }

    /// The same place, which counts its changes.
    pub(crate) fn counting(mut self) -> Self {
        self.state.version = Some(0);
        self
    }

    fn changed(&mut self) {
        self.state.version = self.state.version.map(|version| version + 1);
    }

    /// What is there, read back.
    pub(crate) fn observe(&self) -> TargetState {
        let revisions = self
            .instances
            .iter()
            .filter(|(_, i)| i.desired > 0 || !i.starting.is_empty() || !i.ending.is_empty())
            .map(|(name, i)| {
                let ready = i.starting.iter().filter(|ticks| **ticks == 0).count();
                let state = RevisionState {
                    desired: i.desired,
                    ready: u32::try_from(ready).unwrap(),
                    terminating: u32::try_from(i.ending.len()).unwrap(),
                };
                (name.clone(), state)
            })
            .collect();
        TargetState { revisions, ..self.state.clone() }
    }

    /// Takes a statement. Traffic moves at once, instances in time.
    pub(crate) fn apply(&mut self, want: &DesiredState) {
        self.changed();
        let fresh = want.experiment.as_ref().map(Experiment::revision);
        let names: Vec<_> = self.instances.keys().chain(want.capacity.keys()).chain(&fresh).cloned().collect();
        for name in names {
            self.scale(&name, want.instances(&name));
        }
        self.state.weights = want.weights.clone();
        self.state.routes = want.routes.clone();
        self.state.mirror = want.mirror.clone();
        self.state.preview = want.preview.clone();
        self.state.flags = want.flags.clone();
    }

    /// Asks for so many instances of a revision: new ones start, and those that are not ready go first.
    pub(crate) fn scale(&mut self, name: &RevisionName, count: u32) {
        self.changed();
        let (start, end) = (self.start, self.end);
        let broken = self.broken.contains(name);
        let of = self.instances.entry(name.clone()).or_default();
        of.desired = count;
        while of.starting.len() < count as usize {
            of.starting.push(if broken { u32::MAX } else { start });
        }
        of.starting.sort_unstable();
        while of.starting.len() > count as usize {
            of.starting.pop();
            if end > 0 {
                of.ending.push(end);
            }
        }
        of.ending.sort_unstable();
    }

    /// One ready instance dies; another one is started in its place.
    pub(crate) fn kill(&mut self, name: &RevisionName) {
        let start = if self.broken.contains(name) { u32::MAX } else { self.start };
        if let Some(of) = self.instances.get_mut(name)
            && let Some(ticks) = of.starting.first_mut()
            && *ticks == 0
        {
            *ticks = start.max(1);
            of.starting.sort_unstable();
        }
    }

    /// Time goes on by one tick.
    pub(crate) fn tick(&mut self) {
        for of in self.instances.values_mut() {
            for ticks in &mut of.starting {
                if *ticks != u32::MAX {
                    *ticks = ticks.saturating_sub(1);
                }
            }
            for ticks in &mut of.ending {
                *ticks -= 1;
            }
            of.ending.retain(|ticks| *ticks > 0);
        }
        self.instances.retain(|_, i| i.desired > 0 || !i.starting.is_empty() || !i.ending.is_empty());
    }
}
