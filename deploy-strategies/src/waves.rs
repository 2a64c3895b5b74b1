//! Waves: a set of targets, a few first, then more. Expanded into steps when the pipeline is built, so that the plan shows all
//! of them.

use std::collections::BTreeSet;
use std::time::Duration;

use deploy_core::name::{StepName, TargetName};
use deploy_core::plan::StepPath;
use serde::{Deserialize, Serialize};

use crate::refusal::{Problems, Refused};
use crate::rolling::Amount;
use crate::span;

/// Targets that go together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wave {
    /// What it is called.
    pub name: StepName,
    /// Which targets.
    pub targets: Vec<TargetName>,
    /// How many at a time, in the order given. Default: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_a_time: Option<Amount>,
    /// How long the next wave waits after this one. Default: not at all.
    #[serde(default, with = "span", skip_serializing_if = "Duration::is_zero")]
    pub soak: Duration,
}

/// One step that a wave is expanded into.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct WaveStep {
    /// Where it stands: `wave/target/step`, or `wave/soak`.
    pub path: StepPath,
    /// What it does.
    pub does: WaveWork,
    /// What has to be done before.
    pub after: Vec<StepPath>,
}

/// What a step of a wave does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum WaveWork {
    /// The rollout of one target.
    RollOut(TargetName),
    /// Waiting.
    Soak(Duration),
}

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
/// let sizes = [Amount::Count(1), Amount::Percent(Percent::new(30)?), Amount::Percent(Percent::new(100)?)];
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
#[serde(try_from = "Vec<Wave>", into = "Vec<Wave>")]
pub struct Waves(Vec<Wave>);

impl Waves {
    /// These waves.
    ///
    /// # Errors
    ///
    /// [`Refused`] with every problem: a wave without targets, a target or a wave's name that stands twice, nothing at a time.
    pub fn new(waves: Vec<Wave>) -> Result<Self, Refused> {
        let mut problems = Problems::default();
        problems.require(!waves.is_empty(), "waves", "there is none", "at least one");
        let (mut targets, mut names) = (BTreeSet::new(), BTreeSet::new());
        for (i, wave) in waves.iter().enumerate() {
            let at = |field: &str| format!("waves[{i}].{field}");
            problems.require(
                names.insert(&wave.name),
                at("name"),
                format!("{} stands here twice", wave.name),
                "each name once",
            );
            problems.require(!wave.targets.is_empty(), at("targets"), "there is none", "at least one");
            let moves = wave.at_a_time.is_none_or(|amount| !amount.is_zero());
            problems.require(moves, at("at_a_time"), "it is nothing", "more than 0");
            for (k, target) in wave.targets.iter().enumerate() {
                let once = targets.insert(target);
                problems.require(
                    once,
                    at(&format!("targets[{k}]")),
                    format!("{target} stands here twice"),
                    "each target once",
                );
            }
        }
        problems.finish("waves")?;
        Ok(Self(waves))
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
            let name = wave_name(i + 1);
            let soak = if i + 1 < cuts.len() { soak } else { Duration::ZERO };
            waves.push(Wave { name, targets: part, at_a_time: None, soak });
        }
        Self::new(waves)
    }

    /// The waves.
    #[must_use]
    pub fn waves(&self) -> &[Wave] {
        &self.0
    }

    /// The steps that they are expanded into, each after what it waits for. `step` is what the rollout of each target is called. A way
    /// back in reverse order of these steps takes the waves back, the last one first.
    #[must_use]
    pub fn steps(&self, step: &StepName) -> Vec<WaveStep> {
        let mut steps: Vec<WaveStep> = Vec::new();
        let mut before: Vec<StepPath> = Vec::new();
        for wave in &self.0 {
            let size = u32::try_from(wave.targets.len()).unwrap_or(u32::MAX);
            let lanes = wave.at_a_time.map_or(size, |amount| amount.rounded_up(size).clamp(1, size)) as usize;
            let mut here: Vec<StepPath> = Vec::new();
            for target in &wave.targets {
                let path = path(&[wave.name.as_str(), target.as_str(), step.as_str()]);
                // Each lane goes one target after another; the first of each lane waits for the wave before.
                let after = here.len().checked_sub(lanes).map_or_else(|| before.clone(), |i| vec![here[i].clone()]);
                here.push(path.clone());
                steps.push(WaveStep { path, does: WaveWork::RollOut(target.clone()), after });
            }
            before = here;
            if !wave.soak.is_zero() {
                let path = path(&[wave.name.as_str(), "soak"]);
                steps.push(WaveStep { path: path.clone(), does: WaveWork::Soak(wave.soak), after: before });
                before = vec![path];
            }
        }
        steps
    }
}

fn wave_name(number: usize) -> StepName {
    StepName::new(format!("wave-{number}")).expect("`wave-` and a number is a name")
}

fn path(names: &[&str]) -> StepPath {
    StepPath::new(names.join("/")).expect("names joined by / are a path")
}

impl TryFrom<Vec<Wave>> for Waves {
    type Error = Refused;
    fn try_from(waves: Vec<Wave>) -> Result<Self, Refused> {
        Self::new(waves)
    }
}

impl From<Waves> for Vec<Wave> {
    fn from(waves: Waves) -> Self {
        waves.0
    }
}
