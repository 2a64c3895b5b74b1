//! Means of numbers between 0 and 1, by betting (I. Waudby-Smith and A. Ramdas, Estimating means of bounded random
//! variables by betting, 2024).

use serde::{Deserialize, Serialize};

/// What the bets learn from: a running mean and variance, both drawn a little towards ½ and ¼.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Learned {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Learned {
    const NOTHING: Self = Self { count: 0.0, sum: 0.0, squares: 0.0 };

    fn mean(&self) -> f64 {
        (0.5 + self.sum) / (self.count + 1.0)
    }

    fn variance(&self) -> f64 {
        (0.25 + self.squares) / (self.count + 1.0)
    }

    fn take(&mut self, x: f64) {
        self.count += 1.0;
        self.sum += x;
        let distance = x - self.mean();
        self.squares += distance * distance;
    }

    /// The bet of section 3.2: √(2 ln(1/α) / (σ² t ln(1 + t))).
    fn bet(&self, alpha: f64) -> f64 {
        let t = self.count + 1.0;
        (-2.0 * libm::log(alpha) / (self.variance() * t * libm::log1p(t))).sqrt()
    }
}

/// The log of the capital of somebody who bets against "the mean is at most `mean`": section 4, bets truncated at
/// ½ / `mean`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Wager {
    mean: f64,
    alpha: f64,
    learned: Learned,
    ln_capital: f64,
}

impl Wager {
    /// A bet against a mean of at most `mean` (between 0 and 1), fastest at level `alpha`.
    #[must_use]
    pub fn against(mean: f64, alpha: f64) -> Self {
        Self { mean, alpha, learned: Learned::NOTHING, ln_capital: 0.0 }
    }

    /// One more number, from 0 to 1; others are taken as the nearest of these.
    pub fn take(&mut self, x: f64) {
        let x = x.clamp(0.0, 1.0);
        let bet = self.learned.bet(self.alpha).min(0.5 / self.mean);
        self.ln_capital += libm::log1p(bet * (x - self.mean));
        self.learned.take(x);
    }

    /// The log evidence so far.
    #[must_use]
    pub fn ln_evidence(&self) -> f64 {
        self.ln_capital
    }
}

/// A lower bound of the mean that holds at every look: the empirical Bernstein bound of theorem 2.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LowerBound {
    alpha: f64,
    learned: Learned,
    bets: f64,
    weighted: f64,
    spent: f64,
    last_bet: f64,
}

impl LowerBound {
    /// A bound at level `alpha`.
    #[must_use]
    pub fn new(alpha: f64) -> Self {
        Self { alpha, learned: Learned::NOTHING, bets: 0.0, weighted: 0.0, spent: 0.0, last_bet: 0.0 }
    }

    /// One more number, from 0 to 1; others are taken as the nearest of these.
    pub fn take(&mut self, x: f64) {
        let x = x.clamp(0.0, 1.0);
        let bet = self.learned.bet(self.alpha).min(0.5);
        let distance = x - self.learned.mean();
        self.bets += bet;
        self.weighted += bet * x;
        self.spent += distance * distance * (-libm::log1p(-bet) - bet);
        self.last_bet = bet;
        self.learned.take(x);
    }

    /// The bound. Below zero it says nothing yet.
    #[must_use]
    pub fn get(&self) -> f64 {
        (self.weighted + libm::log(self.alpha) - self.spent) / self.bets
    }
}

#[cfg(test)]
mod tests {
    use super::{LowerBound, Wager};
    use crate::analysis::tables;

    #[test]
    fn the_rows_of_bounded_means() {
        tables::vectors("bounded_mean", |row| {
            let (alpha, mean) = (row.number("alpha"), row.number("m"));
            let (mut wager, mut bound) = (Wager::against(mean, alpha), LowerBound::new(alpha));
            for x in row.numbers("x") {
                wager.take(x);
                bound.take(x);
            }
            row.near("betting_log_capital", wager.ln_evidence());
            row.near("eb_lower_unclipped", bound.get());
            row.near("eb_lambda_last", bound.last_bet);
        });
    }
}
