//! The sixteen verified steps: for each of them four mandatory verifications, sixty-four in all.
//!
//! | line | asks | name |
//! |---|---|---|
//! | a | were the named documents opened by our readers, to their end? | `<agent>-<phase>:read` |
//! | b | were all checks of the declared level carried out? | `<agent>-<phase>:standards` |
//! | c | do the listed checks pass? | `<agent>-<phase>:checks` |
//! | d | does every sentence of the report resolve to a check or to a place in the evidence? | `<agent>-<phase>:reports` |

use std::sync::Arc;

use deploy_core::digest::Digest;
use deploy_core::evidence::{Check, CheckInput, Evidence, EvidencePolicy, Refusal, Verdict, Verification};
use deploy_core::name::CheckName;
use deploy_core::time::Spell;
use serde::{Deserialize, Serialize};

use super::assessment::{Assessment, Assessor, Figure};
use super::catalogue::{Catalogue, CatalogueCheck};
use super::document::Document;
use super::level::ValidationLevel;
use super::reading::Reading;
use super::{code, infrastructure, kind, people, performance, rules, shipping};

/// One of the sixteen steps, with what it must read and what must be so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedStep {
    /// The row of the workflows.
    pub row: u16,
    /// The agent that does it.
    pub agent: &'static str,
    /// The phase, from 1.
    pub phase: u8,
    /// The documents that it must have read; of the kinds in one entry any is enough.
    pub documents: &'static [&'static [&'static str]],
    /// The level that it declares.
    pub level: ValidationLevel,
    /// The checks that must pass.
    pub checks: &'static [&'static str],
}

const SCANS: &[&str] = &[kind::TRIVY, kind::GRYPE, kind::OSV, kind::CARGO_AUDIT];
const BILLS: &[&str] = &[kind::CYCLONE_DX, kind::SPDX];
const BACKUPS: &[&str] = &[kind::PGBACKREST, kind::RESTIC];
const POLICIES: &[&str] = &[kind::CONFTEST, kind::OPA];
const LOADS: &[&str] = &[kind::K6, kind::OHA, kind::WRK];

const fn step(
    row: u16,
    agent: &'static str,
    phase: u8,
    level: ValidationLevel,
    documents: &'static [&'static [&'static str]],
    checks: &'static [&'static str],
) -> VerifiedStep {
    VerifiedStep { row, agent, phase, documents, level, checks }
}

use ValidationLevel::{Enterprise, Standard};

/// The sixteen steps, in the order of the phases.
pub const STEPS: [VerifiedStep; 16] = [
    step(
        143,
        "deployment-ops-manager",
        1,
        Enterprise,
        &[&[infrastructure::EnvironmentProbe::KIND], &[infrastructure::CapacityReport::KIND]],
        &["environment", "capacity"],
    ),
    step(
        144,
        "risk-manager",
        1,
        Standard,
        &[&[rules::RiskRegister::KIND], BILLS, BACKUPS, &[infrastructure::RestoreRecord::KIND]],
        &["risks", "dependencies", "backup"],
    ),
    step(145, "project-planner", 2, Standard, &[&[people::Schedule::KIND]], &["schedule"]),
    step(
        146,
        "stakeholder-communicator",
        2,
        Standard,
        &[&[people::ApprovalRecord::KIND], &[people::NoticeRecord::KIND]],
        &["approvals", "stakeholders-notified"],
    ),
    step(
        147,
        "cicd-builder",
        3,
        Standard,
        &[&[code::CiRun::KIND], &[kind::ATTESTATION]],
        &["build-success", "artifacts-attested"],
    ),
    step(148, "dependency-manager", 3, Standard, &[BILLS, SCANS], &["no-critical-vulnerability", "dependencies"]),
    step(
        149,
        "iac-automation-engineer",
        4,
        Standard,
        &[&[kind::TERRAFORM_PLAN], &[infrastructure::IacApply::KIND], &[kind::TERRAFORM_PLAN_AFTER]],
        &["plan-applied", "no-drift"],
    ),
    step(150, "security-architect", 4, Standard, &[POLICIES, &[people::AccessExport::KIND]], &["compliance", "access"]),
    step(
        151,
        "deployment-ops-manager",
        5,
        Standard,
        &[&[infrastructure::HealthReport::KIND], &[kind::KUBERNETES], &[kind::ROLLOUT_LOAD]],
        &["health", "workloads", "zero-downtime"],
    ),
    step(
        152,
        "resource-monitor",
        5,
        Standard,
        &[
            &[kind::PROMETHEUS_TARGETS],
            &[kind::PROMETHEUS_RULES],
            &[kind::PROMETHEUS_SERIES],
            &[infrastructure::AlertDrill::KIND],
        ],
        &["monitoring-up", "series-flow", "alerts-delivered"],
    ),
    step(153, "test-suite-generator", 6, Standard, &[&[performance::SmokePlan::KIND], &[kind::SMOKE]], &["smoke"]),
    step(
        154,
        "qa-coordinator",
        6,
        Standard,
        &[
            &[kind::INTEGRATION],
            &[kind::HYPERFINE],
            &[kind::HYPERFINE_BEFORE],
            &[kind::ACCEPTANCE],
            &[people::ApprovalRecord::KIND],
            &[shipping::DefectList::KIND],
        ],
        &["integration-pass", "no-slowdown", "acceptance", "defects-bounded"],
    ),
    step(
        155,
        "resource-monitor",
        7,
        Standard,
        &[&[kind::PROMETHEUS_TARGETS], &[kind::PROMETHEUS_RULES], &[infrastructure::AlertDrill::KIND]],
        &["monitoring-up", "alerts-delivered"],
    ),
    step(
        156,
        "performance-optimizer",
        7,
        Standard,
        &[LOADS, &[kind::HYPERFINE], &[kind::HYPERFINE_BEFORE]],
        &["service-level", "no-slowdown"],
    ),
    step(
        157,
        "documentation-generator",
        8,
        Standard,
        &[&[shipping::DocsInventory::KIND], &[shipping::ReleaseNotes::KIND]],
        &["docs-complete", "release-notes"],
    ),
    step(
        158,
        "training-change-manager",
        8,
        Standard,
        &[&[people::TrainingPack::KIND], &[people::NoticeRecord::KIND]],
        &["training", "stakeholders-notified"],
    ),
];

