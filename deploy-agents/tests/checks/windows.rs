//! Change windows and freezes.

use std::time::Duration;

use deploy_agents::gates::{ChangeCalendar, ChangeWindow, ChangeWindowGate, Freeze, Standing, WhenShut, WindowError};
use deploy_core::gate::GateDecision;
use deploy_core::name::BlockName;
use deploy_core::release::ReleaseKind;
use deploy_core::time::Timestamp;
use jiff::civil::Weekday;
use proptest::prelude::*;

use crate::cases;
use crate::world::at;

const KIND: ReleaseKind = ReleaseKind::Production;

fn office() -> ChangeWindow {
    ChangeWindow::new("office", "Europe/Berlin", "2026-01-05T09:00:00", "8h")
        .and_then(|w| w.rule("RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH"))
        .expect("a window")
}

fn gate(calendar: ChangeCalendar) -> ChangeWindowGate {
    ChangeWindowGate::new(BlockName::new("window").expect("a name"), calendar)
}

/// When work may start by a calendar of these windows: now if it is open, otherwise at the next opening.
fn start(input: &serde_json::Value) -> Timestamp {
    let zone = input["zone"].as_str().expect("a zone");
    let weekday = |name: &serde_json::Value| match name.as_str().expect("a weekday") {
        "monday" => Weekday::Monday,
        "tuesday" => Weekday::Tuesday,
        "wednesday" => Weekday::Wednesday,
        "thursday" => Weekday::Thursday,
        "friday" => Weekday::Friday,
        "saturday" => Weekday::Saturday,
        _ => Weekday::Sunday,
    };
    let days: Vec<Weekday> = input["weekdays"].as_array().expect("weekdays").iter().map(weekday).collect();
    let mut spans: Vec<(String, String)> = Vec::new();
    for window in input["windows"].as_array().expect("windows") {
        let text = |key: &str| window[key].as_str().expect("a time").to_owned();
        let (from, until) = (text("start"), text("end"));
        if from <= until {
            spans.push((from, until));
        } else {
            // The other tool cuts a night at midnight, so that each part belongs to its own day.
            spans.push((from, "23:59".to_owned()));
            spans.push(("00:00".to_owned(), until));
        }
    }
    if spans.is_empty() {
        spans.push(("00:00".to_owned(), "23:59".to_owned()));
    }
    let calendar = spans.iter().fold(ChangeCalendar::new(), |calendar, (from, until)| {
        let window = ChangeWindow::weekly("w", zone, &days, from, until).expect("a window");
        calendar.window(window.end_minute_inside())
    });
    calendar.next_opening(at(input["now_utc"].as_str().expect("a time")), KIND).expect("it opens")
}

#[test]
fn the_windows_of_another_tool_open_when_its_table_says() {
    let (mut ran, mut other) = (0, 0);
    for row in cases::rows("orca_windows.json") {
        // A delay drawn by chance is not a window.
        if row["table"] == "jitter" {
            other += 1;
            continue;
        }
        let expected = at(row["expected"]["start_utc"].as_str().expect("a time"));
        assert_eq!(start(&row["input"]), expected, "{}", row["name"]);
        ran += 1;
    }
    println!("orca_windows.json: {ran} rows, {other} of them about something else");
    assert!(ran == 0 || ran == 38, "{ran}");
}

/// Rows: M145, M160.
#[test]
fn a_window_is_half_open_and_its_next_opening_is_shown() {
    let calendar = ChangeCalendar::new().window(office());
    assert!(!calendar.is_open(at("2026-11-23T07:59:59.999Z"), KIND));
    assert!(calendar.is_open(at("2026-11-23T08:00:00Z"), KIND));
    assert!(calendar.is_open(at("2026-11-23T15:59:59.999Z"), KIND));
    assert!(!calendar.is_open(at("2026-11-23T16:00:00Z"), KIND));
    let answer = gate(calendar.clone()).answer(at("2026-11-26T16:00:00Z"), KIND);
    let GateDecision::Hold { reason, ask_again_after } = answer else { panic!("{answer:?}") };
    assert_eq!(
        reason,
        "no window is open: office; it opens Mon 2026-11-30 09:00 Europe/Berlin (2026-11-30T08:00:00.000Z)"
    );
    assert_eq!(ask_again_after, Duration::from_secs(3600));
    let soon = gate(calendar).answer(at("2026-11-23T07:50:00Z"), KIND);
    assert!(matches!(soon, GateDecision::Hold { ask_again_after, .. } if ask_again_after == Duration::from_secs(600)));
}

