//! How much traffic a verdict takes.

use std::fmt;
use std::time::Duration;

use deploy_core::name::MetricName;
use deploy_core::time::Spell;
use serde::{Deserialize, Serialize};

use super::{Pair, Sequential, SequentialError, SequentialState, Series};
use crate::analysis::special::real;
use crate::analysis::verdict::short;

/// A question about traffic: how many requests until harm of this size is found?
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Power {
    /// The share of bad events of the baseline, between 0 and 1.
    pub rate: f64,
    /// The candidate's rate by the baseline's.
    pub ratio: f64,
    /// The candidate's share of the traffic, between 0 and 1.
    pub share: f64,
    /// The level.
    pub alpha: f64,
}

/// What bets on several effects, onsets and metrics cost on the way, as a log factor. Measured.
const COST_OF_NOT_KNOWING: f64 = 3.5;

impl Power {
    /// The expected number of requests, of both arms together, until the harm is found. Infinite if there is none, or if
    /// one arm sees nothing.
    ///
    /// A bad event falls to the candidate with chance ρ if the arms are alike and with chance q under this ratio, so that
    /// each adds the divergence of q from ρ to the expected log evidence.
    #[must_use]
    pub fn requests(&self) -> f64 {
        let bad = self.rate * (1.0 - self.share + self.share * self.ratio);
        let growth = bad * divergence(tilted(self.share, self.ratio), self.share);
        if growth > 0.0 { (COST_OF_NOT_KNOWING - libm::log(self.alpha)) / growth } else { f64::INFINITY }
    }
}

/// The expected number of further requests, of both arms together, until an odds ratio of `rule_out` is ruled out at a log
/// evidence of `missing` from now, if the arms are alike. Infinite if nothing bad happens or one arm sees nothing.
#[must_use]
pub fn expected_requests(rate: f64, share: f64, rule_out: f64, missing: f64) -> f64 {
    let growth = rate * (1.0 - rate) * divergence(share, tilted(share, rule_out));
    if growth > 0.0 { missing.max(0.0) / growth } else { f64::INFINITY }
}

/// What could have been seen of one metric by now, and how long until a stated difference would be. The rates are those of all strata
/// together: where they differ much from stratum to stratum, it is a rough figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PowerReport {
    /// The metric.
    pub metric: MetricName,
    /// The quantile, for latencies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantile: Option<f64>,
    /// The events of both arms in this stage.
    pub events: u64,
    /// The share of bad ones of the baseline; nothing without events.
    pub rate: Option<f64>,
    /// The candidate's share of the events; nothing without events.
    pub share: Option<f64>,
    /// The least ratio of the candidate's rate to the baseline's that is expected to have been found by now; nothing if even the largest
    /// would not.
    pub visible: Option<f64>,
    /// The ratio that was asked for.
    pub ratio: f64,
    /// How many more events of both arms it takes until that is expected to be found; nothing if no amount does.
    pub events_to_go: Option<u64>,
    /// How long that takes at the traffic of this stage so far.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "seconds")]
    pub time_to_go: Option<Duration>,
}

impl Sequential {
    /// What could have been seen by now of each metric that decides by events, and how long until harm of `ratio` times the
    /// baseline's rate would be. It counts this stage alone, so that it promises rather too little.
    ///
    /// # Errors
    ///
    /// [`SequentialError`] if the state belongs to another configuration.
    pub fn power(
        &self,
        state: &SequentialState,
        ratio: f64,
        observed_for: Duration,
    ) -> Result<Vec<PowerReport>, SequentialError> {
        self.fits(state)?;
        let all = state.series.iter().zip(self.layout());
        let reports = all.filter_map(|(series, (watched, quantile, weight))| {
            let (Series::Events(events), Some(weight)) = (series, weight) else { return None };
            let (candidate, baseline) = events.here;
            let alpha = self.alpha * weight;
            Some(PowerReport::of(watched.metric.clone(), quantile, (candidate, baseline), alpha, ratio, observed_for))
        });
        Ok(reports.collect())
    }
}

/// The largest ratio that is looked for.
const MOST: f64 = 1_000.0;

impl PowerReport {
    fn of(
        metric: MetricName,
        quantile: Option<f64>,
        (candidate, baseline): Pair,
        alpha: f64,
        ratio: f64,
        observed_for: Duration,
    ) -> Self {
        let events = candidate.events() + baseline.events();
        let share = (events > 0).then(|| real(candidate.events()) / real(events));
        // Half an event more on either side: no bad event so far is not a rate of zero.
        let rate = (baseline.events() > 0).then(|| (real(baseline.bad()) + 0.5) / (real(baseline.events()) + 1.0));
        let needed = |ratio: f64| match (rate, share) {
            // A rate cannot pass one.
            (Some(rate), Some(share)) => Power { rate, ratio: ratio.min(1.0 / rate), share, alpha }.requests(),
            _ => f64::INFINITY,
        };
        let seen = real(events);
        let visible = (needed(MOST) <= seen).then(|| {
            let (mut low, mut high) = (1.0, MOST);
            for _ in 0..60 {
                let middle = f64::midpoint(low, high);
                if needed(middle) <= seen { high = middle } else { low = middle }
            }
            high
        });
        let missing = needed(ratio) - seen;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and bounded")]
        let events_to_go = missing.is_finite().then(|| missing.max(0.0).ceil().min(1e18) as u64);
        let pace = seen / observed_for.as_secs_f64();
        let time_to_go = events_to_go.and_then(|events| Duration::try_from_secs_f64((real(events) / pace).ceil()).ok());
        let rate = (baseline.events() > 0).then(|| real(baseline.bad()) / real(baseline.events()));
        Self { metric, quantile, events, rate, share, visible, ratio, events_to_go, time_to_go }
    }
}

