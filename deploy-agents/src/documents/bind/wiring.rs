//! What waits for what, and who reads from whom.

use std::collections::{BTreeMap, BTreeSet};

use deploy_core::pipeline::{PipelineBuilder, StepRef};

use super::{Added, Binding, is};
use crate::documents::{KeyDocument, StepWork};

impl<'a> Binding<'a> {
    /// Says what waits for what and who reads from whom, now that every step is known.
    pub(super) fn wire(&mut self, p: &PipelineBuilder, added: &[Added<'a>]) {
        let there: BTreeMap<String, &StepRef> =
            added.iter().map(|step| (step.handle.to_string(), &step.handle)).collect();
        let known: BTreeSet<String> = self
            .document
            .phases
            .iter()
            .flat_map(|phase| phase.steps.iter().map(|step| format!("{}/{}", phase.name, step.name)))
            .collect();
        for to in added {
            for (index, on) in to.step.after.iter().enumerate() {
                if let Some(on) = self.find(&format!("{}/after/{index}", to.at), to.phase, on, &there, &known) {
                    p.order(on, &to.handle);
                }
            }
            let (StepWork::Task(task), Some(card)) = (&to.step.work, &to.card) else { continue };
            // What the undo needs is given with the task's own inputs.
            let undo =
                task.undo.as_ref().and_then(|undo| self.registry.find_agent(&undo.agent)).map(|agent| agent.card());
            for (index, need) in task.needs.iter().enumerate() {
                let at = format!("{}/task/needs/{index}", to.at);
                let wanted = KeyDocument { name: need.name.clone(), version: need.version };
                let needs = || card.needs.iter().chain(undo.iter().flat_map(|card| &card.needs));
                let Some(key) = needs().find(|key| is(key, &wanted)) else {
                    self.not_on_card(&at, card, "need", &need.name, need.version, needs());
                    continue;
                };
                if let Some(from) = &need.from
                    && let Some(from) = self.find(&format!("{at}/from"), to.phase, from, &there, &known)
                {
                    p.supply(&to.handle, key.clone(), from);
                }
            }
        }
    }

    /// The step that a text means: one of the same phase by its name, or any by its path.
    fn find<'s>(
        &mut self,
        at: &str,
        phase: &str,
        text: &str,
        there: &BTreeMap<String, &'s StepRef>,
        known: &BTreeSet<String>,
    ) -> Option<&'s StepRef> {
        let here = format!("{phase}/{text}");
        let found = there.get(&here).or_else(|| there.get(text));
        // A step that is in the document and was not bound has been reported already.
        if found.is_none() && !known.contains(&here) && !known.contains(text) {
            let local = known.iter().filter_map(|path| path.strip_prefix(phase)?.strip_prefix('/'));
            let names = local.chain(known.iter().map(String::as_str));
            self.unbound(at, "step", text, names);
        }
        found.copied()
    }
}
