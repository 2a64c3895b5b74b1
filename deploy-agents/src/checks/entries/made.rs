//! What is made: code, its weak points, its speed.

use deploy_core::evidence::Evidence;
use deploy_core::time::Spell;

use super::{DAY, entry};
use crate::checks::catalogue::CatalogueCheck;
use crate::checks::document::{Document as _, file_of};
use crate::checks::level::ValidationLevel::{Enterprise, Minimal, Standard, Strict};
use crate::checks::thresholds::Thresholds;
use crate::checks::{code, infrastructure, kind, people, performance, shipping, vulnerabilities};
use crate::evidence::facts::VexFacts;

pub(super) fn code_quality(t: &Thresholds) -> Vec<CatalogueCheck> {
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
        entry("integration-pass", "the integration tests ran, and every one of them passed", |r, t| {
            Ok(code::tests_pass(&r.tests(kind::INTEGRATION)?, t))
        })
        .reads(&[kind::INTEGRATION])
        .rows(&[154, 164])
        .level(Standard),
        entry(
            "coverage",
            format!(
                "more than {} % of lines ran, and at least {} % of changed ones",
                t.line_coverage_above, t.change_coverage_at_least
            ),
            |r, t| {
                let change = r.documents::<code::ChangeLog>()?;
                Ok(code::coverage(&r.coverage()?, change.first().map(|c| &c.document.history), t))
            },
        )
        .reads(&[kind::LCOV, kind::COBERTURA, kind::LLVM_COV, code::ChangeLog::KIND])
        .rows(&[8, 172])
        .level(Standard),
        entry("lint-clean", "every analyser ran to its end and found no error that is still open", |r, _| {
            Ok(code::lint_clean(&r.findings()?))
        })
        .reads(&[kind::SARIF])
        .rows(&[20])
        .level(Standard),
        entry("defects-bounded", format!("no more defects are open than {:?}", t.open_defects_at_most), |r, t| {
            Ok(shipping::defects(&r.document()?, t))
        })
        .reads(&[shipping::DefectList::KIND])
        .rows(&[154])
        .level(Strict),
    ]
}

