//! Quantiles of histograms with buckets, as Prometheus computes them.

use deploy_core::monitor::{Counts, Reading};

use super::whole;

/// The quantile `q` (0 to 1) of cumulative bucket counts by upper bound; nothing where Prometheus answers NaN: fewer than two
/// buckets, no bucket without bound, no observations.
///
/// Source: Prometheus, `promql/quantile.go`, `BucketQuantile`: linear inside a bucket; the lowest bucket begins at zero unless
/// its bound is not positive, in which case its bound is the answer; a quantile in the unbounded bucket is the highest bound.
pub(super) fn bucket_quantile(q: f64, buckets: impl IntoIterator<Item = (f64, f64)>) -> Option<f64> {
    let buckets = prepared(buckets);
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
/// The error: a limit is no bound of the histogram.
pub(super) fn apdex(satisfied: f64, buckets: Vec<(f64, f64)>) -> Result<Reading, String> {
    let buckets = prepared(buckets);
    let Some((_, all)) = buckets.last().copied() else { return Ok(Reading::NoData) };
    let within = |limit: f64| {
        let same = |bound: f64| (bound - limit).abs() <= limit.abs() * 1e-9;
        let found = buckets.iter().find(|(bound, _)| same(*bound));
        found.map(|(_, count)| *count).ok_or_else(|| format!("{limit} is no bound of the histogram"))
    };
    let (content, half) = (whole(within(satisfied)?), whole(within(satisfied * 4.0)?));
    let points = 2 * whole(all);
    Counts::new(points, points.saturating_sub(content + half)).map(Reading::Counts).map_err(|error| error.to_string())
}

/// In order of their bounds, equal bounds added up, and never falling: counts read one after another may disagree by a few.
fn prepared(buckets: impl IntoIterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
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
    merged
}

#[cfg(test)]
mod tests {
    use deploy_core::monitor::Reading;

    use super::{apdex, bucket_quantile};

    const INF: f64 = f64::INFINITY;

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
        let Ok(Reading::Counts(counts)) = apdex(0.5, buckets.clone()) else { panic!() };
        assert_eq!((counts.events(), counts.bad()), (200, 50));
        assert!(apdex(0.4, buckets).is_err(), "between bounds nothing is known");
        assert_eq!(apdex(0.5, Vec::new()), Ok(Reading::NoData));
        let Ok(Reading::Counts(none)) = apdex(0.5, vec![(0.5, 0.0), (2.0, 0.0), (INF, 0.0)]) else { panic!() };
        assert_eq!(none.events(), 0);
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
