//! Test reports: what they declare and what stands in them.

use deploy_agents::evidence::facts::{TestFacts, TestOutcome};
use deploy_agents::evidence::{DoubtKind, Problem, Source, blocking, junit};

use crate::doubted;
use crate::samples::JUNIT;

fn read(text: &str) -> TestFacts {
    junit::read(&Source::new("junit.xml", text.as_bytes())).expect("readable")
}

/// Rows: M8, M153, M206.
#[test]
fn what_counts_is_the_tests_that_stand_there() {
    let facts = read(JUNIT);
    let counted = facts.counted;
    assert_eq!((counted.total, counted.executed, counted.passed, counted.flaky), (5, 4, 1, 1));
    assert_eq!((counted.failed, counted.errored, counted.skipped), (1, 1, 1));
    assert!(facts.doubts.is_empty(), "{:?}", facts.doubts);
    let failed = &facts.cases[1];
    assert_eq!((failed.suite.as_str(), failed.class.as_str(), failed.name.as_str()), ("cart", "cart::sum", "rounds"));
    assert_eq!(failed.outcome, TestOutcome::Failed);
    assert_eq!(failed.message, "1 != 2\nat line 3 & 4\u{1b}[0m", "control characters are text like any other");
    assert_eq!(failed.at.to_string(), "junit.xml#/testsuites/testsuite/testcase[2]");
    assert_eq!(facts.cases[3].outcome, TestOutcome::Errored);
    assert_eq!((facts.cases[4].outcome, facts.cases[4].attempts), (TestOutcome::Flaky, 2));
}

#[test]
fn the_root_may_be_one_suite_and_suites_may_nest() {
    let facts = read(
        r#"<testsuite name="a" tests="1"><testsuite name="b" tests="2"><testcase name="x"/><testcase name="y"/></testsuite><testcase name="z"/></testsuite>"#,
    );
    assert_eq!(facts.counted.total, 3);
    let names: Vec<_> = facts.cases.iter().map(|case| (case.suite.as_str(), case.name.as_str())).collect();
    assert_eq!(names, [("b", "x"), ("b", "y"), ("a", "z")]);
    assert_eq!(facts.suites[1].depth, 1);
    assert!(facts.doubts.is_empty(), "direct and nested counts are both honest: {:?}", facts.doubts);
    let facts = read(
        r#"<testsuite name="a" tests="3"><testsuite name="b" tests="2"><testcase name="x"/><testcase name="y"/></testsuite><testcase name="z"/></testsuite>"#,
    );
    assert!(facts.doubts.is_empty(), "{:?}", facts.doubts);
}

/// Rows: M8.
#[test]
fn counts_that_lie_block() {
    for (what, from, to) in [
        ("more tests than there are", "tests=\"5\"", "tests=\"500\""),
        ("fewer tests than there are", "tests=\"2\"", "tests=\"1\""),
        ("no failures", "name=\"cart\" tests=\"3\" failures=\"1\"", "name=\"cart\" tests=\"3\" failures=\"0\""),
        ("no errors", "failures=\"0\" errors=\"1\"", "failures=\"0\" errors=\"0\""),
        ("nothing skipped", "errors=\"0\" skipped=\"1\"", "errors=\"0\" skipped=\"0\""),
    ] {
        let facts = read(&JUNIT.replacen(from, to, 1));
        assert_ne!(JUNIT.replacen(from, to, 1), JUNIT, "{what}");
        assert_eq!(doubted(&facts.doubts, DoubtKind::CountsDiffer), 1, "{what}: {:?}", facts.doubts);
        assert!(blocking(&facts.doubts).is_some(), "{what}");
        assert_eq!(facts.counted, read(JUNIT).counted, "{what}: what is declared changes nothing");
    }
}

