//! The entries of the catalogue.

mod made;
mod running;
mod told;

use std::time::Duration;

use deploy_core::evidence::Refusal;
use deploy_core::time::Spell;

use self::made::{code_quality, security, speed};
use self::running::{ground, run};
use self::told::{folk, review, trouble, words};
use super::assessment::Assessment;
use super::catalogue::CatalogueCheck;
use super::document::Document as _;
use super::level::ValidationLevel::Strict;
use super::thresholds::Thresholds;
use super::{delivery, incident, infrastructure, kind, performance, reviews};

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
