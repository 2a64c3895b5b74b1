//! Checks each phase: its name, its gates, its promises, the order of its steps.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Assembly, At, Cards, phase_at, phase_kinds, step_at, step_path};
use crate::gate::{AllOf, Gate};
use crate::name::{BlockName, PhaseName};
use crate::pipeline::draft::{Draft, PhaseDraft};
use crate::pipeline::{Fault, PhaseGate, PhaseSpec, Promise, order};
use crate::plan::StepPath;
use crate::release::ReleaseKind;

impl Assembly {
    pub(super) fn phases(
        &mut self,
        draft: &mut Draft,
        cards: &Cards,
        after: &[BTreeSet<usize>],
        kinds: &[BTreeSet<ReleaseKind>],
    ) -> Option<Vec<PhaseSpec>> {
        let mut names = BTreeSet::new();
        let mut specs = Vec::new();
        let mut members = vec![Vec::new(); draft.phases.len()];
        for (index, step) in draft.steps.iter().enumerate() {
            members[step.phase].push(index);
        }
        for (index, members) in members.into_iter().enumerate() {
            let at = phase_at(draft, index);
            let text = draft.phases[index].name.clone();
            let name = self.named(&at, PhaseName::new(&text));
            if !names.insert(text.clone()) {
                self.fault(&at, Fault::Duplicate { what: "phase", name: text.clone() });
            }
            if members.is_empty() {
                self.fault(&at, Fault::EmptyPhase);
            }
            let (order, cycles) = order::topological(&members, after);
            for cycle in cycles {
                let through = cycle.iter().chain(cycle.first()).map(|s| step_path(draft, *s)).collect();
                self.fault(&step_at(draft, cycle[0]), Fault::Cycle { through });
            }
            let promises = self.promises(&at, &draft.phases[index], &order, cards);
            let phase = &mut draft.phases[index];
            let hold = self.span(&at, "longest hold", phase.hold_at_most);
            let (entry, exit) = (std::mem::take(&mut phase.entry), std::mem::take(&mut phase.exit));
            let entry = self.phase_gate(&at, &text, "entry", "all phases before it have ended", entry, hold);
            let exit = self.phase_gate(&at, &text, "exit", "all its steps are done", exit, hold);
            let phase = &draft.phases[index];
            let mut people = phase.lead.iter().chain(&phase.supporting).map(|agent| {
                let card = agent.card();
                self.agent(&at, agent, &card);
                card.name
            });
            let lead = phase.lead.as_ref().and_then(|_| people.next());
            let supporting = people.collect();
            // A phase is there when the host did not limit it; its steps alone say what of it is left.
            let kinds = match &phase.only_for {
                Some(_) => phase_kinds(phase),
                None if gateless(&entry, &exit) => members.iter().flat_map(|s| &kinds[*s]).copied().collect(),
                None => ReleaseKind::ALL.into(),
            };
            specs.push((|| {
                let (entry, exit) = (entry?, exit?);
                Some(PhaseSpec { name: name?, lead, supporting, promises, entry, exit, kinds, steps: order })
            })());
        }
        specs.into_iter().collect()
    }

    fn promises(&mut self, at: &At, phase: &PhaseDraft, members: &[usize], cards: &Cards) -> Vec<Promise> {
        let mut promises: Vec<Promise> = Vec::new();
        for key in &phase.promises {
            if promises.iter().any(|p| p.key.name == key.name) {
                self.fault(at, Fault::Duplicate { what: "promise", name: key.name.clone() });
                continue;
            }
            let provide = |s: &&usize| cards[**s].as_ref().is_some_and(|(card, _)| card.provides.contains(key));
            let providers: Vec<_> = members.iter().filter(provide).copied().collect();
            if providers.is_empty() {
                self.fault(at, Fault::BrokenPromise { key: key.clone() });
            }
            promises.push(Promise { key: key.clone(), providers });
        }
        promises
    }

    fn phase_gate(
        &mut self,
        at: &At,
        phase: &str,
        which: &str,
        otherwise: &str,
        gates: Vec<Arc<dyn Gate>>,
        hold_at_most: Duration,
    ) -> Option<PhaseGate> {
        let path = StepPath::new(format!("{phase}/{which}")).ok();
        let parts = gates.clone();
        let (gate, criterion) = match gates.as_slice() {
            [] => (None, otherwise.to_owned()),
            [one] => {
                let (name, criterion) = self.gate(at, one);
                (Some(name), criterion)
            }
            several => {
                // One by one, so that each part answers for itself and every flaw is told.
                for gate in several {
                    self.sound(at, gate, &gate.criterion());
                }
                let name = self.named(at, BlockName::new(format!("{phase}:{which}")))?;
                let all: Arc<dyn Gate> = Arc::new(AllOf::new(name.clone(), gates));
                let criterion = all.criterion();
                let added = self.blocks.add_gate(&all, &criterion);
                self.block(at, "blocks", name.as_str(), added);
                (Some(name), criterion)
            }
        };
        Some(PhaseGate { path: path?, parts, gate, criterion, hold_at_most })
    }
}

fn gateless(entry: &Option<PhaseGate>, exit: &Option<PhaseGate>) -> bool {
    [entry, exit].into_iter().flatten().all(|g| g.gate.is_none())
}
