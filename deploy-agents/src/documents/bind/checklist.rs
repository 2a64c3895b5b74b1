//! Checklists: no item that nothing shows.

use std::collections::BTreeMap;

use deploy_core::name::CheckName;

use super::Binding;
use crate::documents::{DocumentFault, ItemDocument, StepWork};

impl Binding<'_> {
    /// Every item must be bound to checks of the host, or to a step at which people are asked.
    pub(super) fn checklists(&mut self) {
        let document = self.document;
        let steps = document.phases.iter().flat_map(|phase| phase.steps.iter().map(move |step| (phase, step)));
        let paths: BTreeMap<String, &StepWork> =
            steps.map(|(phase, step)| (format!("{}/{}", phase.name, step.name), &step.work)).collect();
        for (list, checklist) in document.checklists.iter().enumerate() {
            for (index, item) in checklist.items.iter().enumerate() {
                self.item(&format!("/checklists/{list}/items/{index}"), item, &paths);
            }
        }
    }

    fn item(&mut self, at: &str, item: &ItemDocument, paths: &BTreeMap<String, &StepWork>) {
        if item.checks.is_empty() && item.manual.is_none() {
            self.fault(at, DocumentFault::UnboundItem(item.text.clone()));
        }
        for (index, check) in item.checks.iter().enumerate() {
            let checks = &self.registry.checks;
            if !CheckName::new(check).is_ok_and(|name| checks.contains_key(&name)) {
                let known = checks.keys().map(CheckName::as_str);
                self.unbound(&format!("{at}/checks/{index}"), "check", check, known);
            }
        }
        if let Some(manual) = &item.manual {
            let at = format!("{at}/manual");
            match paths.get(manual) {
                Some(StepWork::Approval(_)) => {}
                Some(_) => self.fault(&at, DocumentFault::NoApproval(manual.clone())),
                None => self.unbound(&at, "step", manual, paths.keys().map(String::as_str)),
            }
        }
    }
}
