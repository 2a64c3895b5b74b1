//! What tests and measurements say of the release.

use std::collections::BTreeMap;

use deploy_core::evidence::Refusal;
use serde::{Deserialize, Serialize};

use crate::checks::performance::SmokePlan;
use crate::checks::shipping::DefectList;
use crate::checks::{Figure, kind};
use crate::crew::issued::Content;
use crate::crew::material::Material;
use crate::evidence::facts::{TestFacts, TestOutcome};

/// How tests went, counted anew from their cases.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TestTally {
    /// How many there are.
    pub total: u64,
    /// How many ran.
    pub executed: u64,
    /// How many of those passed, at once or after a failure.
    pub passed: u64,
    /// Those that failed, with the first line of what they say.
    pub failed: BTreeMap<String, String>,
}

fn tally(reports: &[TestFacts]) -> TestTally {
    let mut tally = TestTally::default();
    for report in reports {
        tally.total += report.counted.total;
        tally.executed += report.counted.executed;
        tally.passed += report.counted.passed + report.counted.flaky;
        let failed = report.cases.iter().filter(|c| matches!(c.outcome, TestOutcome::Failed | TestOutcome::Errored));
        let said = |text: &str| text.lines().next().unwrap_or_default().chars().take(120).collect::<String>();
        tally.failed.extend(failed.map(|case| (case.name.clone(), said(&case.message))));
    }
    tally
}

/// The smoke tests, by the function that they try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SmokeReport {
    /// How the tests went.
    pub tests: TestTally,
    /// For each critical function: how many of its declared tests passed, and how many are declared.
    pub functions: BTreeMap<String, (u64, u64)>,
}

impl Content for SmokeReport {
    const NAME: &'static str = "smoke-report";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let plan = material.reading().document::<SmokePlan>()?.document;
        let reports = material.reading().tests(kind::SMOKE)?;
        let passed = |name: &String| {
            reports
                .iter()
                .flat_map(|r| &r.cases)
                .any(|case| case.name == *name && matches!(case.outcome, TestOutcome::Passed | TestOutcome::Flaky))
        };
        let functions = plan.functions.iter().map(|function| {
            let good = function.tests.iter().filter(|test| passed(test)).count() as u64;
            (function.name.clone(), (good, function.tests.len() as u64))
        });
        Ok(Self { tests: tally(&reports), functions: functions.collect() })
    }
}

/// The integration tests, and the defects that are open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IntegrationReport {
    /// How the tests went.
    pub tests: TestTally,
    /// The open defects, by severity. Absent where no list was read.
    pub open_defects: Option<BTreeMap<String, u64>>,
}

impl Content for IntegrationReport {
    const NAME: &'static str = "integration-report";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let tests = tally(&material.reading().tests(kind::INTEGRATION)?);
        let list = material.reading().document::<DefectList>().ok();
        let open_defects = list.map(|read| {
            let mut open = BTreeMap::new();
            for defect in read.document.defects.iter().filter(|defect| defect.open) {
                *open.entry(defect.severity.clone()).or_default() += 1;
            }
            open
        });
        Ok(Self { tests, open_defects })
    }
}

/// The acceptance tests, and who signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AcceptanceReport {
    /// How the tests went.
    pub tests: TestTally,
    /// Whose yes counts, by rule.
    pub signed: BTreeMap<String, Vec<String>>,
}

impl Content for AcceptanceReport {
    const NAME: &'static str = "acceptance-report";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let record = material.reading().document::<super::ApprovalRecord>()?.document;
        let tests = tally(&material.reading().tests(kind::ACCEPTANCE)?);
        let counted = record.policy.count(&record.sheet, material.release(), &record.plan, material.now());
        let signed = counted
            .rules
            .iter()
            .map(|rule| (rule.rule.name.clone(), rule.yes.iter().map(ToString::to_string).collect()));
        Ok(Self { tests, signed: signed.collect() })
    }
}

/// Times of programs, against those of the version before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BenchmarkReport {
    /// What the comparison read, each number with its place.
    pub figures: Vec<Figure>,
}

impl Content for BenchmarkReport {
    const NAME: &'static str = "benchmark-report";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let (new, old) =
            (material.reading().times(kind::HYPERFINE)?, material.reading().times(kind::HYPERFINE_BEFORE)?);
        let compared = crate::checks::performance::no_slowdown(&new, &old, material.thresholds());
        Ok(Self { figures: compared.figures })
    }
}

/// Which images run, and whether they are those of the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SecurityVerification {
    /// The digest of each container that runs, by pod and container. Absent: it does not say.
    pub running: BTreeMap<String, Option<String>>,
    /// Those that are of no artifact of the release.
    pub foreign: Vec<String>,
}

impl Content for SecurityVerification {
    const NAME: &'static str = "security-verification";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let objects = material.reading().objects(kind::KUBERNETES)?;
        let released: Vec<String> = material.release().artifacts.iter().map(|a| a.digest.to_string()).collect();
        let (mut running, mut foreign) = (BTreeMap::new(), Vec::new());
        for pod in objects.pods.iter().filter(|pod| !pod.terminating) {
            for container in &pod.containers {
                let name = format!("{}/{}/{}", pod.namespace, pod.name, container.name);
                let digest = container.digest.as_ref().map(|digest| digest.value.clone());
                if !digest.as_ref().is_some_and(|digest| released.iter().any(|ours| digest.ends_with(ours.as_str()))) {
                    foreign.push(name.clone());
                }
                running.insert(name, digest);
            }
        }
        Ok(Self { running, foreign })
    }
}
