//! Writes JUnit XML.

use std::time::Duration;

use deploy_core::time::Timestamp;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

/// A report of tests that were run, as JUnit XML of one suite.
///
/// ```
/// use std::time::Duration;
/// use deploy_agents::evidence::{JunitReport, Source, junit};
/// use deploy_core::time::Timestamp;
///
/// let mut report = JunitReport::new("smoke", Timestamp::parse("2026-11-22T06:30:00Z")?);
/// report.passed("orders are listed", Duration::from_millis(3));
/// report.failed("an order is taken", Duration::from_millis(9), "the status is 500");
/// let xml = report.to_xml();
/// let facts = junit::read(&Source::new("smoke.xml", xml.as_bytes()))?;
/// assert_eq!((facts.counted.passed, facts.counted.failed), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct JunitReport {
    suite: String,
    began: Timestamp,
    cases: Vec<Case>,
}

#[derive(Debug, Clone)]
struct Case {
    name: String,
    took: Duration,
    /// Why it did not pass.
    failure: Option<String>,
    /// Why its earlier attempts did not pass.
    earlier: Vec<String>,
}

impl JunitReport {
    /// A report without tests.
    #[must_use]
    pub fn new(suite: impl Into<String>, began: Timestamp) -> Self {
        Self { suite: suite.into(), began, cases: Vec::new() }
    }

    /// Adds a test that passed.
    pub fn passed(&mut self, name: impl Into<String>, took: Duration) {
        self.cases.push(Case { name: name.into(), took, failure: None, earlier: Vec::new() });
    }

    /// Adds a test that passed only after attempts that did not, each with its reason.
    pub fn passed_after(&mut self, name: impl Into<String>, took: Duration, earlier: Vec<String>) {
        self.cases.push(Case { name: name.into(), took, failure: None, earlier });
    }

    /// Adds a test that did not pass, with the reason.
    pub fn failed(&mut self, name: impl Into<String>, took: Duration, reason: impl Into<String>) {
        self.cases.push(Case { name: name.into(), took, failure: Some(reason.into()), earlier: Vec::new() });
    }

    /// How many tests were run.
    #[must_use]
    pub fn executed(&self) -> usize {
        self.cases.len()
    }

    /// Those that did not pass: name and reason.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &str)> {
        self.cases.iter().filter_map(|case| Some((case.name.as_str(), case.failure.as_deref()?)))
    }

    /// The report as JUnit XML. What XML cannot hold, such as control characters, is replaced.
    ///
    /// # Panics
    ///
    /// Never: writing to memory does not fail.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut bytes = Vec::new();
        self.write(&mut Writer::new_with_indent(&mut bytes, b' ', 2)).expect("writing to memory does not fail");
        String::from_utf8(bytes).expect("texts were written")
    }

    fn write(&self, xml: &mut Writer<&mut Vec<u8>>) -> std::io::Result<()> {
        let (tests, failures) = (self.cases.len().to_string(), self.failures().count().to_string());
        let seconds = seconds(self.cases.iter().map(|case| case.took).sum());
        let (name, began) = (clean(&self.suite), self.began.to_string());
        xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        xml.write_event(Event::Start(BytesStart::new("testsuites")))?;
        let suite = BytesStart::new("testsuite").with_attributes([
            ("name", name.as_str()),
            ("tests", &tests),
            ("failures", &failures),
            ("errors", "0"),
            ("skipped", "0"),
            ("time", &seconds),
            ("timestamp", &began),
        ]);
        xml.write_event(Event::Start(suite))?;
        for case in &self.cases {
            case.write(&name, xml)?;
        }
        xml.write_event(Event::End(BytesEnd::new("testsuite")))?;
        xml.write_event(Event::End(BytesEnd::new("testsuites")))
    }
}

impl Case {
    fn write(&self, suite: &str, xml: &mut Writer<&mut Vec<u8>>) -> std::io::Result<()> {
        let (name, took) = (clean(&self.name), seconds(self.took));
        let case = BytesStart::new("testcase").with_attributes([
            ("name", name.as_str()),
            ("classname", suite),
            ("time", &took),
        ]);
        if self.failure.is_none() && self.earlier.is_empty() {
            return xml.write_event(Event::Empty(case));
        }
        xml.write_event(Event::Start(case))?;
        let earlier = self.earlier.iter().map(|reason| ("flakyFailure", reason));
        for (element, reason) in earlier.chain(self.failure.iter().map(|reason| ("failure", reason))) {
            let reason = clean(reason);
            let first = reason.lines().next().unwrap_or_default().to_owned();
            let open = BytesStart::new(element).with_attributes([("message", first.as_str())]);
            xml.write_event(Event::Start(open))?;
            xml.write_event(Event::Text(BytesText::new(&reason)))?;
            xml.write_event(Event::End(BytesEnd::new(element)))?;
        }
        xml.write_event(Event::End(BytesEnd::new("testcase")))
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.6}", took.as_secs_f64())
}

/// Without what XML 1.0 cannot hold.
fn clean(text: &str) -> String {
    let held = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..);
    text.chars().map(|c| if held(c) { c } else { '\u{FFFD}' }).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use deploy_core::time::Timestamp;

    use super::JunitReport;
    use crate::evidence::facts::TestOutcome;
    use crate::evidence::{Source, junit};

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back_whatever_the_texts(
            cases in proptest::collection::vec(("\\PC{1,30}", proptest::option::of("(?s).{0,200}"), 0_usize..3), 1..8),
        ) {
            let mut report = JunitReport::new("<suite> & \"co\"", Timestamp(0));
            for (index, (name, failure, earlier)) in cases.iter().enumerate() {
                let (name, took) = (format!("{index} {name}"), Duration::from_micros(index as u64));
                match failure {
                    Some(reason) => report.failed(name, took, reason.clone()),
                    None if *earlier > 0 => report.passed_after(name, took, vec!["]]> \u{1}".to_owned(); *earlier]),
                    None => report.passed(name, took),
                }
            }
            let xml = report.to_xml();
            let facts = junit::read(&Source::new("report.xml", xml.as_bytes())).expect("readable");
            proptest::prop_assert_eq!(facts.cases.len(), cases.len());
            proptest::prop_assert!(facts.doubts.is_empty(), "{:?}", facts.doubts);
            for (case, (_, failure, earlier)) in facts.cases.iter().zip(&cases) {
                let wanted = match (failure, earlier) {
                    (Some(_), _) => TestOutcome::Failed,
                    (None, 0) => TestOutcome::Passed,
                    (None, _) => TestOutcome::Flaky,
                };
                proptest::prop_assert_eq!(case.outcome, wanted);
            }
        }
    }
}
