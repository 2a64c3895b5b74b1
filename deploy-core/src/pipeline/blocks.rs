//! The building blocks of a pipeline by name, and what of them a plan needs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::agent::{Agent, AgentCard};
use crate::evidence::Check;
use crate::gate::Gate;
use crate::identity::Identity;
use crate::monitor::Monitor;
use crate::name::{BlockName, CheckName, TargetName};
use crate::plan::{BlockKind, PinnedBlock, Plan, Work};
use crate::strategy::Strategy;
use crate::target::Target;

/// The building blocks of a pipeline by name. Its `Debug` names them and shows nothing of what is in them, since an agent may
/// hold a secret.
#[derive(Clone, Default)]
pub struct Blocks {
    blocks: BTreeMap<BlockName, Block>,
    targets: BTreeMap<TargetName, Arc<dyn Target>>,
    checks: BTreeMap<CheckName, Check>,
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blocks = self.blocks.iter().map(|(name, block)| (name, block.kind()));
        f.debug_struct("Blocks")
            .field("blocks", &blocks.collect::<BTreeMap<_, _>>())
            .field("targets", &self.targets.keys().collect::<Vec<_>>())
            .field("checks", &self.checks.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// One building block, with what was read off it when it was registered.
#[derive(Clone)]
enum Block {
    Agent(Arc<dyn Agent>, Box<AgentCard>),
    Gate(Arc<dyn Gate>, String),
    Strategy(Arc<dyn Strategy>),
    Monitor(Arc<dyn Monitor>),
}

impl Block {
    fn kind(&self) -> BlockKind {
        match self {
            Self::Agent(..) => BlockKind::Agent,
            Self::Gate(..) => BlockKind::Gate,
            Self::Strategy(_) => BlockKind::Strategy,
            Self::Monitor(_) => BlockKind::Monitor,
        }
    }

    fn identity(&self) -> Identity {
        match self {
            Self::Agent(agent, _) => agent.identity(),
            Self::Gate(gate, _) => gate.identity(),
            Self::Strategy(strategy) => strategy.identity(),
            Self::Monitor(monitor) => monitor.identity(),
        }
    }

    /// The recorded contract versions that it honours. Blocks without a version are of version 1.
    fn honours(&self) -> std::ops::RangeInclusive<u32> {
        match self {
            Self::Agent(_, card) => card.accepts..=card.version,
            Self::Gate(..) | Self::Strategy(_) | Self::Monitor(_) => 1..=1,
        }
    }

    fn pinned(&self) -> PinnedBlock {
        let responsibility = match self {
            Self::Agent(_, card) => card.responsibility.clone(),
            Self::Gate(_, criterion) => criterion.clone(),
            Self::Strategy(_) => "decides how the release spreads".to_owned(),
            Self::Monitor(_) => "measures the revisions".to_owned(),
        };
        PinnedBlock { kind: self.kind(), version: *self.honours().end(), responsibility }
    }
}

/// A second, different block under a name that is taken.
#[derive(Debug)]
pub(super) struct Taken;

impl Blocks {
    fn register(&mut self, name: &BlockName, block: Block) -> Result<(), Taken> {
        match self.blocks.get(name) {
            None => {
                self.blocks.insert(name.clone(), block);
                Ok(())
            }
            Some(there) if there.identity() == block.identity() => Ok(()),
            Some(_) => Err(Taken),
        }
    }

    pub(super) fn add_agent(&mut self, agent: &Arc<dyn Agent>, card: &AgentCard) -> Result<(), Taken> {
        self.register(&card.name, Block::Agent(Arc::clone(agent), Box::new(card.clone())))
    }

    pub(super) fn add_gate(&mut self, gate: &Arc<dyn Gate>, criterion: &str) -> Result<(), Taken> {
        self.register(&gate.name(), Block::Gate(Arc::clone(gate), criterion.to_owned()))
    }

    pub(super) fn add_strategy(&mut self, strategy: &Arc<dyn Strategy>) -> Result<(), Taken> {
        self.register(&strategy.name(), Block::Strategy(Arc::clone(strategy)))
    }

    pub(super) fn add_monitor(&mut self, monitor: &Arc<dyn Monitor>) -> Result<(), Taken> {
        self.register(&monitor.name(), Block::Monitor(Arc::clone(monitor)))
    }

    pub(super) fn add_target(&mut self, target: &Arc<dyn Target>) -> Result<(), Taken> {
        let there = self.targets.entry(target.name()).or_insert_with(|| Arc::clone(target));
        if there.identity() == target.identity() { Ok(()) } else { Err(Taken) }
    }

    pub(super) fn add_check(&mut self, check: Check) -> Result<(), Taken> {
        let name = check.name().clone();
        if self.checks.insert(name, check).is_some() { Err(Taken) } else { Ok(()) }
    }

    /// The agent of this name.
    #[must_use]
    pub fn agent(&self, name: &BlockName) -> Option<&Arc<dyn Agent>> {
        match self.blocks.get(name)? {
            Block::Agent(agent, _) => Some(agent),
            Block::Gate(..) | Block::Strategy(_) | Block::Monitor(_) => None,
        }
    }

    /// The gate of this name.
    #[must_use]
    pub fn gate(&self, name: &BlockName) -> Option<&Arc<dyn Gate>> {
        match self.blocks.get(name)? {
            Block::Gate(gate, _) => Some(gate),
            Block::Agent(..) | Block::Strategy(_) | Block::Monitor(_) => None,
        }
    }

    /// The strategy of this name.
    #[must_use]
    pub fn strategy(&self, name: &BlockName) -> Option<&Arc<dyn Strategy>> {
        match self.blocks.get(name)? {
            Block::Strategy(strategy) => Some(strategy),
            Block::Agent(..) | Block::Gate(..) | Block::Monitor(_) => None,
        }
    }

    /// The monitor of this name.
    #[must_use]
    pub fn monitor(&self, name: &BlockName) -> Option<&Arc<dyn Monitor>> {
        match self.blocks.get(name)? {
            Block::Monitor(monitor) => Some(monitor),
            Block::Agent(..) | Block::Gate(..) | Block::Strategy(_) => None,
        }
    }

    /// The target of this name.
    #[must_use]
    pub fn target(&self, name: &TargetName) -> Option<&Arc<dyn Target>> {
        self.targets.get(name)
    }

    /// The function behind the check of this name.
    #[must_use]
    pub fn check(&self, name: &CheckName) -> Option<&Check> {
        self.checks.get(name)
    }

    /// Every check that has a function, by name.
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        self.checks.values()
    }

    /// What a plan records of the block of this name.
    pub(crate) fn pinned(&self, name: &BlockName) -> Option<PinnedBlock> {
        self.blocks.get(name).map(Block::pinned)
    }

    /// Finds everything that a plan names. Its run may have been recorded by another build of the host: what is lacking here,
    /// or honours the recorded contract no longer, is named in full, so that the run can wait for a host that has it.
    ///
    /// # Errors
    ///
    /// [`MissingBlocks`] names everything that is missing.
    pub fn bind(&self, plan: &Plan) -> Result<Bound, MissingBlocks> {
        // All checks: an agent may claim one that no step of the plan asks for.
        let mut bound = Self { checks: self.checks.clone(), ..Self::default() };
        let mut missing = Vec::new();
        for (name, pin) in &plan.blocks {
            match self.blocks.get(name) {
                None => missing.push(MissingBlock::Absent { kind: pin.kind, name: name.clone() }),
                Some(block) if block.kind() != pin.kind => {
                    let (wanted, found) = (pin.kind, block.kind());
                    missing.push(MissingBlock::OtherKind { name: name.clone(), wanted, found });
                }
                Some(block) if !block.honours().contains(&pin.version) => {
                    let (oldest, newest) = block.honours().into_inner();
                    missing.push(MissingBlock::OtherContract {
                        name: name.clone(),
                        recorded: pin.version,
                        oldest,
                        newest,
                    });
                }
                Some(block) => {
                    bound.blocks.insert(name.clone(), block.clone());
                }
            }
        }
        for name in plan.targets.keys() {
            match self.targets.get(name) {
                None => missing.push(MissingBlock::NoTarget { name: name.clone() }),
                Some(target) => {
                    bound.targets.insert(name.clone(), Arc::clone(target));
                }
            }
        }
        for step in &plan.steps {
            for wanted in &step.verifications {
                if !self.checks.contains_key(&wanted.check) {
                    missing.push(MissingBlock::NoCheck { name: wanted.check.clone() });
                }
            }
            if let Work::Rollout(work) = &step.work
                && let (Some(strategy), Some(target)) = (bound.strategy(&work.strategy), bound.target(&work.target))
            {
                let lacking = strategy.needs().missing_from(target.capabilities());
                if !lacking.is_empty() {
                    missing.push(MissingBlock::Lacks { target: work.target.clone(), lacking });
                }
            }
        }
        missing.sort();
        missing.dedup();
        if missing.is_empty() { Ok(Bound(bound)) } else { Err(MissingBlocks { missing }) }
    }
}

/// The building blocks of one plan: all that it names are there and honour the contracts that it recorded.
///
/// ```
/// # use deploy_core::name::{BlockName, EnvironmentName, RevisionName, ServiceName};
/// # use deploy_core::operator::Principal;
/// # use deploy_core::pipeline::Pipeline;
/// # use deploy_core::plan::RollbackTo;
/// # use deploy_core::release::Release;
/// use deploy_core::agent::{AgentCard, Report, agent_fn};
///
/// # let release = Release::new(ServiceName::new("api")?, EnvironmentName::new("test")?, RevisionName::new("v2")?);
/// # let ada = Principal::new("ada", "example.org");
/// let pipeline = |version, accepts| {
///     let name = BlockName::new("builder").expect("a name");
///     let card = AgentCard::new(name, "builds the image").version(version, accepts);
///     let p = Pipeline::builder("release-api");
///     p.rollback(RollbackTo::Previous);
///     p.phase("checks").task("build", agent_fn(card, |_, _| async { Ok(Report::new()) })).add();
///     p.build().expect("nothing is wrong with it")
/// };
/// let recorded = pipeline(1, 1).plan(release, ada)?;
/// assert!(pipeline(2, 1).blocks().bind(&recorded).is_ok(), "version 2 still honours version 1");
/// let missing = pipeline(3, 2).blocks().bind(&recorded).unwrap_err();
/// assert_eq!(
///     missing.to_string(),
///     "this host cannot drive the plan: builder was recorded at contract version 1, and this host honours 2 to 3"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Bound(Blocks);

impl Bound {
    /// The agent of this name.
    #[must_use]
    pub fn agent(&self, name: &BlockName) -> Option<&Arc<dyn Agent>> {
        self.0.agent(name)
    }

