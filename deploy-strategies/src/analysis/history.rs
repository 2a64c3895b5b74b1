//! The numbers that judges at a fixed time remember, in few bytes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use deploy_core::monitor::{Counts, Window};
use deploy_core::name::MetricName;
use deploy_core::time::{Timestamp, millis};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::burn_rate::{BurnRate, Counted};
use super::sequential::{from_six_bytes, kept, six_bytes};
use super::taken::TakenKeys;

/// The candidate's number and the baseline's; nothing where there was none.
pub(crate) type PairOfNumbers = (Option<f64>, Option<f64>);

/// The numbers of the batches that were taken, window by window: at most [`History::LONGEST`] of each metric, the oldest
/// are forgotten first.
///
/// Each number is kept to ten digits and written in eight characters, so that an hour of minutes of four metrics takes 4 KB.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct History {
    pub(super) taken: TakenKeys,
    /// The stage that the numbers are of.
    stage: u32,
    numbers: BTreeMap<MetricName, Pairs>,
}

impl History {
    /// As many windows are remembered: five hours of minutes.
    pub const LONGEST: usize = 300;

    /// How many characters one window of one metric takes when it is written down.
    pub(super) const WINDOW: usize = 16;

    /// Adds one window of a metric of this stage. Another stage begins anew.
    pub(super) fn push(&mut self, stage: u32, metric: &MetricName, pair: PairOfNumbers, most: usize) {
        if stage > self.stage {
            self.stage = stage;
            self.numbers.clear();
        }
        let pairs = &mut self.numbers.entry(metric.clone()).or_default().0;
        pairs.push_back((pair.0.map(kept), pair.1.map(kept)));
        while pairs.len() > most {
            pairs.pop_front();
        }
    }

    /// The numbers of a metric, the oldest first.
    pub(super) fn of(&self, metric: &MetricName) -> impl DoubleEndedIterator<Item = PairOfNumbers> + '_ {
        self.numbers.get(metric).into_iter().flat_map(|pairs| pairs.0.iter().copied())
    }
}

/// Pairs of numbers, written as six bytes each; what is not a number stands for none.
#[derive(Debug, Clone, PartialEq, Default)]
struct Pairs(VecDeque<PairOfNumbers>);

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self
            .0
            .iter()
            .flat_map(|(candidate, baseline)| [*candidate, *baseline])
            .flat_map(|number| six_bytes(number.unwrap_or(f64::NAN)))
            .collect();
        serializer.serialize_str(&STANDARD_NO_PAD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = STANDARD_NO_PAD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)?;
        if bytes.len() % 12 != 0 {
            return Err(D::Error::custom("pairs of numbers are twelve bytes each"));
        }
        let number = |six: &[u8]| Some(from_six_bytes(six)).filter(|number| number.is_finite());
        Ok(Self(bytes.chunks_exact(12).map(|pair| (number(&pair[..6]), number(&pair[6..]))).collect()))
    }
}

/// What a burn rate remembers: what was counted, in spans that grow with their age.
///
/// A span of a certain age is at most a sixteenth of the shortest window that still needs it, so that three days of minutes
/// take some hundred spans, and a window reaches at most a sixteenth less far back than it says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BurnHistory {
    pub(super) taken: TakenKeys,
    #[serde(with = "compact")]
    spans: Vec<Counted>,
}

/// How much finer than a window the spans are that it consists of.
const FINER: u64 = 16;

/// How many characters a span takes when it is written down, at most in practice.
const SPAN: usize = 30;

impl BurnHistory {
    /// Counts what the candidate did in a window.
    pub(super) fn add(&mut self, burn: &BurnRate, window: Window, counts: Counts) {
        let within = |span: &Counted| span.0.from <= window.from && window.to <= span.0.to;
        match self.spans.iter_mut().find(|span| within(span)) {
            Some((_, there)) => *there = there.plus(counts),
            None => {
                let at = self.spans.partition_point(|(there, _)| there.from <= window.from);
                self.spans.insert(at, (window, counts));
            }
        }
        self.join(burn);
    }

    /// What was counted, the oldest first.
    pub(super) fn counted(&self) -> &[Counted] {
        &self.spans
    }

    /// The end of the newest window.
    pub(super) fn now(&self) -> Timestamp {
        self.spans.iter().map(|(window, _)| window.to).max().unwrap_or_default()
    }

    /// How many characters it takes at the most when it is written down, for windows of this length.
    pub(super) fn size(burn: &BurnRate, every: Duration) -> usize {
        let reaches = reaches(burn);
        let first = reaches.first().map_or(0, |least| least / millis(every).max(1));
        // Each further reach adds its parts, and one that it shares with the one before.
        let parts = first.saturating_add((FINER + 1) * (reaches.len() as u64).saturating_sub(1));
        usize::try_from(parts).unwrap_or(usize::MAX).saturating_mul(SPAN)
    }

