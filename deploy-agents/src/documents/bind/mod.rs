//! Binds a document to the blocks of a host, through the builder of pipelines.

mod blocks;
mod checklist;
mod phase;
mod step;
mod wiring;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deploy_core::agent::AgentCard;
use deploy_core::deliverable::DeliverableKey;
use deploy_core::gate::Gate;
use deploy_core::pipeline::{Pipeline, PipelineErrors, Place, StepRef, defaults};
use deploy_core::strategy::Strategy;

use super::document::FORMAT;
use super::lines::escaped;
use super::problem::nearest;
use super::{
    DocumentErrors, DocumentFault, DocumentProblem, KeyDocument, Lines, PipelineDocument, Registry, StepDocument,
};

impl PipelineDocument {
    /// Makes a pipeline of this document and the blocks of a host, through [`Pipeline::builder`] and all its checks.
    ///
    /// # Errors
    ///
    /// [`DocumentErrors`] names everything that cannot be bound, each with its place and the nearest name that is known; or, when
    /// all is bound, everything that the builder refuses.
    pub fn bind(&self, registry: &Registry) -> Result<Pipeline, DocumentErrors> {
        self.bind_at(registry, &Lines::default())
    }

    /// The same, knowing the lines of the text that the document came from.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn bind_at(&self, registry: &Registry, lines: &Lines) -> Result<Pipeline, DocumentErrors> {
        let mut binding = Binding {
            document: self,
            registry,
            lines,
            gates: BTreeMap::new(),
            strategies: BTreeMap::new(),
            used: BTreeSet::new(),
            problems: Vec::new(),
        };
        binding.pipeline()
    }
}

struct Binding<'a> {
    document: &'a PipelineDocument,
    registry: &'a Registry,
    lines: &'a Lines,
    /// Those that the document declares.
    gates: BTreeMap<&'a str, Arc<dyn Gate>>,
    strategies: BTreeMap<&'a str, Arc<dyn Strategy>>,
    /// The pointers of the declarations that something refers to.
    used: BTreeSet<String>,
    problems: Vec<DocumentProblem>,
}

/// A step that was added, and what is still to be said of it when all steps are known.
struct Added<'a> {
    at: String,
    phase: &'a str,
    step: &'a StepDocument,
    handle: StepRef,
    card: Option<AgentCard>,
}

impl<'a> Binding<'a> {
    fn fault(&mut self, at: &str, fault: DocumentFault) {
        self.problems.push(DocumentProblem { line: self.lines.of(at), at: at.to_owned(), fault });
    }

    fn unbound<'n>(&mut self, at: &str, what: &'static str, name: &str, known: impl IntoIterator<Item = &'n str>) {
        let nearest = nearest(name, known);
        self.fault(at, DocumentFault::Unbound { what, name: name.to_owned(), nearest });
    }

    fn errors(&mut self) -> DocumentErrors {
        // Stable, so that what has no line stays in the order of the document.
        self.problems.sort_by_key(|problem| problem.line);
        DocumentErrors { document: self.document.name.clone(), problems: std::mem::take(&mut self.problems) }
    }

    fn pipeline(&mut self) -> Result<Pipeline, DocumentErrors> {
        let document = self.document;
        if document.format != FORMAT {
            self.fault("/format", DocumentFault::Format(document.format));
        }
        self.declarations();
        let p = Pipeline::builder(&document.name);
        p.rollback(document.rollback.clone()).queue(document.queue).in_flight(document.in_flight);
        p.width(document.width.unwrap_or(defaults::WIDTH));
        for check in self.registry.checks.values() {
            p.check(check.clone());
        }
        let mut added = Vec::new();
        for (index, phase) in document.phases.iter().enumerate() {
            self.phase(&p, &format!("/phases/{index}"), phase, &mut added);
        }
        self.wire(&p, &added);
        self.checklists();
        for (section, what, names) in [
            ("gates", "gate", document.gates.keys().collect::<Vec<_>>()),
            ("strategies", "strategy", document.strategies.keys().collect()),
        ] {
            for name in names {
                let at = format!("/{section}/{}", escaped(name));
                if !self.used.contains(&at) {
                    self.fault(&at, DocumentFault::Unused { what, name: name.clone() });
                }
            }
        }
        if !self.problems.is_empty() {
            return Err(self.errors());
        }
        p.build().map_err(|refused| {
            self.builder(refused);
            self.errors()
        })
    }

    fn not_on_card<'k>(
        &mut self,
        at: &str,
        card: &AgentCard,
        verb: &'static str,
        name: &str,
        version: Option<u32>,
        known: impl Iterator<Item = &'k DeliverableKey>,
    ) {
        let nearest = nearest(name, known.map(|key| key.name.as_str()).filter(|known| *known != name));
        let version = version.map_or_else(|| "any".to_owned(), |version| version.to_string());
        let (agent, name) = (card.name.to_string(), name.to_owned());
        self.fault(at, DocumentFault::NotOnCard { agent, verb, name, version, nearest });
    }

    /// What the builder refused, at the places of the document.
    fn builder(&mut self, refused: PipelineErrors) {
        for problem in refused.problems {
            let phases = || self.document.phases.iter().enumerate();
            let at = match &problem.place {
                Place::Pipeline => Some(String::new()),
                Place::Phase(name) => {
                    phases().find(|(_, phase)| phase.name == *name).map(|(index, _)| format!("/phases/{index}"))
                }
                Place::Step(path) => phases().find_map(|(index, phase)| {
                    let named = |step: &StepDocument| format!("{}/{}", phase.name, step.name) == *path;
                    let step = phase.steps.iter().position(named)?;
                    Some(format!("/phases/{index}/steps/{step}"))
                }),
            };
            self.fault(&at.unwrap_or_default(), DocumentFault::Pipeline(problem.fault));
        }
    }
}

/// How documents write that a check takes evidence of any kind.
pub(in crate::documents) const ANY: &str = "any";

fn is(key: &DeliverableKey, wanted: &KeyDocument) -> bool {
    key.name == wanted.name && wanted.version.is_none_or(|version| version == key.version)
}
