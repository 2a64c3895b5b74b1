//! How many instances each side has. Capacity is apart from traffic: a side may have more than its share needs.

use serde::{Deserialize, Serialize};

use super::step::Step;
use crate::share::{Percent, part_up};

/// How many instances the new revision has in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CanaryCapacity {
    /// As many as its share of the traffic needs: instances × weight / whole, rounded up.
    #[default]
    MatchWeight,
    /// This many, or as many as the traffic needs if that is more.
    Instances(u32),
    /// This share of the full size, rounded up, or as many as the traffic needs if that is more.
    Percent(Percent),
}

/// How many instances the stable revision has while the new one takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StableCapacity {
    /// All of them until the end, so that the way back is instant. Costs up to twice the instances.
    #[default]
    Full,
    /// As many as its share of the traffic needs, taken away only once the traffic has moved, and brought back before it
    /// does. Costs less, and the way back takes as long as instances take to start.
    MatchWeight,
}

impl CanaryCapacity {
    /// The count for a weight, where the service has `size` instances. Never fewer than `least` unless none at all.
    pub(super) fn instances(self, weight: u32, of: u32, size: u32, least: u32) -> u32 {
        let share = part_up(weight, size, of);
        let count = match self {
            Self::MatchWeight => share,
            // Fewer than the traffic needs would take serving capacity away.
            Self::Instances(count) => count.max(share),
            Self::Percent(percent) => percent.of_rounded_up(size).max(share),
        };
        if count == 0 { 0 } else { count.max(least.min(size)) }
    }
}

impl Step {
    /// How many instances the new revision needs in this step.
    pub(super) fn instances(&self, general: CanaryCapacity, of: u32, size: u32, least: u32) -> u32 {
        let count = self.capacity.unwrap_or(general).instances(self.weight, of, size, least);
        // Requests that are routed or copied need somebody to go to.
        if self.meets_requests() { count.max(least.clamp(1, size)) } else { count }
    }
}

#[cfg(test)]
mod tests {
    use super::CanaryCapacity;
    use crate::share::Percent;

    #[test]
    fn a_share_of_traffic_has_at_least_one_instance_and_the_least_that_was_asked() {
        let count = |capacity: CanaryCapacity, weight, least| capacity.instances(weight, 100, 10, least);
        assert_eq!(count(CanaryCapacity::MatchWeight, 0, 2), 0);
        assert_eq!(count(CanaryCapacity::MatchWeight, 1, 1), 1);
        assert_eq!(count(CanaryCapacity::MatchWeight, 11, 1), 2);
        assert_eq!(count(CanaryCapacity::MatchWeight, 1, 3), 3);
        assert_eq!(count(CanaryCapacity::MatchWeight, 1, 50), 10, "the least is capped at the full size");
        assert_eq!(count(CanaryCapacity::Instances(4), 1, 1), 4);
        assert_eq!(count(CanaryCapacity::Instances(0), 1, 1), 1, "a weight without an instance would serve nobody");
        assert_eq!(count(CanaryCapacity::Percent(Percent::new(25).unwrap()), 1, 1), 3);
        assert_eq!(count(CanaryCapacity::Instances(4), 90, 1), 9, "never fewer than the traffic needs");
    }
}
