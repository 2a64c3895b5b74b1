//! The steps that waves are expanded into.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::gate::Gate;
use deploy_core::identity::Identity;
use deploy_core::name::{StepName, TargetName};
use deploy_core::pipeline::{Phase, Rollout, StepBuilder, StepRef};
use deploy_core::plan::{OnFailure, StepPath};
use deploy_core::strategy::Strategy;
use deploy_core::target::Target;

use super::{Contained, FailureBudget, Wave, Waves};
use crate::refusal::{Problems, Refused};

/// One step that a wave is expanded into.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct WaveStep {
    /// Where it stands: `wave/target/step`, `wave/soak`, and with a failure budget `wave/target/step-budget` and `wave/budget`.
    pub path: StepPath,
    /// What it does.
    pub does: WaveWork,
    /// What has to be done before.
    pub after: Vec<StepPath>,
}

/// What a step of a wave does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaveWork {
    /// The rollout of one target.
    RollOut(TargetName),
    /// Waiting.
    Soak(Duration),
    /// Asking whether too many targets have failed.
    Budget,
}

/// The steps so far.
#[derive(Default)]
struct Steps {
    all: Vec<WaveStep>,
    /// The rollout of each target.
    rollouts: BTreeMap<TargetName, StepPath>,
}

impl Steps {
    fn add(&mut self, names: &[&str], does: WaveWork, after: Vec<StepPath>) -> StepPath {
        let path = StepPath::new(names.join("/")).expect("names joined by / are a path");
        self.all.push(WaveStep { path: path.clone(), does, after });
        path
    }

    /// One wave, after these; answers what the next one waits for.
    fn wave(&mut self, wave: &Wave, step: &StepName, mut before: Vec<StepPath>, budget: bool) -> Vec<StepPath> {
        let (name, lanes) = (wave.name.as_str(), wave.lanes());
        let mut here: Vec<StepPath> = Vec::new();
        for target in wave.ordered() {
            // Each lane goes one target after another; the first of each lane waits for the wave before.
            let lane = here.len().checked_sub(lanes).map(|i| here[i].clone());
            let first = wave.after.get(target).into_iter().flatten();
            let first: Vec<StepPath> = first.filter_map(|first| self.rollouts.get(first)).cloned().collect();
            let mut after: Vec<StepPath> = lane.map_or_else(|| before.clone(), |path| vec![path]);
            for path in first {
                if !after.contains(&path) {
                    after.push(path);
                }
            }
            let target_after_another = after.iter().any(|path| here.contains(path));
            if budget && target_after_another {
                let asks = format!("{step}-budget");
                after = vec![self.add(&[name, target.as_str(), &asks], WaveWork::Budget, after)];
            }
            let path = self.add(&[name, target.as_str(), step.as_str()], WaveWork::RollOut(target.clone()), after);
            self.rollouts.insert(target.clone(), path.clone());
            here.push(path);
        }
        before = here;
        if budget {
            before = vec![self.add(&[name, "budget"], WaveWork::Budget, before)];
        }
        if !wave.soak.is_zero() {
            before = vec![self.add(&[name, "soak"], WaveWork::Soak(wave.soak), before)];
        }
        before
    }
}

impl Waves {
    /// The steps that they are expanded into, each after what it waits for. `step` is what the rollout of each target is called. A way
    /// back in reverse order of these steps takes the waves back, the last one first.
    #[must_use]
    pub fn steps(&self, step: &StepName) -> Vec<WaveStep> {
        let mut steps = Steps::default();
        let budget = self.budget() > 0;
        let mut before = Vec::new();
        for wave in self.waves() {
            before = steps.wave(wave, step, before, budget);
        }
        steps.all
    }

    /// The budget that the steps of kind [`WaveWork::Budget`] ask.
    #[must_use]
    pub fn failure_budget(&self, step: &StepName) -> FailureBudget {
        let steps = self.steps(step);
        let rollouts = steps.into_iter().filter(|step| matches!(step.does, WaveWork::RollOut(_)));
        FailureBudget::new(self.budget(), rollouts.map(|step| step.path).collect())
    }

