//! What the building blocks of an exploration may answer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::agent::{Certainty, Handle};
use crate::deliverable::Payload;
use crate::evidence::{Receipt, Refusal, Verdict};
use crate::gate::GateDecision;
use crate::machine::Strategies;
use crate::machine::{Answer, Call, Command, Fault, Found, Look, Machine, Progress, Reported, Rolling, StepState};
use crate::name::{BlockName, RevisionName};
use crate::operator::ApprovalRequest;
use crate::plan::{StepId, Work};
use crate::release::Release;
use crate::strategy::{Decision, Exposure, Next, Outline, Promotion, Reason, ReasonCode, Situation, Stage, Strategy};
use crate::target::{Capabilities, DesiredState, TargetState};
use crate::testing::plans::UNIT;

/// What a scripted strategy says, whatever it sees: the four outcomes of a judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Judged {
    /// Stay and go on looking.
    Continue,
    /// Go to the next stage; at the last one, be complete.
    Promote,
    /// Go back.
    RollBack,
    /// Ask people.
    Await,
}

/// A strategy of two stages, half and all, that says what it was told to say.
#[derive(Debug, Clone)]
pub struct ScriptedStrategy {
    name: BlockName,
    says: Judged,
}

impl ScriptedStrategy {
    /// A strategy that says this at every look.
    #[must_use]
    pub fn new(name: BlockName, says: Judged) -> Self {
        Self { name, says }
    }

    fn stages(situation: &Situation<'_>) -> [DesiredState; 2] {
        let new = situation.release.revision.clone();
        let mut half = situation.from.as_desired();
        half.max_weight = 100;
        half.weights = BTreeMap::from([(new.clone(), 50)]);
        if let Some(old) = situation.from.serving() {
            half.weights.insert(old.clone(), 50);
        }
        let mut whole = half.clone();
        whole.weights = BTreeMap::from([(new, 100)]);
        [half, whole]
    }
}

/// Whatever a plan calls its strategies, they all say this.
impl Strategies for ScriptedStrategy {
    fn strategy(&self, _name: &BlockName) -> Option<&dyn Strategy> {
        Some(self)
    }
}

impl Strategy for ScriptedStrategy {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    fn needs(&self) -> Capabilities {
        Capabilities { weights: true, ..Capabilities::default() }
    }

    fn outline(&self, _release: &Release, _from: &TargetState) -> Outline {
        Outline::default()
    }

    fn decide(&self, situation: &Situation<'_>) -> Decision {
        let [half, whole] = Self::stages(situation);
        let at = u32::from(situation.wanted == Some(&whole));
        let promoted = situation.promotion != Promotion::None;
        let says = if promoted && self.says != Judged::RollBack { Judged::Promote } else { self.says };
        let begun = situation.wanted.is_some();
        let later = Next::WakeAt(situation.now + UNIT);
        let (index, next, code) = match says {
            Judged::Continue => (at, later, ReasonCode::WaitingForMeasurements),
            Judged::Promote if !begun => (0, later, ReasonCode::Advanced),
            Judged::Promote if at == 0 => (1, later, ReasonCode::Advanced),
            Judged::Promote if situation.observed.satisfies(&whole) => (1, Next::Complete, ReasonCode::RolledOut),
            Judged::Promote => (1, later, ReasonCode::WaitingForTarget),
            Judged::RollBack => (at, Next::RollBack, ReasonCode::AnalysisFailed),
            Judged::Await => (at, Next::Await(question()), ReasonCode::WaitingForApproval),
        };
        Decision {
            want: if index == 0 { half } else { whole },
            measure: Vec::new(),
            next,
            memory: situation.memory.clone(),
            stage: Stage { index, of: 2, name: if index == 0 { "half" } else { "all" }.to_owned() },
            reason: Reason::new(code, "as scripted"),
            judgements: Vec::new(),
            exposure: Exposure::NONE,
        }
    }

    fn revert(&self, situation: &Situation<'_>) -> Decision {
        let mut decision = situation.restore();
        match self.says {
            Judged::RollBack => decision.next = Next::RollBack,
            Judged::Await if decision.next != Next::Complete => decision.next = Next::Await(question()),
            Judged::Continue | Judged::Promote | Judged::Await => {}
        }
        decision
    }
}