/// What an agent reports of its step: sentences, each with what stands behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// The step, as `<agent>-<phase>`.
    pub step: String,
    /// The sentences.
    pub sentences: Vec<Sentence>,
}

/// One sentence of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentence {
    /// What it says.
    pub text: String,
    /// The check that it speaks of; its numbers must be figures of that check.
    #[serde(default)]
    pub check: Option<String>,
    /// What that check says, in a word: `pass`, `concerns`, `fail`, `inconclusive` or `not applicable`.
    #[serde(default)]
    pub verdict: Option<String>,
    /// The evidence that it quotes, where it speaks of no check.
    #[serde(default)]
    pub evidence: Option<Digest>,
    /// Where in it, as a JSON pointer.
    #[serde(default)]
    pub pointer: Option<String>,
    /// What stands there.
    #[serde(default)]
    pub value: Option<serde_json::Value>,
}

impl Document for StepReport {
    const KIND: &'static str = "step-report";
}

/// The four lines of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Read,
    Standards,
    Checks,
    Reports,
}

impl VerifiedStep {
    /// A step of a host's own. `row` names the row of the workflows whose checks of the level it carries out beside the listed
    /// ones; 0 for none.
    #[must_use]
    pub const fn new(
        row: u16,
        agent: &'static str,
        phase: u8,
        level: ValidationLevel,
        documents: &'static [&'static [&'static str]],
        checks: &'static [&'static str],
    ) -> Self {
        Self { row, agent, phase, documents, level, checks }
    }

    /// The one of the sixteen that shows a row.
    #[must_use]
    pub fn of_row(row: u16) -> Option<Self> {
        STEPS.into_iter().find(|step| step.row == row)
    }

