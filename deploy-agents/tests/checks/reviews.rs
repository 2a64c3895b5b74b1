//! Regular reviews: due by the day of a zone, overdue from the first moment of the next, and named with who sees to them.

use deploy_agents::checks::reviews::{Cadence, ReviewDuty, ReviewRecord, ReviewSchedule};
use deploy_agents::checks::{Catalogue, Thresholds, write};
use deploy_core::evidence::{Collected, EvidenceSubject, Refusal, Verdict};
use deploy_core::time::Timestamp;
use proptest::prelude::*;

use crate::sample::{claimer, set};
use crate::world::{at, release};

/// Zones whose clocks do what they can: change at midnight, by half an hour, skip a day, or never change.
const ZONES: [&str; 7] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Beirut",
    "Pacific/Apia",
    "UTC",
];

fn duty(subject: &str, every: Option<Cadence>, first: &str) -> ReviewDuty {
    let every = every.expect("more than none");
    ReviewDuty { subject: subject.to_owned(), owner: "grace".to_owned(), every, first: first.to_owned() }
}

fn schedule(zone: &str, duties: Vec<ReviewDuty>) -> ReviewSchedule {
    ReviewSchedule { zone: zone.to_owned(), duties }
}

fn review(subject: &str, time: Timestamp) -> ReviewRecord {
    ReviewRecord {
        subject: subject.to_owned(),
        at: time,
        by: vec!["ada".to_owned(), "grace".to_owned()],
        seen: vec!["https://dashboards.example.org/alerts".to_owned()],
        decided: "two rules go, one is sharpened".to_owned(),
    }
}

fn judge(schedule: &ReviewSchedule, held: &[ReviewRecord], now: Timestamp) -> Verdict {
    let mut optional = Catalogue::optional(&Thresholds::default()).into_iter();
    let check = optional.find(|check| check.name().as_str() == "reviews-held").expect("a check");
    let made = |kind: &str, bytes: Vec<u8>, file: String| {
        // Reviews are of an environment, whatever the release.
        let subject = EvidenceSubject { environment: Some(release().environment), ..EvidenceSubject::default() };
        Collected::new(kind, "wiki", subject, now, bytes).summary(file)
    };
    let mut pieces = vec![made("review-schedule", write(schedule).expect("JSON"), "reviews.json".to_owned())];
    for (index, record) in held.iter().enumerate() {
        pieces.push(made("review-record", write(record).expect("JSON"), format!("review-{index}.json")));
    }
    set(&pieces).judge(&check, &release(), &claimer(), None, now).receipt.verdict
}

/// Rows: M128.
#[test]
fn a_review_is_overdue_from_the_first_moment_of_the_day_after_and_is_named_with_its_owner() {
    let rules = duty("alert rules", Cadence::weeks(4), "2026-03-02");
    let access = duty("access rights", Cadence::days(90), "2026-06-01");
    let plan = schedule("Europe/Berlin", vec![rules, access]);
    let held = [review("alert rules", at("2026-03-01T09:00:00Z"))];
    // Four weeks after the first of March is the 29th, in the night to which the clocks of Berlin go forward: that day has 23 hours.
    let due = plan.due(&held).expect("days");
    assert_eq!((due[0].on.as_str(), due[0].last), ("2026-03-29", Some(held[0].at)));
    assert_eq!(due[0].overdue_from, at("2026-03-29T22:00:00Z"));
    assert_eq!((due[1].on.as_str(), due[1].last), ("2026-06-01", None));
    assert_eq!(due[1].overdue_from, at("2026-06-01T22:00:00Z"));

    assert_eq!(judge(&plan, &held, at("2026-03-29T21:59:59.999Z")), Verdict::Pass);
    let Verdict::Fail { reason } = judge(&plan, &held, at("2026-03-29T22:00:00Z")) else { panic!("it is overdue") };
    let said =
        "the review of alert rules is overdue since Mon 2026-03-30 00:00 Europe/Berlin (2026-03-29T22:00:00.000Z)";
    assert!(reason.contains(said) && reason.contains("grace sees to it"), "{reason}");
    assert!(!reason.contains("access rights"), "{reason}");

    // Held on the last day, it is due four weeks later; and what was never held is overdue by its first day.
    let held = [held[0].clone(), review("alert rules", at("2026-03-29T21:59:59Z"))];
    assert_eq!(judge(&plan, &held, at("2026-04-26T21:59:59Z")), Verdict::Pass);
    let Verdict::Fail { reason } = judge(&plan, &held, at("2026-06-01T22:00:00Z")) else { panic!("both are overdue") };
    assert!(reason.contains("alert rules is overdue") && reason.contains("access rights is overdue"), "{reason}");
}