fn question() -> ApprovalRequest {
    ApprovalRequest::new("shall it go on?").expires_after(UNIT * 2)
}

/// One way in which a command can be answered.
#[derive(Debug, Clone)]
pub(super) struct Way {
    /// The answer.
    pub(super) answer: Answer,
    /// What a strategy then says.
    pub(super) says: Judged,
    /// What is then at the step's target; absent: as before.
    pub(super) there: Option<TargetState>,
}

impl Way {
    fn plain(answer: Answer) -> Self {
        Self { answer, says: Judged::Continue, there: None }
    }
}

/// Every way in which a command can be answered.
pub(super) fn ways(machine: &Machine, command: &Command, there: Option<&TargetState>) -> Vec<Way> {
    let id = command.of.step;
    let fault = |certainty| Fault::new(certainty, "as scripted");
    let faults = || [Certainty::Definitive, Certainty::Transient, Certainty::Unknown].map(fault);
    let running = || (Handle("job".to_owned()), UNIT);
    match &command.call {
        Call::Perform | Call::Poll(_) => {
            let (handle, poll_after) = running();
            let mut all = vec![Ok(Progress::Done(report(machine, id))), Ok(Progress::Running { handle, poll_after })];
            all.extend(faults().map(Err));
            all.into_iter().map(|r| Way::plain(Answer::Performed(r))).collect()
        }
        Call::Lookup => {
            let (handle, poll_after) = running();
            let all = vec![
                Ok(Found::Finished(report(machine, id))),
                Ok(Found::Running { handle, poll_after }),
                Ok(Found::Failed("as scripted".to_owned())),
                Ok(Found::NeverStarted),
                Ok(Found::Unknown),
                Err(fault(Certainty::Transient)),
            ];
            all.into_iter().map(|r| Way::plain(Answer::LookedUp(r))).collect()
        }
        Call::Cancel(_) => {
            let (handle, poll_after) = running();
            let mut all = vec![
                None,
                Some(Ok(Progress::Done(report(machine, id)))),
                Some(Ok(Progress::Running { handle, poll_after })),
            ];
            all.extend(faults().map(|f| Some(Err(f))));
            all.into_iter().map(|r| Way::plain(Answer::Cancelled(r))).collect()
        }
        Call::Verify => verifications(machine, id),
        Call::Evaluate => {
            let all = vec![
                Ok(GateDecision::Go),
                Ok(GateDecision::Conditional { conditions: vec!["as scripted".to_owned()] }),
                Ok(GateDecision::hold("as scripted", UNIT)),
                Ok(GateDecision::no_go("scripted", "as scripted")),
                Err(fault(Certainty::Transient)),
            ];
            all.into_iter().map(|r| Way::plain(Answer::Evaluated(r))).collect()
        }
        Call::Look(_) => looks(machine, id, there),
        Call::Apply(want) => applies(want, there),
    }
}

/// A report that hands over all that later steps take.
fn report(machine: &Machine, id: StepId) -> Reported {
    let plan = machine.plan();
    let mut report = Reported::default();
    for planned in &plan.steps {
        if let Work::Task { inputs, .. } = &planned.work {
            let taken = inputs.iter().filter(|(_, from)| **from == id);
            report.outputs.extend(taken.map(|(name, _)| (name.clone(), Payload::Inline("1".to_owned()))));
        }
    }
    report
}

