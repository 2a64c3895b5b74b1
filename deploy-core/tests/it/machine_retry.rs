//! The arithmetic of waiting before another attempt.

use std::time::Duration;

use deploy_core::plan::RetryPolicy;
use deploy_core::time::millis;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

fn policy(backoff: u64, at_most: u64, growth: u32, jitter: u32) -> RetryPolicy {
    let mut policy = RetryPolicy::attempts(9).backoff(Duration::from_millis(backoff), Duration::from_millis(at_most));
    (policy.growth_percent, policy.jitter_percent) = (growth, jitter);
    policy
}

#[test]
fn the_default_doubles_and_stays_below_a_minute() {
    let plain = RetryPolicy { jitter_percent: 0, ..RetryPolicy::attempts(9) };
    let waits: Vec<_> = (1..9).map(|made| plain.wait_after(made, 7).as_secs()).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
}

proptest! {
    #[test]
    fn no_wait_is_longer_than_the_longest(
        backoff in 0u64..=10_000_000, at_most in 0u64..=10_000_000, growth in any::<u32>(), jitter in any::<u32>(),
        made in any::<u32>(), seed in any::<u64>(),
    ) {
        let policy = policy(backoff, at_most, growth, jitter);
        prop_assert!(policy.wait_after(made, seed) <= Duration::from_millis(at_most));
    }

    #[test]
    fn chance_takes_no_more_than_its_share(
        backoff in 1u64..=1_000_000, jitter in 0u32..=100, made in 1u32..100, seed in any::<u64>(),
    ) {
        let full = policy(backoff, 1_000_000, 200, 0).wait_after(made, seed);
        let wait = policy(backoff, 1_000_000, 200, jitter).wait_after(made, seed);
        let least = millis(full) - millis(full) * u64::from(jitter) / 100;
        prop_assert!(wait <= full && millis(wait) >= least, "{wait:?} of {full:?}");
    }

    #[test]
    fn waits_never_shrink_while_they_grow(backoff in 1u64..=100_000, growth in 100u32..=1_000, made in 1u32..70) {
        let policy = policy(backoff, 1_000_000, growth, 0);
        prop_assert!(policy.wait_after(made + 1, 0) >= policy.wait_after(made, 0));
    }

    #[test]
    fn the_same_attempt_of_the_same_run_waits_the_same(seed in any::<u64>(), made in 1u32..20) {
        let policy = RetryPolicy::attempts(9);
        prop_assert_eq!(policy.wait_after(made, seed), policy.wait_after(made, seed));
    }
}

#[test]
fn many_runs_do_not_come_back_at_the_same_instant() {
    let policy = RetryPolicy::attempts(9);
    let waits: std::collections::BTreeSet<_> = (0..1_000).map(|seed| policy.wait_after(3, seed)).collect();
    assert!(waits.len() > 400, "a thousand runs wait for {} different times", waits.len());
}
