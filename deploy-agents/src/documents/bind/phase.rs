//! A phase: who works in it, its gates, its steps, what it promises.

use deploy_core::deliverable::DeliverableKey;
use deploy_core::pipeline::{Phase, PipelineBuilder};

use super::{Added, Binding, is};
use crate::documents::{KeyDocument, PhaseDocument};

impl<'a> Binding<'a> {
    pub(super) fn phase(
        &mut self,
        p: &PipelineBuilder,
        at: &str,
        phase: &'a PhaseDocument,
        added: &mut Vec<Added<'a>>,
    ) {
        let building = p.phase(&phase.name);
        if let Some(lead) = &phase.lead
            && let Some(agent) = self.agent(&format!("{at}/lead"), lead)
        {
            building.lead(agent);
        }
        for (index, name) in phase.supporting.iter().enumerate() {
            if let Some(agent) = self.agent(&format!("{at}/supporting/{index}"), name) {
                building.supporting(agent);
            }
        }
        for (index, name) in phase.entry.iter().enumerate() {
            if let Some(gate) = self.gate(&format!("{at}/entry/{index}"), name) {
                building.entry(gate);
            }
        }
        for (index, name) in phase.exit.iter().enumerate() {
            if let Some(gate) = self.gate(&format!("{at}/exit/{index}"), name) {
                building.exit(gate);
            }
        }
        if let Some(length) = phase.hold_at_most {
            building.hold_at_most(length.span());
        }
        if let Some(kinds) = &phase.only_for {
            building.only_for(kinds.iter().copied());
        }
        let first = added.len();
        for (index, step) in phase.steps.iter().enumerate() {
            let at = format!("{at}/steps/{index}");
            if let Some((handle, card)) = self.step(building, &at, step) {
                added.push(Added { at, phase: &phase.name, step, handle, card });
            }
        }
        self.promises(building, at, phase, &added[first..]);
    }

    fn promises(&mut self, building: Phase<'_>, at: &str, phase: &PhaseDocument, added: &[Added<'_>]) {
        let provided: Vec<&DeliverableKey> =
            added.iter().filter_map(|step| step.card.as_ref()).flat_map(|card| &card.provides).collect();
        // Where a step was not bound, what it provides is not known, and nothing can be said of the promises.
        let whole = added.len() == phase.steps.len();
        for (index, promise) in phase.promises.iter().enumerate() {
            let found = provided.iter().find(|key| is(key, promise));
            if let Some(key) = found {
                building.promises_key((*key).clone());
            } else if whole {
                let at = format!("{at}/promises/{index}");
                self.unbound(&at, "deliverable", &shown(promise), provided.iter().map(|key| key.name.as_str()));
            }
        }
    }
}

fn shown(key: &KeyDocument) -> String {
    key.version.map_or_else(|| key.name.clone(), |version| format!("{} version {version}", key.name))
}
