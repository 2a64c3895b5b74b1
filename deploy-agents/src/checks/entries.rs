//! The entries of the catalogue.

use std::time::Duration;

use deploy_core::evidence::{Evidence, Refusal};
use deploy_core::time::Spell;

use super::assessment::{Assessment, Assessor};
use super::catalogue::CatalogueCheck;
use super::document::{Document as _, file_of};
use super::level::ValidationLevel::{Enterprise, Minimal, Standard, Strict};
use super::thresholds::Thresholds;
use super::{
    code, delivery, impact, incident, infrastructure, kind, people, performance, reviews, rules, runs, shipping,
    vulnerabilities,
};
use crate::evidence::facts::{TestOutcome, VexFacts};

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
    let parts = [code_quality(t), security(t), speed(t), ground(t), run(t), words(t), folk(t), review(t), trouble()];
    parts.into_iter().flatten().collect()
}

/// What not every service has evidence for.
pub(super) fn optional(t: &Thresholds) -> Vec<CatalogueCheck> {
    vec![
        entry(
            "monitoring-coverage",
            format!(
                "at least {} of 16 kinds of monitoring are bound to what measures, or do not apply for a reason",
                t.monitor_kinds_at_least
            ),
            |r, t| Ok(infrastructure::monitoring_coverage(&r.document()?, t)),
        )
        .reads(&[infrastructure::MonitoringCoverage::KIND])
        .rows(&[124, 155])
        .level(Strict),
        entry(
            "no-slower-function",
            format!(
                "no benchmarked function is slower than before by more than {} %, as far as its samples can tell",
                t.slowdown_at_most
            ),
            |r, t| {
                let (new, old) = (r.benchmarks(kind::CRITERION)?, r.benchmarks(kind::CRITERION_BEFORE)?);
                Ok(performance::no_slowdown(&new, &old, t))
            },
        )
        .reads(&[kind::CRITERION, kind::CRITERION_BEFORE])
        .rows(&[9, 22, 156, 178])
        .level(Strict)
        .max_age(90 * DAY),
        entry("delivery-targets", t.delivery.to_string(), |r, t| {
            Ok(delivery::delivery_targets(&r.document()?, r.now(), t))
        })
        .reads(&[delivery::DeliveryHistory::KIND])
        .rows(&[129])
        .level(Strict)
        .max_age(35 * DAY),
        entry("reviews-held", "what is to be looked at regularly was, and nothing is overdue", |r, _| {
            Ok(reviews::reviews_held(&r.document()?, &r.documents()?, r.now()))
        })
        .reads(&[reviews::ReviewSchedule::KIND, reviews::ReviewRecord::KIND])
        .rows(&[128])
        .level(Strict)
        // The record of a yearly review is a year old when the next is due.
        .max_age(400 * DAY),
        entry(
            "security-incident",
            format!(
                "one person led it, what had to be kept was kept before it was contained, and that took at most {}",
                Spell(t.containment_at_most)
            ),
            |r, t| {
                let kept: Vec<_> = r.pieces(kind::PRESERVED).map(|(evidence, _)| evidence).collect();
                Ok(incident::security_incident(&r.document()?, &r.document()?, &kept, t))
            },
        )
        .reads(&[incident::SecurityIncident::KIND, incident::PreservedList::KIND, kind::PRESERVED])
        .rows(&[79])
        .level(Strict)
        .max_age(90 * DAY),
    ]
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

fn security(t: &Thresholds) -> Vec<CatalogueCheck> {
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

fn speed(t: &Thresholds) -> Vec<CatalogueCheck> {
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

fn ground(t: &Thresholds) -> Vec<CatalogueCheck> {
    vec![
        entry(
            "environment",
            format!(
                "the environment is what is declared, and certificates hold for {} more",
                Spell(t.certificate_holds_at_least)
            ),
            |r, t| Ok(infrastructure::environment(&r.document()?, r.release(), r.now(), t)),
        )
        .reads(&[infrastructure::EnvironmentProbe::KIND])
        .rows(&[16, 140, 143])
        .level(Standard),
        entry("no-drift", "the plan would change nothing, and nobody else changed anything", |r, _| {
            Ok(infrastructure::no_drift(&r.plan(kind::TERRAFORM_PLAN_AFTER)?.1))
        })
        .reads(&[kind::TERRAFORM_PLAN_AFTER])
        .rows(&[16, 149, 183, 202])
        .level(Standard),
        entry(
            "plan-applied",
            "the plan that was applied is the approved one, and takes nothing away that nobody permitted",
            |r, _| {
                let (evidence, plan) = r.plan(kind::TERRAFORM_PLAN)?;
                Ok(infrastructure::plan_applied(&r.document()?, &plan, &evidence.digest))
            },
        )
        .reads(&[infrastructure::IacApply::KIND, kind::TERRAFORM_PLAN])
        .rows(&[135, 149, 202])
        .level(Strict),
        entry(
            "capacity",
            format!("there is room for the strategy at its widest, with {} % to spare", t.capacity_headroom),
            |r, t| Ok(infrastructure::capacity(&r.document()?, r.release(), t)),
        )
        .reads(&[infrastructure::CapacityReport::KIND])
        .rows(&[17, 143])
        .level(Standard),
        entry(
            "monitoring-up",
            format!(
                "every target is up and was scraped within {}, every rule can be evaluated",
                Spell(t.scrape_max_age)
            ),
            |r, t| {
                let (targets, rules) = (r.monitoring(kind::PROMETHEUS_TARGETS)?, r.monitoring(kind::PROMETHEUS_RULES)?);
                Ok(infrastructure::monitoring_up(&targets, &rules, r.now(), t))
            },
        )
        .reads(&[kind::PROMETHEUS_TARGETS, kind::PROMETHEUS_RULES])
        .rows(&[18, 141, 152, 155, 180, 208])
        .level(Standard),
        entry("series-flow", "there are series of the new revision, with samples", |r, _| {
            let answer = r.monitoring(kind::PROMETHEUS_SERIES)?;
            Ok(infrastructure::series_flow(&answer, r.release().revision.as_str()))
        })
        .reads(&[kind::PROMETHEUS_SERIES])
        .rows(&[35, 152])
        .level(Strict),
        entry(
            "alerts-delivered",
            format!(
                "every test alert reached its receiver within {}, and has owner and runbook",
                Spell(t.alert_delivery_at_most)
            ),
            |r, t| Ok(infrastructure::alerts_delivered(&r.document()?, t)),
        )
        .reads(&[infrastructure::AlertDrill::KIND])
        .rows(&[18, 36, 152, 155, 209])
        .level(Standard)
        .max_age(7 * DAY),
        entry(
            "backup",
            format!(
                "a sound backup of at most {} was made after writes were frozen, and one was restored within {}",
                Spell(t.backup_max_age),
                Spell(t.restore_max_age)
            ),
            |r, t| {
                let (stores, restores) = (r.backups()?, r.documents()?);
                let mut found = Assessor::new();
                for store in &stores {
                    found.include(&store.tool, infrastructure::backup(store, &restores, r.now(), t));
                }
                Ok(found.finish())
            },
        )
        .reads(&[kind::PGBACKREST, kind::RESTIC, infrastructure::RestoreRecord::KIND])
        .rows(&[19, 23, 144, 198])
        .level(Standard)
        // The record of the restore; the backup's own age is looked at by itself.
        .max_age(30 * DAY),
        entry(
            "configuration",
            "the configuration is the approved one, follows its schema, and one instance took it first",
            |r, _| Ok(infrastructure::configuration(&r.document()?)),
        )
        .reads(&[infrastructure::ConfigRecord::KIND])
        .rows(&[33, 203])
        .level(Standard),
    ]
}

fn run(t: &Thresholds) -> Vec<CatalogueCheck> {
    vec![
        entry("health", "every declared health check said yes often enough, of every instance", |r, _| {
            Ok(infrastructure::health(&r.document()?, r.release()))
        })
        .reads(&[infrastructure::HealthReport::KIND])
        .rows(&[67, 151, 175, 205])
        .level(Minimal)
        .max_age(DAY / 24),
        entry("workloads", "every workload is where it is wanted, and runs an image of the release", |r, _| {
            Ok(infrastructure::workloads(&r.objects(kind::KUBERNETES)?, r.release()))
        })
        .reads(&[kind::KUBERNETES])
        .rows(&[151, 204])
        .level(Strict)
        .max_age(DAY / 24),
        entry(
            "smoke",
            "every declared smoke test ran and passed, so that every critical function was tried",
            |r, t| Ok(performance::smoke(&r.document()?, &r.tests(kind::SMOKE)?, t)),
        )
        .reads(&[performance::SmokePlan::KIND, kind::SMOKE])
        .rows(&[31, 40, 153, 206])
        .level(Minimal),
        entry(
            "rollback-drill",
            format!(
                "the engine rolled this revision back within {}, in at most {}, and what had served served again",
                Spell(t.drill_max_age),
                Spell(t.drill_at_most)
            ),
            |r, t| Ok(runs::rollback_drill(&r.run(kind::DRILL_EXPORT)?, r.release(), r.now(), t)),
        )
        .reads(&[kind::DRILL_EXPORT])
        .rows(&[11, 142, 212])
        .level(Minimal)
        .max_age(t.drill_max_age),
        entry("deployment-executed", "the run of this release ended well, by its own records", |r, _| {
            Ok(runs::executed(&r.run(kind::RUN_EXPORT)?, r.release()))
        })
        .reads(&[kind::RUN_EXPORT])
        .rows(&[151, 204])
        .level(Enterprise),
    ]
}

fn words(t: &Thresholds) -> Vec<CatalogueCheck> {
    vec![
        entry(
            "docs-complete",
            format!(
                "wanted sections are there, nothing is still to be written, links lead somewhere, {} % of public items are documented",
                t.documented_at_least
            ),
            |r, t| Ok(shipping::docs(&r.document()?, r.release(), t)),
        )
        .reads(&[shipping::DocsInventory::KIND])
        .rows(&[10, 24, 181, 210])
        .level(Standard),
        entry("release-notes", "every commit that users see is told of, each audience has a section", |r, _| {
            Ok(shipping::release_notes(&r.document()?, r.release()))
        })
        .reads(&[shipping::ReleaseNotes::KIND])
        .rows(&[157, 181])
        .level(Standard),
        entry("training", "everything new has readable material and an owner, and every role was briefed", |r, t| {
            Ok(people::training(&r.document()?, r.now(), t))
        })
        .reads(&[people::TrainingPack::KIND])
        .rows(&[158, 211])
        .level(Enterprise)
        .max_age(30 * DAY),
    ]
}

fn folk(t: &Thresholds) -> Vec<CatalogueCheck> {
    vec![
        entry(
            "approvals",
            "enough of the right people approved this plan, none of them its author, and nobody said no",
            |r, _| Ok(people::approvals(&r.document()?, r.release(), r.now())),
        )
        .reads(&[people::ApprovalRecord::KIND])
        .rows(&[15, 43, 146])
        .level(Standard),
        entry("acceptance", "the acceptance tests passed, and the people who asked for the change signed", |r, t| {
            let mut found = Assessor::new();
            found.include("acceptance tests", code::tests_pass(&r.tests(kind::ACCEPTANCE)?, t));
            found.include("approvals", people::approvals(&r.document()?, r.release(), r.now()));
            Ok(found.finish())
        })
        .reads(&[kind::ACCEPTANCE, people::ApprovalRecord::KIND])
        .rows(&[43, 154])
        .level(Strict),
        entry(
            "stakeholders-notified",
            "everybody who must know was reached in time, by receipts, and said so where they must",
            |r, t| Ok(people::notified(&r.document()?, r.now(), t)),
        )
        .reads(&[people::NoticeRecord::KIND])
        .rows(&[99, 146, 197, 211])
        .level(Standard)
        .max_age(7 * DAY),
        entry("on-call", "somebody is on call without a gap, and answered a test page", |r, _| {
            Ok(people::on_call(&r.document()?, r.now()))
        })
        .reads(&[people::Roster::KIND])
        .rows(&[25])
        .level(Standard)
        .max_age(7 * DAY),
        entry(
            "schedule",
            "tasks have the time that nine of ten past runs took, and all of it fits into a window",
            |r, _| Ok(people::schedule(&r.document()?, r.release(), r.now())),
        )
        .reads(&[people::Schedule::KIND])
        .rows(&[145])
        .level(Standard)
        .max_age(7 * DAY),
        entry(
            "risks",
            format!(
                "no risk of 9 is open, none of 6 in security or data, and each from {} has a mitigation",
                t.risk_mitigated_from
            ),
            |r, t| Ok(rules::risks(&r.document()?, r.release().change.commit.as_deref(), t)),
        )
        .reads(&[rules::RiskRegister::KIND])
        .rows(&[144, 196])
        .level(Standard)
        .max_age(7 * DAY),
    ]
}

fn review(t: &Thresholds) -> Vec<CatalogueCheck> {
    vec![
        entry("qa-gate", "the reviewer's word is pass, holds still, and names no grave issue", |r, _| {
            Ok(rules::qa_gate(&r.document()?, r.now()))
        })
        .reads(&[rules::QaGate::KIND])
        .rows(&[3])
        .level(Strict)
        .max_age(7 * DAY),
        entry("nfr", "every requirement of quality has a target, a measurement and a place where it stands", |r, _| {
            Ok(rules::nfr(&r.document()?))
        })
        .reads(&[rules::NfrResults::KIND])
        .rows(&[3])
        .level(Strict),
        entry(
            "requirements-traced",
            format!(
                "all requirements of the first priority are covered by tests that passed, {} % of the second, {} % of all",
                t.trace_second_passes_at, t.trace_all_at_least
            ),
            |r, t| {
                let reports = r.tests(kind::JUNIT)?;
                let passed = |outcome| matches!(outcome, TestOutcome::Passed | TestOutcome::Flaky);
                let cases = reports.iter().flat_map(|report| &report.cases).filter(|case| passed(case.outcome));
                Ok(rules::trace(&r.document()?, &cases.map(|case| case.name.clone()).collect(), t))
            },
        )
        .reads(&[rules::TraceMatrix::KIND, kind::JUNIT])
        .rows(&[4])
        .level(Strict),
    ]
}

/// What is asked while something is wrong.
fn trouble() -> Vec<CatalogueCheck> {
    vec![
        entry(
            "incident-known",
            "somebody detected or reported one incident, of this service in this environment",
            |r, _| Ok(incident::incident_known(&r.incidents()?, r.release(), r.now())),
        )
        .reads(&[kind::CD_EVENTS])
        .rows(&[116, 232])
        .level(Standard)
        // An answer takes as long as it takes.
        .max_age(90 * DAY),
        entry(
            "impact-stated",
            "every moment of the incident was measured, and its totals are what the measurements add up to",
            |r, _| Ok(impact::impact_stated(&r.document()?, &r.incidents()?)),
        )
        .reads(&[impact::Impact::KIND, kind::CD_EVENTS])
        .rows(&[118])
        .level(Standard)
        .max_age(90 * DAY),
    ]
}
