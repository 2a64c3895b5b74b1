//! What waits for what, and where what an agent needs comes from.

use std::collections::{BTreeMap, BTreeSet};

use super::{Assembly, At, Cards, phase_at, phase_kinds, step_at, step_path};
use crate::agent::AgentCard;
use crate::deliverable::DeliverableKey;
use crate::name::BlockName;
use crate::pipeline::draft::{Draft, WorkDraft};
use crate::pipeline::{Fault, Place, StepRef};
use crate::release::ReleaseKind;

impl Assembly {
    /// Puts what was supplied afterwards where it would stand if it had been said with the step.
    pub(super) fn supplies(&mut self, draft: &mut Draft) {
        for (to, key, from) in std::mem::take(&mut draft.supplies) {
            if to.serial != draft.serial {
                self.fault(&At((0, 0), Place::Pipeline), Fault::ForeignHandle { handle: to.to_string() });
                continue;
            }
            let at = step_at(draft, to.index);
            match &mut draft.steps[to.index].work {
                WorkDraft::Task(task) => task.inputs.push((key, from)),
                WorkDraft::Gate { .. } | WorkDraft::Approval(_) | WorkDraft::Soak(_) | WorkDraft::Rollout(_) => {
                    self.fault(&at, Fault::ReadsNothing { name: key.name });
                }
            }
        }
    }

    /// For each step: the steps of its own phase that must be done before it.
    pub(super) fn edges(&mut self, draft: &Draft) -> Vec<BTreeSet<usize>> {
        let mut after = vec![BTreeSet::new(); draft.steps.len()];
        for (index, step) in draft.steps.iter().enumerate() {
            let at = step_at(draft, index);
            let inputs: &[(DeliverableKey, StepRef)] = match &step.work {
                WorkDraft::Task(task) => &task.inputs,
                WorkDraft::Gate { .. } | WorkDraft::Approval(_) | WorkDraft::Soak(_) | WorkDraft::Rollout(_) => &[],
            };
            let mut seen = BTreeSet::new();
            for on in step.after.iter().chain(inputs.iter().map(|(_, from)| from)) {
                if seen.insert(on) {
                    self.edge(draft, &at, index, on, &mut after);
                }
            }
        }
        for (first, then) in &draft.orders {
            if then.serial == draft.serial {
                self.edge(draft, &step_at(draft, then.index), then.index, first, &mut after);
            } else {
                self.fault(&At((0, 0), Place::Pipeline), Fault::ForeignHandle { handle: then.to_string() });
            }
        }
        after
    }

    fn edge(&mut self, draft: &Draft, at: &At, index: usize, on: &StepRef, after: &mut [BTreeSet<usize>]) {
        if on.serial != draft.serial {
            return self.fault(at, Fault::ForeignHandle { handle: on.to_string() });
        }
        let (mine, theirs) = (draft.steps[index].phase, draft.steps[on.index].phase);
        match theirs.cmp(&mine) {
            // Phases are barriers: what an earlier one did is done.
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => {
                after[index].insert(on.index);
            }
            std::cmp::Ordering::Greater => self.fault(at, Fault::LaterPhase { on: on.to_string() }),
        }
    }

    /// For each step: the kinds of release that it is part of.
    pub(super) fn kinds(&mut self, draft: &Draft) -> Vec<BTreeSet<ReleaseKind>> {
        for (index, phase) in draft.phases.iter().enumerate() {
            if phase.only_for.as_ref().is_some_and(BTreeSet::is_empty) {
                self.fault(&phase_at(draft, index), Fault::ForNoKind);
            }
        }
        let mut kinds = Vec::new();
        for (index, step) in draft.steps.iter().enumerate() {
            let phase = phase_kinds(&draft.phases[step.phase]);
            let both = match &step.only_for {
                None => phase,
                Some(own) => own.intersection(&phase).copied().collect(),
            };
            // A phase for no kind has been reported once already.
            let phase_is_well = draft.phases[step.phase].only_for.as_ref().is_none_or(|k| !k.is_empty());
            if both.is_empty() && phase_is_well {
                self.fault(&step_at(draft, index), Fault::ForNoKind);
            }
            kinds.push(both);
        }
        kinds
    }

