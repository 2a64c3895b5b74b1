//! How many instances one step of a rolling update may add and take away. The rules are those of Kubernetes
//! (`pkg/controller/deployment/util/deployment_util.go`, `rolling.go`), as pure functions of counts.

use serde::{Deserialize, Serialize};

use crate::share::Percent;

/// A count, or a share of the wanted number of instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Amount {
    /// So many.
    Count(u32),
    /// This share. Which way it is rounded depends on what it limits.
    Percent(Percent),
}

impl Amount {
    /// Whether it is nothing whatever it is a share of.
    #[must_use]
    pub fn is_zero(self) -> bool {
        match self {
            Self::Count(count) => count == 0,
            Self::Percent(percent) => percent.get() == 0,
        }
    }

    /// The count, rounded up: for surges and batches.
    #[must_use]
    pub fn rounded_up(self, of: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => percent.of_rounded_up(of),
        }
    }

    /// The count, rounded down: for what may be missing.
    #[must_use]
    pub fn rounded_down(self, of: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => percent.of_rounded_down(of),
        }
    }
}

/// How many more than wanted there may be, and how many fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Allowance {
    /// How many more.
    pub surge: u32,
    /// How many fewer.
    pub unavailable: u32,
}

impl Allowance {
    /// The counts for a wanted number of instances: surge rounds up, unavailable rounds down, and where both come to nothing
    /// one may be missing, since otherwise nothing could ever move.
    ///
    /// ```
    /// use deploy_strategies::rolling::{Allowance, Amount};
    /// use deploy_strategies::share::Percent;
    ///
    /// let quarter = Amount::Percent(Percent::new(25)?);
    /// let of_ten = Allowance::of(quarter, quarter, 10);
    /// assert_eq!((of_ten.surge, of_ten.unavailable), (3, 2));
    /// # Ok::<(), deploy_strategies::share::PercentError>(())
    /// ```
    #[must_use]
    pub fn of(surge: Amount, unavailable: Amount, wanted: u32) -> Self {
        let (surge, unavailable) = (surge.rounded_up(wanted), unavailable.rounded_down(wanted));
        Self { surge, unavailable: if surge == 0 && unavailable == 0 { 1 } else { unavailable } }
    }

    /// The most that there may be.
    #[must_use]
    pub fn most(self, wanted: u32) -> u32 {
        wanted.saturating_add(self.surge)
    }

    /// How many may really be missing: never more than there are.
    #[must_use]
    pub fn missing(self, wanted: u32) -> u32 {
        self.unavailable.min(wanted)
    }

    /// The fewest that have to be ready.
    #[must_use]
    pub fn least(self, wanted: u32) -> u32 {
        wanted - self.missing(wanted)
    }
}

/// One set of instances of the same revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Set {
    /// How many are asked for.
    pub asked: u32,
    /// How many are ready, and have been for long enough.
    pub ready: u32,
}

impl Set {
    fn unhealthy(self) -> u32 {
        self.asked.saturating_sub(self.ready)
    }
}

/// How large the new set may be, with `taken` places of all sets in use.
#[must_use]
pub fn new_size(new: u32, taken: u32, wanted: u32, allowance: Allowance) -> u32 {
    let room = allowance.most(wanted).saturating_sub(taken);
    if room == 0 { new } else { new.saturating_add(room).min(wanted) }
}

/// How many instances of all sets may go at once without fewer being ready than may be. Those of the new set that are not
/// ready are set against it, since they cannot stand in for anybody.
#[must_use]
pub fn most_removed(old: &[Set], new: Set, wanted: u32, allowance: Allowance) -> u32 {
    let all: u32 = old.iter().map(|set| set.asked).sum::<u32>().saturating_add(new.asked);
    all.saturating_sub(allowance.least(wanted)).saturating_sub(new.unhealthy())
}

/// Takes unhealthy instances out of the old sets, oldest set first, at most so many in all. Answers how many were taken.
pub fn remove_unhealthy(old: &mut [Set], most: u32) -> u32 {
    let mut taken = 0;
    for set in old {
        let now = set.unhealthy().min(most - taken);
        set.asked -= now;
        taken += now;
    }
    taken
}

/// Takes instances out of the old sets, oldest set first, down to the fewest that have to be ready, at most so many.
/// Answers how many were taken.
pub fn remove_ready(old: &mut [Set], new: Set, wanted: u32, allowance: Allowance, most: u32) -> u32 {
    let ready: u32 = old.iter().map(|set| set.ready).sum::<u32>().saturating_add(new.ready);
    let most = ready.saturating_sub(allowance.least(wanted)).min(most);
    let mut taken = 0;
    for set in old {
        let now = set.asked.min(most - taken);
        set.asked -= now;
        set.ready = set.ready.min(set.asked);
        taken += now;
    }
    taken
}

/// One step for the old sets: the unhealthy first, then the ready ones, so that never more than `most_removed` go at once and
/// `floor` stay in all. Answers how many were taken.
pub fn shrink_old(old: &mut [Set], new: Set, wanted: u32, allowance: Allowance, floor: u32) -> u32 {
    let there: u32 = old.iter().map(|set| set.asked).sum();
    let most = most_removed(old, new, wanted, allowance).min(there.saturating_sub(floor));
    let unhealthy = remove_unhealthy(old, most);
    unhealthy + remove_ready(old, new, wanted, allowance, most - unhealthy)
}
