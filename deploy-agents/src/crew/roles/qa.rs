//! Quality: tests, requirements of quality, the gate file.

use super::*;
use crate::checks::{code, impact, performance, rules};

role! {
    /// Answers for quality. Before the release: it builds, its tests pass, they cover it, and the requirements of quality have
    /// targets and measurements; it writes the gate file. During it: the smoke tests ran, all of them, and the people who asked
    /// for the change accepted it. After it: it keeps its service level. After an incident: what it cost the service.
    ///
    /// Its word advises; the checks that the readiness matrix names decide.
    ///
    /// Rows: M3.
    Qa is Qa {
        /// Its seat before the release, in phase 1.
        before: 1,
        /// Its seat during the release, in phase 2.
        during: 2,
        /// Its seat after the release, in phase 3.
        after: 3,
        /// Its seat in the review of an incident.
        incident: 4,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        1 => {
            let documents: &[&[&str]] = &[&[code::CiRun::KIND], &[kind::JUNIT], COVERAGE, &[rules::NfrResults::KIND]];
            let checks = &["build-success", "tests-pass", "coverage", "nfr"];
            let step = VerifiedStep::new(8, "qa", 1, Standard, documents, checks);
            Some(Duty::new(seat, step).makes::<BuildRecord>().makes::<QaGate>().also_reads(&[QaGate::KIND]))
        }
        2 => {
            let documents: &[&[&str]] =
                &[&[performance::SmokePlan::KIND], &[kind::SMOKE], &[kind::ACCEPTANCE], &[ApprovalRecord::KIND], LOADS];
            let checks = &["smoke", "acceptance", "service-level"];
            let step = VerifiedStep::new(40, "qa", 2, Standard, documents, checks);
            Some(Duty::new(seat, step).makes::<SmokeReport>().makes::<AcceptanceReport>())
        }
        3 => {
            let step = VerifiedStep::new(
                174,
                "qa",
                3,
                Standard,
                &[&[performance::ErrorBudget::KIND], LOADS],
                &["error-budget", "service-level"],
            );
            Some(Duty::new(seat, step).makes::<SloStatus>())
        }
        4 => {
            let documents: &[&[&str]] = &[&[impact::Impact::KIND], &[kind::CD_EVENTS]];
            let step = VerifiedStep::new(118, "qa", 4, Standard, documents, &["impact-stated"]);
            Some(Duty::new(seat, step).makes::<ServiceImpact>())
        }
        _ => None,
    }
}
