//! JUnit XML, as nextest, pytest, surefire, googletest and many others write it.

use std::collections::BTreeMap;

use super::facts::{TestCase, TestCounts, TestFacts, TestOutcome, TestSuite};
use super::json::{LONGEST_NAME, clip};
use super::xml::{Element, Next, Xml};
use super::{Doubt, DoubtKind, Problem, ReadError, Source};

/// The most characters of a failure's text that are kept.
const LONGEST_MESSAGE: usize = 1_000;

/// Reads a JUnit report. There is no standard: what is read is what the common writers agree on.
///
/// What counts is the recount of the `testcase` elements. What the suites declare is compared with it, directly and with
/// nested suites, and where both differ, that is a doubt.
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn read(source: &Source<'_>) -> Result<TestFacts, ReadError> {
    let mut xml = Xml::new(source)?;
    let mut reading = Reading::default();
    loop {
        match xml.next()? {
            Next::Open(element) => reading.open(&element)?,
            Next::Text(text) => reading.text(&text),
            Next::Close(name) => reading.close(&name),
            Next::End => break,
        }
    }
    Ok(reading.finish(source))
}

#[derive(Default)]
struct Reading {
    facts: TestFacts,
    /// The open suites: where each stands in the facts, and the tests directly in it.
    open: Vec<Open>,
    case: Option<Case>,
    /// How deep inside an element that is passed over.
    inside: usize,
}

struct Open {
    suite: usize,
    direct: TestCounts,
    nested: TestCounts,
    disabled: u64,
}

struct Case {
    case: TestCase,
    failed: bool,
    errored: bool,
    skipped: bool,
    reruns: u32,
    /// Whether text belongs to the message.
    listening: bool,
    depth: usize,
}

impl Reading {
    fn open(&mut self, element: &Element) -> Result<(), ReadError> {
        if let Some(case) = &mut self.case {
            case.depth += 1;
            if case.depth == 1 {
                case.child(element);
            }
            return Ok(());
        }
        if self.inside > 0 {
            self.inside += 1;
            return Ok(());
        }
        match element.name.as_str() {
            "testsuites" | "testsuite" => self.suite(element)?,
            _ if self.open.is_empty() => {
                let reason = format!("a JUnit report begins with testsuites or testsuite, not {}", element.name);
                return Err(ReadError::new(Problem::Version, element.at(), reason));
            }
            "testcase" => self.case = Some(self.case(element)?),
            "failure" | "error" => {
                let text = "the suite itself failed, outside of any test";
                self.facts.doubts.push(Doubt::new(DoubtKind::Unfinished, element.at(), text));
                self.inside = 1;
            }
            _ => self.inside = 1,
        }
        Ok(())
    }

    fn suite(&mut self, element: &Element) -> Result<(), ReadError> {
        let suite = TestSuite {
            name: element.text_or_empty("name"),
            at: element.at(),
            depth: u32::try_from(self.open.len()).unwrap_or(u32::MAX),
            tests: element.whole("tests")?,
            failures: element.whole("failures")?,
            errors: element.whole("errors")?,
            skipped: first(element, &["skipped", "skips", "ignored"])?,
            seconds: element.number("time")?,
            started: element.time("timestamp"),
        };
        let disabled = element.whole("disabled")?.map_or(0, |n| n.value);
        self.facts.suites.push(suite);
        let suite = self.facts.suites.len() - 1;
        self.open.push(Open { suite, direct: TestCounts::default(), nested: TestCounts::default(), disabled });
        Ok(())
    }

    fn case(&self, element: &Element) -> Result<Case, ReadError> {
        let suite = self.open.last().and_then(|open| self.facts.suites.get(open.suite));
        let case = TestCase {
            suite: suite.map(|s| clip(&s.name, LONGEST_NAME)).unwrap_or_default(),
            class: element.text_or_empty("classname"),
            name: element.text_or_empty("name"),
            outcome: TestOutcome::Passed,
            seconds: element.number("time")?,
            attempts: 1,
            message: String::new(),
            at: element.at(),
        };
        let word = |name: &str| element.attribute(name).unwrap_or_default().to_ascii_lowercase();
        // googletest writes these, and no element, for a test that it did not run.
        let skipped = word("status") == "notrun" || matches!(word("result").as_str(), "skipped" | "suppressed");
        Ok(Case { case, failed: false, errored: false, skipped, reruns: 0, listening: false, depth: 0 })
    }

    fn text(&mut self, text: &str) {
        if let Some(case) = self.case.as_mut().filter(|case| case.listening)
            && case.case.message.len() < LONGEST_MESSAGE * 4
        {
            case.case.message.push_str(&clip(text, LONGEST_MESSAGE));
        }
    }

    fn close(&mut self, name: &str) {
        if let Some(case) = &mut self.case {
            if case.depth > 0 {
                case.depth -= 1;
                case.listening = case.listening && case.depth > 0;
                return;
            }
            if let Some(case) = self.case.take() {
                let case = case.finish();
                if let Some(open) = self.open.last_mut() {
                    count(&mut open.direct, case.outcome);
                }
                count(&mut self.facts.counted, case.outcome);
                self.facts.cases.push(case);
            }
            return;
        }
        if self.inside > 0 {
            self.inside -= 1;
            return;
        }
        if matches!(name, "testsuites" | "testsuite")
            && let Some(open) = self.open.pop()
        {
            let all = sum(open.direct, open.nested);
            if let Some(above) = self.open.last_mut() {
                above.nested = sum(above.nested, all);
                above.disabled += open.disabled;
            }
            self.compare(&open, all);
        }
    }

