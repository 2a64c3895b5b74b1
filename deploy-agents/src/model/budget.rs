//! How much a model may spend.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How much one review may spend. When any of it is used up, the review ends as inconclusive: never by a phrase that the model
/// says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// How often the model may be asked. Default 8: a draft, and a few looks through tools.
    pub turns: u32,
    /// How many tokens may be read and written in all. Default 60,000: twice the extracts of a large release.
    pub tokens: u64,
    /// How long it may take in all. Default 2 minutes: a person would wait no longer for a remark.
    pub time: Duration,
    /// How much it may cost in all, in millionths of the currency of `price`. Default: not counted.
    pub money: Option<u64>,
    /// What a million tokens read and a million tokens written cost, in millionths of a currency.
    pub price: (u64, u64),
    /// The longest answer, in bytes. Default 64 KiB.
    pub answer: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { turns: 8, tokens: 60_000, time: Duration::from_secs(120), money: None, price: (0, 0), answer: 64 * 1024 }
    }
}

impl Budget {
    /// The same budget with other turns.
    #[must_use]
    pub fn turns(mut self, turns: u32) -> Self {
        self.turns = turns;
        self
    }

    /// The same budget with other tokens.
    #[must_use]
    pub fn tokens(mut self, tokens: u64) -> Self {
        self.tokens = tokens;
        self
    }

    /// The same budget with another time.
    #[must_use]
    pub fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// The same budget with an amount of money, at these prices of a million tokens read and written.
    #[must_use]
    pub fn money(mut self, millionths: u64, read: u64, written: u64) -> Self {
        self.money = Some(millionths);
        self.price = (read, written);
        self
    }
}

/// What was spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Spent {
    /// How often the model was asked.
    pub turns: u32,
    /// Tokens read.
    pub read: u64,
    /// Tokens written.
    pub written: u64,
}

impl Spent {
    /// What of the budget is used up, if anything is.
    #[must_use]
    pub fn exhausts(&self, budget: &Budget) -> Option<String> {
        let tokens = self.read.saturating_add(self.written);
        let cost = |tokens: u64, price: u64| u128::from(tokens) * u128::from(price);
        let money = (cost(self.read, budget.price.0) + cost(self.written, budget.price.1)).div_ceil(1_000_000);
        if self.turns >= budget.turns {
            Some(format!("its {} turns are used up", budget.turns))
        } else if tokens >= budget.tokens {
            Some(format!("its {} tokens are used up: {tokens} were spent", budget.tokens))
        } else if let Some(limit) = budget.money
            && money >= u128::from(limit)
        {
            Some(format!("its money is used up: {money} of {limit} millionths"))
        } else {
            None
        }
    }
}
