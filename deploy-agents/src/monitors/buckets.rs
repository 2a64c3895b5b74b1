//! What is read from the buckets of a histogram.

use std::collections::BTreeMap;

use deploy_core::monitor::{Counts, Reading};
use deploy_core::real::Real;

use super::{Query, whole};

/// Cumulative counts by upper bound: in order of the bounds, equal bounds added up, and never falling, since counts read one after
/// another may disagree by a few.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Buckets(Vec<(f64, f64)>);

impl Buckets {
    /// Of the series of a histogram, by their labels `le`.
    pub(super) fn new<'a>(series: impl IntoIterator<Item = (&'a BTreeMap<String, String>, f64)>) -> Self {
        Self::of(series.into_iter().filter_map(|(labels, count)| Some((labels.get("le")?.parse().ok()?, count))))
    }

    fn of(buckets: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let mut sorted: Vec<(f64, f64)> = buckets.into_iter().filter(|(bound, _)| !bound.is_nan()).collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut merged: Vec<(f64, f64)> = Vec::new();
        for (bound, count) in sorted {
            match merged.last_mut() {
                Some(last) if last.0 == bound => last.1 += count,
                _ => merged.push((bound, count)),
            }
        }
        let mut highest = 0.0_f64;
        for bucket in &mut merged {
            highest = highest.max(bucket.1);
            bucket.1 = highest;
        }
        Self(merged)
    }

    /// What a query about a histogram makes of them; nothing of any other. The error: a limit is no bound.
    pub(super) fn read(&self, query: &Query) -> Result<Option<Reading>, String> {
        match query {
            Query::Quantile { q, .. } => Ok(self.quantile(*q).and_then(|n| Real::new(n).ok()).map(Reading::Value)),
            Query::Apdex { satisfied, .. } => self.apdex(*satisfied),
            Query::Slower { than, .. } => self.slower(*than),
            Query::Rate(_) | Query::Ratio { .. } | Query::Events { .. } | Query::Sum(_) | Query::Max(_) => Ok(None),
        }
    }

    /// The quantile `q` (0 to 1); nothing where Prometheus answers NaN: fewer than two buckets, no bucket without bound, no
    /// observations.
    ///
    /// Source: Prometheus, `promql/quantile.go`, `BucketQuantile`: linear inside a bucket; the lowest bucket begins at zero unless
    /// its bound is not positive, in which case its bound is the answer; a quantile in the unbounded bucket is the highest bound.
    fn quantile(&self, q: f64) -> Option<f64> {
        let buckets = &self.0;
        let (top, total) = *buckets.last()?;
        if top != f64::INFINITY || buckets.len() < 2 || total <= 0.0 {
            return None;
        }
        let rank = q * total;
        let last = buckets.len() - 1;
        let at = buckets[..last].iter().position(|(_, count)| *count >= rank).unwrap_or(last);
        let (end, count) = buckets[at];
        if at == last {
            return Some(buckets[last - 1].0);
        }
        if at == 0 && end <= 0.0 {
            return Some(end);
        }
        let (start, below) = if at == 0 { (0.0, 0.0) } else { buckets[at - 1] };
        let inside = count - below;
        // Rank 0 in an empty lowest bucket is 0/0 for Prometheus, which answers NaN.
        (inside > 0.0).then(|| start + (end - start) * ((rank - below) / inside))
    }

    /// Half points of contentment (Apdex): two for who waited at most `satisfied`, one for who waited at most four times as long.
    fn apdex(&self, satisfied: f64) -> Result<Option<Reading>, String> {
        let Some(all) = self.all() else { return Ok(None) };
        let (content, half) = (self.within(satisfied)?, self.within(satisfied * 4.0)?);
        let points = 2 * all;
        counts(points, points.saturating_sub(content + half))
    }

    /// The events beyond a bound, among all. Without a bucket for all of them nobody knows how many those are.
    fn slower(&self, than: f64) -> Result<Option<Reading>, String> {
        let Some(all) = self.all() else { return Ok(None) };
        counts(all, all.saturating_sub(self.within(than)?))
    }

    /// How many there were in all; nothing without the bucket that has no bound.
    fn all(&self) -> Option<u64> {
        self.0.last().filter(|(top, _)| *top == f64::INFINITY).map(|(_, count)| whole(*count))
    }

    /// How many were at most this.
    fn within(&self, limit: f64) -> Result<u64, String> {
        let same = |bound: f64| (bound - limit).abs() <= limit.abs() * 1e-9;
        let found = self.0.iter().find(|(bound, _)| same(*bound));
        found.map(|(_, count)| whole(*count)).ok_or_else(|| format!("{limit} is no bound of the histogram"))
    }
}

