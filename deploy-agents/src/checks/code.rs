//! Checks of what was built: builds, tests, coverage, findings.

use serde::{Deserialize, Serialize};

use super::assessment::{Assessment, Assessor, Figure};
use super::document::{Document, Read};
use super::thresholds::Thresholds;
use crate::evidence::facts::{CoverageFacts, FindingFacts, FindingLevel, GitFacts, TestFacts, TestOutcome};

/// One execution of the pipeline that builds, as its server reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiRun {
    /// The server and pipeline, for example `ci.example.org/shop`.
    pub pipeline: String,
    /// Which execution.
    pub run: String,
    /// The commit that it built, in full.
    pub commit: String,
    /// `success`, `failure`, `cancelled` or another word of the server.
    pub conclusion: String,
    /// The jobs that must have run, by name, as the pipeline's configuration says.
    pub required: Vec<String>,
    /// The jobs.
    pub jobs: Vec<CiJob>,
}

/// One job of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiJob {
    /// Its name.
    pub name: String,
    /// `success`, `failure`, `skipped`, `cancelled` or another word of the server.
    pub conclusion: String,
    /// Its steps.
    pub steps: Vec<CiStep>,
}

/// One step of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiStep {
    /// Its name.
    pub name: String,
    /// `success`, `failure`, `skipped` or another word of the server.
    pub conclusion: String,
    /// Whether the job goes on where it fails.
    #[serde(default)]
    pub continue_on_error: bool,
}

impl Document for CiRun {
    const KIND: &'static str = "ci-run";
}

/// The commits of a release and the lines that they changed, as git knows them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangeLog {
    /// What git says.
    pub history: GitFacts,
}

impl Document for ChangeLog {
    const KIND: &'static str = "change-log";
}

/// The pipeline built this commit, every required job ran and succeeded, and no step failed in one that says it succeeded.
///
/// Rows: M8, M139, M147, M171.
#[must_use]
pub fn build_success(run: &Read<CiRun>, commit: Option<&str>) -> Assessment {
    let mut found = Assessor::new();
    let ci = &run.document;
    found.figure(Figure::text("commit", &ci.commit).at(run.at("/commit")));
    match commit {
        Some(commit) if ci.commit.eq_ignore_ascii_case(commit) && commit.len() >= 40 => {}
        Some(commit) => found.refuse(deploy_core::evidence::Refusal::Foreign(format!(
            "run {} built {}, and the release is of {commit}",
            ci.run, ci.commit
        ))),
        None => found.refuse(deploy_core::evidence::Refusal::Foreign("the release names no commit".to_owned())),
    }
    found.figure(Figure::text("conclusion", &ci.conclusion).limit("success").at(run.at("/conclusion")));
    found.require(ci.conclusion == "success", || format!("run {} ended with {}", ci.run, ci.conclusion));
    found.require(!ci.required.is_empty(), || "no job is required, so that none could have failed".to_owned());
    let mut ran = 0;
    for required in &ci.required {
        match ci.jobs.iter().position(|job| job.name == *required) {
            None => found.fail(format!("required job {required} did not run")),
            Some(index) if ci.jobs[index].conclusion != "success" => {
                found.fail(format!("required job {required} ended with {}", ci.jobs[index].conclusion));
            }
            Some(_) => ran += 1,
        }
    }
    found.figure(
        Figure::count("required jobs that succeeded", ran)
            .limit(format!("all {}", ci.required.len()))
            .at(run.at("/jobs")),
    );
    for (index, job) in ci.jobs.iter().enumerate() {
        for (place, step) in job.steps.iter().enumerate() {
            let at = run.at(format!("/jobs/{index}/steps/{place}"));
            if step.conclusion == "failure" && job.conclusion == "success" {
                found.fail(format!("step {} of job {} failed, and the job says success ({at})", step.name, job.name));
            } else if step.continue_on_error && step.name.to_ascii_lowercase().contains("test") {
                found.fail(format!("step {} of job {} may fail without being noticed ({at})", step.name, job.name));
            }
        }
        if !ci.required.contains(&job.name) && job.conclusion == "failure" {
            found.remark(format!("job {} failed, and is not required", job.name));
        }
    }
    found.finish()
}

