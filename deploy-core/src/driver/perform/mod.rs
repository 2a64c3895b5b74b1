//! Carries out one command: one arm per call, each bounded, each guarded against a panic.

mod facts;
mod fault;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join_all;

use self::facts::Facts;
pub(super) use self::fault::spell;
use self::fault::{IntoFault, guarded, shortened};
pub(super) use self::report::Performance;
use self::report::{performance, recorded};
use super::clock::wait;
use crate::agent::{Agent, Cancellation, Certainty, Handle, Lookup, StepContext, Task};
use crate::deliverable::Payload;
use crate::effect::{EffectKey, Fence};
use crate::evidence::{Receipt, Refusal, Verdict, verify};
use crate::gate::GateContext;
use crate::journal::Journal;
use crate::machine::{Answer, Call, Command, Fault, Found, Look, Machine};
use crate::monitor::{MeasureContext, MeasureRequest, Measured, Reading};
use crate::name::BlockName;
use crate::pipeline::Bound;
use crate::plan::{Plan, PlannedStep, Work};
use crate::release::Release;
use crate::target::{DesiredState, EffectContext};
use crate::time::{Now, Spell};

/// How many single observations one measurement may carry into a record.
const MOST_SAMPLES: usize = 10_000;

/// Everything that a command needs, taken from the machine when it is started, so that it runs beside it.
#[derive(Debug)]
pub(super) struct Job {
    command: Command,
    plan: Arc<Plan>,
    key: EffectKey,
    fence: Fence,
    release: Arc<Release>,
    now: Now,
    timeout: Duration,
    cancellation: Cancellation,
    bound: Arc<Bound>,
    journal: Arc<dyn Journal>,
    facts: Facts,
}

/// What a job is made of beside its command.
#[derive(Debug, Clone)]
pub(super) struct Workshop {
    pub(super) bound: Arc<Bound>,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) release: Arc<Release>,
    pub(super) call_timeout: Duration,
}

impl Job {
    /// Gathers what the command needs. Nothing if the plan has no such step or the run does not hold its lock.
    pub(super) fn new(
        command: Command,
        machine: &Machine,
        shop: &Workshop,
        now: Now,
        cancellation: Cancellation,
    ) -> Option<Self> {
        let step = machine.plan().step(command.of.step)?;
        let key = machine.effect_key(command.of)?;
        let fence = machine.fence(&command)?;
        let timeout = match command.call {
            Call::Perform => machine.call_timeout(command.of),
            _ => shop.call_timeout,
        };
        let facts = Facts::gather(&command, step, machine);
        Some(Self {
            command,
            plan: Arc::clone(machine.plan()),
            key,
            fence,
            release: Arc::clone(&shop.release),
            now,
            timeout,
            cancellation,
            bound: Arc::clone(&shop.bound),
            journal: Arc::clone(&shop.journal),
            facts,
        })
    }

    /// Does it. Always answers, within its bound, whatever the building block does.
    pub(super) async fn run(self) -> Performance {
        let (call, path) = (self.command.call.name(), self.step().path.clone());
        let lost = unanswered(&self.command.call);
        match AssertUnwindSafe(self.carry_out()).catch_unwind().await {
            Ok(performance) => performance,
            Err(panic) => {
                let text = format!("{call} of step {path} panicked: {}", spell(&*panic));
                lost(Fault::new(Certainty::Unknown, text)).into()
            }
        }
    }

    /// The rarer calls are boxed, so that the future of a plain task stays small.
    async fn carry_out(self) -> Performance {
        match &self.command.call {
            Call::Perform => self.perform().await,
            Call::Poll(handle) => Box::pin(self.poll(handle)).await,
            Call::Lookup => Box::pin(self.look_up()).await,
            Call::Cancel(handle) => Box::pin(self.cancel(handle.as_ref())).await,
            Call::Verify => Box::pin(self.verify()).await,
            Call::Evaluate => Box::pin(self.evaluate()).await,
            Call::Look(requests) => Box::pin(self.look(requests)).await,
            Call::Apply(want) => Box::pin(self.apply(want)).await,
        }
    }

    async fn poll(&self, handle: &Handle) -> Performance {
        let Some((agent, name)) = self.agent() else { return self.no_agent() };
        let cx = self.context();
        performance(self.bounded(name, agent.poll(handle, &cx)).await)
    }

    async fn cancel(&self, handle: Option<&Handle>) -> Performance {
        if let Some((agent, name)) = self.agent() {
            let cx = self.context();
            let stopped = self.bounded(name, agent.cancel(&self.key, handle, &cx)).await;
            if let Err(fault) = stopped {
                tracing::warn!(step = %self.step().path, error = %fault.message, "an attempt could not be cancelled");
            }
        }
        Answer::Cancelled(None).into()
    }

