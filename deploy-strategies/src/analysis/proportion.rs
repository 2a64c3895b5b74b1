//! Two proportions at a fixed number of events.

use deploy_core::monitor::Counts;

use super::rank::Chances;
use super::sample::{SampleError, check_share};
use super::special::{ln_binomial, normal_cdf, normal_quantile, real};

/// How the shares of bad events of two arms compare. The first arm is always the candidate's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proportions {
    first: Counts,
    second: Counts,
    p: f64,
    q: f64,
}

/// How many standard deviations from the likeliest table any is counted.
const FURTHEST: f64 = 40.0;
/// The most tables in a standard deviation with which they are counted one by one.
const WIDEST: f64 = 20_000.0;

impl Proportions {
    /// Compares two arms, each with at least one event.
    ///
    /// # Errors
    ///
    /// [`SampleError::TooFew`] if an arm has none.
    pub fn of(first: Counts, second: Counts) -> Result<Self, SampleError> {
        let few = SampleError::TooFew { got: 0, needed: 1 };
        let p = first.ratio().ok_or_else(|| few.clone())?;
        let q = second.ratio().ok_or(few)?;
        Ok(Self { first, second, p, q })
    }

    /// First share minus second.
    #[must_use]
    pub fn difference(&self) -> f64 {
        self.p - self.q
    }

    /// The difference in standard deviations of the pooled share; zero if nothing varies.
    #[must_use]
    pub fn z(&self) -> f64 {
        let (n_a, n_b) = (real(self.first.events()), real(self.second.events()));
        let pooled = self.first.plus(self.second).ratio().unwrap_or(0.0);
        let deviation = (pooled * (1.0 - pooled) * (1.0 / n_a + 1.0 / n_b)).sqrt();
        if deviation == 0.0 { 0.0 } else { self.difference() / deviation }
    }

    /// Chances by the normal approximation.
    #[must_use]
    pub fn normal(&self) -> Chances {
        let z = self.z();
        Chances { less: normal_cdf(z), greater: normal_cdf(-z), differs: 2.0 * normal_cdf(-z.abs()) }
    }

    /// Exact chances, given how many bad events there were in all (Fisher's exact test). Two-sided is the sum over all
    /// tables that are no more likely than the one seen. Tables further than forty standard deviations and a thousand from the likeliest are
    /// left out: all of them together have a chance below 10⁻¹⁰⁰ (S. Bernstein's inequality). Where a deviation is more than twenty
    /// thousand tables, as from some billion events on, the chances are those of [`Proportions::normal`].
    #[must_use]
    pub fn exact(&self) -> Chances {
        let (n_a, n_b) = (self.first.events(), self.second.events());
        let bad = self.first.plus(self.second).bad();
        let (low, high) = (bad.saturating_sub(n_b), bad.min(n_a));
        let rate = real(bad) / real(n_a + n_b);
        if low == high || rate >= 1.0 {
            return Chances { less: 1.0, greater: 1.0, differs: 1.0 };
        }
        let (share, events) = (real(n_a) / real(n_a + n_b), real(n_a + n_b));
        let deviation = (events * rate * (1.0 - rate) * share * (1.0 - share)).sqrt();
        if deviation > WIDEST {
            return self.normal();
        }
        let all = ln_binomial(real(bad), real(n_a + n_b), rate);
        let chance = |s: u64| {
            libm::exp(ln_binomial(real(s), real(n_a), rate) + ln_binomial(real(bad - s), real(n_b), rate) - all)
        };
        let seen = chance(self.first.bad());
        let mut chances = Chances { less: 0.0, greater: 0.0, differs: 0.0 };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of tables, far below 2^53"
        )]
        let (middle, reach) = ((real(bad) * share) as u64, (FURTHEST * deviation).ceil() as u64 + 1_000);
        let seen_at = self.first.bad();
        let (from, to) = (middle.saturating_sub(reach).max(low), middle.saturating_add(reach).min(high));
        // One that is further away than all of them is the likeliest of those beyond it.
        let beyond = (!(from..=to).contains(&seen_at)).then_some(seen_at);
        for s in (from..=to).chain(beyond) {
            let p = chance(s);
            if s <= self.first.bad() {
                chances.less += p;
            }
            if s >= self.first.bad() {
                chances.greater += p;
            }
            // Equal likelihoods differ in the last digits.
            if p <= seen * (1.0 + 1e-7) {
                chances.differs += p;
            }
        }
        Chances { less: chances.less.min(1.0), greater: chances.greater.min(1.0), differs: chances.differs.min(1.0) }
    }

    /// The differences compatible with what was seen at this confidence: R. Newcombe, Interval estimation for the
    /// difference between independent proportions, 1998, method 10. The default, since it behaves at few events.
    ///
    /// # Errors
    ///
    /// [`SampleError::Share`] if `confidence` is not between 0 and 1.
    pub fn newcombe(&self, confidence: f64) -> Result<(f64, f64), SampleError> {
        let (low_a, high_a) = wilson(self.first, confidence)?;
        let (low_b, high_b) = wilson(self.second, confidence)?;
        let down = (self.p - low_a).hypot(high_b - self.q);
        let up = (high_a - self.p).hypot(self.q - low_b);
        Ok((self.difference() - down, self.difference() + up))
    }

    /// The same by A. Agresti and B. Caffo, Simple and effective confidence intervals for proportions, 2000: one good and
    /// one bad event are added to each arm.
    ///
    /// # Errors
    ///
    /// [`SampleError::Share`] if `confidence` is not between 0 and 1.
    pub fn agresti_caffo(&self, confidence: f64) -> Result<(f64, f64), SampleError> {
        check_share(confidence)?;
        let z = -normal_quantile((1.0 - confidence) / 2.0);
        let padded = |counts: Counts| {
            let n = real(counts.events()) + 2.0;
            let p = (real(counts.bad()) + 1.0) / n;
            (p, p * (1.0 - p) / n)
        };
        let ((p, v), (q, w)) = (padded(self.first), padded(self.second));
        let wide = z * (v + w).sqrt();
        Ok((p - q - wide, p - q + wide))
    }

    /// The ratios of the two shares compatible with what was seen (Wald on the logarithm); nothing unless both arms had a
    /// bad event.
    ///
    /// # Errors
    ///
    /// [`SampleError::Share`] if `confidence` is not between 0 and 1.
    pub fn ratio(&self, confidence: f64) -> Result<Option<(f64, f64)>, SampleError> {
        check_share(confidence)?;
        if self.first.bad() == 0 || self.second.bad() == 0 {
            return Ok(None);
        }
        let z = -normal_quantile((1.0 - confidence) / 2.0);
        let inverse = |counts: Counts| 1.0 / real(counts.bad()) - 1.0 / real(counts.events());
        let wide = z * (inverse(self.first) + inverse(self.second)).sqrt();
        let centre = libm::log(self.p / self.q);
        Ok(Some((libm::exp(centre - wide), libm::exp(centre + wide))))
    }
}

