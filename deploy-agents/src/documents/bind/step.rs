//! A step, as far as it can be bound by itself.

use std::sync::Arc;

use deploy_core::agent::AgentCard;
use deploy_core::evidence::Verification;
use deploy_core::name::{BlockName, CheckName, TargetName};
use deploy_core::operator::ApprovalRequest;
use deploy_core::pipeline::{Phase, StepBuilder, StepRef};
use deploy_core::plan::RetryPolicy;

use super::{ANY, Binding, is};
use crate::documents::{
    ApprovalDocument, Length, RetryDocument, RolloutDocument, StepDocument, StepWork, TaskDocument, VerifyDocument,
};

impl Binding<'_> {
    /// Adds a step, as far as it can be bound by itself.
    pub(super) fn step(
        &mut self,
        phase: Phase<'_>,
        at: &str,
        step: &StepDocument,
    ) -> Option<(StepRef, Option<AgentCard>)> {
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
