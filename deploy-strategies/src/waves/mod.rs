//! Waves: a set of targets, a few first, then more. Expanded into steps when the pipeline is built, so that the plan shows all
//! of them.
//!
//! ```text
//!  Waves ──► WaveStep: wave/target/step ──► wave/target/step ──► wave/budget ──► wave/soak ──► the next wave
//!                      (a strategy at work)                      (may so many fail?)
//! ```
//!
//! One run and one journal for all of them: what goes back, goes back target by target in the reverse order of recorded start.

mod budget;
mod contained;
mod expand;
mod wave;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use deploy_core::name::{StepName, TargetName};
use serde::{Deserialize, Serialize};

pub use self::budget::FailureBudget;
pub use self::contained::Contained;
pub use self::expand::{WaveStep, WaveWork};
pub use self::wave::Wave;
use crate::refusal::{Problems, Refused};
use crate::rolling::Amount;

/// Waves in order; each begins when the one before is done.
///
/// ```
/// use std::time::Duration;
/// use deploy_core::name::{StepName, TargetName};
/// use deploy_strategies::rolling::Amount;
/// use deploy_strategies::share::Percent;
/// use deploy_strategies::waves::Waves;
///
/// let targets: Vec<TargetName> = (1..=10).map(|i| TargetName::new(format!("cell-{i}"))).collect::<Result<_, _>>()?;
/// let sizes = [Amount::Count(1), Amount::Percent(Percent::new(30)?), Amount::Percent(Percent::ALL)];
/// let waves = Waves::growing(&targets, &sizes, Duration::from_secs(3_600))?;
/// let sizes: Vec<usize> = waves.waves().iter().map(|wave| wave.targets.len()).collect();
/// assert_eq!(sizes, [1, 2, 7]);
///
/// let steps = waves.steps(&StepName::new("rollout")?);
/// assert_eq!(steps[0].path.as_str(), "wave-1/cell-1/rollout");
/// assert_eq!(steps[1].path.as_str(), "wave-1/soak");
/// assert_eq!(steps[2].after[0].as_str(), "wave-1/soak");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Description", into = "Description")]
pub struct Waves {
    waves: Vec<Wave>,
    may_fail: Amount,
}

/// The description of waves, as it stands in a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    waves: Vec<Wave>,
    #[serde(default = "none")]
    may_fail: Amount,
}

fn none() -> Amount {
    Amount::Count(0)
}

impl Waves {
    /// These waves. The first target that fails takes all of them back; see [`may_fail`](Self::may_fail).
    ///
    /// # Errors
    ///
    /// [`Refused`] with every problem: a wave without targets, a target or a wave's name that stands twice, nothing at a time, an
    /// order that leads around in a circle or to a later wave.
    pub fn new(waves: Vec<Wave>) -> Result<Self, Refused> {
        let mut problems = Problems::default();
        problems.require(!waves.is_empty(), "waves", "there is none", "at least one");
        let (mut targets, mut names) = (BTreeSet::new(), BTreeSet::new());
        for (i, wave) in waves.iter().enumerate() {
            let at = |field: &str| format!("waves[{i}].{field}");
            let once = names.insert(&wave.name);
            problems.require(once, at("name"), format!("{} stands here twice", wave.name), "each name once");
            wave.check(&mut problems, &format!("waves[{i}]"), &targets);
            for (k, target) in wave.targets.iter().enumerate() {
                let once = targets.insert(target);
                let place = at(&format!("targets[{k}]"));
                problems.require(once, place, format!("{target} stands here twice"), "each target once");
            }
        }
        problems.finish("waves")?;
        Ok(Self { waves, may_fail: none() })
    }

    /// The same waves, of whose targets so many may fail before everything stops and goes back; a share of all targets is rounded down.
    /// Default: none. See [`FailureBudget`] for what becomes of a target that fails.
    #[must_use]
    pub fn may_fail(mut self, amount: Amount) -> Self {
        self.may_fail = amount;
        self
    }

    /// How many targets may fail.
    #[must_use]
    pub fn budget(&self) -> u32 {
        let all: usize = self.waves.iter().map(|wave| wave.targets.len()).sum();
        let all = u32::try_from(all).unwrap_or(u32::MAX);
        self.may_fail.rounded_down(all).min(all)
    }