/// The shares compatible with one arm's counts at this confidence (E. Wilson, Probable inference, 1927).
///
/// # Errors
///
/// [`SampleError`] if there are no events, or `confidence` is not between 0 and 1.
pub fn wilson(counts: Counts, confidence: f64) -> Result<(f64, f64), SampleError> {
    check_share(confidence)?;
    let p = counts.ratio().ok_or(SampleError::TooFew { got: 0, needed: 1 })?;
    let n = real(counts.events());
    let z = -normal_quantile((1.0 - confidence) / 2.0);
    let square = z * z;
    let centre = (p + square / (2.0 * n)) / (1.0 + square / n);
    let wide = z / (1.0 + square / n) * (p * (1.0 - p) / n + square / (4.0 * n * n)).sqrt();
    let low = if counts.bad() == 0 { 0.0 } else { centre - wide };
    let high = if counts.bad() == counts.events() { 1.0 } else { centre + wide };
    Ok((low, high))
}

#[cfg(test)]
mod tests {
    use deploy_core::monitor::Counts;

    use super::{Proportions, wilson};
    use crate::analysis::tables;

    #[test]
    fn any_number_of_events_is_compared_in_time_and_as_the_exact_test_does() {
        let of = |first: (u64, u64), second: (u64, u64)| {
            let counts = |(events, bad)| Counts::new(events, bad).expect("fewer bad than all");
            Proportions::of(counts(first), counts(second)).expect("events")
        };
        // On either side of where tables are no longer counted one by one.
        for events in [1_000_000_000, 100_000_000_000, Counts::MOST] {
            let some = events / 2;
            for more in [0, 3] {
                // Three standard deviations of the difference of the counts.
                let seen = some + more * (libm::sqrt(events as f64 / 2.0) as u64);
                let both = of((events, seen), (events, some));
                let (exact, normal) = (both.exact(), both.normal());
                assert!((exact.greater / normal.greater - 1.0).abs() < 1e-3, "{events} {more}: {exact:?} {normal:?}");
                assert!((exact.less - normal.less).abs() < 1e-3, "{exact:?} {normal:?}");
            }
        }
        // What was seen lies beyond all tables that count.
        let far = of((1_000_000, 900_000), (1_000_000, 10)).exact();
        assert!(far.greater < 1e-300 && far.differs < 1e-300 && (far.less - 1.0).abs() < 1e-9, "{far:?}");
        // Rare events have a long tail: 2 of 10 beside 0 of a million has the chance of the two being among the ten.
        let rare = of((10, 2), (1_000_000, 0)).exact();
        assert!((rare.greater / (45.0 / (1_000_010.0 * 1_000_009.0 / 2.0)) - 1.0).abs() < 1e-9, "{rare:?}");
    }

    #[test]
    fn the_rows_of_two_proportions() {
        tables::vectors("two_proportions", |row| {
            let first = Counts::new(row.count("n1"), row.count("x1")).expect("fewer than all");
            let second = Counts::new(row.count("n2"), row.count("x2")).expect("fewer than all");
            let proportions = Proportions::of(first, second).expect("events");
            row.near("z_pooled", proportions.z());
            row.near("p_pooled_two_sided", proportions.normal().differs);
            row.near("p_pooled_greater", proportions.normal().greater);
            let exact = proportions.exact();
            row.near("fisher_p_two_sided", exact.differs);
            row.near("fisher_p_greater", exact.greater);
            row.near("fisher_p_less", exact.less);
            row.near_pair("newcombe_ci95", proportions.newcombe(0.95).expect("a confidence"));
            row.near_pair("agresti_caffo_ci95", proportions.agresti_caffo(0.95).expect("a confidence"));
            row.near_pair("wilson_ci95_arm1", wilson(first, 0.95).expect("a confidence"));
            if let Some(ratio) = proportions.ratio(0.95).expect("a confidence") {
                row.near("rr", proportions.p / proportions.q);
                row.near_pair("rr_log_ci95", ratio);
            }
            let known = [
                "z_pooled",
                "p_pooled_two_sided",
                "p_pooled_greater",
                "fisher_p_two_sided",
                "fisher_p_greater",
                "fisher_p_less",
                "newcombe_ci95",
                "agresti_caffo_ci95",
                "wilson_ci95_arm1",
                "rr",
                "rr_log_ci95",
            ];
            for field in row.expected.as_object().expect("fields").keys() {
                assert!(known.contains(&field.as_str()), "{field} is not checked");
            }
        });
    }
}
