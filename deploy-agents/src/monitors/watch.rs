//! What is looked at again and again after a release, and what is new since the last time.

use std::collections::{BTreeMap, BTreeSet};

use deploy_core::monitor::Counts;
use deploy_strategies::analysis::proportion::Proportions;
use serde::Serialize;

use crate::evidence::facts::{PolicyFacts, PolicyOutcome, TestFacts, TestOutcome, Vulnerability, VulnerabilityFacts};

/// Two looks that cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// Scan what runs.
    #[error("the scan names {found}, and what runs is {wanted}")]
    OtherSubject {
        /// What runs.
        wanted: String,
        /// What was scanned.
        found: String,
    },
    /// Update the scanner's database first: an older one finds less, and less is not better.
    #[error(
        "the database of the newer scan is not newer than that of the older one, or one of them does not say of when it is"
    )]
    OlderDatabase,
    /// Run it again.
    #[error("the look says nothing that counts: {0}")]
    Doubtful(String),
}

/// What a scan of the bill of materials of what *runs* found now and not when it was released: advisories appear later than releases.
///
/// `digest` is of what runs: the image or the bill. Both scans must be of it, and the newer one by a newer database. A vulnerability is the same
/// under any of its names, in the same package.
///
/// # Errors
///
/// [`WatchError`] where the two say nothing about each other. That is not a clean scan.
///
/// Rows: M49.
pub fn new_vulnerabilities<'a>(
    digest: &str,
    released: &VulnerabilityFacts,
    now: &'a VulnerabilityFacts,
) -> Result<Vec<&'a Vulnerability>, WatchError> {
    for scan in [released, now] {
        if let Some(doubt) = crate::evidence::blocking(&scan.doubts) {
            return Err(WatchError::Doubtful(doubt.text.clone()));
        }
        if !scan.subject.digests.iter().any(|known| known.value == digest) {
            let found = scan.subject.digests.first().map_or_else(|| scan.subject.name.clone(), |d| d.value.clone());
            return Err(WatchError::OtherSubject { wanted: digest.to_owned(), found });
        }
    }
    match (&released.database, &now.database) {
        (Some(old), Some(new)) if new.value > old.value => {}
        _ => return Err(WatchError::OlderDatabase),
    }
    let names = |v: &Vulnerability| -> BTreeSet<String> {
        v.aliases.iter().chain([&v.id]).map(|name| name.to_ascii_lowercase()).collect()
    };
    let known: Vec<_> = released.found.iter().map(|old| (old.package.as_str(), names(old))).collect();
    let is_new = |v: &&Vulnerability| {
        let mine = names(v);
        !known.iter().any(|(package, theirs)| *package == v.package && !mine.is_disjoint(theirs))
    };
    Ok(now.found.iter().filter(is_new).collect())
}

/// A control that was kept and is not any more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Regressed {
    /// The rule.
    pub rule: String,
    /// What it was evaluated on.
    pub input: String,
    /// What became of it; nothing: it was not evaluated this time, which is not kept.
    pub outcome: Option<PolicyOutcome>,
}

/// The policies that were kept the last time and are not now: broken, without a value, left out, or gone.
///
/// Rows: M50.
#[must_use]
pub fn regressed_policies(before: &[PolicyFacts], now: &[PolicyFacts]) -> Vec<Regressed> {
    let kept = |outcome| matches!(outcome, PolicyOutcome::Kept | PolicyOutcome::Warning | PolicyOutcome::Excepted);
    // One rule may say several things about one input; the worst counts.
    let by_name = |all: &[PolicyFacts]| {
        let mut worst: BTreeMap<(String, String), PolicyOutcome> = BTreeMap::new();
        for result in all.iter().flat_map(|facts| &facts.results) {
            let key = (result.rule.clone(), result.input.clone());
            let held = worst.entry(key).or_insert(result.outcome);
            if kept(*held) {
                *held = result.outcome;
            }
        }
        worst
    };
    let now = by_name(now);
    let was = by_name(before).into_iter().filter(|(_, outcome)| kept(*outcome));
    was.filter_map(|((rule, input), _)| {
        let outcome = now.get(&(rule.clone(), input.clone())).copied();
        (!outcome.is_some_and(kept)).then_some(Regressed { rule, input, outcome })
    })
    .collect()
}

/// How a test stands over the last executions of its suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TestTrend {
    /// It passed each time.
    Sound,
    /// It passed and failed by turns: it says little either way, and somebody must mend it.
    Flaky,
    /// It has failed since then, at least twice in a row, and passed before.
    Broken {
        /// The first execution in which it failed and after which it never passed, from 0.
        since: usize,
    },
    /// It failed the last time alone: the next execution tells.
    JustFailed,
    /// It never passed.
    NeverPassed,
    /// It was there before and was not run the last time.
    Gone,
}