/// Rows: M8.
#[test]
fn no_test_and_no_executed_test_block() {
    for text in [
        "<testsuites/>",
        r#"<testsuites tests="0" failures="0"/>"#,
        r#"<testsuite name="a" tests="0"></testsuite>"#,
        r#"<testsuite name="a" tests="7" failures="0"/>"#,
        r#"<testsuite name="a"><testcase name="x"><skipped/></testcase><testcase name="y"><skipped/></testcase></testsuite>"#,
        r#"<testsuite name="a"><testcase name="x" status="notrun"/></testsuite>"#,
    ] {
        let facts = read(text);
        assert_eq!(facts.counted.executed, 0);
        assert_eq!(doubted(&facts.doubts, DoubtKind::NothingMeasured), 1, "{text}");
        assert!(blocking(&facts.doubts).is_some());
    }
    // An empty suite beside a full one is said, and does not block.
    let facts =
        read(r#"<testsuites><testsuite name="a"/><testsuite name="b"><testcase name="x"/></testsuite></testsuites>"#);
    assert_eq!(doubted(&facts.doubts, DoubtKind::LeftOut), 1);
    assert!(blocking(&facts.doubts).is_none());
}

#[test]
fn a_suite_that_failed_outside_of_its_tests_blocks() {
    let facts =
        read(r#"<testsuite name="a"><error message="set-up failed">trace</error><testcase name="x"/></testsuite>"#);
    assert_eq!(doubted(&facts.doubts, DoubtKind::Unfinished), 1);
}

#[test]
fn a_test_that_ended_in_two_ways_blocks() {
    let facts = read(r#"<testsuite name="a"><testcase name="x"/><testcase name="x"><failure/></testcase></testsuite>"#);
    assert_eq!(doubted(&facts.doubts, DoubtKind::Contradiction), 1);
    let facts = read(r#"<testsuite name="a"><testcase name="x"/><testcase name="x"/></testsuite>"#);
    assert!(facts.doubts.is_empty(), "parametrised tests share a name");
}

#[test]
fn a_test_that_is_skipped_and_failed_has_failed() {
    let facts =
        read(r#"<testsuite name="a"><testcase name="x"><skipped/><failure message="no"/></testcase></testsuite>"#);
    assert_eq!(facts.cases[0].outcome, TestOutcome::Failed);
}

#[test]
fn what_is_written_inside_of_a_test_is_no_verdict() {
    let facts = read(
        r#"<testsuite name="a"><testcase name="x"><system-out><![CDATA[<failure/> ]]&gt; ]]></system-out><properties><failure/></properties></testcase><properties><property name="n" value="v"/></properties></testsuite>"#,
    );
    assert_eq!(
        (facts.counted.passed, facts.counted.failed),
        (1, 0),
        "only what stands directly in a test says how it ended"
    );
}

#[test]
fn numbers_by_the_customs_of_a_country_are_read_if_they_mean_one_thing() {
    let seconds = |text: &str| {
        let text = format!(r#"<testsuite name="a" time="{text}"><testcase name="x"/></testsuite>"#);
        junit::read(&Source::new("j", text.as_bytes())).map(|facts| facts.suites[0].seconds.as_ref().map(|s| s.value))
    };
    assert_eq!(seconds("1,234.5"), Ok(Some(1234.5)));
    assert_eq!(seconds("0,125"), Ok(Some(0.125)));
    assert_eq!(seconds("1,5"), Ok(Some(1.5)));
    assert_eq!(seconds(""), Ok(None));
    for unclear in ["1,234", "1,2,3", "1.234,5", "12,34.5", "-1", "inf", "1_000"] {
        assert_eq!(seconds(unclear).expect_err(unclear).problem, Problem::Field, "{unclear}");
    }
}

#[test]
fn another_root_is_another_format() {
    let error = junit::read(&Source::new("j", b"<html><testcase/></html>")).expect_err("no report");
    assert_eq!((error.problem, error.at.to_string().as_str()), (Problem::Version, "j#/html"));
    for text in ["<testsuite/><testsuite/>", "text", "<testsuite/>text", "<testsuite></testsuites>"] {
        assert!(junit::read(&Source::new("j", text.as_bytes())).is_err(), "{text}");
    }
}