    /// For each step: where what its agents need comes from.
    pub(super) fn inputs(
        &mut self,
        draft: &Draft,
        cards: &Cards,
        kinds: &[BTreeSet<ReleaseKind>],
    ) -> Vec<BTreeMap<String, usize>> {
        let mut all = Vec::new();
        let providers = providers(draft, cards);
        for (index, step) in draft.steps.iter().enumerate() {
            let mut inputs = BTreeMap::new();
            if let (WorkDraft::Task(task), Some((card, undo))) = (&step.work, &cards[index]) {
                let at = step_at(draft, index);
                let needs: Vec<_> = std::iter::once(card)
                    .chain(undo)
                    .flat_map(|card| card.needs.iter().map(move |key| (&card.name, key)))
                    .collect();
                for (slot, from) in &task.inputs {
                    if from.serial == draft.serial
                        && let Some(from) = self.given(draft, cards, &at, slot, from.index, &needs, card)
                        && inputs.insert(slot.name.clone(), from).is_some()
                    {
                        self.fault(&at, Fault::Duplicate { what: "input", name: slot.name.clone() });
                    }
                }
                for (agent, key) in needs {
                    let given = task.inputs.iter().any(|(slot, _)| slot.name == key.name);
                    if !given
                        && !inputs.contains_key(&key.name)
                        && let Some(from) = self.promised(draft, &providers, &at, step.phase, agent, key)
                    {
                        inputs.insert(key.name.clone(), from);
                    }
                }
                for (name, from) in &inputs {
                    if let Some(kind) = kinds[index].difference(&kinds[*from]).next() {
                        let (name, from) = (name.clone(), step_path(draft, *from));
                        self.fault(&at, Fault::LeftOut { name, from, kind: *kind });
                    }
                }
            }
            all.push(inputs);
        }
        all
    }

    /// An input by handle: does that step hand it over, and does this one read it?
    #[expect(clippy::too_many_arguments, reason = "the facts of one input; a struct would only rename them")]
    fn given(
        &mut self,
        draft: &Draft,
        cards: &Cards,
        at: &At,
        slot: &DeliverableKey,
        from: usize,
        needs: &[(&BlockName, &DeliverableKey)],
        card: &AgentCard,
    ) -> Option<usize> {
        let path = step_path(draft, from);
        let mut provided =
            cards[from].iter().flat_map(|(card, _)| &card.provides).filter(|key| key.name == slot.name).peekable();
        let Some(first) = provided.peek() else {
            self.fault(at, Fault::NotOnCard { name: slot.name.clone(), from: path });
            return None;
        };
        let first = first.version;
        if !provided.any(|key| key.version == slot.version) {
            self.fault(at, Fault::VersionMismatch { needs: slot.clone(), provided: first, from: path });
            return None;
        }
        let mut read = needs.iter().filter(|(_, key)| key.name == slot.name).peekable();
        if read.peek().is_none() {
            self.fault(at, Fault::NotNeeded { name: slot.name.clone(), agent: card.name.clone() });
        }
        for (_, key) in read.filter(|(_, key)| key.version != slot.version) {
            let fault = Fault::VersionMismatch { needs: (*key).clone(), provided: slot.version, from: path.clone() };
            self.fault(at, fault);
        }
        Some(from)
    }

    /// A need without an input: the newest earlier phase that promises it hands it over, if one step of it does.
    fn promised(
        &mut self,
        draft: &Draft,
        providers: &Providers<'_>,
        at: &At,
        phase: usize,
        agent: &BlockName,
        key: &DeliverableKey,
    ) -> Option<usize> {
        let promising = draft.phases[..phase].iter().rposition(|p| p.promises.iter().any(|k| k.name == key.name));
        let Some(promising) = promising else {
            self.fault(at, Fault::NotProvided { agent: agent.clone(), needs: key.clone() });
            return None;
        };
        let name = draft.phases[promising].name.clone();
        let promised = draft.phases[promising].promises.iter().find(|k| k.name == key.name)?;
        if promised.version != key.version {
            let from = format!("phase {name}");
            self.fault(at, Fault::VersionMismatch { needs: key.clone(), provided: promised.version, from });
            return None;
        }
        let providers = providers.get(&(promising, key)).map_or(&[][..], Vec::as_slice);
        match providers {
            // The promise itself has been reported as broken.
            [] => None,
            [one] => Some(*one),
            several => {
                let by = several.iter().map(|s| step_path(draft, *s)).collect();
                self.fault(at, Fault::Ambiguous { needs: key.clone(), phase: name, by });
                None
            }
        }
    }
}

/// The steps of a phase that hand something over.
type Providers<'c> = BTreeMap<(usize, &'c DeliverableKey), Vec<usize>>;

fn providers<'c>(draft: &Draft, cards: &'c Cards) -> Providers<'c> {
    let mut providers = Providers::new();
    for (index, (step, cards)) in draft.steps.iter().zip(cards).enumerate() {
        for key in cards.iter().flat_map(|(card, _)| &card.provides) {
            providers.entry((step.phase, key)).or_default().push(index);
        }
    }
    providers
}
