//! Series over time: which ones, and how much they grew.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use deploy_core::name::RevisionName;
use deploy_core::time::Timestamp;

use super::exposition::Sample;
use super::prometheus::{matching_itself, quoted};

/// Which series: a name, and what some labels must or must not be.
///
/// In values, `{revision}` stands for the revision that is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    name: String,
    matchers: Vec<(String, Matcher)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Matcher {
    Is(String),
    IsNot(String),
    StartsWith(String),
}

impl Selector {
    /// All series of this name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), matchers: Vec::new() }
    }

    /// Those among them whose label has this value. A label that is absent has the empty value.
    #[must_use]
    pub fn is(mut self, label: impl Into<String>, value: impl Into<String>) -> Self {
        self.matchers.push((label.into(), Matcher::Is(value.into())));
        self
    }

    /// Those among them whose label has another value than this.
    #[must_use]
    pub fn is_not(mut self, label: impl Into<String>, value: impl Into<String>) -> Self {
        self.matchers.push((label.into(), Matcher::IsNot(value.into())));
        self
    }

    /// Those among them whose label begins like this: `5` for every status from 500 to 599.
    #[must_use]
    pub fn starts_with(mut self, label: impl Into<String>, value: impl Into<String>) -> Self {
        self.matchers.push((label.into(), Matcher::StartsWith(value.into())));
        self
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same as PromQL has it.
    pub(super) fn promql(&self, revision: &RevisionName) -> String {
        let matcher = |(label, matcher): &(String, Matcher)| {
            let (operator, value) = match matcher {
                Matcher::Is(value) => ("=", filled(value, revision)),
                Matcher::IsNot(value) => ("!=", filled(value, revision)),
                Matcher::StartsWith(value) => ("=~", format!("{}.*", matching_itself(&filled(value, revision)))),
            };
            format!("{}{operator}\"{}\"", label_name(label), quoted(&value, '"'))
        };
        let name = format!("__name__=\"{}\"", quoted(&self.name, '"'));
        let matchers: Vec<String> = std::iter::once(name).chain(self.matchers.iter().map(matcher)).collect();
        format!("{{{}}}", matchers.join(","))
    }

    /// The same for the buckets of the histogram of this name.
    pub(super) fn buckets(&self) -> Self {
        Self { name: format!("{}_bucket", self.name), matchers: self.matchers.clone() }
    }

    /// Whether it may select the series, whatever the revision is.
    pub(super) fn may_select(&self, sample: &Sample) -> bool {
        let fixed = |(_, matcher): &&(String, Matcher)| match matcher {
            Matcher::Is(value) | Matcher::IsNot(value) | Matcher::StartsWith(value) => !value.contains("{revision}"),
        };
        sample.name == self.name
            && self.matchers.iter().filter(fixed).all(|(name, matcher)| matcher.takes(name, sample, str::to_owned))
    }

    pub(super) fn selects(&self, sample: &Sample, revision: &RevisionName) -> bool {
        let filled = |value: &str| filled(value, revision);
        sample.name == self.name && self.matchers.iter().all(|(name, matcher)| matcher.takes(name, sample, filled))
    }
}

impl Matcher {
    /// Whether a label is as it must be.
    fn takes(&self, label: &str, sample: &Sample, filled: impl Fn(&str) -> String) -> bool {
        let label = sample.labels.get(label).map_or("", String::as_str);
        match self {
            Self::Is(value) => label == filled(value),
            Self::IsNot(value) => label != filled(value),
            Self::StartsWith(value) => label.starts_with(&filled(value)),
        }
    }
}

fn filled(value: &str, revision: &RevisionName) -> String {
    value.replace("{revision}", revision.as_str())
}

/// A label's name as PromQL has it: in quotes where it is no classic name (Prometheus 3).
fn label_name(name: &str) -> String {
    let classic = !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.is_empty();
    if classic { name.to_owned() } else { format!("\"{}\"", quoted(name, '"')) }
}