fn verifications(machine: &Machine, id: StepId) -> Vec<Way> {
    let Some(planned) = machine.plan().step(id) else { return Vec::new() };
    let receipts = |read: bool, verdict: &dyn Fn(&crate::name::CheckName) -> Verdict| {
        let one = |v: &crate::evidence::Verification| Receipt {
            check: v.check.clone(),
            read: if read { vec![crate::digest::Digest::ZERO] } else { Vec::new() },
            verdict: verdict(&v.check),
        };
        Way::plain(Answer::Verified(planned.verifications.iter().map(one).collect()))
    };
    let refused = Verdict::Inconclusive { refusal: Refusal::Missing("as scripted".to_owned()) };
    let waived = |check: &crate::name::CheckName| {
        let waiver = machine.state().waivers.get(&(id, check.clone()));
        waiver.map_or_else(|| refused.clone(), |w| Verdict::Waived(w.clone()))
    };
    vec![
        receipts(true, &|_| Verdict::Pass),
        receipts(true, &|_| Verdict::Fail { reason: "as scripted".to_owned() }),
        receipts(false, &waived),
        // A verifier that passes without having read anything, and one that says nothing at all.
        receipts(false, &|_| Verdict::Pass),
        Way::plain(Answer::Verified(Vec::new())),
    ]
}

fn looks(machine: &Machine, id: StepId, there: Option<&TargetState>) -> Vec<Way> {
    let Some(StepState::Rolling(rolling)) = machine.state().steps.get(id.index()).map(|s| &s.state) else {
        return Vec::new();
    };
    let Some(there) = there else { return Vec::new() };
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for state in changes(rolling, there) {
        if !seen.insert(format!("{:?}", state.weights)) {
            continue;
        }
        let says = [Judged::Continue, Judged::Promote, Judged::RollBack, Judged::Await];
        all.extend(says.map(|says| Way {
            answer: Answer::Looked(Ok(Look { observed: state.clone(), measured: Vec::new() })),
            says,
            there: Some(state.clone()),
        }));
    }
    all.push(Way::plain(Answer::Looked(Err(Fault::new(Certainty::Unknown, "as scripted")))));
    all
}

/// What may be there when we look: what was, what we asked for if it took its time, or what somebody else wants.
fn changes(rolling: &Rolling, there: &TargetState) -> Vec<TargetState> {
    let mut all = vec![there.clone()];
    if let Some(want) = rolling.want.as_ref().filter(|_| rolling.applied) {
        all.push(as_wanted(want, there));
    }
    if rolling.settled
        && let Ok(other) = RevisionName::new("other")
    {
        let mut changed = there.clone();
        changed.weights = BTreeMap::from([(other, 100)]);
        all.push(changed);
    }
    all
}

fn as_wanted(want: &DesiredState, there: &TargetState) -> TargetState {
    TargetState { weights: want.weights.clone(), ..there.clone() }
}

fn applies(want: &DesiredState, there: Option<&TargetState>) -> Vec<Way> {
    let taken = there.map(|t| as_wanted(want, t));
    let answer = |result: Result<(), Fault>, there: Option<TargetState>| Way {
        answer: Answer::Applied(result),
        says: Judged::Continue,
        there,
    };
    let fault = |certainty| Err(Fault::new(certainty, "as scripted"));
    let stale = Fault { stale_fence: true, ..Fault::new(Certainty::Definitive, "an older fence") };
    vec![
        answer(Ok(()), taken.clone()),
        answer(Ok(()), None),
        answer(fault(Certainty::Definitive), None),
        answer(fault(Certainty::Transient), None),
        answer(fault(Certainty::Unknown), None),
        answer(fault(Certainty::Unknown), taken),
        answer(Err(stale), None),
    ]
}

/// Whether an answer says that the work was done: those are the dangerous ones when they come late.
pub(super) fn says_done(answer: &Answer) -> bool {
    match answer {
        Answer::Performed(Ok(Progress::Done(_)))
        | Answer::LookedUp(Ok(Found::Finished(_)))
        | Answer::Cancelled(Some(Ok(Progress::Done(_))))
        | Answer::Looked(Ok(_))
        | Answer::Applied(Ok(()))
        | Answer::Evaluated(Ok(GateDecision::Go)) => true,
        Answer::Verified(receipts) => receipts.iter().any(|r| r.verdict.is_met()),
        Answer::Performed(_)
        | Answer::LookedUp(_)
        | Answer::Cancelled(_)
        | Answer::Looked(_)
        | Answer::Applied(_)
        | Answer::Evaluated(_) => false,
    }
}

/// How long nobody looked when a driver takes over.
pub(super) const ABSENT: Duration = UNIT;