    /// Adds all of their steps to a phase. `place` gives each target and the strategy that releases to it, `shape` says what else a rollout
    /// needs: its monitors, how often it looks.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use deploy_core::name::{StepName, TargetName};
    /// use deploy_core::pipeline::Pipeline;
    /// use deploy_core::plan::RollbackTo;
    /// use deploy_core::strategy::Strategy;
    /// use deploy_core::target::Target;
    /// # use deploy_core::testing::scripted::ScriptedTarget;
    /// use deploy_strategies::all_at_once::AllAtOnce;
    /// use deploy_strategies::rolling::Amount;
    /// use deploy_strategies::waves::Waves;
    ///
    /// # let place = |name: &TargetName| Arc::new(ScriptedTarget::new(name.clone())) as Arc<dyn Target>;
    /// let cells: Vec<TargetName> = (1..=5).map(|i| TargetName::new(format!("cell-{i}"))).collect::<Result<_, _>>()?;
    /// let waves = Waves::growing(&cells, &[Amount::Count(1)], Duration::from_secs(600))?.may_fail(Amount::Count(1));
    /// let strategy: Arc<dyn Strategy> = Arc::new(AllAtOnce::new());
    ///
    /// let p = Pipeline::builder("cells");
    /// p.rollback(RollbackTo::Previous);
    /// let phase = p.phase("rollout");
    /// waves.add(phase, &StepName::new("go")?, |name| Some((Arc::clone(&strategy), place(name))), |rollout| rollout)?;
    /// let pipeline = p.build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Refused`] if a target is not there.
    pub fn add<'p>(
        &self,
        phase: Phase<'p>,
        step: &StepName,
        mut place: impl FnMut(&TargetName) -> Option<(Arc<dyn Strategy>, Arc<dyn Target>)>,
        mut shape: impl FnMut(StepBuilder<'p, Rollout>) -> StepBuilder<'p, Rollout>,
    ) -> Result<Vec<StepRef>, Refused> {
        let mut problems = Problems::default();
        let mut places = BTreeMap::new();
        for (i, wave) in self.waves().iter().enumerate() {
            for (k, target) in wave.targets.iter().enumerate() {
                match place(target) {
                    Some(found) => drop(places.insert(target, found)),
                    None => {
                        problems.add(format!("waves[{i}].targets[{k}]"), format!("{target} is not there"), "a target")
                    }
                }
            }
        }
        problems.finish("waves")?;
        let budget = self.budget();
        let gate: Arc<dyn Gate> = Arc::new(self.failure_budget(step).gate());
        // One for each strategy, since a block used twice is one block.
        let mut contained: Vec<(Identity, Arc<dyn Strategy>)> = Vec::new();
        let mut added: Vec<(StepPath, StepRef)> = Vec::new();
        for step in self.steps(step) {
            let after: Vec<StepRef> =
                added.iter().filter(|(path, _)| step.after.contains(path)).map(|(_, step)| step.clone()).collect();
            let path = step.path.as_str();
            let here = match &step.does {
                WaveWork::Soak(span) => phase.soak(path, *span).after_all(&after).add(),
                WaveWork::Budget => phase.gate(path, Arc::clone(&gate)).after_all(&after).add(),
                WaveWork::RollOut(target) => {
                    let Some((strategy, place)) = places.remove(target) else { continue };
                    let rollout = if budget > 0 {
                        let known = contained.iter().find(|(inner, _)| *inner == strategy.identity());
                        let one = known.map(|(_, one)| Arc::clone(one)).unwrap_or_else(|| {
                            let one: Arc<dyn Strategy> = Arc::new(Contained::new(Arc::clone(&strategy)));
                            contained.push((strategy.identity(), Arc::clone(&one)));
                            one
                        });
                        let reason = format!("{budget} of the targets may fail");
                        shape(phase.rollout(path, one, place)).on_failure(OnFailure::Continue { reason })
                    } else {
                        shape(phase.rollout(path, strategy, place))
                    };
                    rollout.after_all(&after).add()
                }
            };
            added.push((step.path, here));
        }
        Ok(added.into_iter().map(|(_, step)| step).collect())
    }
}