/// What one endpoint said at one time.
#[derive(Debug, Clone)]
pub(super) struct Scrape {
    pub(super) at: Duration,
    pub(super) wall: Timestamp,
    pub(super) samples: Vec<Sample>,
    /// About what the samples take in memory.
    pub(super) bytes: usize,
}

/// About what samples take in memory: names and labels, and what is around each text.
pub(super) fn bytes(samples: &[Sample]) -> usize {
    let text = |text: &String| text.len() + 2 * size_of::<String>();
    let labels = |sample: &Sample| sample.labels.iter().map(|(name, value)| text(name) + text(value)).sum::<usize>();
    samples.iter().map(|sample| size_of::<Sample>() + text(&sample.name) + labels(sample)).sum()
}

/// The labels of a series.
pub(super) type Labels = BTreeMap<String, String>;

/// How much each selected counter grew over the scrapes, which are of one endpoint in order of time; nothing if there are
/// fewer than two.
///
/// A counter that fell was reset, and grew from zero since, as Prometheus has it (`promql/functions.go`, `extrapolatedRate`).
/// Unlike there, nothing is extrapolated to the edges of the window, and a series that an earlier scrape of the same endpoint
/// did not hold began at zero: it was born in between.
pub(super) fn increases<'a>(
    scrapes: impl IntoIterator<Item = &'a Scrape>,
    selector: &Selector,
    revision: &RevisionName,
) -> Option<BTreeMap<Labels, f64>> {
    let mut last: BTreeMap<&Labels, f64> = BTreeMap::new();
    let mut grown: BTreeMap<Labels, f64> = BTreeMap::new();
    let mut count = 0;
    for scrape in scrapes {
        for sample in scrape.samples.iter().filter(|s| selector.selects(s, revision) && s.value.is_finite()) {
            let before = last.insert(&sample.labels, sample.value);
            if count > 0 {
                let from = before.filter(|before| *before <= sample.value).unwrap_or(0.0);
                *grown.entry(sample.labels.clone()).or_default() += sample.value - from;
            }
        }
        count += 1;
    }
    (count > 1).then_some(grown)
}

/// The scrapes of one endpoint, oldest first; bounded.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<Scrape>);

/// How many scrapes of one endpoint are kept: an hour at one every ten seconds.
const MOST: usize = 360;

/// From which scrape on a question is answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    pub(super) lookback: Duration,
    /// From when to when the same question was asked before, if this answer goes on from there.
    pub(super) before: Option<(Duration, Duration)>,
}