/// How each test stands over executions of one suite, the oldest first, by class and name. Executions in which a test was skipped say nothing
/// about it; one that passed only after it had failed is flaky.
///
/// Rows: M52.
#[must_use]
pub fn test_trends(executions: &[TestFacts]) -> BTreeMap<String, TestTrend> {
    let mut seen: BTreeMap<String, Vec<(usize, TestOutcome)>> = BTreeMap::new();
    for (at, execution) in executions.iter().enumerate() {
        for case in &execution.cases {
            let name = if case.class.is_empty() { case.name.clone() } else { format!("{} {}", case.class, case.name) };
            seen.entry(name).or_default().push((at, case.outcome));
        }
    }
    let last = executions.len().saturating_sub(1);
    let trend = |outcomes: &[(usize, TestOutcome)]| {
        let there = outcomes.iter().any(|(at, _)| *at == last);
        let runs: Vec<(usize, TestOutcome)> =
            outcomes.iter().copied().filter(|(_, outcome)| *outcome != TestOutcome::Skipped).collect();
        let passed = |outcome| matches!(outcome, TestOutcome::Passed | TestOutcome::Flaky);
        if !there || runs.is_empty() {
            return TestTrend::Gone;
        }
        let Some(newest_pass) = runs.iter().rposition(|(_, outcome)| passed(*outcome)) else {
            return TestTrend::NeverPassed;
        };
        let failures_since = &runs[newest_pass + 1..];
        // A failure with a pass after it, and one within an execution, come and go.
        let wavers = runs[..newest_pass].iter().any(|(_, outcome)| !passed(*outcome))
            || runs.iter().any(|(_, outcome)| *outcome == TestOutcome::Flaky);
        match failures_since {
            [] if wavers => TestTrend::Flaky,
            [] => TestTrend::Sound,
            [_] if wavers => TestTrend::Flaky,
            [_] => TestTrend::JustFailed,
            [(since, _), ..] => TestTrend::Broken { since: *since },
        }
    };
    seen.iter().map(|(name, outcomes)| (name.clone(), trend(outcomes))).collect()
}

/// How often a flag was evaluated for somebody, and how often what it turns on was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct FlagUse {
    /// How often somebody was shown what it turns on.
    pub exposures: u64,
    /// How often they used it.
    pub uses: u64,
}

/// What is odd about the use of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FlagConcern {
    /// Nobody was ever shown it: it is not wired, or its audience is empty.
    NeverExposed,
    /// People were shown it, and nobody used it.
    NeverUsed,
    /// It was used more often than it was shown: one of the two is counted wrongly.
    UsedUnseen,
    /// It is counted and nobody declared it: an old name, or a mistyped one.
    Undeclared,
}

/// What is odd about the flags of a release, by name. Flags about which nothing is odd are left out.
///
/// Rows: M54.
pub fn flag_concerns<'a>(
    declared: impl IntoIterator<Item = &'a str>,
    counted: &BTreeMap<String, FlagUse>,
) -> BTreeMap<String, FlagConcern> {
    let declared: BTreeSet<&str> = declared.into_iter().collect();
    let mut concerns: BTreeMap<String, FlagConcern> = BTreeMap::new();
    for name in &declared {
        let used = counted.get(*name).copied().unwrap_or_default();
        let concern = match (used.exposures, used.uses) {
            (shown, uses) if uses > shown => FlagConcern::UsedUnseen,
            (0, _) => FlagConcern::NeverExposed,
            (_, 0) => FlagConcern::NeverUsed,
            _ => continue,
        };
        concerns.insert((*name).to_owned(), concern);
    }
    for name in counted.keys().filter(|name| !declared.contains(name.as_str())) {
        concerns.insert(name.clone(), FlagConcern::Undeclared);
    }
    concerns
}

/// How many users complained, of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Feedback {
    /// Users in the time.
    pub users: u64,
    /// Those of them who wrote a ticket or gave a bad mark; each counts once.
    pub unhappy: u64,
}

/// The chance of at least so many unhappy users after the release if they are as happy as before (Fisher's exact test). A small number says
/// that complaints rose; nothing where one side has no users, or more unhappy ones than users.
///
/// ```
/// use deploy_agents::monitors::{Feedback, complaints_rose};
///
/// let before = Feedback { users: 20_000, unhappy: 40 };
/// let spike = complaints_rose(before, Feedback { users: 2_000, unhappy: 16 }).expect("users on both sides");
/// let same = complaints_rose(before, Feedback { users: 2_000, unhappy: 5 }).expect("users on both sides");
/// assert!(spike < 0.001 && same > 0.1, "{spike} {same}");
/// ```
///
/// Rows: M55.
#[must_use]
pub fn complaints_rose(before: Feedback, after: Feedback) -> Option<f64> {
    let counts = |side: Feedback| Counts::new(side.users, side.unhappy).ok().filter(|_| side.users > 0);
    let both = Proportions::of(counts(after)?, counts(before)?).ok()?;
    Some(both.exact().greater)
}
