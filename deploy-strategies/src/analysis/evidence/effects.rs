//! The effects that a sequential test bets on.

use serde::{Deserialize, Serialize};

/// Log odds ratios with weights that add up to one: what a test is prepared to find, and how much it stakes on each.
/// Any choice is valid that was made before the data; a good one finds sooner what does occur.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Effects {
    points: Vec<(f64, f64)>,
}

impl Effects {
    /// Twenty odds ratios from 1.05 to 20, evenly spaced in the logarithm of their logarithm, of equal weight.
    #[must_use]
    pub fn default20() -> Self {
        let least = libm::log(1.05);
        let ratio = libm::log(libm::log(20.0) / least) / 19.0;
        Self::uniform((0..20).map(|j| least * libm::exp(ratio * f64::from(j))))
    }

    /// These effects with equal weights.
    #[must_use]
    pub fn uniform(effects: impl IntoIterator<Item = f64>) -> Self {
        Self::weighted(effects.into_iter().map(|effect| (effect, 1.0)))
    }

    /// These effects with weights in proportion to those given. Pairs that are not finite, or not of a positive weight,
    /// are left out.
    #[must_use]
    pub fn weighted(effects: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let mut points: Vec<(f64, f64)> =
            effects.into_iter().filter(|(d, w)| d.is_finite() && w.is_finite() && *w > 0.0).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total: f64 = points.iter().map(|(_, weight)| weight).sum();
        for (_, weight) in &mut points {
            *weight /= total;
        }
        Self { points }
    }

    /// The same effects with the opposite sign.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        Self::weighted(self.points.iter().map(|(effect, weight)| (-effect, *weight)))
    }

    /// Both sides, each with half of the weight.
    #[must_use]
    pub fn two_sided(&self) -> Self {
        let mirrored = self.mirrored();
        Self::weighted(self.points.iter().chain(&mirrored.points).copied())
    }

    /// Those above `floor`, weighted anew.
    #[must_use]
    pub fn above(&self, floor: f64) -> Self {
        Self::weighted(self.points.iter().filter(|(effect, _)| *effect > floor).copied())
    }

    /// Those below `ceiling`, weighted anew.
    #[must_use]
    pub fn below(&self, ceiling: f64) -> Self {
        Self::weighted(self.points.iter().filter(|(effect, _)| *effect < ceiling).copied())
    }

    /// Each effect (a log odds ratio) with its weight, from the smallest up.
    pub fn points(&self) -> impl Iterator<Item = (f64, f64)> + Clone + '_ {
        self.points.iter().copied()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Effects;

    #[test]
    fn the_twenty_go_from_5_percent_to_twentyfold() {
        let effects: Vec<(f64, f64)> = Effects::default20().points().collect();
        assert_eq!(effects.len(), 20);
        assert!((effects[0].0 - 1.05f64.ln()).abs() < 1e-15);
        assert!((effects[1].0 - 0.060_596_358_707_787_36).abs() < 1e-15);
        assert!((effects[19].0 - 20f64.ln()).abs() < 1e-14);
        assert!(effects.iter().all(|(_, weight)| (weight - 0.05).abs() < 1e-15));
    }

    #[test]
    fn what_is_left_weighs_one_again() {
        let left = Effects::default20().above(1.2f64.ln());
        assert_eq!(left.len(), 13);
        assert!((left.points().map(|(_, weight)| weight).sum::<f64>() - 1.0).abs() < 1e-14);
        assert_eq!(Effects::default20().two_sided().len(), 40);
    }
}
