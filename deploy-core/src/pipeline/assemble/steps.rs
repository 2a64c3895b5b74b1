//! Checks each step by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Assembly, At, Cards, whole};
use crate::agent::AgentCard;
use crate::name::StepName;
use crate::pipeline::draft::{PhaseDraft, RolloutDraft, StepDraft, TaskDraft, WorkDraft};
use crate::pipeline::{Fault, NoReturn, Place, StepSpec};
use crate::plan::{OnFailure, RolloutWork, StepPath, Undo, Work};
use crate::release::ReleaseKind;

impl Assembly {
    pub(super) fn steps(
        &mut self,
        steps: Vec<StepDraft>,
        phases: &[PhaseDraft],
        cards: &Cards,
        after: Vec<BTreeSet<usize>>,
        inputs: Vec<BTreeMap<String, usize>>,
        kinds: Vec<BTreeSet<ReleaseKind>>,
    ) -> Option<Vec<StepSpec>> {
        let mut paths = BTreeSet::new();
        let mut specs = Vec::new();
        let facts = after.into_iter().zip(inputs).zip(kinds);
        for (index, (step, ((after, inputs), kinds))) in steps.into_iter().zip(facts).enumerate() {
            let text = format!("{}/{}", phases[step.phase].name, step.name);
            let at = At((step.phase + 1, index + 1), Place::Step(text.clone()));
            let mut well_named = true;
            for part in step.name.split('/') {
                well_named &= self.named(&at, StepName::new(part)).is_some();
            }
            if matches!(step.name.as_str(), "entry" | "exit") {
                self.fault(&at, Fault::Reserved { name: step.name.clone() });
            }
            let ask = format!("{text}/ask");
            let asks = matches!(&step.work, WorkDraft::Task(TaskDraft { no_return: Some(_), .. }));
            for path in std::iter::once(text.clone()).chain(asks.then(|| ask.clone())) {
                if !paths.insert(path.clone()) {
                    self.fault(&at, Fault::Duplicate { what: "step", name: path });
                }
            }
            let (timeout, retry) = (self.timeout(&at, &step), self.retry(&at, step.retry));
            if let OnFailure::Continue { reason } = &step.on_failure {
                self.reason(&at, "`OnFailure::Continue`", reason);
            }
            let mut verifications = Vec::new();
            let mut no_return = None;
            let work = match step.work {
                WorkDraft::Task(task) => {
                    for (place, wanted) in task.verifications.iter().enumerate() {
                        let earlier = &task.verifications[..place];
                        if earlier.iter().any(|v| v.check == wanted.check) {
                            self.fault(&at, Fault::CheckTwice { check: wanted.check.clone() });
                        } else if self.blocks.check(&wanted.check).is_none() {
                            self.fault(&at, Fault::NoCheck { check: wanted.check.clone() });
                        }
                    }
                    verifications.clone_from(&task.verifications);
                    for wanted in &mut verifications {
                        wanted.policy.max_age = self.span(&at, "oldest evidence", wanted.policy.max_age);
                    }
                    if let Some((reason, request)) = &task.no_return {
                        self.reason(&at, "point of no return", reason);
                        if task.undo.is_some() {
                            self.fault(&at, Fault::ReturnFromNoReturn);
                        }
                        let request = self.approval(&at, request.clone());
                        no_return = Some((reason.clone(), ask, request));
                    }
                    cards[index].as_ref().map(|cards| self.task(&at, task, cards))
                }
                WorkDraft::Gate { gate, hold_at_most } => {
                    let (name, criterion) = self.gate(&at, &gate);
                    let hold_at_most = self.span(&at, "longest hold", hold_at_most);
                    Some(Work::Gate { gate: Some(name), criterion, hold_at_most })
                }
                WorkDraft::Approval(request) => Some(Work::Approval(self.approval(&at, request))),
                WorkDraft::Soak(span) => Some(Work::Soak { span: self.span(&at, "soak", span) }),
                WorkDraft::Rollout(rollout) => Some(Work::Rollout(self.rollout(&at, rollout))),
            };
            let (on_failure, path) = (step.on_failure, StepPath::new(&text).ok());
            let no_return = match no_return {
                None => Some(None),
                Some((reason, ask, request)) => {
                    StepPath::new(ask).ok().map(|ask| Some(NoReturn { reason, ask, request }))
                }
            };
            specs.push((|| {
                let (path, work, no_return) = (path.filter(|_| well_named)?, work?, no_return?);
                Some(StepSpec {
                    path,
                    work,
                    after,
                    inputs,
                    timeout,
                    retry,
                    on_failure,
                    verifications,
                    no_return,
                    kinds,
                })
            })());
        }
        specs.into_iter().collect()
    }

    /// The waits have times of their own, which are checked under their own names.
    fn timeout(&mut self, at: &At, step: &StepDraft) -> Duration {
        match step.work {
            WorkDraft::Task(_) | WorkDraft::Gate { .. } | WorkDraft::Rollout(_) => {
                self.span(at, "timeout", step.timeout)
            }
            WorkDraft::Approval(_) | WorkDraft::Soak(_) => whole(step.timeout),
        }
    }

    fn task(&mut self, at: &At, task: TaskDraft, (card, undo_card): &(AgentCard, Option<AgentCard>)) -> Work {
        self.agent(at, &task.agent, card);
        let undo = match (&task.undo, undo_card) {
            (Some(agent), Some(card)) => {
                self.agent(at, agent, card);
                let retry = self.retry(at, task.undo_retry);
                let timeout = self.span(at, "undo timeout", task.undo_timeout);
                Some(Undo { agent: card.name.clone(), repeatable: card.repeatable, retry, timeout })
            }
            _ => None,
        };
        Work::Task { agent: card.name.clone(), undo, repeatable: card.repeatable, inputs: BTreeMap::new() }
    }

    fn rollout(&mut self, at: &At, rollout: RolloutDraft) -> RolloutWork {
        let (strategy, target) = (rollout.strategy.name(), rollout.target.name());
        let added = self.blocks.add_strategy(&rollout.strategy);
        self.block(at, "blocks", strategy.as_str(), added);
        let added = self.blocks.add_target(&rollout.target);
        self.block(at, "targets", target.as_str(), added);
        let mut monitors = Vec::new();
        for monitor in &rollout.monitors {
            let name = monitor.name();
            let added = self.blocks.add_monitor(monitor);
            self.block(at, "blocks", name.as_str(), added);
            if !monitors.contains(&name) {
                monitors.push(name);
            }
        }
        for asked in rollout.strategy.monitors() {
            if !monitors.contains(&asked) {
                self.fault(at, Fault::NoMonitor { strategy: strategy.clone(), monitor: asked });
            }
        }
        let missing = rollout.strategy.needs().missing_from(rollout.target.capabilities());
        if !missing.is_empty() {
            self.fault(at, Fault::Lacks { strategy: strategy.clone(), target: target.clone(), missing });
        }
        RolloutWork {
            strategy,
            target,
            monitors,
            observe_every: self.span(at, "interval between looks", rollout.observe_every),
            errors_at_most: rollout.errors_at_most,
            reassert_at_most: rollout.reassert_at_most,
            undo_timeout: self.span(at, "undo timeout", rollout.undo_timeout),
            blast_radius: rollout.blast_radius.map(|most| self.span(at, "blast radius", most)),
        }
    }
}