impl fmt::Display for PowerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.metric)?;
        if let Some(quantile) = self.quantile {
            write!(f, ", {} %", short(100.0 * quantile))?;
        }
        write!(f, ": after {} events in this stage ", self.events)?;
        match self.visible {
            Some(ratio) => write!(f, "{} times the baseline's rate would have been found", short(ratio))?,
            None => f.write_str("no difference would have been found yet")?,
        }
        match (self.events_to_go, self.time_to_go) {
            (Some(0), _) => write!(f, "; so would {} times", short(self.ratio)),
            (Some(events), Some(time)) => {
                write!(f, "; {} times takes another {events} events, about {}", short(self.ratio), Spell(time))
            }
            (Some(events), None) => write!(f, "; {} times takes another {events} events", short(self.ratio)),
            (None, _) => write!(f, "; no amount can be named for {} times", short(self.ratio)),
        }
    }
}

/// An optional span as whole seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "the shape that serde asks for")]
    pub(super) fn serialize<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        span.map(|span| span.as_secs()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_secs))
    }
}

/// The chance that a bad event falls to the candidate under a rate ratio.
fn tilted(share: f64, ratio: f64) -> f64 {
    share * ratio / (1.0 - share + share * ratio)
}

/// The Kullback–Leibler divergence of one chance from another.
fn divergence(p: f64, q: f64) -> f64 {
    let term = |p: f64, q: f64| if p > 0.0 { p * libm::log(p / q) } else { 0.0 };
    term(p, q) + term(1.0 - p, 1.0 - q)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use deploy_core::monitor::Counts;
    use deploy_core::name::MetricName;

    use super::{Power, PowerReport, expected_requests};

    /// Thousands of requests in all at α = 0.05, by rate, ratio and share: the planning figures that the formula was
    /// published with.
    #[test]
    fn the_planning_figures() {
        let table: [(f64, f64, [f64; 5]); 5] = [
            (0.01, 1.5, [607.0, 127.0, 68.0, 33.0, 26.0]),
            (0.01, 2.0, [170.0, 36.0, 19.0, 9.6, 7.6]),
            (0.01, 3.0, [51.0, 11.0, 5.9, 3.0, 2.5]),
            (0.001, 2.0, [1700.0, 359.0, 192.0, 96.0, 77.0]),
            (0.001, 10.0, [48.0, 11.0, 6.0, 3.4, 3.0]),
        ];
        for (rate, ratio, thousands) in table {
            for (share, want) in [0.01, 0.05, 0.10, 0.25, 0.50].into_iter().zip(thousands) {
                let got = Power { rate, ratio, share, alpha: 0.05 }.requests() / 1000.0;
                assert!((got - want).abs() <= 0.05 * want, "{rate} {ratio} {share}: {got} for {want}");
            }
        }
    }

    #[test]
    fn the_report_says_what_could_be_seen_and_how_long_until_a_difference_would_be() {
        let counts = |events, bad| Counts::new(events, bad).expect("fewer than all");
        let report = |events: u64| {
            let pair = (counts(events / 10, events / 1000), counts(events - events / 10, events / 100));
            let metric = MetricName::new("errors").expect("a name");
            PowerReport::of(metric, None, pair, 0.01, 2.0, Duration::from_secs(600))
        };
        let (early, late) = (report(6_000), report(60_000));
        assert!(early.visible.expect("large harm is seen") > 2.0, "{early}");
        assert!(early.events_to_go.expect("some amount") > 0 && early.time_to_go > Some(Duration::from_secs(600)));
        assert!(late.visible.expect("less is seen") < 2.0, "{late}");
        assert_eq!(late.events_to_go, Some(0), "{late}");
        // What it names is what the planning figure takes.
        let pace = early.events_to_go.expect("some") + early.events;
        let planned = Power { rate: 60.5 / 5_401.0, ratio: 2.0, share: 0.1, alpha: 0.01 }.requests();
        assert!((pace as f64 - planned).abs() < 1.5, "{pace} {planned}");
        let nothing = report(0);
        assert_eq!((nothing.visible, nothing.events_to_go), (None, None));
        assert!(nothing.to_string().contains("no difference would have been found yet"), "{nothing}");
        let text = serde_json::to_string(&early).expect("written");
        assert_eq!(serde_json::from_str::<PowerReport>(&text).expect("read"), early);
    }

    #[test]
    fn nothing_is_found_where_nothing_happens() {
        assert!(Power { rate: 0.01, ratio: 1.0, share: 0.5, alpha: 0.05 }.requests().is_infinite());
        assert!(expected_requests(0.0, 0.5, 1.5, 3.0).is_infinite());
        assert_eq!(expected_requests(0.01, 0.5, 1.5, -1.0), 0.0);
    }
}
