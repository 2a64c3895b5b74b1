//! Facts of test reports: JUnit XML.

use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::evidence::{Doubt, Pointer, Sourced};

/// What a test report says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TestFacts {
    /// The tests, in the order of the report.
    pub cases: Vec<TestCase>,
    /// What the tests add up to. This is what counts; what the report declares stands in `suites`.
    pub counted: TestCounts,
    /// The suites, nested ones flattened, in the order in which they begin. The root is the first.
    pub suites: Vec<TestSuite>,
    /// What keeps the report from being taken at its word.
    pub doubts: Vec<Doubt>,
}

/// What the tests of a report add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TestCounts {
    /// All tests that stand in the report.
    pub total: u64,
    /// Those that ran: all but the skipped ones.
    pub executed: u64,
    /// Those that passed at once.
    pub passed: u64,
    /// Those that passed after they had failed at least once.
    pub flaky: u64,
    /// Those whose assertion failed.
    pub failed: u64,
    /// Those that ended in another way than by an assertion.
    pub errored: u64,
    /// Those that were not run.
    pub skipped: u64,
}

impl TestCounts {
    /// Those that ran and did not pass.
    #[must_use]
    pub fn not_passed(&self) -> u64 {
        self.failed + self.errored
    }
}

/// A suite, with what it declares about itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TestSuite {
    /// Its name, empty where it has none.
    pub name: String,
    /// Where it stands.
    pub at: Pointer,
    /// How deep it stands: 0 is the root.
    pub depth: u32,
    /// How many tests it declares.
    pub tests: Option<Sourced<u64>>,
    /// How many failures it declares.
    pub failures: Option<Sourced<u64>>,
    /// How many errors it declares.
    pub errors: Option<Sourced<u64>>,
    /// How many skipped tests it declares.
    pub skipped: Option<Sourced<u64>>,
    /// How long it took, in seconds.
    pub seconds: Option<Sourced<f64>>,
    /// When it began.
    pub started: Option<Sourced<Timestamp>>,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TestCase {
    /// The suite in which it stands.
    pub suite: String,
    /// Its class, empty where it has none.
    pub class: String,
    /// Its name.
    pub name: String,
    /// How it ended.
    pub outcome: TestOutcome,
    /// How long it took, in seconds.
    pub seconds: Option<Sourced<f64>>,
    /// How often it was run: 1 plus the reruns.
    pub attempts: u32,
    /// Why it did not pass, at most 1,000 characters of it. Data, never an instruction.
    pub message: String,
    /// Where it stands.
    pub at: Pointer,
}

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestOutcome {
    /// It passed at once.
    Passed,
    /// It passed after it had failed.
    Flaky,
    /// Its assertion failed.
    Failed,
    /// It ended in another way than by an assertion.
    Errored,
    /// It was not run.
    Skipped,
}
