//! Carries out one command: one arm per call, each bounded, each guarded against a panic.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join_all;

use super::clock::wait;
use crate::agent::{Agent, AgentError, Cancellation, Certainty, Handle, Lookup, Performed, Report, StepContext, Task};
use crate::deliverable::{LONGEST_INLINE, Payload};
use crate::digest::Digest;
use crate::effect::{EffectKey, Fence};
use crate::evidence::{Receipt, Refusal, Verdict, Waiver, verify};
use crate::gate::{GateContext, StepFacts};
use crate::journal::Journal;
use crate::machine::{Answer, Call, Command, Fault, Found, Look, Machine, Progress, Reported};
use crate::monitor::{MeasureContext, MeasureRequest, Measured, Reading};
use crate::name::{BlockName, CheckName};
use crate::pipeline::Bound;
use crate::plan::{Plan, PlannedStep, StepPath, Work};
use crate::release::Release;
use crate::target::{DesiredState, EffectContext, TargetError};
use crate::time::{Now, Spell};

/// The longest message of a fault that is recorded, in bytes.
const LONGEST_MESSAGE: usize = 4 * 1024;
/// The longest handle that is recorded, in bytes.
const LONGEST_HANDLE: usize = 4 * 1024;
/// How many bytes of evidence and deliverables one report may carry.
const LARGEST_REPORT: usize = 64 * 1024 * 1024;
/// How many single observations one measurement may carry into a record.
const MOST_SAMPLES: usize = 10_000;

/// What came of a command: its answer, and bytes that the answer cites.
#[derive(Debug)]
pub(super) struct Performance {
    pub(super) answer: Answer,
    pub(super) blobs: Blobs,
}

impl From<Answer> for Performance {
    fn from(answer: Answer) -> Self {
        Self { answer, blobs: Vec::new() }
    }
}

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

