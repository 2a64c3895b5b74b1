//! The figures of delivery, by hand and by property, and their targets.

use std::time::Duration;

use deploy_agents::checks::delivery::{DeliveryHistory, Deployment};
use deploy_agents::checks::{Catalogue, Thresholds, write};
use deploy_core::evidence::{Collected, EvidenceSubject, Refusal, Verdict};
use deploy_core::time::Timestamp;
use proptest::prelude::*;

use crate::sample::{claimer, set};
use crate::world::{at, now, release};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

fn judged(history: &DeliveryHistory, thresholds: &Thresholds) -> Verdict {
    let mut optional = Catalogue::optional(thresholds).into_iter();
    let check = optional.find(|check| check.name().as_str() == "delivery-targets").expect("a check");
    let subject = EvidenceSubject { environment: Some(release().environment), ..EvidenceSubject::default() };
    let bytes = write(history).expect("JSON");
    let piece = Collected::new("delivery-history", "journal", subject, now(), bytes).summary("delivery.json");
    set(&[piece]).judge(&check, &release(), &claimer(), None, now()).receipt.verdict
}

fn judge(history: &DeliveryHistory) -> Verdict {
    judged(history, &Thresholds::default())
}

/// Three weeks and two days of a service: nine deployments, of which one was taken back after forty minutes.
fn history() -> DeliveryHistory {
    let out = |id: &str, time: &str, committed: &[&str]| {
        committed.iter().fold(Deployment::new(id, at(time)), |deployment, time| deployment.change(at(time)))
    };
    let mut deployments = vec![
        // Before the first whole week, which begins on the second at eight.
        out("a", "2026-11-01T09:00:00Z", &["2026-10-31T09:00:00Z"]),
        out("b", "2026-11-03T09:00:00Z", &["2026-11-02T09:00:00Z", "2026-11-03T08:00:00Z"]),
        out("c", "2026-11-05T09:00:00Z", &["2026-11-04T21:00:00Z"]),
        out("d", "2026-11-10T09:00:00Z", &["2026-11-06T09:00:00Z"]),
        out("e", "2026-11-11T09:00:00Z", &["2026-11-11T07:00:00Z"]),
        out("f", "2026-11-12T09:00:00Z", &["2026-11-12T06:00:00Z"]),
        out("g", "2026-11-17T09:00:00Z", &["2026-11-16T09:00:00Z"]),
        out("h", "2026-11-18T09:00:00Z", &["2026-11-17T09:00:00Z"]),
        out("i", "2026-11-18T10:00:00Z", &["2026-11-18T09:40:00Z"]),
    ];
    deployments[7] = deployments[7].clone().failed(at("2026-11-18T09:20:00Z"), Some(at("2026-11-18T10:00:00Z")));
    deployments[8] = deployments[8].clone().unplanned();
    DeliveryHistory { from: at("2026-10-31T08:00:00Z"), to: at("2026-11-23T08:00:00Z"), deployments }
}

/// Rows: M129.
#[test]
fn the_figures_are_those_that_a_person_works_out() {
    let figures = history().figures();
    // Two, three and three in the three whole weeks.
    assert_eq!(figures.deployments_per_week, Some(3.0));
    // In hours: 24, 24, 1, 12, 96, 2, 3, 24, 24, 1/3; sorted the fifth and sixth are 12 and 24.
    assert_eq!(figures.lead_time, Some(18 * HOUR));
    assert_eq!(figures.change_fail_rate, Some(1.0 / 9.0));
    assert_eq!(figures.recovery, Some(Duration::from_secs(40 * 60)));
    assert_eq!(figures.rework_rate, Some(1.0 / 9.0));
    assert_eq!(judge(&history()), Verdict::Pass);
}

/// Each target by itself, at its edge and just beyond it.
///
/// Rows: M129.
#[test]
fn each_figure_flips_the_verdict_at_its_target() {
    type Set = fn(&mut Thresholds, bool);
    let targets: [(&str, Set); 5] = [
        ("deployments a week", |t, kept| t.delivery.per_week_at_least = if kept { 3.0 } else { 3.01 }),
        ("lead time", |t, kept| {
            t.delivery.lead_time_at_most = 18 * HOUR - if kept { Duration::ZERO } else { Duration::from_millis(1) }
        }),
        ("change fail rate", |t, kept| t.delivery.fail_rate_at_most = if kept { 1.0 / 9.0 } else { 0.111 }),
        ("recovery time", |t, kept| {
            t.delivery.recovery_at_most = Duration::from_secs(if kept { 2_400 } else { 2_399 })
        }),
        ("rework rate", |t, kept| t.delivery.rework_rate_at_most = if kept { 1.0 / 9.0 } else { 0.111 }),
    ];
    for (name, target) in targets {
        let mut thresholds = Thresholds::default();
        target(&mut thresholds, true);
        assert_eq!(judged(&history(), &thresholds), Verdict::Pass, "{name}");
        target(&mut thresholds, false);
        let verdict = judged(&history(), &thresholds);
        assert!(matches!(&verdict, Verdict::Fail { reason } if reason.contains(name)), "{name}: {verdict:?}");
    }
}

