//! A pipeline as a document.

use std::collections::BTreeSet;
use std::time::Duration;

use deploy_core::deliverable::DeliverableKey;
use deploy_core::evidence::{EvidencePolicy, Verification};
use deploy_core::name::PhaseName;
use deploy_core::operator::ApprovalRequest;
use deploy_core::pipeline::{PhaseView, Pipeline, StepView, defaults};
use deploy_core::plan::{RetryPolicy, StepPath, Work};
use deploy_core::release::ReleaseKind;

use super::bind::ANY;
use super::document::FORMAT;
use super::{
    ApprovalDocument, GateDocument, KeyDocument, Length, NeedDocument, NoReturnDocument, PhaseDocument,
    PipelineDocument, RetryDocument, RolloutDocument, StepDocument, StepWork, TaskDocument, UndoDocument,
    VerifyDocument,
};

impl PipelineDocument {
    /// Writes a pipeline down. What is as the builder has it by itself is left out.
    ///
    /// Bound to the blocks that the pipeline was built of ([`Registry::of`](super::Registry::of)), the document gives a pipeline
    /// with the same plans.
    #[must_use]
    pub fn of(pipeline: &Pipeline) -> Self {
        Self {
            format: FORMAT,
            name: pipeline.name().to_string(),
            about: String::new(),
            rollback: pipeline.rollback().clone(),
            queue: pipeline.queue(),
            in_flight: pipeline.in_flight(),
            width: unless(pipeline.width(), defaults::WIDTH),
            gates: std::collections::BTreeMap::new(),
            strategies: std::collections::BTreeMap::new(),
            phases: pipeline.phases().iter().map(|phase| phase_document(pipeline, phase)).collect(),
            checklists: Vec::new(),
        }
    }

    /// The same document with what another declares and says for people of what has the same name: a pipeline itself remembers
    /// neither parameters nor prose.
    #[must_use]
    pub fn declaring(mut self, other: &Self) -> Self {
        self.about.clone_from(&other.about);
        self.gates.clone_from(&other.gates);
        self.strategies.clone_from(&other.strategies);
        self.checklists.clone_from(&other.checklists);
        for phase in &mut self.phases {
            let Some(theirs) = other.phases.iter().find(|there| there.name == phase.name) else { continue };
            phase.about.clone_from(&theirs.about);
            for step in &mut phase.steps {
                if let Some(theirs) = theirs.steps.iter().find(|there| there.name == step.name) {
                    step.about.clone_from(&theirs.about);
                }
            }
        }
        self
    }
}

fn unless<T: PartialEq>(value: T, usual: T) -> Option<T> {
    (value != usual).then_some(value)
}

fn key(key: &DeliverableKey) -> KeyDocument {
    KeyDocument { name: key.name.clone(), version: Some(key.version) }
}

fn phase_document(pipeline: &Pipeline, phase: &PhaseView<'_>) -> PhaseDocument {
    let all = BTreeSet::from(ReleaseKind::ALL);
    PhaseDocument {
        name: phase.name.to_string(),
        about: String::new(),
        lead: phase.lead.map(ToString::to_string),
        supporting: phase.supporting.iter().map(ToString::to_string).collect(),
        entry: phase.entry.iter().map(|gate| gate.name().to_string()).collect(),
        exit: phase.exit.iter().map(|gate| gate.name().to_string()).collect(),
        hold_at_most: Length::unless(phase.hold_at_most, defaults::HOLD_AT_MOST),
        promises: phase.promises.iter().map(|promised| key(promised)).collect(),
        only_for: (*phase.kinds != all).then(|| phase.kinds.iter().copied().collect()),
        steps: phase.steps.iter().map(|step| step_document(pipeline, phase, step)).collect(),
    }
}

/// A step as others name it from inside a phase.
fn local(path: &StepPath, phase: &PhaseName) -> String {
    let path = path.as_str();
    path.strip_prefix(phase.as_str()).and_then(|rest| rest.strip_prefix('/')).unwrap_or(path).to_owned()
}

fn step_document(pipeline: &Pipeline, phase: &PhaseView<'_>, step: &StepView<'_>) -> StepDocument {
    // What it reads from, it waits for anyway.
    let reads: BTreeSet<&StepPath> = step.inputs.iter().map(|(_, from)| *from).collect();
    // In the order of the steps, so that a pipeline is always written in the same way.
    let waits_for = |other: &&StepView<'_>| step.after.contains(&other.path) && !reads.contains(other.path);
    let after = phase.steps.iter().filter(waits_for).map(|other| local(other.path, phase.name)).collect();
    StepDocument {
        name: local(step.path, phase.name),
        about: String::new(),
        work: work(pipeline, phase, step),
        after,
        on_failure: step.on_failure.clone(),
        only_for: (step.kinds != phase.kinds).then(|| step.kinds.iter().copied().collect()),
    }
}

