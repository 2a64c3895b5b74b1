//! The entries of the catalogue.

use std::time::Duration;

use super::assessment::Assessment;
use super::catalogue::CatalogueCheck;
use super::document::Document as _;
use super::level::ValidationLevel::{Minimal, Standard};
use super::thresholds::Thresholds;
use super::{code, kind, vulnerabilities};
use deploy_core::evidence::Refusal;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An entry; the names are ours, and a test makes each of them.
fn entry(
    name: &str,
    passes: impl Into<String>,
    judge: impl Fn(&super::Reading<'_>, &Thresholds) -> Result<Assessment, Refusal> + Send + Sync + 'static,
) -> CatalogueCheck {
    CatalogueCheck::new(name, passes, move |reading, thresholds| {
        judge(reading, thresholds).unwrap_or_else(Assessment::refused)
    })
    .expect("the names of the catalogue are names")
}

/// All entries.
pub(super) fn all(t: &Thresholds) -> Vec<CatalogueCheck> {
    let mut all = code_quality(t);
    all.extend(security(t));
    all
}

fn code_quality(t: &Thresholds) -> Vec<CatalogueCheck> {
    vec![
        entry(
            "build-success",
            "the pipeline built this commit, all required jobs succeeded, no failed step hides in one",
            |r, _| Ok(code::build_success(&r.document()?, r.release().change.commit.as_deref())),
        )
        .reads(&[code::CiRun::KIND])
        .rows(&[8, 139, 147, 171, 177])
        .level(Minimal),
        entry(
            "tests-pass",
            format!("at least {} tests ran, and every one of them passed", t.tests_at_least.max(1)),
            |r, t| Ok(code::tests_pass(&r.tests(kind::JUNIT)?, t)),
        )
        .reads(&[kind::JUNIT])
        .rows(&[8, 172, 177])
        .level(Minimal),
        entry(
            "coverage",
            format!(
                "more than {} % of lines ran, and at least {} % of changed ones",
                t.line_coverage_above, t.change_coverage_at_least
            ),
            |r, t| Ok(code::coverage(&r.coverage()?, None, t)),
        )
        .reads(&[kind::LCOV, kind::COBERTURA, kind::LLVM_COV])
        .rows(&[8, 172])
        .level(Standard),
        entry("lint-clean", "every analyser ran to its end and found no error that is still open", |r, _| {
            Ok(code::lint_clean(&r.findings()?))
        })
        .reads(&[kind::SARIF])
        .rows(&[20])
        .level(Standard),
    ]
}

fn security(t: &Thresholds) -> Vec<CatalogueCheck> {
    vec![
        entry(
            "no-critical-vulnerability",
            format!(
                "no vulnerability from {:?} on is open in this artifact, by a database of at most {}",
                t.vulnerability_fails_at,
                deploy_core::time::Spell(t.database_max_age)
            ),
            |r, t| {
                let (scans, statements) = (r.vulnerabilities()?, r.statements()?);
                Ok(vulnerabilities::no_open_vulnerability(&scans, &statements, r.release(), r.now(), t))
            },
        )
        .reads(&[kind::TRIVY, kind::GRYPE, kind::OSV, kind::CARGO_AUDIT, kind::OPEN_VEX, kind::CSAF])
        .rows(&[13, 148, 173, 201])
        .level(Minimal)
        .max_age(2 * DAY),
    ]
}
