//! What is read from series, and how.

use deploy_core::monitor::{Counts, Reading};
use deploy_core::name::RevisionName;
use deploy_core::real::Real;

use super::buckets::Buckets;
use super::exposition::Sample;
use super::series::{History, Reach, Selector, increases};
use super::whole;

/// What is read from the series.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Query {
    /// How fast counters grow, per second, added up. A [`Reading::Value`].
    Rate(Selector),
    /// How many of the events were bad: the growth of both. A [`Reading::Counts`]. The bad ones must be among all.
    Ratio {
        /// The counters of the bad events.
        bad: Selector,
        /// The counters of all events, the bad ones among them.
        all: Selector,
        /// Whether bad events without any series are zero bad events. Say yes for services that only begin to expose a series
        /// with its first event; say no where every series is there from the start, because then a label that was mistyped is
        /// no data, and does not look like a service without errors.
        absent_is_zero: bool,
    },
    /// The same, where bad events are counted in other series than the good ones: all events are both together.
    Events {
        /// The counters of the bad events.
        bad: Vec<Selector>,
        /// The counters of the good events.
        good: Vec<Selector>,
        /// Whether a selector without any series, of bad events or of good ones, is zero of its events; as above. It is no data
        /// otherwise. Without any series of good events it is no data in any case: that there were none, and that nobody
        /// counted them, look alike.
        absent_is_zero: bool,
    },
    /// A quantile of what a histogram observed in the window, by Prometheus' `histogram_quantile`. A [`Reading::Value`], in the
    /// histogram's unit.
    Quantile {
        /// Which quantile, 0 to 1.
        q: f64,
        /// The histogram, by its name without `_bucket`.
        histogram: Selector,
    },
    /// How content users are with how long a histogram says that they waited (Apdex): who waited at most `satisfied` is, who
    /// waited at most four times as long is half, nobody else is. A [`Reading::Counts`] of half points, two for each event,
    /// the missing ones bad; so the share of good ones is the Apdex, and a judge sees on how many events it rests. Both limits
    /// must be bounds of the histogram: between bounds nothing is known.
    Apdex {
        /// The limit, in the histogram's unit.
        satisfied: f64,
        /// The histogram, by its name without `_bucket`.
        histogram: Selector,
    },
    /// How many of the events that a histogram observed were slower than `than`: the others took at most that long. A
    /// [`Reading::Counts`], and so what the sequential judge compares two revisions by, as it compares errors: a quantile is one number,
    /// of which nobody knows on how many events it rests. The limit must be a bound of the histogram: between bounds nothing is
    /// known. Choose one that about a half, a tenth or a hundredth of the events pass, before the release.
    Slower {
        /// The limit, in the histogram's unit.
        than: f64,
        /// The histogram, by its name without `_bucket`.
        histogram: Selector,
    },
    /// Gauges as they are now, added up. A [`Reading::Value`].
    Sum(Selector),
    /// The largest gauge. A [`Reading::Value`].
    Max(Selector),
}

impl Query {
    /// Whether it may read the series, of whatever revision.
    pub(super) fn reads(&self, sample: &Sample) -> bool {
        match self {
            Self::Rate(selector) | Self::Sum(selector) | Self::Max(selector) => selector.may_select(sample),
            Self::Ratio { bad, all, .. } => bad.may_select(sample) || all.may_select(sample),
            Self::Events { bad, good, .. } => bad.iter().chain(good).any(|selector| selector.may_select(sample)),
            Self::Quantile { histogram, .. } | Self::Apdex { histogram, .. } | Self::Slower { histogram, .. } => {
                histogram.buckets().may_select(sample)
            }
        }
    }
}

/// One number out of the histories of all endpoints of a revision.
pub(super) fn read(
    query: &Query,
    histories: &[&History],
    revision: &RevisionName,
    reach: Reach,
) -> Result<Reading, Box<dyn std::error::Error + Send + Sync>> {
    let value = |number: Option<f64>| number.and_then(|n| Real::new(n).ok()).map_or(Reading::NoData, Reading::Value);
    // What each endpoint says about growth, with the seconds that it covers; endpoints scraped once are not counted yet.
    let grown = |selector: &Selector| {
        let each = histories.iter().filter_map(|history| {
            let scrapes = history.within(reach);
            let (first, last) = (scrapes.clone().next()?.at, history.newest()?.at);
            Some((increases(scrapes, selector, revision)?, last.saturating_sub(first).as_secs_f64()))
        });
        each.filter(|(series, seconds)| !series.is_empty() && *seconds > 0.0).collect::<Vec<_>>()
    };
    let total = |selector: &Selector| {
        let grown = grown(selector);
        (!grown.is_empty()).then(|| grown.iter().flat_map(|(series, _)| series.values()).sum::<f64>())
    };
    let gauges = |selector: &Selector| {
        let newest = histories.iter().filter_map(|history| history.newest());
        let samples = newest.flat_map(|scrape| scrape.samples.iter());
        samples.filter(|s| selector.selects(s, revision) && s.value.is_finite()).map(|s| s.value).collect::<Vec<_>>()
    };
    Ok(match query {
        Query::Rate(selector) => {
            let rates = grown(selector).into_iter().map(|(series, seconds)| series.values().sum::<f64>() / seconds);
            value(rates.reduce(|a, b| a + b))
        }
        Query::Ratio { bad, all, absent_is_zero } => {
            match (total(bad).or_else(|| absent_is_zero.then_some(0.0)), total(all)) {
                (Some(bad), Some(all)) => Reading::Counts(Counts::new(whole(all), whole(bad))?),
                _ => Reading::NoData,
            }
        }
        Query::Events { bad, good, absent_is_zero } => {
            let each = |of: &[Selector]| {
                let one = |one: &Selector| total(one).or_else(|| absent_is_zero.then_some(0.0));
                of.iter().map(one).sum::<Option<f64>>()
            };
            // Without any good event's series nobody counted at all, whatever an absent one is.
            let counted = good.iter().any(|one| total(one).is_some());
            let (bad, good) = (each(bad), each(good).filter(|_| counted));
            match (bad, good) {
                (Some(bad), Some(good)) => Reading::Counts(Counts::new(whole(bad) + whole(good), whole(bad))?),
                _ => Reading::NoData,
            }
        }
        Query::Quantile { histogram, .. } | Query::Apdex { histogram, .. } | Query::Slower { histogram, .. } => {
            let series: Vec<_> = grown(&histogram.buckets()).into_iter().flat_map(|(series, _)| series).collect();
            let buckets = Buckets::new(series.iter().map(|(labels, count)| (labels, *count)));
            buckets.read(query)?.unwrap_or(Reading::NoData)
        }
        Query::Sum(selector) => value(gauges(selector).into_iter().reduce(|a, b| a + b)),
        Query::Max(selector) => value(gauges(selector).into_iter().reduce(f64::max)),
    })
}
