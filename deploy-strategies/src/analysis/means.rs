//! The difference of two means without assuming equal variances (B. Welch, The generalization of Student's problem when
//! several different population variances are involved, 1947).

use super::sample::{SampleError, check, check_share, mean};
use super::special::{length, student_quantile_upper, student_upper};

/// How the means of two samples compare. The first sample is always the candidate's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Means {
    /// First mean minus second.
    pub difference: f64,
    /// Its estimated standard deviation.
    pub deviation: f64,
    /// The difference in standard deviations.
    pub t: f64,
    /// The degrees of freedom by Welch and Satterthwaite.
    pub freedom: f64,
}

impl Means {
    /// Compares two samples of at least two values each.
    ///
    /// # Errors
    ///
    /// [`SampleError`] if a sample is too short, holds something that is not a finite number, or neither varies.
    pub fn of(first: &[f64], second: &[f64]) -> Result<Self, SampleError> {
        check(first, 2)?;
        check(second, 2)?;
        let (n_a, n_b) = (length(first.len()), length(second.len()));
        let (a, b) = (variance(first) / n_a, variance(second) / n_b);
        if a + b == 0.0 {
            return Err(SampleError::AllEqual);
        }
        // Squares of numbers that are still finite need not be, nor need the squares of those.
        if !((a + b) * (a + b)).is_normal() {
            return Err(SampleError::Range);
        }
        let difference = mean(first) - mean(second);
        let deviation = (a + b).sqrt();
        let freedom = (a + b) * (a + b) / (a * a / (n_a - 1.0) + b * b / (n_b - 1.0));
        Ok(Self { difference, deviation, t: difference / deviation, freedom })
    }

    /// The chance of a difference as large as this, or larger, if the means are equal.
    #[must_use]
    pub fn greater(&self) -> f64 {
        student_upper(self.t, self.freedom)
    }

    /// The chance of a difference as far from zero as this, if the means are equal.
    #[must_use]
    pub fn differs(&self) -> f64 {
        2.0 * student_upper(self.t.abs(), self.freedom)
    }

    /// The differences that are compatible with the samples at this confidence.
    ///
    /// # Errors
    ///
    /// [`SampleError::Share`] if `confidence` is not between 0 and 1.
    pub fn interval(&self, confidence: f64) -> Result<(f64, f64), SampleError> {
        check_share(confidence)?;
        let wide = student_quantile_upper((1.0 - confidence) / 2.0, self.freedom) * self.deviation;
        Ok((self.difference - wide, self.difference + wide))
    }
}

/// The sample variance, of at least two values.
fn variance(sample: &[f64]) -> f64 {
    let mean = mean(sample);
    sample.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (length(sample.len()) - 1.0)
}

#[cfg(test)]
mod tests {
    use super::Means;
    use crate::analysis::tables;

    #[test]
    fn the_rows_of_two_means() {
        tables::vectors("welch", |row| {
            let means = Means::of(&row.numbers("x"), &row.numbers("y")).expect("two samples that vary");
            row.near("t", means.t);
            row.near("df", means.freedom);
            row.near("p_two_sided", means.differs());
            row.near("p_greater", means.greater());
            row.near("mean_diff", means.difference);
            row.near_pair("ci95", means.interval(0.95).expect("a confidence"));
        });
    }

    #[test]
    fn samples_that_do_not_vary_are_no_evidence_of_their_own() {
        assert!(Means::of(&[1.0, 1.0], &[2.0, 2.0]).is_err());
    }

    #[test]
    fn values_whose_squares_are_no_numbers_are_refused() {
        use crate::analysis::sample::SampleError;
        for size in [1e160, 1e300, 1e80, 1e-90, 1e-160] {
            let got = Means::of(&[size, 2.0 * size, 3.0 * size], &[size, 4.0 * size]);
            assert_eq!(got, Err(SampleError::Range), "{size:e}");
        }
        let large = Means::of(&[1e70, 2e70, 3e70], &[1e70, 4e70]).expect("squares of squares are numbers");
        assert!((0.0..=1.0).contains(&large.greater()));
    }
}