pub(super) fn security(t: &Thresholds) -> Vec<CatalogueCheck> {
    vec![
        entry(
            "no-critical-vulnerability",
            format!(
                "no vulnerability from {:?} on is open in this artifact, by a database of at most {}",
                t.vulnerability_fails_at,
                Spell(t.database_max_age)
            ),
            |r, t| {
                let said = r.statements(&t.statement_keys)?;
                let vouched =
                    |(evidence, _): &(&Evidence, VexFacts)| t.statement_producers.contains(&evidence.producer.name);
                let (vouched, ignored): (Vec<_>, Vec<_>) = said.unsigned.into_iter().partition(vouched);
                let mut statements = said.signed;
                statements.extend(vouched.into_iter().map(|(_, facts)| facts));
                let scans = r.vulnerabilities()?;
                let mut found = vulnerabilities::no_open_vulnerability(&scans, &statements, r.release(), r.now(), t);
                found.notes.extend(ignored.into_iter().map(|(evidence, _)| {
                    format!("{} clears nothing: nobody who is trusted signed it", file_of(evidence))
                }));
                Ok(found)
            },
        )
        .reads(&[
            kind::TRIVY,
            kind::TRIVY_DATABASE,
            kind::GRYPE,
            kind::OSV,
            kind::CARGO_AUDIT,
            kind::OPEN_VEX,
            kind::SIGNED_VEX,
            kind::CSAF,
        ])
        .rows(&[13, 21, 148, 173, 201])
        .level(Minimal),
        entry(
            "security-audit",
            "an audit of this artifact passed, covers what it must, holds still, and is signed",
            |r, t| {
                let statements = r.signed(kind::AUDIT, &t.audit_keys)?;
                Ok(shipping::security_audit(&statements, r.release(), r.now(), t))
            },
        )
        .reads(&[kind::AUDIT])
        .rows(&[12, 179])
        .level(Strict)
        .max_age(90 * DAY),
        entry("compliance", "every policy was evaluated and is kept", |r, t| {
            Ok(shipping::compliance(&r.policies()?, t))
        })
        .reads(&[kind::CONFTEST, kind::OPA])
        .rows(&[14, 150])
        .level(Strict),
        entry(
            "access",
            format!(
                "who deploys may, nobody approves their own change or may do everything, secrets are at most {} old",
                Spell(t.secret_max_age)
            ),
            |r, t| Ok(people::access(&r.document()?, r.release(), r.now(), t)),
        )
        .reads(&[people::AccessExport::KIND])
        .rows(&[15, 150])
        .level(Strict),
        entry(
            "artifacts-attested",
            "every artifact was built from this commit by a trusted builder, and signed for",
            |r, t| {
                let statements = r.signed(kind::ATTESTATION, &t.build_keys)?;
                Ok(shipping::artifacts_attested(&statements, r.release(), t))
            },
        )
        .reads(&[kind::ATTESTATION])
        .rows(&[147, 200])
        .level(Standard)
        .max_age(30 * DAY),
        entry(
            "dependencies",
            "dependencies are named with digests, their licences are permitted, none was withdrawn",
            |r, t| {
                let scans =
                    if r.pieces(kind::CARGO_AUDIT).next().is_some() { r.vulnerabilities()? } else { Vec::new() };
                let scans: Vec<_> = scans.iter().map(|(_, facts)| facts).collect();
                Ok(shipping::dependencies(&r.bills()?, &scans, t))
            },
        )
        .reads(&[kind::CYCLONE_DX, kind::SPDX, kind::CARGO_AUDIT])
        .rows(&[148, 199])
        .level(Standard),
        entry("runtime-security", "every container that runs is of an image of the release, by digest", |r, _| {
            Ok(infrastructure::running_images(&r.objects(kind::KUBERNETES)?, r.release()))
        })
        .reads(&[kind::KUBERNETES])
        .rows(&[42, 179])
        .level(Strict),
        entry("staging-same-digest", "what was tried out first is the same image, by digest", |r, _| {
            Ok(infrastructure::running_images(&r.objects(kind::KUBERNETES_STAGING)?, r.release()))
        })
        .reads(&[kind::KUBERNETES_STAGING])
        .rows(&[30, 39])
        .level(Standard),
    ]
}

pub(super) fn speed(t: &Thresholds) -> Vec<CatalogueCheck> {
    vec![
        entry(
            "service-level",
            format!(
                "the 99th percentile is at most {} s and at most {} % of at least {} requests failed",
                t.latency_p99_at_most,
                t.failed_share_at_most * 100.0,
                t.requests_at_least
            ),
            |r, t| Ok(performance::service_level(&r.loads()?, t)),
        )
        .reads(&[kind::K6, kind::OHA, kind::WRK])
        .rows(&[41, 156, 174])
        .level(Minimal),
        entry(
            "error-budget",
            format!("at least {} % of the error budget is left", t.error_budget_at_least * 100.0),
            |r, t| Ok(performance::error_budget(&r.document()?, t)),
        )
        .reads(&[performance::ErrorBudget::KIND])
        .rows(&[174])
        .level(Standard),
        entry(
            "no-slowdown",
            format!(
                "no benchmark is slower than before by more than {} %, as far as its samples can tell",
                t.slowdown_at_most
            ),
            |r, t| {
                let (new, old) = (r.times(kind::HYPERFINE)?, r.times(kind::HYPERFINE_BEFORE)?);
                Ok(performance::no_slowdown(&new, &old, t))
            },
        )
        .reads(&[kind::HYPERFINE, kind::HYPERFINE_BEFORE])
        .rows(&[9, 22, 154, 156, 178, 207])
        .level(Standard)
        // What was measured of the version before is as old as that version.
        .max_age(90 * DAY),
        entry("zero-downtime", "not one request failed while the release went out", |r, t| {
            Ok(performance::zero_downtime(&r.rollout_loads()?, t))
        })
        .reads(&[kind::ROLLOUT_LOAD])
        .rows(&[65, 151, 176])
        .level(Strict),
        entry("success-metrics", "after its bake time, every metric is within what was called a success", |r, _| {
            Ok(performance::success_metrics(&r.document()?, r.release()))
        })
        .reads(&[performance::SuccessMetrics::KIND])
        .rows(&[213])
        .level(Enterprise),
    ]
}