    /// Cuts targets into waves: each amount says how many are done when its wave is, a share rounded down but at least one
    /// more than before; after all but the last there is a soak. Targets that no amount reaches go last.
    ///
    /// # Errors
    ///
    /// [`Refused`] as by [`new`](Self::new).
    pub fn growing(targets: &[TargetName], upto: &[Amount], soak: Duration) -> Result<Self, Refused> {
        let all = u32::try_from(targets.len()).unwrap_or(u32::MAX);
        let mut cuts: Vec<u32> = Vec::new();
        for amount in upto {
            let before = cuts.last().copied().unwrap_or(0);
            let cut = amount.rounded_down(all).max(before.saturating_add(1)).min(all);
            if cut > before {
                cuts.push(cut);
            }
        }
        if cuts.last() != Some(&all) {
            cuts.push(all);
        }
        let mut waves = Vec::new();
        let mut from = 0;
        for (i, upto) in cuts.iter().enumerate() {
            let part = targets[from as usize..*upto as usize].to_vec();
            from = *upto;
            waves.push(Wave::new(wave_name(i + 1), part).soak(if i + 1 < cuts.len() { soak } else { Duration::ZERO }));
        }
        Self::new(waves)
    }

    /// Cuts services into waves by what they depend on: first those that depend on nothing, then those that depend on these alone, and so
    /// on; after all but the last there is a soak.
    ///
    /// ```
    /// use std::time::Duration;
    /// use deploy_core::name::TargetName;
    /// use deploy_strategies::waves::Waves;
    ///
    /// let name = TargetName::new;
    /// let needs = [(name("web")?, vec![name("api")?]), (name("api")?, vec![name("store")?]), (name("store")?, vec![])];
    /// let waves = Waves::by_dependency(&needs, Duration::from_secs(600))?;
    /// let order: Vec<&str> = waves.waves().iter().flat_map(|wave| &wave.targets).map(TargetName::as_str).collect();
    /// assert_eq!(order, ["store", "api", "web"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Refused`] as by [`new`](Self::new), and if services depend on each other in a circle or on one that is not named.
    pub fn by_dependency(needs: &[(TargetName, Vec<TargetName>)], soak: Duration) -> Result<Self, Refused> {
        let mut problems = Problems::default();
        let mut layer: BTreeMap<&TargetName, usize> = BTreeMap::new();
        let mut left: Vec<&(TargetName, Vec<TargetName>)> = needs.iter().collect();
        let mut layers: Vec<Vec<TargetName>> = Vec::new();
        while !left.is_empty() {
            let (ready, later): (Vec<_>, Vec<_>) =
                left.iter().copied().partition(|(_, needs)| needs.iter().all(|need| layer.contains_key(need)));
            if ready.is_empty() {
                break;
            }
            ready.iter().for_each(|(target, _)| {
                layer.insert(target, layers.len());
            });
            layers.push(ready.iter().map(|(target, _)| target.clone()).collect());
            left = later;
        }
        for (target, needs) in &left {
            let unknown = needs.iter().find(|need| !left.iter().any(|(t, _)| t == *need) && !layer.contains_key(need));
            let wrong = match unknown {
                Some(need) => format!("it depends on {need}, which is not named"),
                None => "it depends on itself by way of others".to_owned(),
            };
            problems.add(format!("needs[{target}]"), wrong, "services that are named, in an order");
        }
        problems.finish("waves")?;
        let last = layers.len();
        let wave = |(i, targets): (usize, Vec<TargetName>)| {
            Wave::new(wave_name(i), targets).soak(if i < last { soak } else { Duration::ZERO })
        };
        Self::new((1..).zip(layers).map(wave).collect())
    }

    /// The waves.
    #[must_use]
    pub fn waves(&self) -> &[Wave] {
        &self.waves
    }
}

fn wave_name(number: usize) -> StepName {
    StepName::new(format!("wave-{number}")).expect("`wave-` and a number is a name")
}

impl TryFrom<Description> for Waves {
    type Error = Refused;
    fn try_from(description: Description) -> Result<Self, Refused> {
        Ok(Self::new(description.waves)?.may_fail(description.may_fail))
    }
}

impl From<Waves> for Description {
    fn from(waves: Waves) -> Self {
        Self { waves: waves.waves, may_fail: waves.may_fail }
    }
}
