//! What an incident cost: completely measured, rightly added up.

use deploy_agents::checks::impact::{Impact, ImpactTotals, ImpactWindow};
use deploy_agents::checks::{Catalogue, Thresholds, write};
use deploy_core::evidence::{Collected, EvidenceSubject, Verdict};
use deploy_core::time::Timestamp;
use proptest::prelude::*;

use crate::sample::{claimer, pieces, set};
use crate::world::{now, release};

const BEGAN: &str = "2026-11-23T06:00:00Z";

fn judge(impact: &Impact) -> Verdict {
    let catalogue = Catalogue::standard(&Thresholds::default());
    let check = catalogue.check("impact-stated").expect("a check");
    let subject = EvidenceSubject { environment: Some(release().environment), ..EvidenceSubject::default() };
    let bytes = write(impact).expect("JSON");
    let document = Collected::new("impact", "monitoring", subject, now(), bytes).summary("impact.json");
    let event = pieces().into_iter().find(|piece| piece.evidence.kind == "cdevents").expect("an event");
    set(&[document, event]).judge(check, &release(), &claimer(), None, now()).receipt.verdict
}

fn minutes(after: i64) -> Timestamp {
    Timestamp(crate::world::at(BEGAN).0 + after * 60_000)
}

/// A window of so many minutes with this many requests, of which these failed.
fn windows(of: &[(u64, u64, u64, i64)]) -> Vec<ImpactWindow> {
    let each = (0_i64..).zip(of).map(|(index, (requests, failed, users, lost))| ImpactWindow {
        users: Some(*users),
        earned: Some(1_000),
        expected: Some(1_000 + lost),
        ..ImpactWindow::new(minutes(index), minutes(index + 1), *requests, *failed)
    });
    each.collect()
}

fn impact(windows: Vec<ImpactWindow>) -> Impact {
    let end = i64::try_from(windows.len()).expect("few");
    Impact::new("INC-7", minutes(0), 0.99, 100_000, windows).ended(minutes(end)).currency("EUR")
}

/// Rows: M118.
#[test]
fn more_than_the_whole_budget_is_a_remark_and_not_a_fault_of_the_statement() {
    assert_eq!(judge(&impact(windows(&[(5_000, 1_000, 9, 0)]))), Verdict::Pass);
    let more = judge(&impact(windows(&[(5_000, 1_001, 9, 0)])));
    assert!(matches!(&more, Verdict::Concerns { remarks } if remarks[0].contains("error budget")), "{more:?}");
}

/// Rows: M118.
#[test]
fn an_impact_of_nothing_or_in_no_currency_is_not_stated() {
    let nothing = Impact::new("INC-7", minutes(0), 0.99, 100_000, []).ended(minutes(1));
    assert!(!judge(&nothing).is_met());
    for code in ["", "eur", "Euro", "€€€"] {
        assert!(!judge(&impact(windows(&[(5, 1, 1, 7)])).currency(code)).is_met(), "{code}");
    }
    let more_than_all = impact(windows(&[(5, 6, 1, 7)]));
    assert!(matches!(judge(&more_than_all), Verdict::Fail { .. }));
}

proptest! {
    /// Whatever was measured, what is added up from it passes, and no other total does.
    ///
    /// Rows: M118.
    #[test]
    fn only_what_the_windows_add_up_to_passes(
        of in proptest::collection::vec((0_u64..100_000, 0_u64..100, 0_u64..1_000, -500_i64..5_000), 1..12),
        off in 1_u64..1_000,
        which in 0_usize..6,
    ) {
        let of: Vec<_> = of.into_iter().map(|(good, failed, users, lost)| (good + failed, failed, users, lost)).collect();
        let right = impact(windows(&of));
        prop_assert!(judge(&right).is_met(), "{:?}", judge(&right));
        let all = of.iter().fold((0, 0, 0, 0), |sum, w| (sum.0 + w.0, sum.1 + w.1, sum.2 + w.2, sum.3 + w.3));
        let most = of.iter().map(|window| window.2).max();
        let totals = &right.totals;
        prop_assert_eq!((totals.requests, totals.failed), (all.0, all.1));
        prop_assert_eq!((totals.users_at_least, totals.users_at_most, totals.lost), (most, Some(all.2), Some(all.3)));
        prop_assert!((totals.budget_spent - all.1 as f64 / 1_000.0).abs() < 1e-9);

        let mut wrong = right;
        match which {
            0 => wrong.totals.requests += off,
            1 => wrong.totals.failed += off,
            2 => wrong.totals.users_at_least = totals_off(most, off),
            3 => wrong.totals.users_at_most = None,
            4 => wrong.totals.lost = Some(all.3 - i64::try_from(off).expect("small")),
            _ => wrong.totals.budget_spent += off as f64 / 1e6,
        }
        prop_assert!(!judge(&wrong).is_met(), "{:?}", wrong.totals);
    }

    /// Numbers at the edge of what fits do not wrap around.
    #[test]
    fn the_largest_numbers_add_up_without_wrapping(requests in any::<u64>(), failed in any::<u64>(), earned in any::<i64>(), expected in any::<i64>()) {
        let window = ImpactWindow {
            users: Some(requests),
            earned: Some(earned),
            expected: Some(expected),
            ..ImpactWindow::new(minutes(0), minutes(1), requests, failed)
        };
        let totals = ImpactTotals::of(&[window.clone(), window], 0.999, 1);
        prop_assert!(totals.requests >= requests && totals.failed >= failed && totals.users_at_most >= Some(requests));
        if let Some(lost) = totals.lost {
            prop_assert_eq!(i128::from(lost), 2 * (i128::from(expected) - i128::from(earned)));
        }
    }
}

fn totals_off(real: Option<u64>, by: u64) -> Option<u64> {
    real.map(|real| real + by)
}