    /// What it is called: the agent and the phase.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}", self.agent, self.phase)
    }

    /// The same step at another level.
    #[must_use]
    pub fn at_level(mut self, level: ValidationLevel) -> Self {
        self.level = level;
        self
    }

    /// Its four checks, over those of a catalogue. Register them with the pipeline.
    #[must_use]
    pub fn checks(&self, catalogue: &Catalogue) -> Vec<Check> {
        let catalogue = Arc::new(catalogue.clone());
        [Line::Read, Line::Standards, Line::Checks, Line::Reports]
            .into_iter()
            .filter_map(|line| {
                let (step, catalogue) = (*self, Arc::clone(&catalogue));
                let policy = EvidencePolicy {
                    kind: None,
                    max_age: step.asked(&catalogue).map(|check| check.policy().max_age).max().unwrap_or_default(),
                    // An agent writes its report itself; what the report says is checked against the evidence.
                    self_attested: line == Line::Reports,
                };
                let name = CheckName::new(format!("{}:{}", self.name(), line.name())).ok()?;
                let judge = move |input: &CheckInput<'_>| step.assess(line, &catalogue, input).verdict;
                Some(Check::new(name, judge).policy(policy))
            })
            .collect()
    }

    /// Its four mandatory verifications. Put them on the step.
    #[must_use]
    pub fn verifications(&self, catalogue: &Catalogue) -> Vec<Verification> {
        self.checks(catalogue).iter().map(Check::verification).collect()
    }

    /// The kinds of evidence that a claim of it cites: what its checks read.
    #[must_use]
    pub fn kinds(&self, catalogue: &Catalogue) -> Vec<&'static str> {
        let mut kinds: Vec<&'static str> = self.asked(catalogue).flat_map(CatalogueCheck::kinds).copied().collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// A report that says of each listed check what it says, computed from the evidence at hand.
    #[must_use]
    pub fn report(&self, catalogue: &Catalogue, input: &CheckInput<'_>) -> StepReport {
        let sentences = self.listed(catalogue).map(|check| {
            let found = of_check(check, input);
            let figures: Vec<String> = found
                .figures
                .iter()
                .filter(|f| f.number.is_some())
                .map(|f| format!("{} {}", f.name, f.value))
                .collect();
            Sentence {
                text: figures.join(", "),
                check: Some(check.name().to_string()),
                verdict: Some(found.verdict.as_str().to_owned()),
                evidence: None,
                pointer: None,
                value: None,
            }
        });
        StepReport { step: self.name(), sentences: sentences.collect() }
    }

    fn listed<'a>(&'a self, catalogue: &'a Catalogue) -> impl Iterator<Item = &'a CatalogueCheck> {
        self.checks.iter().filter_map(|name| catalogue.check(name))
    }

    /// The listed checks, and those of the declared level that serve the row.
    fn asked<'a>(&'a self, catalogue: &'a Catalogue) -> impl Iterator<Item = &'a CatalogueCheck> {
        let of_level =
            |check: &&CatalogueCheck| check.lowest_level() <= self.level && check.served().contains(&self.row);
        catalogue.checks().filter(move |check| of_level(check) || self.checks.contains(&check.name().as_str()))
    }

    /// The listed checks, and those of the declared level that serve the row.
    #[must_use]
    pub fn asked_of<'a>(&'a self, catalogue: &'a Catalogue) -> Vec<&'a CatalogueCheck> {
        self.asked(catalogue).collect()
    }

    /// Whether every check that would read one of these kinds was declared not to apply, so that nobody has to open them.
    fn is_excused(&self, catalogue: &Catalogue, kinds: &[&str]) -> bool {
        let reads = |all: &[&str]| all.iter().any(|kind| kinds.contains(kind));
        let applies = self.asked(catalogue).any(|check| check.would_read().is_none() && reads(check.kinds()));
        let excused = self.asked(catalogue).any(|check| check.would_read().is_some_and(reads));
        excused && !applies
    }

    fn assess(&self, line: Line, catalogue: &Catalogue, input: &CheckInput<'_>) -> Assessment {
        match line {
            Line::Read => self.read(catalogue, input),
            Line::Standards => self.standards(catalogue, input),
            Line::Checks => self.listed_pass(catalogue, input),
            Line::Reports => self.reports(catalogue, input),
        }
    }

    /// a: every named document is there and was read to its end.
    fn read(&self, catalogue: &Catalogue, input: &CheckInput<'_>) -> Assessment {
        let mut found = Assessor::new();
        for kinds in self.documents.iter().filter(|kinds| !self.is_excused(catalogue, kinds)) {
            let mut pieces =
                input.evidence.iter().filter(|(evidence, _)| kinds.contains(&evidence.kind.as_str())).peekable();
            if pieces.peek().is_none() {
                found.refuse(Refusal::Missing(format!("nobody read a document of kind {}", kinds.join(" or "))));
            }
            for (evidence, bytes) in pieces {
                let (digest, size, at) = (evidence.digest, bytes.len(), evidence.observed_at);
                found.figure(Figure::text(super::file_of(evidence), format!("{digest}, {size} bytes, {at}")));
                if let Err(refusal) = Reading::opens(evidence, bytes) {
                    found.refuse(refusal);
                }
            }
        }
        found.finish()
    }

    /// b: every check of the declared level that serves this step was carried out, none skipped without a reason.
    fn standards(&self, catalogue: &Catalogue, input: &CheckInput<'_>) -> Assessment {
        let mut found = Assessor::new();
        let mut carried_out = 0;
        let wanted: Vec<_> = self.asked(catalogue).collect();
        for name in self.checks.iter().filter(|name| catalogue.check(name).is_none()) {
            found.refuse(Refusal::Missing(format!("the catalogue has no check {name}")));
        }
        for check in &wanted {
            match of_check(check, input).verdict {
                Verdict::Inconclusive { refusal } => found.refuse(refusal),
                Verdict::NotApplicable { reason } if reason.trim().is_empty() => {
                    found.fail(format!("{} is said not to apply, without a reason", check.name()));
                }
                _ => carried_out += 1,
            }
        }
        let limit = format!("all {} of level {}", wanted.len(), self.level);
        found.figure(Figure::count("checks carried out", carried_out).limit(limit));
        found.finish()
    }

    /// c: the listed checks pass.
    fn listed_pass(&self, catalogue: &Catalogue, input: &CheckInput<'_>) -> Assessment {
        let mut found = Assessor::new();
        for name in self.checks {
            match catalogue.check(name) {
                Some(check) => found.include(name, of_check(check, input)),
                None => found.refuse(Refusal::Missing(format!("the catalogue has no check {name}"))),
            }
        }
        found.finish()
    }

    /// d: every sentence resolves, and no listed check is left unsaid.
    fn reports(&self, catalogue: &Catalogue, input: &CheckInput<'_>) -> Assessment {
        let mut found = Assessor::new();
        let Some(report) = found.accept(Reading::new(input).document::<StepReport>()) else { return found.finish() };
        let file = &report.document;
        if file.step != self.name() {
            found.refuse(Refusal::Foreign(format!("the report is of {}, the step is {}", file.step, self.name())));
        }
        for (index, sentence) in file.sentences.iter().enumerate() {
            if let Err(why) = resolves(sentence, catalogue, input) {
                found.fail(format!(
                    "{:?}: {why} ({})",
                    shortened(&sentence.text),
                    report.at(format!("/sentences/{index}"))
                ));
            }
        }
        for name in self.checks {
            let said = file
                .sentences
                .iter()
                .any(|sentence| sentence.check.as_deref() == Some(name) && sentence.verdict.is_some());
            found.require(said, || format!("the report does not say how {name} stands"));
        }
        found.figure(Figure::count("sentences", file.sentences.len() as u64).at(report.at("/sentences")));
        found.finish()
    }
}

