//! The deterministic rules of review: the gate file, requirements of quality, risks, and the trace from requirements to tests.

use std::collections::BTreeSet;

use deploy_core::evidence::Refusal;
use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::assessment::{Assessment, Assessor, Figure};
use super::document::{Document, Read};
use super::thresholds::Thresholds;

/// What a reviewer of quality says, as a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QaGate {
    /// What was reviewed.
    pub subject: String,
    /// The word of the reviewer.
    pub gate: QaVerdict,
    /// Why, in one sentence.
    pub reason: String,
    /// Who reviewed.
    pub reviewer: String,
    /// When.
    pub at: Timestamp,
    /// Until when it holds; absent: as long as its evidence.
    #[serde(default)]
    pub expires: Option<Timestamp>,
    /// What was found.
    pub top_issues: Vec<QaIssue>,
    /// Who answers for it, where it is waived.
    #[serde(default)]
    pub waiver: QaWaiver,
    /// Earlier words, oldest first. Nothing is ever taken out.
    #[serde(default)]
    pub history: Vec<QaHistory>,
    /// How many pieces of evidence the reviewer looked at.
    pub evidence_reviewed: u64,
}

/// The word of a reviewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum QaVerdict {
    /// It may go.
    Pass,
    /// It may go, with remarks.
    Concerns,
    /// It may not go.
    Fail,
    /// Somebody answers for it.
    Waived,
}

/// Something that a reviewer found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QaIssue {
    /// `SEC-001`, for example: a prefix that says of what kind, and a number.
    pub id: String,
    /// `low`, `medium` or `high`.
    pub severity: QaSeverity,
    /// What was found.
    pub finding: String,
    /// What to do about it.
    pub action: String,
}

/// How bad an issue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QaSeverity {
    /// Hardly.
    Low,
    /// It should be mended.
    Medium,
    /// It must be mended.
    High,
}

/// Who answers for a gate that did not pass.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QaWaiver {
    /// Whether it is in force.
    pub active: bool,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Who approved it.
    #[serde(default)]
    pub approved_by: String,
}

/// An earlier word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QaHistory {
    /// When.
    pub at: Timestamp,
    /// Which.
    pub gate: QaVerdict,
}

impl Document for QaGate {
    const KIND: &'static str = "qa-gate";
}

/// The kinds of issues that a gate file may name.
const ISSUE_KINDS: [&str; 8] = ["SEC", "PERF", "REL", "TEST", "MNT", "ARCH", "DOC", "REQ"];

/// The reviewer's word, where the file is one that could be meant: a pass with a grave issue is none, nor is a waiver that
/// nobody approved, nor a word that is over.
///
/// Rows: M3.
#[must_use]
pub fn qa_gate(gate: &Read<QaGate>, now: Timestamp) -> Assessment {
    let mut found = Assessor::new();
    let file = &gate.document;
    found.figure(Figure::text("gate", format!("{:?}", file.gate).to_uppercase()).at(gate.at("/gate")));
    found.figure(
        Figure::count("evidence reviewed", file.evidence_reviewed)
            .limit("at least 1")
            .at(gate.at("/evidence_reviewed")),
    );
    found.require(file.evidence_reviewed > 0, || "nothing was reviewed".to_owned());
    for (name, text) in [("reason", &file.reason), ("reviewer", &file.reviewer), ("subject", &file.subject)] {
        found.require(!text.trim().is_empty(), || format!("it has no {name} ({})", gate.at(format!("/{name}"))));
    }
    if file.expires.is_some_and(|expires| expires < now) {
        found.refuse(Refusal::Stale(format!("its word held until {}", file.expires.unwrap_or_default())));
    }
    if file.at > now {
        found.refuse(Refusal::FutureDated(format!("it was written at {}, and it is {now}", file.at)));
    }
    if let Some(later) = file.history.windows(2).find(|pair| pair[0].at > pair[1].at) {
        found.fail(format!("its history is not in order at {}", later[1].at));
    }
    for (index, issue) in file.top_issues.iter().enumerate() {
        let at = gate.at(format!("/top_issues/{index}"));
        let kind = issue.id.split_once('-').map_or("", |(kind, _)| kind);
        found.require(ISSUE_KINDS.contains(&kind), || format!("issue {:?} is of no known kind ({at})", issue.id));
        match (issue.severity, file.gate) {
            (QaSeverity::High, QaVerdict::Pass | QaVerdict::Concerns) => {
                found.fail(format!("{} is high, and the gate says otherwise: {} ({at})", issue.id, issue.finding));
            }
            (QaSeverity::Medium, QaVerdict::Pass) => {
                found.fail(format!("{} is medium, and a pass has none: {} ({at})", issue.id, issue.finding));
            }
            _ => {}
        }
    }
    match file.gate {
        QaVerdict::Pass => {}
        QaVerdict::Concerns => found.remark(file.reason.clone()),
        QaVerdict::Fail => found.fail(file.reason.clone()),
        QaVerdict::Waived => {
            let waiver = &file.waiver;
            let whole = waiver.active && !waiver.reason.trim().is_empty() && !waiver.approved_by.trim().is_empty();
            found.require(whole, || format!("it says waived, and nobody answers for it ({})", gate.at("/waiver")));
            found.remark(format!("waived by {}: {}", waiver.approved_by, waiver.reason));
        }
    }
    found.finish()
}