/// The part of the machine's state that some calls are shown.
#[derive(Debug)]
enum Facts {
    None,
    Inputs(BTreeMap<String, Payload>),
    Verify {
        report: Box<Reported>,
        agent: BlockName,
        waivers: BTreeMap<CheckName, Waiver>,
    },
    Gate {
        reports: BTreeMap<StepPath, StepFacts>,
        failed: BTreeMap<StepPath, String>,
        waivers: BTreeMap<CheckName, Waiver>,
    },
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

impl Facts {
    fn gather(command: &Command, step: &PlannedStep, machine: &Machine) -> Self {
        let state = machine.state();
        match (&command.call, &step.work) {
            (Call::Perform, Work::Task { inputs, .. }) => {
                let found = inputs.iter().filter_map(|(name, from)| {
                    let payload = state.outputs.get(from)?.get(name)?;
                    Some((name.clone(), payload.clone()))
                });
                Self::Inputs(found.collect())
            }
            (Call::Verify, Work::Task { agent, .. }) => {
                let report = match state.steps.get(command.of.step.index()).map(|s| &s.state) {
                    Some(crate::machine::StepState::Verifying { report, .. }) => report.clone(),
                    _ => Box::default(),
                };
                let mine = state.waivers.iter().filter(|((id, _), _)| *id == command.of.step);
                let waivers = mine.map(|((_, check), waiver)| (check.clone(), waiver.clone())).collect();
                Self::Verify { report, agent: agent.clone(), waivers }
            }
            (Call::Evaluate, _) => {
                let path = |id: &crate::plan::StepId| machine.plan().step(*id).map(|s| s.path.clone());
                let reports = state.facts.iter().filter_map(|(id, facts)| Some((path(id)?, facts.clone())));
                let waivers = state.waivers.iter().map(|((_, check), waiver)| (check.clone(), waiver.clone()));
                let failed =
                    machine.plan().steps.iter().zip(&state.steps).filter_map(|(planned, step)| match &step.state {
                        crate::machine::StepState::Failed { reason } => Some((planned.path.clone(), reason.clone())),
                        _ => None,
                    });
                Self::Gate { reports: reports.collect(), failed: failed.collect(), waivers: waivers.collect() }
            }
            _ => Self::None,
        }
    }
}

/// Runs a call of a building block; a panic becomes a fault that names it.
async fn guarded<T, E: IntoFault>(
    who: impl Display + Send,
    call: impl Future<Output = Result<T, E>> + Send,
) -> Result<T, Fault> {
    match AssertUnwindSafe(call).catch_unwind().await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.into_fault()),
        Err(panic) => Err(Fault::new(Certainty::Unknown, format!("{who} panicked: {}", spell(&*panic)))),
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

pub(super) fn spell(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    shortened(text.unwrap_or_else(|| "without a message".to_owned()))
}

fn shortened(mut text: String) -> String {
    if text.len() > LONGEST_MESSAGE {
        let end = (0..=LONGEST_MESSAGE).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

fn performance(performed: Result<Performed, Fault>) -> Performance {
    let answer = |result| Performance::from(Answer::Performed(result));
    match performed {
        Err(fault) => answer(Err(fault)),
        Ok(Performed::Running { handle, .. }) if handle.0.len() > LONGEST_HANDLE => {
            let text = format!("the handle has {} bytes; at most {LONGEST_HANDLE} are kept", handle.0.len());
            answer(Err(Fault::new(Certainty::Unknown, text)))
        }
        Ok(Performed::Running { handle, poll_after }) => answer(Ok(Progress::Running { handle, poll_after })),
        Ok(Performed::Done(report)) => match recorded(report) {
            Ok((report, blobs)) => Performance { answer: Answer::Performed(Ok(Progress::Done(report))), blobs },
            Err(fault) => answer(Err(fault)),
        },
    }
}

/// Bytes with their digests, on their way into the blobs.
type Blobs = Vec<(Digest, Vec<u8>)>;

/// A report as it is recorded, and the bytes that go beside it.
fn recorded(report: Report) -> Result<(Reported, Blobs), Fault> {
    let size: usize = report.evidence.iter().map(|e| e.bytes.len()).sum::<usize>()
        + report.deliverables.iter().map(|d| d.json.len()).sum::<usize>();
    if size > LARGEST_REPORT {
        let text = format!("the report carries {size} bytes; at most {LARGEST_REPORT} are kept");
        return Err(Fault::new(Certainty::Definitive, text));
    }
    let mut blobs = Vec::new();
    let mut evidence = Vec::new();
    for mut piece in report.evidence {
        // The digest is of the bytes, whatever the agent says it is: a claim that cites another one finds nothing.
        piece.evidence.digest = Digest::of(&piece.bytes);
        blobs.push((piece.evidence.digest, piece.bytes));
        evidence.push(piece.evidence);
    }
    let mut outputs = BTreeMap::new();
    for delivered in report.deliverables {
        let payload = if delivered.json.len() <= LONGEST_INLINE {
            Payload::Inline(delivered.json)
        } else {
            let bytes = delivered.json.into_bytes();
            let digest = Digest::of(&bytes);
            blobs.push((digest, bytes));
            Payload::Blob(digest)
        };
        outputs.insert(delivered.key.name, payload);
    }
    Ok((Reported { findings: report.findings, claims: report.claims, evidence, outputs }, blobs))
}

/// What a failed call is recorded as.
trait IntoFault {
    fn into_fault(self) -> Fault;
}

impl IntoFault for AgentError {
    fn into_fault(self) -> Fault {
        Fault::new(self.certainty, shortened(self.chain()))
    }
}

impl IntoFault for TargetError {
    fn into_fault(self) -> Fault {
        let mut fault = Fault::new(self.certainty, shortened(crate::report::chain(&self)));
        fault.stale_fence = self.stale_fence;
        fault
    }
}

impl IntoFault for crate::gate::GateError {
    fn into_fault(self) -> Fault {
        Fault::new(Certainty::Transient, shortened(crate::report::chain(&self)))
    }
}

impl IntoFault for crate::monitor::MonitorError {
    fn into_fault(self) -> Fault {
        Fault::new(Certainty::Transient, shortened(crate::report::chain(&self)))
    }
}