    /// The gate of this name.
    #[must_use]
    pub fn gate(&self, name: &BlockName) -> Option<&Arc<dyn Gate>> {
        self.0.gate(name)
    }

    /// The strategy of this name.
    #[must_use]
    pub fn strategy(&self, name: &BlockName) -> Option<&Arc<dyn Strategy>> {
        self.0.strategy(name)
    }

    /// The monitor of this name.
    #[must_use]
    pub fn monitor(&self, name: &BlockName) -> Option<&Arc<dyn Monitor>> {
        self.0.monitor(name)
    }

    /// The target of this name.
    #[must_use]
    pub fn target(&self, name: &TargetName) -> Option<&Arc<dyn Target>> {
        self.0.target(name)
    }

    /// The function behind the check of this name.
    #[must_use]
    pub fn check(&self, name: &CheckName) -> Option<&Check> {
        self.0.check(name)
    }
}

/// What a plan names and this host does not have. A host that has it can go on with the run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingBlocks {
    /// At least one, in order.
    pub missing: Vec<MissingBlock>,
}

impl std::error::Error for MissingBlocks {}

impl fmt::Display for MissingBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this host cannot drive the plan: ")?;
        for (index, missing) in self.missing.iter().enumerate() {
            let gap = if index == 0 { "" } else { "; " };
            write!(f, "{gap}{missing}")?;
        }
        Ok(())
    }
}