/// In spring 2026 Berlin's clocks go from 02:00 to 03:00 on 29 March; in autumn from 03:00 to 02:00 on 25 October.
///
/// Rows: M160.
#[test]
fn a_gap_opens_at_its_end_and_an_overlap_opens_first_and_shuts_last() {
    let daily =
        |from: &str, until: &str| ChangeWindow::weekly("w", "Europe/Berlin", &[], from, until).expect("a window");
    let opening = |w: &ChangeWindow, t: &str| w.opening_at(at(t)).map(|o| (o.opens, o.closes));
    let spring = daily("02:30", "05:00");
    assert_eq!(
        opening(&spring, "2026-03-29T01:00:00Z"),
        Some((at("2026-03-29T01:00:00Z"), at("2026-03-29T03:00:00Z")))
    );
    assert!(!spring.is_open(at("2026-03-29T00:59:59Z")));
    // It would open and shut within the hour that is not there.
    let inside = daily("02:10", "02:50");
    assert_eq!(inside.next_opening(at("2026-03-28T12:00:00Z")), Some(at("2026-03-30T00:10:00Z")));
    assert!(!inside.is_open(at("2026-03-29T01:00:00Z")));
    let autumn = daily("02:15", "02:45");
    assert_eq!(
        opening(&autumn, "2026-10-25T00:15:00Z"),
        Some((at("2026-10-25T00:15:00Z"), at("2026-10-25T01:45:00Z")))
    );
    assert!(autumn.is_open(at("2026-10-25T01:00:00Z")), "02:00 the second time");
    assert!(!autumn.is_open(at("2026-10-25T01:45:00Z")));
}

/// Rows: M145, M160.
#[test]
fn a_freeze_wins_over_a_window_and_lets_only_the_exempt_through() {
    let year_end = ChangeWindow::new("year-end", "Europe/Berlin", "2026-12-18T18:00:00", "400h").expect("a window");
    let calendar = ChangeCalendar::new().window(office()).freeze(Freeze::new(year_end, "nobody is there"));
    let monday = at("2026-12-21T10:00:00Z");
    let Standing::Shut { because, opens } = calendar.at(monday, KIND) else { panic!("it is frozen") };
    assert_eq!(because, "freeze year-end: nobody is there");
    // 400 hours by the clock on the wall end on 4 January at 10:00, in the middle of a window.
    assert_eq!(opens, Some(at("2027-01-04T09:00:00Z")));
    assert!(calendar.is_open(monday, ReleaseKind::EmergencyPatch));
    assert!(!calendar.is_open(monday, ReleaseKind::Hotfix));
    let thursday = at("2026-12-17T09:00:00Z");
    assert_eq!(calendar.at(thursday, KIND), Standing::Open { until: Some(at("2026-12-17T16:00:00Z")) });
    // Always open, but for a freeze that comes every week: it shuts when the freeze begins.
    let fridays = ChangeWindow::weekly("fridays", "UTC", &[Weekday::Friday], "12:00", "24:00").expect("a window");
    let calendar = ChangeCalendar::new().freeze(Freeze::new(fridays, "the weekend comes"));
    assert_eq!(calendar.at(thursday, KIND), Standing::Open { until: Some(at("2026-12-18T12:00:00Z")) });
    assert_eq!(calendar.next_opening(at("2026-12-18T13:00:00Z"), KIND), Some(at("2026-12-19T00:00:00Z")));
}