impl Line {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Standards => "standards",
            Self::Checks => "checks",
            Self::Reports => "reports",
        }
    }
}

/// What one check says of the pieces that it reads, under its own age limit: the step as a whole may be older.
fn of_check(check: &CatalogueCheck, input: &CheckInput<'_>) -> Assessment {
    let mine: Vec<(&Evidence, &[u8])> = input
        .evidence
        .iter()
        .copied()
        .filter(|(evidence, _)| check.kinds().contains(&evidence.kind.as_str()))
        .collect();
    let limit = check.policy().max_age;
    if let Some((old, _)) = mine.iter().find(|(evidence, _)| input.now.since(evidence.observed_at) > limit) {
        let age = input.now.since(old.observed_at);
        let text = format!("{} is {} old; {} allows {}", super::file_of(old), Spell(age), check.name(), Spell(limit));
        return Assessment::refused(Refusal::Stale(text));
    }
    check.assess(&CheckInput::new(input.release, &mine, input.now))
}

/// Whether a sentence resolves: to a check that says the same, or to a place in the evidence where the same stands.
fn resolves(sentence: &Sentence, catalogue: &Catalogue, input: &CheckInput<'_>) -> Result<(), String> {
    match (&sentence.check, &sentence.evidence) {
        (None, None) => Err("it names neither a check nor a place in the evidence".to_owned()),
        (Some(_), Some(_)) => Err("it names both a check and a place in the evidence".to_owned()),
        (Some(name), None) => {
            let check = catalogue.check(name).ok_or_else(|| format!("there is no check {name}"))?;
            let found = of_check(check, input);
            let says = found.verdict.as_str();
            if let Some(said) = sentence.verdict.as_deref().filter(|said| *said != says) {
                return Err(format!("it says {said}, and {name} says {says}"));
            }
            match found.contradicted(&sentence.text) {
                Some(lie) => Err(lie),
                None => Ok(()),
            }
        }
        (None, Some(digest)) => {
            let piece = input.evidence.iter().find(|(evidence, _)| evidence.digest == *digest);
            let (_, bytes) = piece.ok_or_else(|| format!("there is no evidence {}", digest.short()))?;
            let (Some(pointer), Some(value)) = (&sentence.pointer, &sentence.value) else {
                return Err("it does not say where, and what stands there".to_owned());
            };
            let document: serde_json::Value =
                serde_json::from_slice(bytes).map_err(|_| format!("{} has no JSON pointers", digest.short()))?;
            let there =
                document.pointer(pointer).ok_or_else(|| format!("{} has nothing at {pointer}", digest.short()))?;
            if there != value {
                return Err(format!("it says {value}, and {there} stands at {pointer}"));
            }
            let said = match value {
                serde_json::Value::String(text) => Figure::text("quoted", text),
                other => Figure { number: other.as_f64(), ..Figure::text("quoted", other) },
            };
            let quoted = Assessment { verdict: Verdict::Pass, figures: vec![said], notes: Vec::new() };
            quoted.contradicted(&sentence.text).map_or(Ok(()), Err)
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}
