//! What must be so before a run is even asked for.

use std::fmt;

use deploy_core::evidence::Verdict;
use deploy_core::gate::{GateDecision, Veto};
use deploy_core::pipeline::Blocks;
use deploy_core::plan::{Plan, RollbackTo, Work};
use serde::{Deserialize, Serialize};

/// One thing that must be so before a run is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prerequisite {
    /// Every building block that the plan names is here and honours its contract.
    Agents,
    /// The pipeline that builds is configured, and its last run ended well.
    Pipeline,
    /// The environment is what it is declared to be.
    Environments,
    /// Somebody would notice if it went wrong.
    Monitoring,
    /// There is a way back, and it was walked.
    Rollback,
}

impl Prerequisite {
    /// All of them, in the order in which people ask.
    pub const ALL: [Self; 5] = [Self::Agents, Self::Pipeline, Self::Environments, Self::Monitoring, Self::Rollback];

    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::Pipeline => "pipeline",
            Self::Environments => "environments",
            Self::Monitoring => "monitoring",
            Self::Rollback => "rollback",
        }
    }
}

impl fmt::Display for Prerequisite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The five prerequisites of a plan. Two of them the plan itself answers; the others are verdicts of checks.
///
/// Its `Display` is a table. What nobody has answered is a veto.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Preflight {
    /// The answers, in order; several for one prerequisite where several were given.
    pub answers: Vec<(Prerequisite, Verdict)>,
}

impl Preflight {
    /// Asks the plan and the building blocks that are here.
    #[must_use]
    pub fn of(plan: &Plan, blocks: &Blocks) -> Self {
        let agents = match blocks.bind(plan) {
            Ok(_) => Verdict::Pass,
            Err(missing) => Verdict::Fail { reason: missing.to_string() },
        };
        Self { answers: vec![(Prerequisite::Agents, agents), (Prerequisite::Rollback, way_back(plan))] }
    }

    /// The same preflight with the verdict of a check: `environment` or `monitoring-up`, for example.
    #[must_use]
    pub fn verdict(mut self, of: Prerequisite, verdict: Verdict) -> Self {
        self.answers.push((of, verdict));
        self
    }

    /// Whether the run may be asked for. Every veto is kept.
    #[must_use]
    pub fn decision(&self) -> GateDecision {
        let (mut vetoes, mut conditions) = (Vec::new(), Vec::new());
        for of in Prerequisite::ALL {
            let mut answers = self.answers.iter().filter(|(o, _)| *o == of).peekable();
            if answers.peek().is_none() {
                vetoes.push(Veto { by: of.name().to_owned(), reason: "nobody has looked".to_owned() });
            }
            for (_, verdict) in answers {
                match verdict {
                    Verdict::Pass | Verdict::NotApplicable { .. } => {}
                    Verdict::Concerns { .. } | Verdict::Waived(_) => {
                        conditions.push(format!("{of}: {}", spell(verdict)))
                    }
                    Verdict::Fail { .. } | Verdict::Inconclusive { .. } => {
                        vetoes.push(Veto { by: of.name().to_owned(), reason: spell(verdict) });
                    }
                }
            }
        }
        match (vetoes.is_empty(), conditions.is_empty()) {
            (false, _) => GateDecision::NoGo { vetoes },
            (true, false) => GateDecision::Conditional { conditions },
            (true, true) => GateDecision::Go,
        }
    }
}

/// The way back that the plan has: declared, and with an inverse for what it moves.
fn way_back(plan: &Plan) -> Verdict {
    if let Some(of) = &plan.rollback_of {
        return Verdict::NotApplicable { reason: format!("it is itself the way back of run {}", of.run) };
    }
    if let RollbackTo::None { reason } = &plan.rollback {
        return Verdict::Fail { reason: format!("the plan declares no way back: {reason}") };
    }
    let crossings = plan.steps.iter().filter_map(|s| Some(format!("{}: {}", s.path, s.point_of_no_return.as_ref()?)));
    let crossings: Vec<String> = crossings.collect();
    if !crossings.is_empty() {
        let remarks = crossings.into_iter().map(|c| format!("there is no way back after {c}")).collect();
        return Verdict::Concerns { remarks };
    }
    // What nobody may repeat has an effect; without an inverse it stays behind.
    let stays = plan.steps.iter().filter(|step| match &step.work {
        Work::Task { undo: None, repeatable, .. } => *repeatable == deploy_core::agent::Repeatable::No,
        Work::Task { .. } | Work::Gate { .. } | Work::Approval(_) | Work::Soak { .. } | Work::Rollout(_) => false,
    });
    let stays: Vec<&str> = stays.map(|step| step.path.as_str()).collect();
    if stays.is_empty() {
        Verdict::Pass
    } else {
        Verdict::Fail { reason: format!("not to be repeated, and nothing undoes it: {}", stays.join(", ")) }
    }
}

fn spell(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Pass => "pass".to_owned(),
        Verdict::Concerns { remarks } => remarks.join("; "),
        Verdict::Fail { reason } => reason.clone(),
        Verdict::Inconclusive { refusal } => format!("its evidence was refused as {refusal}"),
        Verdict::Waived(waiver) => format!("waived by {} until {}: {}", waiver.person, waiver.expires, waiver.reason),
        Verdict::NotApplicable { reason } => format!("not applicable: {reason}"),
    }
}

impl fmt::Display for Preflight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for of in Prerequisite::ALL {
            let said: Vec<String> =
                self.answers.iter().filter(|(o, _)| *o == of).map(|(_, verdict)| spell(verdict)).collect();
            let said = if said.is_empty() { "nobody has looked".to_owned() } else { said.join("; ") };
            writeln!(f, "{of:13} {said}")?;
        }
        Ok(())
    }
}