    async fn apply(&self, want: &DesiredState) -> Performance {
        let Some(target) = self.target_name().and_then(|name| self.bound.target(name)) else {
            return Answer::Applied(Err(Fault::new(Certainty::Definitive, "the target is not here"))).into();
        };
        let cx = EffectContext::new(self.key.clone(), self.fence, Arc::clone(&self.release), self.timeout);
        let applied = self.bounded(target.name(), target.apply(want, &cx)).await;
        Answer::Applied(applied.map(|_| ())).into()
    }

    fn step(&self) -> &PlannedStep {
        &self.plan.steps[self.command.of.step.index()]
    }

    async fn perform(&self) -> Performance {
        let Some((agent, name)) = self.agent() else { return self.no_agent() };
        let inputs = match self.inputs().await {
            Ok(inputs) => inputs,
            Err(fault) => return Answer::Performed(Err(fault)).into(),
        };
        let task = Task::new(self.step().path.clone(), self.command.of.undo, Arc::clone(&self.release), inputs);
        let cx = self.context();
        // No bound here: the plan's timeout cancels it, which asks the agent to stop and looks up what it could not see.
        performance(guarded(name, agent.perform(&task, &cx)).await)
    }

    async fn look_up(&self) -> Performance {
        let Some((agent, name)) = self.agent() else { return self.no_agent() };
        let cx = self.context();
        match self.bounded(name, agent.lookup(&self.key, &cx)).await {
            Err(fault) => Answer::LookedUp(Err(fault)).into(),
            Ok(Lookup::Finished(report)) => match recorded(report) {
                Ok((report, blobs)) => Performance { answer: Answer::LookedUp(Ok(Found::Finished(report))), blobs },
                Err(fault) => Answer::LookedUp(Ok(Found::Failed(fault.message))).into(),
            },
            Ok(Lookup::Running { handle, poll_after }) => {
                Answer::LookedUp(Ok(Found::Running { handle, poll_after })).into()
            }
            Ok(Lookup::Failed(reason)) => Answer::LookedUp(Ok(Found::Failed(shortened(reason)))).into(),
            Ok(Lookup::NeverStarted) => Answer::LookedUp(Ok(Found::NeverStarted)).into(),
            Ok(Lookup::Unknown) => Answer::LookedUp(Ok(Found::Unknown)).into(),
        }
    }

    async fn verify(&self) -> Performance {
        let Facts::Verify { report, agent, waivers } = &self.facts else {
            return Answer::Verified(Vec::new()).into();
        };
        let mut bytes = BTreeMap::new();
        for digest in report.claims.iter().flat_map(|claim| &claim.evidence) {
            match self.journal.blob(digest).await {
                Ok(Some(stored)) => {
                    bytes.insert(*digest, stored);
                }
                Ok(None) => {}
                // What cannot be read is refused as missing; the log says why it could not.
                Err(error) => tracing::warn!(%digest, %error, "evidence could not be read back"),
            }
        }
        let mut wanted = self.step().verifications.clone();
        // What is claimed beside what is asked for counts only if a check can say so.
        let mut unknown = BTreeSet::new();
        for claim in &report.claims {
            match self.bound.check(&claim.check) {
                _ if wanted.iter().any(|w| w.check == claim.check) => {}
                Some(check) => wanted.push(check.verification()),
                None => {
                    unknown.insert(claim.check.clone());
                }
            }
        }
        let judged = wanted.iter().map(|wanted| {
            let (check, waiver) = (self.bound.check(&wanted.check), waivers.get(&wanted.check));
            let (claims, evidence) = (&report.claims, &report.evidence);
            let judge = || verify(wanted, agent, &self.release, claims, evidence, &bytes, check, waiver, self.now.wall);
            std::panic::catch_unwind(AssertUnwindSafe(judge)).unwrap_or_else(|panic| Receipt {
                check: wanted.check.clone(),
                read: Vec::new(),
                verdict: Verdict::Fail { reason: format!("the check panicked: {}", spell(&*panic)) },
            })
        });
        let unresolved = unknown.into_iter().map(|check| {
            let refusal = Refusal::Missing("it was claimed, and no check of this name is registered".to_owned());
            Receipt { check, read: Vec::new(), verdict: Verdict::Inconclusive { refusal } }
        });
        let receipts: Vec<Receipt> = judged.chain(unresolved).collect();
        Answer::Verified(receipts).into()
    }

    async fn evaluate(&self) -> Performance {
        let (Facts::Gate { reports, failed, waivers }, Work::Gate { gate: Some(name), .. }) =
            (&self.facts, &self.step().work)
        else {
            return Answer::Evaluated(Ok(crate::gate::GateDecision::Go)).into();
        };
        let Some(gate) = self.bound.gate(name) else {
            return Answer::Evaluated(Err(Fault::new(Certainty::Definitive, format!("gate {name} is not here"))))
                .into();
        };
        let release = Arc::clone(&self.release);
        let cx = GateContext::new(self.step().path.clone(), release, self.now, reports.clone(), waivers.clone())
            .failed(failed.clone())
            .plan(self.plan.fingerprint());
        Answer::Evaluated(self.bounded(name.clone(), gate.evaluate(&cx)).await).into()
    }