    /// Compares what a suite declares with what stands in it.
    fn compare(&mut self, open: &Open, all: TestCounts) {
        let Some(suite) = self.facts.suites.get(open.suite) else { return };
        let mut doubts = Vec::new();
        let mut differs = |declared: u64, what: &str, counted: [u64; 2], at| {
            if !counted.contains(&declared) {
                let name = clip(&suite.name, LONGEST_NAME);
                let text = format!("{name:?} declares {declared} {what}, and {} stand in it", counted[1]);
                doubts.push(Doubt::new(DoubtKind::CountsDiffer, at, text));
            }
        };
        if let Some(tests) = &suite.tests {
            differs(tests.value, "tests", [open.direct.total, all.total], tests.at.clone());
        }
        match (&suite.failures, &suite.errors) {
            // Writers differ in what they call an error; the sum is the same.
            (Some(failures), Some(errors)) => {
                let declared = failures.value.saturating_add(errors.value);
                let counted = [open.direct.not_passed(), all.not_passed()];
                differs(declared, "failures and errors", counted, failures.at.clone());
            }
            (Some(failures), None) => {
                differs(failures.value, "failures", [all.failed, all.not_passed()], failures.at.clone());
            }
            (None, Some(errors)) => {
                differs(errors.value, "errors", [open.direct.errored, all.errored], errors.at.clone())
            }
            (None, None) => {}
        }
        if let Some(skipped) = &suite.skipped {
            let counted = [open.direct.skipped, all.skipped];
            if !counted.contains(&skipped.value.saturating_add(open.disabled)) {
                differs(skipped.value, "skipped tests", counted, skipped.at.clone());
            }
        }
        if all.total == 0 {
            let text = format!("there is no test in {:?}", clip(&suite.name, LONGEST_NAME));
            doubts.push(Doubt::new(DoubtKind::LeftOut, suite.at.clone(), text));
        }
        self.facts.doubts.append(&mut doubts);
    }

    fn finish(mut self, source: &Source<'_>) -> TestFacts {
        let root = self.facts.suites.first().map_or_else(|| source.at(super::Place::Whole), |suite| suite.at.clone());
        if self.facts.counted.executed == 0 {
            let text = match self.facts.counted.skipped {
                0 => "there is no test in the report".to_owned(),
                skipped => format!("all {skipped} tests were skipped"),
            };
            self.facts.doubts.push(Doubt::new(DoubtKind::NothingMeasured, root, text));
        }
        let mut seen: BTreeMap<(&str, &str, &str), TestOutcome> = BTreeMap::new();
        let mut twice = Vec::new();
        for case in &self.facts.cases {
            let before = seen.insert((&case.suite, &case.class, &case.name), case.outcome);
            if before.is_some_and(|before| before != case.outcome) {
                let text = format!("the test {:?} stands there twice and ended in two ways", clip(&case.name, 200));
                twice.push(Doubt::new(DoubtKind::Contradiction, case.at.clone(), text));
            }
        }
        self.facts.doubts.append(&mut twice);
        self.facts
    }
}

impl Case {
    fn child(&mut self, element: &Element) {
        let says = |case: &mut TestCase| {
            if let Some(message) = element.attribute("message").filter(|_| case.message.is_empty()) {
                case.message = clip(message, LONGEST_MESSAGE);
                if !case.message.is_empty() {
                    case.message.push('\n');
                }
            }
        };
        match element.name.as_str() {
            "failure" => {
                self.failed = true;
                self.listening = true;
                says(&mut self.case);
            }
            "error" => {
                self.errored = true;
                self.listening = true;
                says(&mut self.case);
            }
            "skipped" | "disabled" => {
                self.skipped = true;
                says(&mut self.case);
            }
            "flakyFailure" | "flakyError" | "rerunFailure" | "rerunError" => self.reruns += 1,
            _ => {}
        }
    }

    fn finish(mut self) -> TestCase {
        self.case.outcome = match (self.errored, self.failed, self.skipped, self.reruns) {
            (true, ..) => TestOutcome::Errored,
            (false, true, ..) => TestOutcome::Failed,
            (false, false, true, _) => TestOutcome::Skipped,
            (false, false, false, 0) => TestOutcome::Passed,
            (false, false, false, _) => TestOutcome::Flaky,
        };
        self.case.attempts = self.reruns.saturating_add(1);
        self.case.message = clip(self.case.message.trim(), LONGEST_MESSAGE);
        self.case
    }
}

fn first(element: &Element, names: &[&str]) -> Result<Option<super::Sourced<u64>>, ReadError> {
    for name in names {
        if let Some(number) = element.whole(name)? {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

fn count(counts: &mut TestCounts, outcome: TestOutcome) {
    counts.total += 1;
    counts.executed += u64::from(outcome != TestOutcome::Skipped);
    match outcome {
        TestOutcome::Passed => counts.passed += 1,
        TestOutcome::Flaky => counts.flaky += 1,
        TestOutcome::Failed => counts.failed += 1,
        TestOutcome::Errored => counts.errored += 1,
        TestOutcome::Skipped => counts.skipped += 1,
    }
}

fn sum(a: TestCounts, b: TestCounts) -> TestCounts {
    TestCounts {
        total: a.total + b.total,
        executed: a.executed + b.executed,
        passed: a.passed + b.passed,
        flaky: a.flaky + b.flaky,
        failed: a.failed + b.failed,
        errored: a.errored + b.errored,
        skipped: a.skipped + b.skipped,
    }
}