/// Rows: M145.
#[test]
fn work_that_does_not_fit_waits_for_a_window_in_which_it_does() {
    let long = ChangeWindow::weekly("long", "UTC", &[Weekday::Saturday], "08:00", "20:00").expect("a window");
    let short = ChangeWindow::weekly("short", "UTC", &[], "12:00", "13:00").expect("a window");
    let gate = gate(ChangeCalendar::new().window(short).window(long)).needs(Duration::from_secs(2 * 3600));
    // A Monday, in the short window.
    let answer = gate.answer(at("2026-11-23T12:10:00Z"), KIND);
    let GateDecision::Hold { reason, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(
        reason,
        "it shuts in 50m, and 2h are needed; it opens Sat 2026-11-28 08:00 UTC (2026-11-28T08:00:00.000Z)"
    );
    assert_eq!(gate.answer(at("2026-11-28T18:00:00Z"), KIND), GateDecision::Go);
    assert!(!gate.answer(at("2026-11-28T18:00:01Z"), KIND).passes());
}

#[test]
fn work_that_is_under_way_when_it_shuts_does_as_was_declared() {
    let calendar = ChangeCalendar::new().window(office());
    let (open, shut) = (at("2026-11-23T09:00:00Z"), at("2026-11-23T17:00:00Z"));
    let answer = |when_shut| gate(calendar.clone()).under_way(when_shut).answer(shut, KIND);
    assert!(matches!(answer(WhenShut::Finish), GateDecision::Conditional { .. }));
    assert!(matches!(answer(WhenShut::HoldAtNextSafePoint), GateDecision::Hold { .. }));
    assert!(matches!(answer(WhenShut::RollBack), GateDecision::NoGo { .. }));
    for when_shut in [WhenShut::Finish, WhenShut::HoldAtNextSafePoint, WhenShut::RollBack] {
        assert_eq!(gate(calendar.clone()).under_way(when_shut).answer(open, KIND), GateDecision::Go);
    }
    let over = ChangeWindow::new("once", "UTC", "2026-01-01T00:00:00", "1h").expect("a window");
    let answer = gate(ChangeCalendar::new().window(over)).answer(open, KIND);
    assert!(matches!(answer, GateDecision::NoGo { .. }), "it never opens again: {answer:?}");
}

#[test]
fn rules_of_rfc_5545_mean_wall_time_and_what_means_nothing_is_refused() {
    let window =
        |rule: &str| ChangeWindow::new("w", "America/New_York", "2026-01-01T09:00:00", "1h").and_then(|w| w.rule(rule));
    // The second Tuesday of each month; 10 March 2026 is after the clocks went forward on the 8th.
    let second = window("RRULE:FREQ=MONTHLY;BYDAY=2TU").expect("a rule");
    assert_eq!(second.next_opening(at("2026-02-11T00:00:00Z")), Some(at("2026-03-10T13:00:00Z")));
    assert_eq!(second.next_opening(at("2026-01-14T00:00:00Z")), Some(at("2026-02-10T14:00:00Z")));
    // An end in UTC is an instant: 14:00 UTC is 09:00 in New York, so that the opening of that day is the last.
    let ends = window("RRULE:FREQ=DAILY;UNTIL=20260120T140000Z").expect("a rule");
    assert_eq!(ends.next_opening(at("2026-01-20T13:00:00Z")), Some(at("2026-01-20T14:00:00Z")));
    assert_eq!(ends.next_opening(at("2026-01-20T14:00:00Z")), None);
    let ends = window("RRULE:FREQ=DAILY;UNTIL=20260120T135959Z").expect("a rule");
    assert_eq!(ends.next_opening(at("2026-01-20T13:00:00Z")), None);
    let excepted =
        window("RRULE:FREQ=DAILY\nEXDATE:20260302T090000,20260303T090000\nRDATE:20260302T150000").expect("a rule");
    assert_eq!(excepted.next_opening(at("2026-03-01T15:00:00Z")), Some(at("2026-03-02T20:00:00Z")));
    assert_eq!(excepted.next_opening(at("2026-03-02T20:00:00Z")), Some(at("2026-03-04T14:00:00Z")));
    for bad in [
        "",
        "FREQ=DAILY",
        "RRULE:FREQ=MINUTELY",
        "RRULE:FREQ=SECONDLY;COUNT=3",
        "RRULE:FREQ=FORTNIGHTLY",
        "RRULE:FREQ=DAILY;UNTIL=tomorrow",
        "EXDATE;TZID=Europe/Berlin:20260302T090000",
        "RDATE:20260302",
        "DTSTART:20260101T090000",
    ] {
        assert!(matches!(window(bad), Err(WindowError::Rule { .. })), "{bad:?}");
    }
    let length = |text| ChangeWindow::new("w", "UTC", "2026-01-01T09:00:00", text);
    for bad in ["", "0h", "-1h", "400d", "9000h", "soon"] {
        assert!(matches!(length(bad), Err(WindowError::Length { .. })), "{bad:?}");
    }
    assert!(matches!(
        ChangeWindow::new("w", "UTC", "2026-01-01T09:00:00+01:00[Europe/Berlin]x", "1h"),
        Err(WindowError::Opening { .. })
    ));
}

#[test]
fn a_calendar_survives_a_file() {
    let calendar = ChangeCalendar::new().window(office()).freeze(
        Freeze::new(ChangeWindow::new("x", "UTC", "2026-12-24T00:00:00", "48h").expect("a window"), "holidays")
            .exempt([ReleaseKind::Hotfix, ReleaseKind::EmergencyPatch]),
    );
    let text = serde_json::to_string(&calendar).expect("it can be written");
    let back: ChangeCalendar = serde_json::from_str(&text).expect("it can be read");
    assert_eq!(back, calendar);
    let broken = text.replace("Europe/Berlin", "Europe/Atlantis");
    let error = serde_json::from_str::<ChangeCalendar>(&broken).expect_err("no such zone").to_string();
    assert!(error.contains("Atlantis"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// What the gate says about an instant agrees with what it says about its neighbours.
    ///
    /// Rows: M160.
    #[test]
    fn openings_and_closings_are_where_the_answer_changes(
        minute in 0_i64..60 * 24 * 800, from in 0_u32..24 * 60, length in 1_u32..24 * 60, days in 0_u8..128,
        frozen_from in 0_u32..24 * 60, zone in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
    ) {
        let all = [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday, Weekday::Saturday, Weekday::Sunday];
        let days: Vec<Weekday> = all.into_iter().enumerate().filter(|(n, _)| days & (1 << n) != 0).map(|(_, d)| d).collect();
        let clock = |m: u32| format!("{:02}:{:02}", m / 60 % 24, m % 60);
        let window = ChangeWindow::weekly("w", zone, &days, &clock(from), &clock(from + length)).expect("a window");
        let freeze = ChangeWindow::weekly("f", zone, &[], &clock(frozen_from), &clock(frozen_from + 30)).expect("a window");
        let calendar = ChangeCalendar::new().window(window).freeze(Freeze::new(freeze, "because"));
        let now = Timestamp(at("2026-01-01T00:00:00Z").0 + minute * 60_000);
        let just_before = |t: Timestamp| Timestamp(t.0 - 1);
        match calendar.at(now, KIND) {
            Standing::Open { until } => {
                prop_assert!(calendar.is_open(now, KIND));
                if let Some(until) = until {
                    prop_assert!(until > now && calendar.is_open(just_before(until), KIND) && !calendar.is_open(until, KIND));
                    // Nothing shuts in between.
                    for part in 1..20 {
                        prop_assert!(calendar.is_open(Timestamp(now.0 + (until.0 - 1 - now.0) / 20 * part), KIND));
                    }
                }
            }
            Standing::Shut { opens, .. } => {
                prop_assert!(!calendar.is_open(now, KIND));
                if let Some(opens) = opens {
                    prop_assert!(opens > now && calendar.is_open(opens, KIND) && !calendar.is_open(just_before(opens), KIND));
                    for part in 0..20 {
                        prop_assert!(!calendar.is_open(Timestamp(now.0 + (opens.0 - 1 - now.0) / 20 * part), KIND));
                    }
                }
            }
            _ => prop_assert!(false),
        }
    }
}
