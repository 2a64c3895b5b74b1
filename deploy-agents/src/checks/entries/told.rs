//! What people write, do, review and answer.

use super::{DAY, entry};
use crate::checks::assessment::Assessor;
use crate::checks::catalogue::CatalogueCheck;
use crate::checks::document::Document as _;
use crate::checks::level::ValidationLevel::{Enterprise, Standard, Strict};
use crate::checks::thresholds::Thresholds;
use crate::checks::{code, impact, incident, kind, people, rules, shipping};
use crate::evidence::facts::TestOutcome;

pub(super) fn words(t: &Thresholds) -> Vec<CatalogueCheck> {
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

pub(super) fn folk(t: &Thresholds) -> Vec<CatalogueCheck> {
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

pub(super) fn review(t: &Thresholds) -> Vec<CatalogueCheck> {
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
pub(super) fn trouble() -> Vec<CatalogueCheck> {
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