    /// Forgets what no window reaches, and joins neighbours that lie in one part of a window.
    fn join(&mut self, burn: &BurnRate) {
        let (now, reaches) = (self.now().0, reaches(burn));
        let age = |window: &Window| u64::try_from(now.saturating_sub(window.from.0)).unwrap_or(0);
        let longest = reaches.last().copied().unwrap_or(0);
        self.spans.retain(|(window, _)| age(window) <= longest);
        let part = |window: &Window| {
            let at = reaches.partition_point(|reach| *reach < age(window));
            // What only the shortest window needs stays as it came.
            (at > 0).then(|| i64::try_from((reaches[at] / FINER).max(1)).unwrap_or(i64::MAX))
        };
        let mut joined: Vec<Counted> = Vec::with_capacity(self.spans.len());
        for (window, counts) in self.spans.drain(..) {
            match (joined.last_mut(), part(&window)) {
                (Some((before, sum)), Some(part))
                    if before.from.0.div_euclid(part) == window.from.0.div_euclid(part) =>
                {
                    before.to = before.to.max(window.to);
                    *sum = sum.plus(counts);
                }
                _ => joined.push((window, counts)),
            }
        }
        self.spans = joined;
    }
}

/// How far back the windows of an objective reach, in milliseconds, the shortest first, each once.
fn reaches(burn: &BurnRate) -> Vec<u64> {
    let all: BTreeSet<u64> = burn.pairs.iter().flat_map(|pair| [millis(pair.short), millis(pair.long)]).collect();
    all.into_iter().collect()
}

/// Spans as four numbers each: the gap to the one before, the length, the events, the bad ones.
mod compact {
    use deploy_core::monitor::{Counts, Window};
    use deploy_core::time::Timestamp;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Counted;

    #[expect(clippy::ptr_arg, reason = "the signature that serde calls")]
    pub(super) fn serialize<S: Serializer>(spans: &Vec<Counted>, serializer: S) -> Result<S::Ok, S::Error> {
        let mut before = 0;
        let four = |(window, counts): &Counted| {
            let four = (
                window.from.0.saturating_sub(before),
                window.to.0.saturating_sub(window.from.0),
                counts.events(),
                counts.bad(),
            );
            before = window.to.0;
            four
        };
        spans.iter().map(four).collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Counted>, D::Error> {
        let mut before: i64 = 0;
        let read = |(gap, length, events, bad): (i64, i64, u64, u64)| {
            let from = before.checked_add(gap);
            let to = from.and_then(|from| from.checked_add(length));
            let (Some(from), Some(to)) = (from, to) else {
                return Err(D::Error::custom("a span of time lies outside of all calendars"));
            };
            before = to;
            let window = Window { from: Timestamp(from), to: Timestamp(to) };
            Ok((window, Counts::new(events, bad).map_err(D::Error::custom)?))
        };
        Vec::<(i64, i64, u64, u64)>::deserialize(deserializer)?.into_iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use deploy_core::monitor::{Counts, Window};
    use deploy_core::name::MetricName;
    use deploy_core::time::Timestamp;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::{BurnHistory, History};
    use crate::analysis::burn_rate::BurnRate;

    fn errors() -> MetricName {
        MetricName::new("errors").expect("a name")
    }

    fn minute(number: u64) -> Window {
        let end = i64::try_from(number + 1).expect("few") * 60_000;
        Window::ending(Timestamp(end), Duration::from_secs(60))
    }

    #[test]
    fn three_days_of_minutes_take_little_and_lose_no_event_of_the_window() {
        let burn = BurnRate::new(errors(), 0.999);
        let mut counters = BurnHistory::default();
        let minutes = 5 * 24 * 60;
        for number in 0..minutes {
            let counts = Counts::new(123_456, 789).expect("fewer bad ones");
            counters.add(&burn, minute(number), counts);
        }
        let text = serde_json::to_string(&counters).expect("written");
        assert!(text.len() < BurnHistory::size(&burn, Duration::from_secs(60)), "{}", text.len());
        assert!(text.len() < 4_000, "{}", text.len());
        assert_eq!(serde_json::from_str::<BurnHistory>(&text).expect("read"), counters);
        for pair in &burn.pairs {
            for span in [pair.long, pair.short] {
                let from = counters.now().0 - i64::try_from(span.as_millis()).expect("short");
                let kept: u64 =
                    counters.counted().iter().filter(|(w, _)| w.from.0 >= from).map(|(_, c)| c.events()).sum();
                let exact = 123_456 * span.as_secs() / 60;
                assert!(kept <= exact && kept * 16 >= exact * 15 - 123_456 * 16, "{span:?}: {kept} of {exact}");
            }
        }
    }

    proptest! {
        #[test]
        fn numbers_read_back_as_they_are_kept(
            pairs in proptest::collection::vec((proptest::option::of(-1e12f64..1e12), proptest::option::of(0f64..1.0)), 0..40)
        ) {
            let mut history = History::default();
            for pair in &pairs {
                history.push(0, &errors(), *pair, 30);
            }
            let text = serde_json::to_string(&history).expect("written");
            prop_assert_eq!(&serde_json::from_str::<History>(&text).expect("read"), &history);
            prop_assert!(text.len() <= 80 + History::WINDOW * pairs.len().min(30));
            let newest = history.of(&errors()).next_back();
            if let (Some((Some(kept), _)), Some((Some(given), _))) = (newest, pairs.last()) {
                prop_assert!((kept - given).abs() <= 1e-10 * given.abs());
            }
        }
    }

    #[test]
    fn another_stage_begins_anew() {
        let mut history = History::default();
        history.push(0, &errors(), (Some(1.0), None), 10);
        history.push(1, &errors(), (Some(2.0), Some(3.0)), 10);
        assert_eq!(history.of(&errors()).collect::<Vec<_>>(), [(Some(2.0), Some(3.0))]);
    }
}