/// Rows: M128.
#[test]
fn one_changed_field_of_a_record_or_the_schedule_flips_the_verdict() {
    let now = at("2026-03-20T12:00:00Z");
    let plan = schedule("Europe/Berlin", vec![duty("alert rules", Cadence::weeks(2), "2026-03-02")]);
    let held = review("alert rules", at("2026-03-10T09:00:00Z"));
    assert_eq!(judge(&plan, std::slice::from_ref(&held), now), Verdict::Pass);
    type Change = (&'static str, fn(&mut ReviewSchedule, &mut ReviewRecord));
    let fails: [Change; 8] = [
        ("of something else", |_, held| held.subject = "dashboards".to_owned()),
        ("too long ago", |_, held| held.at = at("2026-03-05T22:59:59Z")),
        ("by nobody", |_, held| held.by = vec![" ".to_owned()]),
        ("of nothing", |_, held| held.seen.clear()),
        ("without a decision", |_, held| held.decided.clear()),
        ("more often", |plan, _| plan.duties[0].every = Cadence::days(9).expect("more than none")),
        ("owned by nobody", |plan, _| plan.duties[0].owner.clear()),
        ("nothing to look at", |plan, _| plan.duties.clear()),
    ];
    for (what, change) in fails {
        let (mut plan, mut held) = (plan.clone(), held.clone());
        change(&mut plan, &mut held);
        let verdict = judge(&plan, &[held], now);
        assert!(matches!(verdict, Verdict::Fail { .. }), "{what}: {verdict:?}");
    }
    let refused = |plan: &ReviewSchedule, held: &[ReviewRecord]| match judge(plan, held, now) {
        Verdict::Inconclusive { refusal } => refusal,
        other => panic!("{other:?}"),
    };
    let mut later = held.clone();
    later.at = at("2026-03-20T12:00:00.001Z");
    assert!(matches!(refused(&plan, &[later]), Refusal::FutureDated(_)));
    let twice = schedule("Europe/Berlin", vec![plan.duties[0].clone(), plan.duties[0].clone()]);
    assert!(matches!(refused(&twice, std::slice::from_ref(&held)), Refusal::Duplicate(_)));
    let nowhere = schedule("Europe/Atlantis", plan.duties.clone());
    assert!(matches!(refused(&nowhere, std::slice::from_ref(&held)), Refusal::Unparseable(_)));
    let mut no_day = plan.clone();
    no_day.duties[0].first = "2026-02-30".to_owned();
    assert!(matches!(refused(&no_day, &[]), Refusal::Unparseable(_)));
    // A record more, of before or of something else, changes nothing.
    let more = [held.clone(), review("alert rules", at("2026-01-01T00:00:00Z")), review("lunch", held.at)];
    assert_eq!(judge(&plan, &more, now), Verdict::Pass);
}

#[test]
fn a_night_in_which_midnight_does_not_exist_begins_at_its_first_moment() {
    // In Beirut the clocks went from 24:00 on 2022-03-26 to 01:00; in Apia the day 2011-12-30 never was.
    let plan = schedule("Asia/Beirut", vec![duty("x", Cadence::days(1), "2022-03-26")]);
    assert_eq!(plan.due(&[]).expect("a day")[0].overdue_from, at("2022-03-26T22:00:00Z"));
    let plan = schedule("Pacific/Apia", vec![duty("x", Cadence::days(1), "2011-12-29")]);
    assert_eq!(plan.due(&[]).expect("a day")[0].overdue_from, at("2011-12-30T10:00:00Z"));
}

fn local(zone: &str, time: Timestamp) -> jiff::civil::Date {
    let time = jiff::Timestamp::from_millisecond(time.0).expect("in range");
    time.to_zoned(jiff::tz::TimeZone::get(zone).expect("a zone")).date()
}

proptest! {
    /// Rows: M128.
    #[test]
    fn the_last_day_counts_whole_and_nothing_more(
        zone in 0..ZONES.len(),
        // From 2000 to 2037, to the millisecond.
        last in 946_684_800_000_i64..2_145_916_800_000,
        days in 1_u16..400,
    ) {
        let zone = ZONES[zone];
        let last = Timestamp(last);
        let plan = schedule(zone, vec![duty("x", Cadence::days(days), "2000-01-01")]);
        let held = [review("x", last)];
        let due = plan.due(&held).expect("a day").remove(0);
        let on: jiff::civil::Date = due.on.parse().expect("a day");
        prop_assert_eq!(on, local(zone, last).checked_add(jiff::Span::new().days(i64::from(days))).expect("in range"));
        // The moment before is not after the day, and the moment itself is.
        prop_assert!(local(zone, Timestamp(due.overdue_from.0 - 1)) <= on);
        prop_assert!(local(zone, due.overdue_from) > on);
        prop_assert_eq!(judge(&plan, &held, Timestamp(due.overdue_from.0 - 1)), Verdict::Pass);
        let verdict = judge(&plan, &held, due.overdue_from);
        prop_assert!(matches!(verdict, Verdict::Fail { .. }), "not overdue at its own moment");
        // No clock moves it by more than a day and a bit from so many times 24 hours.
        let hours = (due.overdue_from.0 - last.0) / 3_600_000;
        prop_assert!((hours - 24 * i64::from(days)).abs() <= 49, "{} h for {} days", hours, days);
    }

    /// Rows: M128.
    #[test]
    fn a_later_review_is_never_due_earlier_and_the_order_of_records_changes_nothing(
        zone in 0..ZONES.len(),
        first in 946_684_800_000_i64..2_145_916_800_000,
        after in 0_i64..40_000_000_000,
        weeks in 1_u16..60,
    ) {
        let plan = schedule(ZONES[zone], vec![duty("x", Cadence::weeks(weeks), "2000-01-01")]);
        let days = schedule(ZONES[zone], vec![duty("x", Cadence::days(7 * weeks), "2000-01-01")]);
        let (one, two) = (review("x", Timestamp(first)), review("x", Timestamp(first + after)));
        let due = |held: &[ReviewRecord]| plan.due(held).expect("a day").remove(0);
        prop_assert!(due(std::slice::from_ref(&one)).overdue_from <= due(std::slice::from_ref(&two)).overdue_from);
        prop_assert_eq!(due(&[one.clone(), two.clone()]), due(&[two.clone(), one]));
        prop_assert_eq!(due(std::slice::from_ref(&two)), days.due(&[two]).expect("a day").remove(0));
    }
}