impl History {
    pub(super) fn push(&mut self, scrape: Scrape) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(scrape);
    }

    /// The scrapes since the same question was asked before, the last one of then included; if it was not, or not of this
    /// endpoint, those of the last `lookback`.
    pub(super) fn within(&self, reach: Reach) -> impl Iterator<Item = &Scrape> + Clone {
        let now = self.0.back().map_or(Duration::ZERO, |newest| newest.at);
        let last_of = |(from, to)| self.0.iter().rposition(|scrape| (from..=to).contains(&scrape.at));
        let oldest = || self.0.iter().take_while(|scrape| now.saturating_sub(scrape.at) > reach.lookback).count();
        let first = reach.before.and_then(last_of).unwrap_or_else(oldest);
        self.0.range(first..)
    }

    pub(super) fn newest(&self) -> Option<&Scrape> {
        self.0.back()
    }

    /// When the oldest scrape was made that growth can do without: all but the newest two.
    pub(super) fn spare(&self) -> Option<Duration> {
        self.0.front().filter(|_| self.0.len() > 2).map(|oldest| oldest.at)
    }

    /// Forgets the oldest scrape, and says how many bytes that was.
    pub(super) fn forget(&mut self) -> usize {
        self.0.pop_front().map_or(0, |oldest| oldest.bytes)
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(|scrape| scrape.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use deploy_core::name::RevisionName;
    use deploy_core::time::Timestamp;

    use super::{History, Reach, Scrape, Selector, increases};
    use crate::monitors::exposition::{Format, parse};

    fn scrapes(texts: &[&str]) -> Vec<Scrape> {
        let scrape = |(n, text): (usize, &&str)| Scrape {
            at: Duration::from_secs(n as u64 * 10),
            wall: Timestamp(n as i64 * 10_000),
            samples: parse(text, Format::Prometheus).expect("an exposition"),
            bytes: 1,
        };
        texts.iter().enumerate().map(scrape).collect()
    }

    fn grown(texts: &[&str]) -> Option<f64> {
        let revision = RevisionName::new("v1").expect("a name");
        increases(&scrapes(texts), &Selector::new("c"), &revision).map(|by_series| by_series.values().sum())
    }

    #[test]
    fn a_counter_that_fell_was_reset() {
        assert_eq!(grown(&["c 5\n", "c 9\n"]), Some(4.0));
        assert_eq!(grown(&["c 5\n", "c 9\n", "c 2\n", "c 3\n"]), Some(7.0));
        assert_eq!(grown(&["c 5\n"]), None);
        assert_eq!(grown(&["d 5\n", "d 6\n"]), Some(0.0));
    }

    #[test]
    fn a_series_that_was_born_in_between_began_at_zero() {
        assert_eq!(grown(&["c{a=\"1\"} 5\n", "c{a=\"1\"} 6\nc{a=\"2\"} 3\n"]), Some(4.0));
        assert_eq!(grown(&["c NaN\n", "c 3\n", "c 4\n"]), Some(4.0));
    }

    #[test]
    fn labels_select_and_the_revision_is_filled_in() {
        let revision = RevisionName::new("v2").expect("a name");
        let all = &scrapes(&[
            "c{revision=\"v1\",code=\"503\"} 1\nc{revision=\"v2\",code=\"503\"} 2\nc{revision=\"v2\",code=\"200\"} 4\n",
        ])[0];
        let sum = |selector: Selector| -> f64 {
            all.samples.iter().filter(|s| selector.selects(s, &revision)).map(|s| s.value).sum()
        };
        let of_revision = || Selector::new("c").is("revision", "{revision}");
        assert_eq!(sum(of_revision()), 6.0);
        assert_eq!(sum(of_revision().starts_with("code", "5")), 2.0);
        assert_eq!(sum(of_revision().is_not("code", "503")), 4.0);
        assert_eq!(sum(of_revision().is("absent", "")), 6.0);
    }

    #[test]
    fn selectors_are_written_as_promql() {
        let revision = RevisionName::new("v1.2").expect("a name");
        let selector =
            Selector::new("c").is("version", "{revision}").is_not("a", "x\"y").starts_with("v", "{revision}");
        let due = "{__name__=\"c\",version=\"v1.2\",a!=\"x\\\"y\",v=~\"v1\\\\.2.*\"}";
        assert_eq!(selector.promql(&revision), due);
    }

    #[test]
    fn a_history_reaches_back_to_the_asking_before_or_else_as_far_as_it_is_asked() {
        let mut history = History::default();
        scrapes(&["c 1\n", "c 2\n", "c 3\n"]).into_iter().for_each(|s| history.push(s));
        let seconds = Duration::from_secs;
        let reached = |lookback, before| history.within(Reach { lookback, before }).count();
        assert_eq!([10_000, 9_900, 60_000].map(|ms| reached(Duration::from_millis(ms), None)), [2, 1, 3]);
        assert_eq!(reached(seconds(8), Some((seconds(9), seconds(11)))), 2);
        assert_eq!(reached(seconds(20), Some((seconds(9), seconds(11)))), 2);
        assert_eq!(reached(seconds(8), Some((seconds(11), seconds(12)))), 1, "it was not scraped then");
    }

    #[test]
    fn what_a_selector_may_select_is_kept_for_every_revision_alone() {
        let samples =
            &scrapes(&["c{v=\"v1\",code=\"503\"} 1\nc{v=\"v2\",code=\"200\"} 2\nd{code=\"503\"} 4\n"])[0].samples;
        let selector = Selector::new("c").is("v", "{revision}").starts_with("code", "5");
        let kept: Vec<f64> = samples.iter().filter(|s| selector.may_select(s)).map(|s| s.value).collect();
        assert_eq!(kept, [1.0]);
    }
}