/// Requirements of quality: each with a target, what was measured, and where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NfrResults {
    /// The requirements.
    pub requirements: Vec<Nfr>,
}

/// One requirement of quality.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Nfr {
    /// What it is called.
    pub name: String,
    /// The largest value that is good enough; absent: nobody knows.
    #[serde(default)]
    pub at_most: Option<f64>,
    /// The smallest value that is good enough; absent: nobody knows.
    #[serde(default)]
    pub at_least: Option<f64>,
    /// What was measured; absent: nothing.
    #[serde(default)]
    pub measured: Option<f64>,
    /// Where that stands; empty: nowhere.
    #[serde(default)]
    pub evidence: String,
}

impl Document for NfrResults {
    const KIND: &'static str = "nfr-results";
}

/// Fails where a target is clearly missed, has concerns where a target or its evidence is not known, and passes only with
/// both. A target that nobody knows never passes.
///
/// Rows: M3.
#[must_use]
pub fn nfr(results: &Read<NfrResults>) -> Assessment {
    let mut found = Assessor::new();
    found.require(!results.document.requirements.is_empty(), || "there is no requirement".to_owned());
    for (index, nfr) in results.document.requirements.iter().enumerate() {
        let at = results.at(format!("/requirements/{index}"));
        let target = match (nfr.at_least, nfr.at_most) {
            (None, None) => String::new(),
            (Some(low), None) => format!("at least {low}"),
            (None, Some(high)) => format!("at most {high}"),
            (Some(low), Some(high)) => format!("{low} to {high}"),
        };
        match nfr.measured {
            Some(value) => {
                found.figure(Figure::number(&nfr.name, value, "").limit(&target).at(at.clone()));
                // Not a number is never within.
                let within =
                    nfr.at_least.is_none_or(|low| value >= low) && nfr.at_most.is_none_or(|high| value <= high);
                if target.is_empty() {
                    found.remark(format!("{}: nobody knows its target ({at})", nfr.name));
                } else if !within {
                    found.fail(format!("{} is {value}, {target} is wanted ({at})", nfr.name));
                } else if nfr.evidence.trim().is_empty() {
                    found.remark(format!("{}: {value} stands nowhere ({at})", nfr.name));
                }
            }
            None => found.remark(format!("{}: nothing was measured ({at})", nfr.name)),
        }
    }
    found.finish()
}

/// The risks of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskRegister {
    /// The commit whose change set was looked at, in full.
    pub commit: String,
    /// The risks.
    pub risks: Vec<Risk>,
}

/// One risk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Risk {
    /// What it is called.
    pub id: String,
    /// Of which kind.
    pub category: RiskCategory,
    /// What may happen.
    pub title: String,
    /// How likely, from 1 to 3.
    pub probability: u32,
    /// How bad, from 1 to 3.
    pub impact: u32,
    /// What is done about it, if anything.
    #[serde(default)]
    pub mitigation: Option<Mitigation>,
    /// Whether it is settled: it cannot happen any more.
    #[serde(default)]
    pub closed: bool,
}

/// Of which kind a risk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RiskCategory {
    /// Technology.
    Tech,
    /// Security.
    Sec,
    /// Performance.
    Perf,
    /// Data.
    Data,
    /// Business.
    Bus,
    /// Operation.
    Ops,
}

/// What is done about a risk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mitigation {
    /// What.
    pub action: String,
    /// Who answers for it.
    pub owner: String,
    /// What sets it off.
    pub trigger: String,
}

impl Risk {
    /// Probability times impact, from 1 to 9; nothing where one of them is out of range.
    #[must_use]
    pub fn score(&self) -> Option<u32> {
        ((1..=3).contains(&self.probability) && (1..=3).contains(&self.impact))
            .then_some(self.probability * self.impact)
    }
}

impl Document for RiskRegister {
    const KIND: &'static str = "risk-register";
}