/// Enough tests ran, and every one that ran passed.
///
/// Rows: M8, M172, M177.
#[must_use]
pub fn tests_pass(reports: &[TestFacts], thresholds: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    let sum = |part: fn(&TestFacts) -> u64| reports.iter().map(part).sum::<u64>();
    let executed = sum(|r| r.counted.executed);
    let at = reports.iter().find_map(|r| r.suites.first()).map(|suite| suite.at.clone());
    for report in reports {
        found.doubts(&report.doubts);
    }
    let least = thresholds.tests_at_least.max(1);
    found.figure(Figure::count("tests executed", executed).limit(format!("at least {least}")).at(at.clone()));
    found.require(executed >= least, || format!("{executed} tests ran; at least {least} must"));
    let failed = sum(|r| r.counted.not_passed());
    let first = reports
        .iter()
        .flat_map(|r| &r.cases)
        .find(|case| matches!(case.outcome, TestOutcome::Failed | TestOutcome::Errored));
    let where_first = first.map_or(at, |case| Some(case.at.clone()));
    found.figure(Figure::count("tests failed", failed).limit("none").at(where_first));
    if let Some(case) = first {
        let (class, name) = (&case.class, &case.name);
        found.fail(format!("{failed} of {executed} tests failed, the first of them {class} {name} ({})", case.at));
    }
    let flaky = sum(|r| r.counted.flaky);
    found.figure(Figure::count("tests flaky", flaky).limit(format!("at most {}", thresholds.flaky_at_most)));
    if flaky > thresholds.flaky_at_most {
        found.remark(format!("{flaky} tests passed only after they had failed"));
    }
    let skipped = sum(|r| r.counted.skipped);
    found.figure(Figure::count("tests skipped", skipped));
    found.finish()
}

/// More than the wanted share of lines ran, and enough of the changed ones.
///
/// Rows: M8, M172.
#[must_use]
pub fn coverage(reports: &[CoverageFacts], change: Option<&GitFacts>, thresholds: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    for report in reports {
        found.doubts(&report.doubts);
        let limit = thresholds.line_coverage_above;
        let at = report.declared.line_rate.as_ref().map(|rate| rate.at.clone());
        let at = at.or_else(|| report.files.first().map(|file| file.at.clone()));
        match report.lines.percent() {
            None => found.fail("no line was measured"),
            Some(percent) => {
                let name = format!("lines covered, {} of {}", report.lines.covered, report.lines.total);
                found.figure(Figure::number(name, percent, "%").limit(format!("above {limit} %")).at(at));
                found.require(report.lines.exceeds(limit), || {
                    format!("{percent:.2} % of lines ran; more than {limit} % must")
                });
            }
        }
        let Some(change) = change else { continue };
        let diff = report.of_change(&change.changed_lines());
        let least = thresholds.change_coverage_at_least;
        match diff.lines.percent() {
            None => found.note("no changed line can be run"),
            Some(percent) => {
                let name = format!("changed lines covered, {} of {}", diff.lines.covered, diff.lines.total);
                found.figure(Figure::number(name, percent, "%").limit(format!("at least {least} %")));
                found.require(percent >= least, || {
                    format!("{percent:.2} % of changed lines ran; at least {least} % must")
                });
            }
        }
        if !diff.not_in_report.is_empty() {
            found.note(format!("changed and not in the report: {}", diff.not_in_report.join(", ")));
        }
    }
    found.finish()
}

/// No analyser found an error that is still open, and each of them ran to its end.
///
/// Rows: M20.
#[must_use]
pub fn lint_clean(reports: &[FindingFacts]) -> Assessment {
    let mut found = Assessor::new();
    for report in reports {
        found.doubts(&report.doubts);
        let errors: Vec<_> = report.open().filter(|finding| finding.level == FindingLevel::Error).collect();
        let at = errors.first().map_or_else(|| report.runs.first().map(|run| run.at.clone()), |e| Some(e.at.clone()));
        found.figure(Figure::count("errors found", errors.len() as u64).limit("none").at(at));
        if let Some(first) = errors.first() {
            found.fail(format!("{} open errors, the first of them {} ({})", errors.len(), first.rule, first.at));
        }
        let warnings = report.open().filter(|finding| finding.level == FindingLevel::Warning).count();
        found.figure(Figure::count("warnings found", warnings as u64));
        if warnings > 0 {
            found.remark(format!("{warnings} open warnings"));
        }
    }
    found.finish()
}
