//! Shifts of traffic by the clock alone, as named configurations have them.

use std::time::Duration;

use super::step::Step;
use crate::refusal::{Problems, Refused};
use crate::share::{Percent, part_up};

/// At which moment the new revision has which share of the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shift {
    /// From the beginning.
    pub at: Duration,
    /// From then on.
    pub percent: Percent,
}

/// Shifts in order of time; the last one is everything.
///
/// ```
/// use std::time::Duration;
/// use deploy_strategies::canary::{Canary, schedule::Schedule};
/// use deploy_strategies::share::Percent;
///
/// let hour = Duration::from_secs(3_600);
/// let doubling = Schedule::exponential(Percent::new(5)?, 2, hour)?;
/// let percents: Vec<u32> = doubling.shifts().iter().map(|shift| shift.percent.get()).collect();
/// assert_eq!(percents, [5, 10, 20, 40, 80, 100]);
/// assert_eq!(doubling.length(), 5 * hour);
///
/// let canary = Canary::builder().schedule(&Schedule::named("LambdaCanary10Percent5Minutes").expect("a known name")).build()?;
/// assert_eq!(canary.spec().steps.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Schedule(Vec<Shift>);

impl Schedule {
    /// Everything at the beginning.
    #[must_use]
    pub fn all_at_once() -> Self {
        Self(vec![Shift { at: Duration::ZERO, percent: Percent::ALL }])
    }

    /// A first part, and the rest after a while.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the first part is nothing or everything.
    pub fn canary(first: Percent, wait: Duration) -> Result<Self, Refused> {
        Self::custom(vec![Shift { at: Duration::ZERO, percent: first }, Shift { at: wait, percent: Percent::ALL }])
    }

    /// Equal parts at equal distances, the first one at the beginning.
    ///
    /// # Errors
    ///
    /// [`Refused`] if a part is nothing or the distance is.
    pub fn linear(part: Percent, every: Duration) -> Result<Self, Refused> {
        let parts = if part.get() == 0 { 0 } else { 100_u32.div_ceil(part.get()) };
        Self::custom((0..parts).map(|i| Shift { at: every * i, percent: capped(part.get() * (i + 1)) }).collect())
    }

    /// Each part so many times the one before, at equal distances.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the first part is nothing, the factor less than two, or the distance nothing.
    pub fn exponential(first: Percent, factor: u32, every: Duration) -> Result<Self, Refused> {
        let mut problems = Problems::default();
        problems.require(first.get() > 0, "first", "it is 0 percent, and stays so", "1 to 100");
        problems.require(factor > 1, "factor", format!("{factor} does not grow"), "2 or more");
        problems.finish("a schedule")?;
        let mut shifts = Vec::new();
        let (mut percent, mut at) = (first.get(), Duration::ZERO);
        while percent < 100 {
            shifts.push(Shift { at, percent: capped(percent) });
            (percent, at) = (percent.saturating_mul(factor), at + every);
        }
        shifts.push(Shift { at, percent: Percent::ALL });
        Self::custom(shifts)
    }

    /// Any shifts.
    ///
    /// # Errors
    ///
    /// [`Refused`] with every problem: the first shift is not at the beginning, a later one is not later or not larger, the
    /// last one is not everything.
    pub fn custom(shifts: Vec<Shift>) -> Result<Self, Refused> {
        let mut problems = Problems::default();
        match shifts.first() {
            None => problems.add("shifts", "there is none", "at least one, of 100 percent"),
            Some(first) => {
                problems.require(first.at.is_zero(), "shifts[0].at", "it is not the beginning", "0s");
                problems.require(first.percent.get() > 0, "shifts[0].percent", "it is 0", "1 to 100");
            }
        }
        for (i, pair) in shifts.windows(2).enumerate() {
            let place = |field: &str| format!("shifts[{}].{field}", i + 1);
            problems.require(pair[1].at > pair[0].at, place("at"), "it is not after the one before", "a later time");
            problems.require(
                pair[1].percent > pair[0].percent,
                place("percent"),
                "it is not more than the one before",
                "more",
            );
        }
        if let Some(last) = shifts.last() {
            let place = format!("shifts[{}].percent", shifts.len() - 1);
            problems.require(last.percent == Percent::ALL, place, format!("the last one is {}", last.percent), "100");
        }
        problems.finish("a schedule")?;
        Ok(Self(shifts))
    }

