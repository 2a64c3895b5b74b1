//! The six criteria of readiness, each with a veto.

use std::collections::BTreeMap;
use std::fmt;

use deploy_core::evidence::Verdict;
use deploy_core::gate::{GateDecision, Veto};
use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What a release must be ready in before it goes anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// Builds, tests, coverage, lints.
    CodeQuality,
    /// Audit, scans, compliance, access.
    Security,
    /// Benchmarks and service levels.
    Performance,
    /// Environment, capacity, monitoring, backups.
    Infrastructure,
    /// What people read.
    Documentation,
    /// Who is on call, and whether they know.
    TeamReadiness,
}

impl Criterion {
    /// All six, in the order of the table.
    pub const ALL: [Self; 6] = [
        Self::CodeQuality,
        Self::Security,
        Self::Performance,
        Self::Infrastructure,
        Self::Documentation,
        Self::TeamReadiness,
    ];

    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CodeQuality => "code quality",
            Self::Security => "security",
            Self::Performance => "performance",
            Self::Infrastructure => "infrastructure",
            Self::Documentation => "documentation",
            Self::TeamReadiness => "team readiness",
        }
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A verdict for each criterion, and the decision that follows. A criterion without a verdict is a veto.
///
/// ```
/// use deploy_agents::gates::{Criterion, ReadinessMatrix};
/// use deploy_core::evidence::Verdict;
/// use deploy_core::gate::GateDecision;
/// use deploy_core::time::Timestamp;
///
/// let mut matrix = ReadinessMatrix::new();
/// for criterion in Criterion::ALL {
///     matrix = matrix.verdict(criterion, Verdict::Pass);
/// }
/// assert_eq!(matrix.decision(Timestamp(0)), GateDecision::Go);
/// let matrix = matrix.verdict(Criterion::Security, Verdict::Fail { reason: "one critical finding".to_owned() });
/// assert!(!matrix.decision(Timestamp(0)).passes());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReadinessMatrix {
    verdicts: BTreeMap<Criterion, Vec<Verdict>>,
    /// Criteria that must pass without remarks.
    strict: std::collections::BTreeSet<Criterion>,
}

impl ReadinessMatrix {
    /// A matrix without verdicts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same matrix with one more verdict. Of several on one criterion each keeps its veto.
    #[must_use]
    pub fn verdict(mut self, criterion: Criterion, verdict: Verdict) -> Self {
        self.verdicts.entry(criterion).or_default().push(verdict);
        self
    }

    /// The same matrix, in which remarks on this criterion are a veto. By default they are a condition.
    #[must_use]
    pub fn strict(mut self, criterion: Criterion) -> Self {
        self.strict.insert(criterion);
        self
    }

    /// What one criterion decides at an instant.
    #[must_use]
    pub fn row(&self, criterion: Criterion, now: Timestamp) -> GateDecision {
        let verdicts = self.verdicts.get(&criterion).map_or(&[][..], Vec::as_slice);
        if verdicts.is_empty() {
            return GateDecision::no_go(criterion.name(), "nobody has judged it");
        }
        let one = |verdict| weigh(criterion, verdict, self.strict.contains(&criterion), now);
        verdicts.iter().map(one).fold(GateDecision::Go, GateDecision::and)
    }

    /// Go only if no criterion objects. Every veto is kept.
    #[must_use]
    pub fn decision(&self, now: Timestamp) -> GateDecision {
        Criterion::ALL.into_iter().map(|c| self.row(c, now)).fold(GateDecision::Go, GateDecision::and)
    }

    /// The matrix as a table for people.
    #[must_use]
    pub fn table(&self, now: Timestamp) -> String {
        let mut text = format!("{:15} {:11} why\n", "criterion", "decision");
        for criterion in Criterion::ALL {
            let (word, why) = match self.row(criterion, now) {
                GateDecision::Go => ("go", String::new()),
                GateDecision::Conditional { conditions } => ("conditional", conditions.join("; ")),
                GateDecision::Hold { reason, .. } => ("hold", reason),
                GateDecision::NoGo { vetoes } => ("veto", said(&vetoes)),
            };
            text.push_str(format!("{criterion:15} {word:11} {why}").trim_end());
            text.push('\n');
        }
        let word = match self.decision(now) {
            GateDecision::Go => "GO",
            GateDecision::Conditional { .. } => "CONDITIONAL",
            GateDecision::Hold { .. } => "HOLD",
            GateDecision::NoGo { .. } => "NO-GO",
        };
        text.push_str(word);
        text.push('\n');
        text
    }
}

fn said(vetoes: &[Veto]) -> String {
    vetoes.iter().map(|v| v.reason.as_str()).collect::<Vec<_>>().join("; ")
}

fn weigh(criterion: Criterion, verdict: &Verdict, strict: bool, now: Timestamp) -> GateDecision {
    let veto = |why: String| GateDecision::no_go(criterion.name(), why);
    match verdict {
        Verdict::Pass | Verdict::NotApplicable { .. } => GateDecision::Go,
        Verdict::Concerns { remarks } if strict => veto(format!("remarks are not enough: {}", remarks.join("; "))),
        Verdict::Concerns { remarks } => {
            GateDecision::Conditional { conditions: vec![format!("{criterion}: {}", remarks.join("; "))] }
        }
        Verdict::Waived(waiver) if waiver.expires < now => {
            veto(format!("its waiver by {} expired at {}", waiver.person, waiver.expires))
        }
        Verdict::Waived(waiver) if waiver.reason.trim().is_empty() => {
            veto(format!("its waiver by {} gives no reason", waiver.person))
        }
        Verdict::Waived(waiver) => GateDecision::Conditional {
            conditions: vec![format!(
                "{criterion} is waived by {} until {}: {}",
                waiver.person, waiver.expires, waiver.reason
            )],
        },
        Verdict::Fail { reason } => veto(reason.clone()),
        Verdict::Inconclusive { refusal } => veto(format!("its evidence was refused as {refusal}")),
    }
}