fn counts(all: u64, bad: u64) -> Result<Option<Reading>, String> {
    Counts::new(all, bad).map(|counts| Some(Reading::Counts(counts))).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use deploy_core::monitor::Reading;

    use super::Buckets;

    const INF: f64 = f64::INFINITY;

    fn bucket_quantile(q: f64, buckets: impl IntoIterator<Item = (f64, f64)>) -> Option<f64> {
        Buckets::of(buckets).quantile(q)
    }

    fn counts(reading: Result<Option<Reading>, String>) -> (u64, u64) {
        match reading {
            Ok(Some(Reading::Counts(counts))) => (counts.events(), counts.bad()),
            other => panic!("no counts: {other:?}"),
        }
    }

    #[test]
    fn the_rules_of_the_source() {
        // Prometheus, promql/promqltest/testdata/histograms.test, testhistogram3 at start="positive" and "negative".
        let positive = [(0.1, 50.0), (0.2, 70.0), (1.0, 110.0), (INF, 110.0)];
        let close = |q, due: f64| {
            let got = bucket_quantile(q, positive).expect("a quantile");
            assert!((got - due).abs() < 1e-12, "{q}: {got}");
        };
        close(0.0, 0.0);
        close(0.25, 0.055);
        close(0.5, 0.125);
        close(1.0, 1.0);
        let negative = [(-0.2, 10.0), (-0.1, 20.0), (0.3, 20.0), (INF, 20.0)];
        assert_eq!(bucket_quantile(0.25, negative), Some(-0.2));
        let in_the_unbounded = [(1.0, 1.0), (INF, 4.0)];
        assert_eq!(bucket_quantile(0.9, in_the_unbounded), Some(1.0));
    }

    #[test]
    fn without_observations_or_an_unbounded_bucket_there_is_no_quantile() {
        assert_eq!(bucket_quantile(0.5, [(1.0, 0.0), (INF, 0.0)]), None);
        assert_eq!(bucket_quantile(0.5, [(1.0, 3.0), (2.0, 4.0)]), None);
        assert_eq!(bucket_quantile(0.5, [(INF, 4.0)]), None);
        assert_eq!(bucket_quantile(0.5, []), None);
    }

    /// Rows: M74.
    #[test]
    fn contentment_is_counted_in_half_points_with_the_events_that_it_rests_on() {
        // The worked example of the Apdex specification: 60 satisfied, 30 tolerating, 10 frustrated of 100 are 0.75.
        let buckets = vec![(0.5, 60.0), (2.0, 90.0), (INF, 100.0)];
        let buckets = Buckets::of(buckets);
        assert_eq!(counts(buckets.apdex(0.5)), (200, 50));
        assert!(buckets.apdex(0.4).is_err(), "between bounds nothing is known");
        assert_eq!(Buckets::of([]).apdex(0.5), Ok(None));
        assert_eq!(counts(Buckets::of([(0.5, 0.0), (2.0, 0.0), (INF, 0.0)]).apdex(0.5)).0, 0);
    }

    /// Rows: M68.
    #[test]
    fn events_beyond_a_bound_are_counted_among_all() {
        let buckets = Buckets::of([(0.5, 60.0), (2.0, 90.0), (INF, 100.0)]);
        assert_eq!(counts(buckets.slower(0.5)), (100, 40));
        assert_eq!(counts(buckets.slower(2.0)), (100, 10));
        assert!(buckets.slower(1.0).is_err(), "between bounds nothing is known");
        assert_eq!(Buckets::of([(0.5, 60.0), (2.0, 90.0)]).slower(0.5), Ok(None), "of how many is not known");
        assert_eq!(Buckets::of([]).slower(0.5), Ok(None));
    }

    proptest::proptest! {
        #[test]
        fn a_quantile_lies_in_its_bucket_and_grows_with_q(counts in proptest::collection::vec(0_u32..50, 2..8), a in 0.0_f64..=1.0, b in 0.0_f64..=1.0) {
            let mut below = 0.0;
            let mut buckets: Vec<(f64, f64)> = counts.iter().enumerate().map(|(i, n)| { below += f64::from(*n); (i as f64 + 1.0, below) }).collect();
            buckets.push((INF, below));
            let (low, high) = (bucket_quantile(a.min(b), buckets.clone()), bucket_quantile(a.max(b), buckets.clone()));
            if let (Some(low), Some(high)) = (low, high) {
                proptest::prop_assert!(low <= high + 1e-9 && low >= 0.0 && high <= counts.len() as f64);
            }
        }
    }
}
