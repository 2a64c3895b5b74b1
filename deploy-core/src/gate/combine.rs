//! Gates made of gates: by vetoes, never by a weighted sum.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;

use super::{Gate, GateContext, GateDecision, GateError, Veto};
use crate::name::BlockName;

/// Opens when every gate in it opens. All are asked, so that every veto is known at once.
#[derive(Debug, Clone)]
pub struct AllOf {
    name: BlockName,
    gates: Vec<Arc<dyn Gate>>,
}

/// Opens when at least one gate in it opens.
#[derive(Debug, Clone)]
pub struct AnyOf(Quorum);

/// Opens when at least `needed` gates in it open.
#[derive(Debug, Clone)]
pub struct Quorum {
    name: BlockName,
    needed: usize,
    gates: Vec<Arc<dyn Gate>>,
}

/// Opens when the gate in it is shut by a veto, and the other way round. A hold stays a hold.
#[derive(Debug, Clone)]
pub struct Not {
    name: BlockName,
    gate: Arc<dyn Gate>,
}

impl AllOf {
    /// A gate that needs all of `gates`.
    #[must_use]
    pub fn new(name: BlockName, gates: Vec<Arc<dyn Gate>>) -> Self {
        Self { name, gates }
    }
}

impl AnyOf {
    /// A gate that needs one of `gates`.
    #[must_use]
    pub fn new(name: BlockName, gates: Vec<Arc<dyn Gate>>) -> Self {
        Self(Quorum::new(name, 1, gates))
    }
}

impl Quorum {
    /// A gate that needs `needed` of `gates`.
    #[must_use]
    pub fn new(name: BlockName, needed: usize, gates: Vec<Arc<dyn Gate>>) -> Self {
        Self { name, needed, gates }
    }
}

impl Not {
    /// A gate that is open when `gate` is shut.
    #[must_use]
    pub fn new(name: BlockName, gate: Arc<dyn Gate>) -> Self {
        Self { name, gate }
    }
}

fn criteria(gates: &[Arc<dyn Gate>], between: &str) -> String {
    gates.iter().map(|g| g.criterion()).filter(|c| !c.trim().is_empty()).collect::<Vec<_>>().join(between)
}

/// What is wrong with the gates inside a gate. A whole hides a part without a criterion, so it is looked for here.
fn flaws(gates: &[Arc<dyn Gate>]) -> Option<String> {
    if gates.is_empty() {
        return Some("there is no gate in it".to_owned());
    }
    gates.iter().find_map(|gate| match gate.flaw() {
        Some(flaw) => Some(format!("in {}, {flaw}", gate.name())),
        None if gate.criterion().trim().is_empty() => Some(format!("{} in it has no criterion", gate.name())),
        None => None,
    })
}

#[async_trait]
impl Gate for AllOf {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    fn criterion(&self) -> String {
        criteria(&self.gates, ", and ")
    }

    fn flaw(&self) -> Option<String> {
        flaws(&self.gates)
    }

    async fn evaluate(&self, cx: &GateContext) -> Result<GateDecision, GateError> {
        let answers = join_all(self.gates.iter().map(|gate| gate.evaluate(cx))).await;
        answers.into_iter().try_fold(GateDecision::Go, |so_far, answer| Ok(so_far.and(answer?)))
    }
}

#[async_trait]
impl Gate for AnyOf {
    fn name(&self) -> BlockName {
        self.0.name.clone()
    }

    fn criterion(&self) -> String {
        criteria(&self.0.gates, ", or ")
    }

    fn flaw(&self) -> Option<String> {
        self.0.flaw()
    }

    async fn evaluate(&self, cx: &GateContext) -> Result<GateDecision, GateError> {
        self.0.evaluate(cx).await
    }
}

#[async_trait]
impl Gate for Quorum {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    fn criterion(&self) -> String {
        format!("{} of: {}", self.needed, criteria(&self.gates, "; "))
    }

    fn flaw(&self) -> Option<String> {
        let (needed, there) = (self.needed, self.gates.len());
        match needed {
            0 => Some("it needs none of its gates, so that it could never shut".to_owned()),
            _ if there > 0 && needed > there => {
                Some(format!("it needs {needed} of {there} gates, so that it could never open"))
            }
            _ => flaws(&self.gates),
        }
    }

    /// A gate that could not find out counts as one that holds: it neither opens nor vetoes.
    async fn evaluate(&self, cx: &GateContext) -> Result<GateDecision, GateError> {
        let answers = join_all(self.gates.iter().map(|gate| gate.evaluate(cx))).await;
        let (mut open, mut may_open) = (0, 0);
        let (mut conditions, mut vetoes, mut waits) = (Vec::new(), Vec::new(), Vec::new());
        let mut soonest: Option<Duration> = None;
        for answer in answers {
            match answer {
                Ok(GateDecision::Go) => open += 1,
                Ok(GateDecision::Conditional { conditions: more }) => {
                    open += 1;
                    conditions.extend(more);
                }
                Ok(GateDecision::Hold { reason, ask_again_after }) => {
                    may_open += 1;
                    waits.push(reason);
                    soonest = Some(soonest.map_or(ask_again_after, |s| s.min(ask_again_after)));
                }
                Ok(GateDecision::NoGo { vetoes: more }) => vetoes.extend(more),
                Err(error) => {
                    may_open += 1;
                    waits.push(format!("could not find out: {error}"));
                }
            }
        }
        let needed = self.needed;
        Ok(if open >= needed && conditions.is_empty() {
            GateDecision::Go
        } else if open >= needed {
            GateDecision::Conditional { conditions }
        } else if open + may_open >= needed {
            GateDecision::hold(
                format!("{open} of {needed} so far; {}", waits.join("; ")),
                soonest.unwrap_or(Duration::from_secs(10)),
            )
        } else {
            vetoes.push(Veto { by: self.name.to_string(), reason: format!("{open} of the {needed} needed") });
            GateDecision::NoGo { vetoes }
        })
    }
}

#[async_trait]
impl Gate for Not {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    fn criterion(&self) -> String {
        format!("not: {}", self.gate.criterion())
    }

    fn flaw(&self) -> Option<String> {
        flaws(std::slice::from_ref(&self.gate))
    }

    async fn evaluate(&self, cx: &GateContext) -> Result<GateDecision, GateError> {
        Ok(match self.gate.evaluate(cx).await? {
            GateDecision::Go | GateDecision::Conditional { .. } => {
                GateDecision::no_go(self.name.to_string(), format!("{} is so", self.gate.criterion()))
            }
            hold @ GateDecision::Hold { .. } => hold,
            GateDecision::NoGo { .. } => GateDecision::Go,
        })
    }
}
