//! Reviews the code, and proves that the release is watched.

use super::*;

role! {
    /// Reviews code and speed before the release; after it, proves that the release is watched: monitors exist, cover the new
    /// revision, and an alert that was set off on purpose reached somebody.
    ///
    /// Rows: M6.
    SpecReviewer is SpecReviewer {
        /// Its seat before the release, in phase 1.
        before: 1,
        /// Its seat after the release, in phase 3: monitoring.
        after: 3,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        1 => {
            let documents: &[&[&str]] = &[&[kind::SARIF], &[kind::HYPERFINE], &[kind::HYPERFINE_BEFORE], LOADS];
            let checks = &["lint-clean", "no-slowdown", "service-level"];
            let step = VerifiedStep::new(9, "spec-reviewer", 1, Standard, documents, checks);
            Some(Duty::new(seat, step).makes::<CodeReview>().makes::<BenchmarkReport>())
        }
        3 => {
            let documents: &[&[&str]] = &[
                &[kind::PROMETHEUS_TARGETS],
                &[kind::PROMETHEUS_RULES],
                &[kind::PROMETHEUS_SERIES],
                &[AlertDrill::KIND],
            ];
            let checks = &["monitoring-up", "series-flow", "alerts-delivered"];
            let step = VerifiedStep::new(6, "spec-reviewer", 3, Standard, documents, checks);
            Some(Duty::new(seat, step).makes::<MonitoringSetup>())
        }
        _ => None,
    }
}