/// One thing that a plan names and this host does not have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum MissingBlock {
    /// There is no block of this name: the host was built without it, or it was renamed.
    #[error("{} {name} is not there", .kind)]
    Absent {
        /// What it was.
        kind: BlockKind,
        /// Its name.
        name: BlockName,
    },
    /// The name belongs to something else now: give it back.
    #[error("{name} is of kind {found} here, and the plan means kind {wanted}")]
    OtherKind {
        /// The name.
        name: BlockName,
        /// What the plan means.
        wanted: BlockKind,
        /// What is there.
        found: BlockKind,
    },
    /// The block no longer honours the recorded contract: an older host must finish the run, or `accepts` be lowered.
    #[error("{name} was recorded at contract version {recorded}, and this host honours {oldest} to {newest}")]
    OtherContract {
        /// The block.
        name: BlockName,
        /// The version that the plan recorded.
        recorded: u32,
        /// The oldest that is honoured.
        oldest: u32,
        /// The newest that is honoured.
        newest: u32,
    },
    /// There is no target of this name.
    #[error("target {name} is not there")]
    NoTarget {
        /// Its name.
        name: TargetName,
    },
    /// There is no function behind this check.
    #[error("check {name} is not registered")]
    NoCheck {
        /// Its name.
        name: CheckName,
    },
    /// The target can no longer do what the strategy needs.
    #[error("target {target} cannot do {} any more", .lacking.join(", "))]
    Lacks {
        /// The target.
        target: TargetName,
        /// What is lacking, by name.
        lacking: Vec<&'static str>,
    },
}