/// No open risk of 9, none of 6 in security or data, and a mitigation with owner and trigger for each that needs one.
///
/// Rows: M144, M196.
#[must_use]
pub fn risks(register: &Read<RiskRegister>, commit: Option<&str>, thresholds: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    let file = &register.document;
    if commit != Some(file.commit.as_str()) {
        found.refuse(Refusal::Foreign(format!("the register is about {}, the release about {commit:?}", file.commit)));
    }
    found.figure(Figure::count("risks", file.risks.len() as u64).limit("at least 1").at(register.at("/risks")));
    found.require(!file.risks.is_empty(), || "a register without risks was not thought about".to_owned());
    let mut highest: Option<(u32, usize)> = None;
    let mut names = BTreeSet::new();
    for (index, risk) in file.risks.iter().enumerate() {
        let at = register.at(format!("/risks/{index}"));
        found.require(names.insert(&risk.id), || format!("risk {} stands there twice ({at})", risk.id));
        let Some(score) = risk.score() else {
            found.refuse(Refusal::Unparseable(format!("{at}: probability and impact go from 1 to 3")));
            continue;
        };
        if risk.closed {
            continue;
        }
        highest = highest.max(Some((score, index)));
        let grave = matches!(risk.category, RiskCategory::Sec | RiskCategory::Data);
        if score == 9 || (score >= 6 && grave) {
            found.fail(format!("{} scores {score} and must be settled: {} ({at})", risk.id, risk.title));
        } else if score >= thresholds.risk_mitigated_from {
            match &risk.mitigation {
                None => found.fail(format!("{} scores {score} and has no mitigation: {} ({at})", risk.id, risk.title)),
                Some(m) if [&m.action, &m.owner, &m.trigger].iter().any(|text| text.trim().is_empty()) => {
                    found.fail(format!("the mitigation of {} lacks action, owner or trigger ({at})", risk.id));
                }
                Some(_) => found.remark(format!("{} scores {score}: {}", risk.id, risk.title)),
            }
        }
    }
    if let Some((score, index)) = highest {
        let at = register.at(format!("/risks/{index}"));
        found.figure(Figure::count("highest open score", u64::from(score)).limit("below 9").at(at));
    }
    found.finish()
}

/// Which requirements are covered by which tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceMatrix {
    /// Whether evidence was collected at all.
    pub evaluated: bool,
    /// The requirements.
    pub requirements: Vec<TracedRequirement>,
}

/// One requirement, and what covers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracedRequirement {
    /// What it is called.
    pub id: String,
    /// From 0, which is the first.
    pub priority: u32,
    /// The tests that cover it, by name. None: nothing does.
    pub tests: Vec<String>,
    /// Whether it was guessed from the code, instead of stated.
    #[serde(default)]
    pub inferred: bool,
    /// Whether it was only seen once by somebody who looked.
    #[serde(default)]
    pub observed_once: bool,
}

impl Document for TraceMatrix {
    const KIND: &'static str = "trace-matrix";
}

/// All requirements of the first priority are covered by tests that passed, enough of the second, and enough of all. What was
/// only inferred or seen once is a concern at best.
///
/// `passed` are the names of tests that passed: a test that is named and did not pass covers nothing.
///
/// Rows: M4.
#[must_use]
pub fn trace(matrix: &Read<TraceMatrix>, passed: &BTreeSet<String>, thresholds: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    let file = &matrix.document;
    if !file.evaluated {
        found.refuse(Refusal::Unfinished("no evidence was collected for the requirements".to_owned()));
    }
    found.require(!file.requirements.is_empty(), || "there is no requirement".to_owned());
    let covered = |r: &&TracedRequirement| r.tests.iter().any(|test| passed.contains(test));
    let share = |of: &dyn Fn(&TracedRequirement) -> bool| {
        let all: Vec<_> = file.requirements.iter().filter(|r| of(r)).collect();
        let yes = all.iter().copied().filter(|r| covered(r)).count();
        #[expect(clippy::cast_precision_loss, reason = "requirements stay far below 2^52")]
        (!all.is_empty()).then(|| yes as f64 * 100.0 / all.len() as f64)
    };
    let at = matrix.at("/requirements");
    let first = thresholds.trace_first_at_least.max(100.0);
    if let Some(percent) = share(&|r| r.priority == 0) {
        found.figure(Figure::number("first priority covered", percent, "%").limit(format!("{first} %")).at(at.clone()));
        found.require(percent >= first, || {
            format!("{percent:.1} % of the first priority is covered; all of it must be")
        });
    }
    if let Some(percent) = share(&|r| r.priority == 1) {
        let (pass, fail) = (thresholds.trace_second_passes_at, thresholds.trace_second_fails_below);
        found.figure(
            Figure::number("second priority covered", percent, "%").limit(format!("at least {pass} %")).at(at.clone()),
        );
        if percent < fail {
            found.fail(format!("{percent:.1} % of the second priority is covered; at least {fail} % must be"));
        } else if percent < pass {
            found.remark(format!("{percent:.1} % of the second priority is covered; {pass} % is wanted"));
        }
    }
    if let Some(percent) = share(&|_| true) {
        let least = thresholds.trace_all_at_least;
        found.figure(Figure::number("all covered", percent, "%").limit(format!("at least {least} %")).at(at));
        found.require(percent >= least, || format!("{percent:.1} % of all is covered; at least {least} % must be"));
    }
    for (index, r) in file.requirements.iter().enumerate() {
        if r.inferred || r.observed_once {
            let why = if r.inferred { "inferred" } else { "seen once" };
            found.remark(format!("{} is only {why} ({})", r.id, matrix.at(format!("/requirements/{index}"))));
        }
        for test in r.tests.iter().filter(|test| !passed.contains(*test)) {
            found.remark(format!("{} names {test}, which did not pass", r.id));
        }
    }
    found.finish()
}
