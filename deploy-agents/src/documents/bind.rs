//! Binds a document to the blocks of a host, through the builder of pipelines.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deploy_core::agent::{Agent, AgentCard};
use deploy_core::deliverable::DeliverableKey;
use deploy_core::evidence::Verification;
use deploy_core::gate::Gate;
use deploy_core::name::{BlockName, CheckName, TargetName};
use deploy_core::operator::ApprovalRequest;
use deploy_core::pipeline::{Phase, Pipeline, PipelineBuilder, PipelineErrors, Place, StepBuilder, StepRef, defaults};
use deploy_core::plan::RetryPolicy;
use deploy_core::strategy::Strategy;

use super::document::FORMAT;
use super::lines::escaped;
use super::problem::nearest;
use super::{
    ApprovalDocument, Declared, DocumentErrors, DocumentFault, DocumentProblem, ItemDocument, KeyDocument, Length,
    Lines, PhaseDocument, PipelineDocument, Registry, RetryDocument, RolloutDocument, StepDocument, StepWork,
    TaskDocument, VerifyDocument,
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

    fn declarations(&mut self) {
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
        kinds: &BTreeMap<String, super::registry::Maker<B>>,
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

    fn agent(&mut self, at: &str, name: &str) -> Option<Arc<dyn Agent>> {
        let agents = &self.registry.agents;
        let found = BlockName::new(name).ok().and_then(|name| agents.get(&name)).cloned();
        if found.is_none() {
            self.unbound(at, "agent", name, agents.keys().map(BlockName::as_str));
        }
        found
    }

    fn gate(&mut self, at: &str, name: &str) -> Option<Arc<dyn Gate>> {
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

    fn strategy(&mut self, at: &str, name: &str) -> Option<Arc<dyn Strategy>> {
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

    fn phase(&mut self, p: &PipelineBuilder, at: &str, phase: &'a PhaseDocument, added: &mut Vec<Added<'a>>) {
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

    /// Adds a step, as far as it can be bound by itself.
    fn step(&mut self, phase: Phase<'_>, at: &str, step: &StepDocument) -> Option<(StepRef, Option<AgentCard>)> {
        let name = &step.name;
        match &step.work {
            StepWork::Task(task) => {
                let (built, card) = self.task(phase, &format!("{at}/task"), name, task)?;
                Some((finish(built, step), Some(card)))
            }
            StepWork::Gate(gate) => {
                let block = self.gate(&format!("{at}/gate/name"), &gate.name)?;
                let mut built = phase.gate(name, block);
                if let Some(length) = gate.hold_at_most {
                    built = built.hold_at_most(length.span());
                }
                if let Some(length) = gate.timeout {
                    built = built.timeout(length.span());
                }
                if let Some(retry) = &gate.retry {
                    built = built.retry(retry.policy());
                }
                Some((finish(built, step), None))
            }
            StepWork::Approval(approval) => Some((finish(phase.approval(name, approval.request()), step), None)),
            StepWork::Soak(length) => Some((finish(phase.soak(name, length.span()), step), None)),
            StepWork::Rollout(rollout) => self.rollout(phase, at, step, rollout).map(|handle| (handle, None)),
        }
    }

    fn task<'p>(
        &mut self,
        phase: Phase<'p>,
        at: &str,
        name: &str,
        task: &TaskDocument,
    ) -> Option<(StepBuilder<'p, deploy_core::pipeline::Task>, AgentCard)> {
        let agent = self.agent(&format!("{at}/agent"), &task.agent);
        let undo = task.undo.as_ref().map(|undo| (undo, self.agent(&format!("{at}/undo/agent"), &undo.agent)));
        let mut wanted = Vec::new();
        for (index, verify) in task.verify.iter().enumerate() {
            wanted.extend(self.verification(&format!("{at}/verify/{index}"), verify));
        }
        let agent = agent?;
        let card = agent.card();
        for (index, key) in task.provides.iter().enumerate() {
            if !card.provides.iter().any(|there| is(there, key)) {
                let provides = card.provides.iter();
                self.not_on_card(&format!("{at}/provides/{index}"), &card, "provide", &key.name, key.version, provides);
            }
        }
        let mut built = phase.task(name, agent);
        if let Some(length) = task.timeout {
            built = built.timeout(length.span());
        }
        if let Some(retry) = &task.retry {
            built = built.retry(retry.policy());
        }
        match undo {
            Some((_, None)) => return None,
            Some((undo, Some(agent))) => {
                built = built.undo(agent);
                if let Some(retry) = &undo.retry {
                    built = built.undo_retry(retry.policy());
                }
                if let Some(length) = undo.timeout {
                    built = built.undo_timeout(length.span());
                }
            }
            None => {}
        }
        for verification in wanted {
            built = built.verify(verification);
        }
        if let Some(no_return) = &task.point_of_no_return {
            built = built.point_of_no_return(&no_return.reason, no_return.ask.request());
        }
        Some((built, card))
    }

    fn rollout(&mut self, phase: Phase<'_>, at: &str, step: &StepDocument, work: &RolloutDocument) -> Option<StepRef> {
        let at = format!("{at}/rollout");
        let strategy = self.strategy(&format!("{at}/strategy"), &work.strategy);
        let targets = &self.registry.targets;
        let target = TargetName::new(&work.target).ok().and_then(|name| targets.get(&name)).cloned();
        if target.is_none() {
            self.unbound(&format!("{at}/target"), "target", &work.target, targets.keys().map(TargetName::as_str));
        }
        let monitors = &self.registry.monitors;
        let mut bound = Vec::new();
        for (index, name) in work.monitors.iter().enumerate() {
            match BlockName::new(name).ok().and_then(|name| monitors.get(&name)) {
                Some(monitor) => bound.push(Arc::clone(monitor)),
                None => {
                    let known = monitors.keys().map(BlockName::as_str);
                    self.unbound(&format!("{at}/monitors/{index}"), "monitor", name, known);
                }
            }
        }
        let mut built = phase.rollout(&step.name, strategy?, target?);
        for monitor in bound {
            built = built.monitor(monitor);
        }
        if let Some(length) = work.observe_every {
            built = built.observe_every(length.span());
        }
        if let Some(errors) = work.errors_at_most {
            built = built.errors_at_most(errors);
        }
        if let Some(times) = work.reassert_at_most {
            built = built.reassert_at_most(times);
        }
        if let Some(length) = work.timeout {
            built = built.timeout(length.span());
        }
        if let Some(length) = work.undo_timeout {
            built = built.undo_timeout(length.span());
        }
        Some(finish(built, step))
    }

    fn verification(&mut self, at: &str, verify: &VerifyDocument) -> Option<Verification> {
        let checks = &self.registry.checks;
        let Some(check) = CheckName::new(&verify.check).ok().and_then(|name| checks.get(&name)) else {
            self.unbound(at, "check", &verify.check, checks.keys().map(CheckName::as_str));
            return None;
        };
        let mut wanted = check.verification();
        match verify.kind.as_deref() {
            None => {}
            Some(ANY) => wanted.policy.kind = None,
            Some(kind) => wanted.policy.kind = Some(kind.to_owned()),
        }
        if let Some(length) = verify.max_age {
            wanted.policy.max_age = length.span();
        }
        if let Some(self_attested) = verify.self_attested {
            wanted.policy.self_attested = self_attested;
        }
        Some(wanted)
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

    /// Says what waits for what and who reads from whom, now that every step is known.
    fn wire(&mut self, p: &PipelineBuilder, added: &[Added<'a>]) {
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

    /// Every item must be bound to checks of the host, or to a step at which people are asked.
    fn checklists(&mut self) {
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
pub(super) const ANY: &str = "any";

fn is(key: &DeliverableKey, wanted: &KeyDocument) -> bool {
    key.name == wanted.name && wanted.version.is_none_or(|version| version == key.version)
}

fn shown(key: &KeyDocument) -> String {
    key.version.map_or_else(|| key.name.clone(), |version| format!("{} version {version}", key.name))
}

/// Says of a step what can be said of every kind, and adds it.
fn finish<K>(mut built: StepBuilder<'_, K>, step: &StepDocument) -> StepRef {
    built = built.on_failure(step.on_failure.clone());
    if let Some(kinds) = &step.only_for {
        built = built.only_for(kinds.iter().copied());
    }
    built.add()
}

impl RetryDocument {
    /// As the engine has it.
    #[must_use]
    pub fn policy(&self) -> RetryPolicy {
        let usual = RetryPolicy::attempts(self.attempts);
        RetryPolicy {
            attempts: self.attempts,
            backoff: self.backoff.map_or(usual.backoff, Length::span),
            growth_percent: self.growth_percent.unwrap_or(usual.growth_percent),
            backoff_at_most: self.backoff_at_most.map_or(usual.backoff_at_most, Length::span),
            jitter_percent: self.jitter_percent.unwrap_or(usual.jitter_percent),
        }
    }
}

impl ApprovalDocument {
    /// As the engine has it.
    #[must_use]
    pub fn request(&self) -> ApprovalRequest {
        let mut request = ApprovalRequest::new(&self.question);
        request.roles.clone_from(&self.roles);
        request.people.clone_from(&self.people);
        request.self_approval = self.self_approval;
        request.quorum = self.quorum.unwrap_or(request.quorum);
        request.expires_after = self.expires_after.map_or(request.expires_after, Length::span);
        request
    }
}