fn work(pipeline: &Pipeline, phase: &PhaseView<'_>, step: &StepView<'_>) -> StepWork {
    match step.work {
        Work::Task { agent, undo, .. } => {
            let cards = |name| pipeline.blocks().agent(name).map(|agent| agent.card());
            let card = cards(agent);
            let undo_card = undo.as_ref().and_then(|undo| cards(&undo.agent));
            let need = |(name, from): &(&str, &StepPath)| {
                let mut needs = card.iter().chain(&undo_card).flat_map(|card| &card.needs);
                let version = needs.find(|key| key.name == *name).map(|key| key.version);
                NeedDocument { name: (*name).to_owned(), version, from: Some(local(from, phase.name)) }
            };
            StepWork::Task(TaskDocument {
                agent: agent.to_string(),
                needs: step.inputs.iter().map(need).collect(),
                provides: card.iter().flat_map(|card| &card.provides).map(key).collect(),
                timeout: Length::unless(step.timeout, defaults::TASK_TIMEOUT),
                retry: retry(step.retry, &RetryPolicy::once()),
                undo: undo.as_ref().map(|undo| UndoDocument {
                    agent: undo.agent.to_string(),
                    retry: retry(&undo.retry, &RetryPolicy::attempts(defaults::UNDO_ATTEMPTS)),
                    timeout: Length::unless(undo.timeout, defaults::TASK_TIMEOUT),
                }),
                verify: step.verifications.iter().map(|wanted| verify(pipeline, wanted)).collect(),
                point_of_no_return: step.point_of_no_return.map(|(reason, request)| NoReturnDocument {
                    reason: reason.to_owned(),
                    ask: ApprovalDocument::of(request),
                }),
            })
        }
        Work::Gate { gate, hold_at_most, .. } => StepWork::Gate(GateDocument {
            name: gate.as_ref().map(ToString::to_string).unwrap_or_default(),
            hold_at_most: Length::unless(*hold_at_most, defaults::HOLD_AT_MOST),
            timeout: Length::unless(step.timeout, defaults::ASK_TIMEOUT),
            retry: retry(step.retry, &RetryPolicy::attempts(defaults::ASK_ATTEMPTS)),
        }),
        Work::Approval(request) => StepWork::Approval(ApprovalDocument::of(request)),
        Work::Soak { span } => StepWork::Soak(Length::from(*span)),
        Work::Rollout(work) => StepWork::Rollout(RolloutDocument {
            strategy: work.strategy.to_string(),
            target: work.target.to_string(),
            monitors: work.monitors.iter().map(ToString::to_string).collect(),
            observe_every: Length::unless(work.observe_every, defaults::OBSERVE_EVERY),
            errors_at_most: unless(work.errors_at_most, defaults::ERRORS_AT_MOST),
            reassert_at_most: unless(work.reassert_at_most, defaults::REASSERT_AT_MOST),
            timeout: Length::unless(step.timeout, defaults::ROLLOUT_TIMEOUT),
            undo_timeout: Length::unless(work.undo_timeout, defaults::ROLLOUT_UNDO_TIMEOUT),
        }),
    }
}

fn verify(pipeline: &Pipeline, wanted: &Verification) -> VerifyDocument {
    let own = pipeline.blocks().check(&wanted.check).map(|check| check.verification().policy).unwrap_or_default();
    let EvidencePolicy { kind, max_age, self_attested } = &wanted.policy;
    VerifyDocument {
        check: wanted.check.to_string(),
        kind: (*kind != own.kind).then(|| kind.clone().unwrap_or_else(|| ANY.to_owned())),
        max_age: Length::unless(*max_age, own.max_age),
        self_attested: unless(*self_attested, own.self_attested),
    }
}

/// A policy, where it is not the usual one.
fn retry(policy: &RetryPolicy, usual: &RetryPolicy) -> Option<RetryDocument> {
    let plain = RetryPolicy::attempts(policy.attempts);
    let length = |is: Duration, usual: Duration| Length::unless(is, usual);
    (policy != usual).then(|| RetryDocument {
        attempts: policy.attempts,
        backoff: length(policy.backoff, plain.backoff),
        growth_percent: unless(policy.growth_percent, plain.growth_percent),
        backoff_at_most: length(policy.backoff_at_most, plain.backoff_at_most),
        jitter_percent: unless(policy.jitter_percent, plain.jitter_percent),
    })
}

impl ApprovalDocument {
    /// Writes a question to people down.
    #[must_use]
    pub fn of(request: &ApprovalRequest) -> Self {
        let plain = ApprovalRequest::new(&request.question);
        Self {
            question: request.question.clone(),
            roles: request.roles.clone(),
            people: request.people.clone(),
            quorum: unless(request.quorum, plain.quorum),
            self_approval: request.self_approval,
            expires_after: Length::unless(request.expires_after, plain.expires_after),
        }
    }
}