    /// A configuration of AWS CodeDeploy by its name, without the prefix `CodeDeployDefault.`; nothing for an unknown one.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        let ten = Percent::new(10).ok()?;
        let rest = name.strip_prefix("Lambda").map(|rest| (true, rest));
        let (lambda, rest) = rest.or_else(|| name.strip_prefix("ECS").map(|rest| (false, rest)))?;
        if rest == "AllAtOnce" {
            return Some(Self::all_at_once());
        }
        let percent = if lambda { "10Percent" } else { "10percent" };
        if let Some(wait) = rest.strip_prefix("Canary").and_then(|r| r.strip_prefix(percent)) {
            let wait: u64 = wait.strip_suffix("Minutes")?.parse().ok()?;
            let known: &[u64] = if lambda { &[5, 10, 15, 30] } else { &[5, 15] };
            return known.contains(&wait).then(|| Self::canary(ten, minutes(wait)).ok()).flatten();
        }
        // The names of the linear ones are written alike on both platforms.
        let every = rest.strip_prefix("Linear10PercentEvery")?;
        let every: u64 = every.strip_suffix("Minutes").or_else(|| every.strip_suffix("Minute"))?.parse().ok()?;
        let known: &[u64] = if lambda { &[1, 2, 3, 10] } else { &[1, 3] };
        known.contains(&every).then(|| Self::linear(ten, minutes(every)).ok()).flatten()
    }

    /// The shifts.
    #[must_use]
    pub fn shifts(&self) -> &[Shift] {
        &self.0
    }

    /// When the last one comes.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.0.last().map_or(Duration::ZERO, |shift| shift.at)
    }

    /// The same as steps of a canary whose weights are parts of `of`: each soaks until the next shift. The last one is not
    /// a step, since after the last step everything is handed over anyway; except where it is the only one, since a canary has
    /// a step.
    #[must_use]
    pub fn steps(&self, of: u32) -> Vec<Step> {
        if self.0.len() == 1 {
            return vec![Step::weight(of)];
        }
        let step = |pair: &[Shift]| Step::weight(part_up(pair[0].percent.get(), of, 100)).soak(pair[1].at - pair[0].at);
        self.0.windows(2).map(step).collect()
    }
}

fn capped(percent: u32) -> Percent {
    Percent::new(percent.min(100)).unwrap_or(Percent::ALL)
}

/// How many hosts may be replaced at once, by the fewest that stay healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostLimit {
    /// All of them; it is a success if one succeeds.
    AllAtOnce,
    /// Half of them, rounded down.
    HalfAtATime,
    /// One after another.
    OneAtATime,
    /// As many as leave so many healthy.
    LeastHealthy(u32),
    /// As many as leave this share healthy, rounded up.
    LeastHealthyPercent(Percent),
}

impl HostLimit {
    /// The fewest hosts that stay healthy.
    #[must_use]
    pub fn least_healthy(self, hosts: u32) -> u32 {
        match self {
            Self::AllAtOnce => 0,
            Self::HalfAtATime => hosts - hosts / 2,
            Self::OneAtATime => hosts.saturating_sub(1),
            Self::LeastHealthy(count) => count.min(hosts),
            Self::LeastHealthyPercent(percent) => percent.of_rounded_up(hosts),
        }
    }

    /// The most hosts at once.
    #[must_use]
    pub fn most_at_once(self, hosts: u32) -> u32 {
        hosts - self.least_healthy(hosts)
    }

    /// The fewest successes that make the whole a success.
    #[must_use]
    pub fn least_successes(self, hosts: u32) -> u32 {
        self.least_healthy(hosts).max(1)
    }
}