/// Rows: M129.
#[test]
fn what_nothing_can_be_told_from_is_refused_and_what_cannot_be_true_fails() {
    type Change = (&'static str, fn(&mut DeliveryHistory), fn(&Verdict) -> bool);
    let refused = |verdict: &Verdict| matches!(verdict, Verdict::Inconclusive { .. });
    let failed = |verdict: &Verdict| matches!(verdict, Verdict::Fail { .. });
    let changes: [Change; 8] = [
        ("nothing went out", |h| h.deployments.clear(), refused),
        ("less than a week", |h| h.from = at("2026-11-16T08:00:00.001Z"), |verdict| !verdict.is_met()),
        (
            "until tomorrow",
            |h| h.to = at("2026-11-24T08:00:00Z"),
            |verdict| matches!(verdict, Verdict::Inconclusive { refusal: Refusal::FutureDated(_) }),
        ),
        (
            "the same twice",
            |h| h.deployments[1].id = "a".to_owned(),
            |verdict| matches!(verdict, Verdict::Inconclusive { refusal: Refusal::Duplicate(_) }),
        ),
        ("before the span", |h| h.deployments[0].at = at("2026-10-31T07:59:59Z"), failed),
        ("committed after it was out", |h| h.deployments[0].committed_at = vec![at("2026-11-01T09:00:01Z")], failed),
        (
            "mended before it failed",
            |h| {
                h.deployments[7] =
                    h.deployments[7].clone().failed(at("2026-11-18T09:20:00Z"), Some(at("2026-11-18T09:19:59Z")))
            },
            failed,
        ),
        (
            "failed before it was out",
            |h| h.deployments[7] = h.deployments[7].clone().failed(at("2026-11-18T08:59:59Z"), None),
            failed,
        ),
    ];
    for (what, change, fits) in changes {
        let mut history = history();
        change(&mut history);
        let verdict = judge(&history);
        assert!(fits(&verdict), "{what}: {verdict:?}");
    }
    // Nobody has recovered from it: it takes at least until now, and that is said.
    let mut open = history();
    open.deployments[7] = open.deployments[7].clone().failed(at("2026-11-18T09:20:00Z"), None);
    assert_eq!(open.figures().recovery, Some(at("2026-11-23T08:00:00Z").since(at("2026-11-18T09:20:00Z"))));
    assert!(matches!(judge(&open), Verdict::Fail { reason } if reason.contains("recovery time")));
}

proptest! {
    /// The weeks against a count by hand, and the others against the plain definition.
    #[test]
    fn the_figures_are_their_definitions(
        days in 0_i64..40,
        out in proptest::collection::vec((0_i64..40 * DAY_MS, 0_i64..10 * DAY_MS, any::<bool>()), 0..30),
    ) {
        let (from, to) = (Timestamp(0), Timestamp(days * DAY_MS));
        let deployments: Vec<Deployment> = (0..).zip(&out).filter(|(_, (at, ..))| *at < to.0).map(|(index, (at, lead, bad))| {
            let deployment = Deployment::new(format!("{index}"), Timestamp(*at)).change(Timestamp(at - lead));
            if *bad { deployment.failed(Timestamp(*at), Some(Timestamp(at + lead))) } else { deployment }
        }).collect();
        let history = DeliveryHistory { from, to, deployments };
        let figures = history.figures();

        let mut weeks = Vec::new();
        let mut end = to.0;
        while end - 7 * DAY_MS >= 0 {
            let begin = end - 7 * DAY_MS;
            weeks.push(history.deployments.iter().filter(|d| (begin..end).contains(&d.at.0)).count() as f64);
            end = begin;
        }
        prop_assert_eq!(figures.deployments_per_week, middle(weeks));
        let leads: Vec<f64> = history.deployments.iter().map(|d| (d.at.0 - d.committed_at[0].0) as f64 / 1e3).collect();
        let told = figures.lead_time.map(|time| time.as_secs_f64());
        prop_assert!(told.zip(middle(leads.clone())).is_none_or(|(a, b)| (a - b).abs() < 1e-6) && told.is_some() != leads.is_empty());
        let bad = history.deployments.iter().filter(|d| d.failure.is_some()).count();
        let share = (!history.deployments.is_empty()).then(|| bad as f64 / history.deployments.len() as f64);
        prop_assert_eq!(figures.change_fail_rate, share);
        prop_assert_eq!(figures.recovery.is_some(), bad > 0);
    }
}

fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[n / 2]),
        n => Some(f64::midpoint(values[n / 2 - 1], values[n / 2])),
    }
}
