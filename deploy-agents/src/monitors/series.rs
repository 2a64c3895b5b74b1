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

    pub(super) fn selects(&self, sample: &Sample, revision: &RevisionName) -> bool {
        let label = |name: &String| sample.labels.get(name).map_or("", String::as_str);
        sample.name == self.name
            && self.matchers.iter().all(|(name, matcher)| match matcher {
                Matcher::Is(value) => label(name) == filled(value, revision),
                Matcher::IsNot(value) => label(name) != filled(value, revision),
                Matcher::StartsWith(value) => label(name).starts_with(&filled(value, revision)),
            })
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

impl History {
    pub(super) fn push(&mut self, scrape: Scrape) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(scrape);
    }

    /// The scrapes of the last `lookback`.
    pub(super) fn within(&self, lookback: Duration) -> impl Iterator<Item = &Scrape> + Clone {
        let now = self.0.back().map_or(Duration::ZERO, |newest| newest.at);
        // A caller who asks each minute for the last minute shall not miss the scrape before by a few milliseconds.
        let reach = lookback + lookback / 10;
        self.0.iter().filter(move |scrape| now.saturating_sub(scrape.at) <= reach)
    }

    pub(super) fn newest(&self) -> Option<&Scrape> {
        self.0.back()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use deploy_core::name::RevisionName;
    use deploy_core::time::Timestamp;

    use super::{History, Scrape, Selector, increases};
    use crate::monitors::exposition::{Format, parse};

    fn scrapes(texts: &[&str]) -> Vec<Scrape> {
        let scrape = |(n, text): (usize, &&str)| Scrape {
            at: Duration::from_secs(n as u64 * 10),
            wall: Timestamp(n as i64 * 10_000),
            samples: parse(text, Format::Prometheus).expect("an exposition"),
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
    fn a_history_reaches_a_tenth_further_than_it_is_asked() {
        let mut history = History::default();
        scrapes(&["c 1\n", "c 2\n", "c 3\n"]).into_iter().for_each(|s| history.push(s));
        assert_eq!(history.within(Duration::from_millis(9_900)).count(), 2);
        assert_eq!(history.within(Duration::from_secs(8)).count(), 1);
    }
}