    async fn look(&self, requests: &[MeasureRequest]) -> Performance {
        let Some(target) = self.target_name().and_then(|name| self.bound.target(name)) else {
            return Answer::Looked(Err(Fault::new(Certainty::Definitive, "the target is not here"))).into();
        };
        let observe = self.bounded(target.name(), target.observe());
        let measure = join_all(requests.iter().map(|request| self.measure(request)));
        let (observed, measured) = futures::join!(observe, measure);
        Answer::Looked(observed.map(|observed| Look { observed, measured })).into()
    }

    async fn measure(&self, request: &MeasureRequest) -> Measured {
        let result = match self.bound.monitor(&request.monitor) {
            None => Err(format!("monitor {} is not here", request.monitor)),
            Some(monitor) => {
                let cx = MeasureContext::new(Arc::clone(&self.release), self.now);
                let measured = self.bounded(request.monitor.clone(), monitor.measure(request, &cx)).await;
                measured.map_err(|fault| fault.message).and_then(|measurements| {
                    let too_long = measurements
                        .iter()
                        .any(|m| matches!(&m.reading, Reading::Samples(s) if s.len() > MOST_SAMPLES));
                    if too_long {
                        Err(format!(
                            "monitor {} gave more than {MOST_SAMPLES} samples; give a histogram or sums",
                            request.monitor
                        ))
                    } else {
                        Ok(measurements)
                    }
                })
            }
        };
        Measured { request: request.clone(), at: self.now.run, result }
    }

    async fn inputs(&self) -> Result<BTreeMap<String, String>, Fault> {
        let Facts::Inputs(payloads) = &self.facts else { return Ok(BTreeMap::new()) };
        let mut inputs = BTreeMap::new();
        for (name, payload) in payloads {
            let json = match payload {
                Payload::Inline(json) => json.clone(),
                Payload::Blob(digest) => {
                    let transient = |text: String| Fault::new(Certainty::Transient, text);
                    let bytes = self.journal.blob(digest).await.map_err(|e| transient(e.to_string()))?;
                    let bytes =
                        bytes.ok_or_else(|| transient(format!("the bytes of {name} are not in the journal")))?;
                    String::from_utf8(bytes).map_err(|e| transient(e.to_string()))?
                }
            };
            inputs.insert(name.clone(), json);
        }
        Ok(inputs)
    }

    fn context(&self) -> StepContext {
        StepContext::new(self.key.clone(), self.fence, self.now, self.timeout, self.cancellation.clone())
    }

    fn agent_name(&self) -> Option<BlockName> {
        Some(match &self.step().work {
            Work::Task { undo: Some(undo), .. } if self.command.of.undo => undo.agent.clone(),
            Work::Task { agent, .. } => agent.clone(),
            Work::Rollout(_) | Work::Gate { .. } | Work::Approval(_) | Work::Soak { .. } => return None,
        })
    }

    fn agent(&self) -> Option<(&Arc<dyn Agent>, BlockName)> {
        let name = self.agent_name()?;
        Some((self.bound.agent(&name)?, name))
    }

    fn no_agent(&self) -> Performance {
        let fault = Fault::new(Certainty::Definitive, format!("the agent of step {} is not here", self.step().path));
        match self.command.call {
            Call::Lookup => Answer::LookedUp(Err(fault)).into(),
            _ => Answer::Performed(Err(fault)).into(),
        }
    }

    fn target_name(&self) -> Option<&crate::name::TargetName> {
        match &self.step().work {
            Work::Rollout(rollout) => Some(&rollout.target),
            Work::Task { .. } | Work::Gate { .. } | Work::Approval(_) | Work::Soak { .. } => None,
        }
    }

    /// Guarded, and unanswered after the call's timeout.
    async fn bounded<T, E: IntoFault>(
        &self,
        who: impl Display + Send,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, Fault> {
        let text = format!("{who} did not answer within {}", Spell(self.timeout));
        futures::select_biased! {
            answer = guarded(who, call).boxed().fuse() => answer,
            () = wait(self.timeout).boxed().fuse() => Err(Fault::new(Certainty::Unknown, text)),
        }
    }
}

/// How a call is answered that gave no answer of its own.
fn unanswered(call: &Call) -> fn(Fault) -> Answer {
    match call {
        Call::Perform | Call::Poll(_) => |fault| Answer::Performed(Err(fault)),
        Call::Lookup => |fault| Answer::LookedUp(Err(fault)),
        Call::Cancel(_) => |_| Answer::Cancelled(None),
        Call::Verify => |_| Answer::Verified(Vec::new()),
        Call::Evaluate => |fault| Answer::Evaluated(Err(fault)),
        Call::Look(_) => |fault| Answer::Looked(Err(fault)),
        Call::Apply(_) => |fault| Answer::Applied(Err(fault)),
    }
}
