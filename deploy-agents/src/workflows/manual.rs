//! How much of a plan waits for people.

use std::fmt;

use deploy_core::plan::{Plan, StepPath, Work};
use serde::{Deserialize, Serialize};

/// How much of a plan is done by people, and how much without them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Automation {
    /// The steps that wait for a person.
    pub manual: Vec<ManualStep>,
    /// How many steps do not.
    pub automated: u64,
}

/// A step that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ManualStep {
    /// The step.
    pub step: StepPath,
    /// What is asked.
    pub question: String,
    /// Who may answer: roles and people. Nobody named: anybody who may steer the run.
    pub approvers: Vec<String>,
    /// How many of them must.
    pub quorum: u32,
}

impl Automation {
    /// Counts the steps of a plan. The joins at the ends of phases are not steps of anybody.
    ///
    /// Rows: M120, M236.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let mut counted = Self { manual: Vec::new(), automated: 0 };
        for step in &plan.steps {
            match &step.work {
                Work::Approval(request) => {
                    let roles = request.roles.iter().map(|role| format!("role {role}"));
                    counted.manual.push(ManualStep {
                        step: step.path.clone(),
                        question: request.question.clone(),
                        approvers: roles.chain(request.people.iter().cloned()).collect(),
                        quorum: request.quorum,
                    });
                }
                Work::Gate { gate: None, .. } => {}
                Work::Task { .. } | Work::Gate { .. } | Work::Soak { .. } | Work::Rollout(_) => counted.automated += 1,
            }
        }
        counted
    }

    /// The manual steps that name nobody who is to answer.
    pub fn without_approver(&self) -> impl Iterator<Item = &ManualStep> {
        self.manual.iter().filter(|step| step.approvers.is_empty())
    }

    /// Which share of the steps waits for nobody, from 0 to 1; nothing where there is no step.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of steps stay far below 2^52")]
    pub fn ratio(&self) -> Option<f64> {
        let all = self.automated + self.manual.len() as u64;
        (all > 0).then(|| self.automated as f64 / all as f64)
    }
}

impl fmt::Display for Automation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.ratio().unwrap_or_default() * 100.0;
        write!(f, "{} automated, {} manual: {percent:.0} % without people", self.automated, self.manual.len())?;
        for step in &self.manual {
            let who = if step.approvers.is_empty() { "anybody".to_owned() } else { step.approvers.join(", ") };
            write!(f, "\n  {}: {} of {who}", step.step, step.quorum)?;
        }
        Ok(())
    }
}
