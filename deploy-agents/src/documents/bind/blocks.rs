//! The blocks that a document names: declared in it, or of the host.

use std::collections::BTreeMap;
use std::sync::Arc;

use deploy_core::agent::Agent;
use deploy_core::gate::Gate;
use deploy_core::name::BlockName;
use deploy_core::strategy::Strategy;

use super::Binding;
use crate::documents::lines::escaped;
use crate::documents::registry::Maker;
use crate::documents::{Declared, DocumentFault};

impl Binding<'_> {
    pub(super) fn declarations(&mut self) {
        for (name, declared) in &self.document.gates {
            let (at, registry) = (format!("/gates/{}", escaped(name)), self.registry);
            let taken = registry.gates.keys().any(|there| there.as_str() == name);
            if let Some(gate) = self.make(&at, "gate", name, declared, &registry.gate_kinds, taken) {
                self.gates.insert(name, gate);
            }
        }
        for (name, declared) in &self.document.strategies {
            let (at, registry) = (format!("/strategies/{}", escaped(name)), self.registry);
            let taken = registry.strategies.keys().any(|there| there.as_str() == name);
            if let Some(strategy) = self.make(&at, "strategy", name, declared, &registry.strategy_kinds, taken) {
                self.strategies.insert(name, strategy);
            }
        }
    }

    fn make<B: ?Sized>(
        &mut self,
        at: &str,
        what: &'static str,
        name: &str,
        declared: &Declared,
        kinds: &BTreeMap<String, Maker<B>>,
        taken: bool,
    ) -> Option<Arc<B>> {
        if taken {
            self.fault(at, DocumentFault::Taken { what, name: name.to_owned() });
        }
        let Some(make) = kinds.get(&declared.kind) else {
            let known = kinds.keys().map(String::as_str);
            let what = if what == "gate" { "kind of gate" } else { "kind of strategy" };
            self.unbound(&format!("{at}/kind"), what, &declared.kind, known);
            return None;
        };
        let block = BlockName::new(name).map_err(|error| error.to_string());
        match block.and_then(|block| make(block, declared.with.clone())) {
            Ok(made) => Some(made),
            Err(reason) => {
                let (name, kind) = (name.to_owned(), declared.kind.clone());
                self.fault(at, DocumentFault::Refused { what, name, kind, reason });
                None
            }
        }
    }

    pub(super) fn agent(&mut self, at: &str, name: &str) -> Option<Arc<dyn Agent>> {
        let agents = &self.registry.agents;
        let found = BlockName::new(name).ok().and_then(|name| agents.get(&name)).cloned();
        if found.is_none() {
            self.unbound(at, "agent", name, agents.keys().map(BlockName::as_str));
        }
        found
    }

    pub(super) fn gate(&mut self, at: &str, name: &str) -> Option<Arc<dyn Gate>> {
        if self.document.gates.contains_key(name) {
            self.used.insert(format!("/gates/{}", escaped(name)));
            // One that could not be made has been reported where it is declared.
            return self.gates.get(name).cloned();
        }
        let gates = &self.registry.gates;
        let found = BlockName::new(name).ok().and_then(|name| gates.get(&name)).cloned();
        if found.is_none() {
            let known = gates.keys().map(BlockName::as_str).chain(self.document.gates.keys().map(String::as_str));
            self.unbound(at, "gate", name, known);
        }
        found
    }

    pub(super) fn strategy(&mut self, at: &str, name: &str) -> Option<Arc<dyn Strategy>> {
        if self.document.strategies.contains_key(name) {
            self.used.insert(format!("/strategies/{}", escaped(name)));
            return self.strategies.get(name).cloned();
        }
        let strategies = &self.registry.strategies;
        let found = BlockName::new(name).ok().and_then(|name| strategies.get(&name)).cloned();
        if found.is_none() {
            let declared = self.document.strategies.keys().map(String::as_str);
            self.unbound(at, "strategy", name, strategies.keys().map(BlockName::as_str).chain(declared));
        }
        found
    }
}
