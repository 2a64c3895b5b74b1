//! The building blocks of a host by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use deploy_core::agent::Agent;
use deploy_core::evidence::Check;
use deploy_core::gate::Gate;
use deploy_core::monitor::Monitor;
use deploy_core::name::{BlockName, CheckName, TargetName};
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::Work;
use deploy_core::strategy::Strategy;
use deploy_core::target::Target;
use serde::de::DeserializeOwned;

/// Makes a block of its name and its parameters, or says why not.
pub(super) type Maker<B> = Arc<dyn Fn(BlockName, serde_json::Value) -> Result<Arc<B>, String> + Send + Sync>;

/// The building blocks of a host by name: what a [`PipelineDocument`](super::PipelineDocument) is bound to.
///
/// A block that is registered later takes the place of an earlier one of the same name, so that a host may begin with blocks
/// that are ready made and replace some. Cheap to clone.
///
/// ```
/// use deploy_agents::documents::Registry;
/// use deploy_agents::gates::GoNoGo;
/// use deploy_core::agent::{AgentCard, Report, agent_fn};
/// use deploy_core::name::{BlockName, CheckName};
///
/// let card = AgentCard::new(BlockName::new("builder")?, "builds the image");
/// let registry = Registry::new()
///     .agent(agent_fn(card, |_task, _cx| async { Ok(Report::new()) }))
///     .alias("the build people", "builder")
///     .gate_kind("go-no-go", |name, checks: Vec<CheckName>| Ok(GoNoGo::new(name, checks)));
/// assert!(registry.find_agent("builder").is_some());
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
#[derive(Clone, Default)]
pub struct Registry {
    pub(super) agents: BTreeMap<BlockName, Arc<dyn Agent>>,
    pub(super) gates: BTreeMap<BlockName, Arc<dyn Gate>>,
    pub(super) monitors: BTreeMap<BlockName, Arc<dyn Monitor>>,
    pub(super) strategies: BTreeMap<BlockName, Arc<dyn Strategy>>,
    pub(super) targets: BTreeMap<TargetName, Arc<dyn Target>>,
    pub(super) checks: BTreeMap<CheckName, Check>,
    pub(super) gate_kinds: BTreeMap<String, Maker<dyn Gate>>,
    pub(super) strategy_kinds: BTreeMap<String, Maker<dyn Strategy>>,
    pub(super) aliases: BTreeMap<String, String>,
}

/// Names what is there, and shows nothing of what is in it.
impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("agents", &self.agents.keys())
            .field("gates", &self.gates.keys())
            .field("monitors", &self.monitors.keys())
            .field("strategies", &self.strategies.keys())
            .field("targets", &self.targets.keys())
            .field("checks", &self.checks.keys())
            .field("gate_kinds", &self.gate_kinds.keys())
            .field("strategy_kinds", &self.strategy_kinds.keys())
            .field("aliases", &self.aliases)
            .finish()
    }
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything that a pipeline was built of, each under its own name: what its own document is bound to.
    #[must_use]
    pub fn of(pipeline: &Pipeline) -> Self {
        let blocks = pipeline.blocks();
        let mut registry = Self::new().checks(blocks.checks().cloned());
        for phase in pipeline.phases() {
            let mut agents: Vec<&BlockName> = phase.lead.into_iter().chain(phase.supporting).collect();
            for gate in phase.entry.iter().chain(phase.exit) {
                registry = registry.gate(Arc::clone(gate));
            }
            for step in &phase.steps {
                match step.work {
                    Work::Task { agent, undo, .. } => {
                        agents.extend(std::iter::once(agent).chain(undo.as_ref().map(|undo| &undo.agent)));
                    }
                    Work::Gate { gate, .. } => {
                        if let Some(gate) = gate.as_ref().and_then(|name| blocks.gate(name)) {
                            registry = registry.gate(Arc::clone(gate));
                        }
                    }
                    Work::Approval(_) | Work::Soak { .. } => {}
                    Work::Rollout(work) => {
                        if let Some(strategy) = blocks.strategy(&work.strategy) {
                            registry = registry.strategy(Arc::clone(strategy));
                        }
                        if let Some(target) = blocks.target(&work.target) {
                            registry = registry.target(Arc::clone(target));
                        }
                        for monitor in work.monitors.iter().filter_map(|name| blocks.monitor(name)) {
                            registry = registry.monitor(Arc::clone(monitor));
                        }
                    }
                }
            }
            for agent in agents.into_iter().filter_map(|name| blocks.agent(name)) {
                registry = registry.agent(Arc::clone(agent));
            }
        }
        registry
    }

    /// The same registry with an agent, under the name on its card.
    #[must_use]
    pub fn agent(mut self, agent: impl Agent) -> Self {
        self.agents.insert(agent.card().name, Arc::new(agent));
        self
    }

    /// The same registry with a gate.
    #[must_use]
    pub fn gate(mut self, gate: impl Gate) -> Self {
        self.gates.insert(gate.name(), Arc::new(gate));
        self
    }

    /// The same registry with a monitor.
    #[must_use]
    pub fn monitor(mut self, monitor: impl Monitor) -> Self {
        self.monitors.insert(monitor.name(), Arc::new(monitor));
        self
    }

    /// The same registry with a strategy.
    #[must_use]
    pub fn strategy(mut self, strategy: impl Strategy) -> Self {
        self.strategies.insert(strategy.name(), Arc::new(strategy));
        self
    }

    /// The same registry with a target.
    #[must_use]
    pub fn target(mut self, target: impl Target) -> Self {
        self.targets.insert(target.name(), Arc::new(target));
        self
    }

    /// The same registry with a check. Every check of the registry is registered with every pipeline that is bound to it.
    #[must_use]
    pub fn check(mut self, check: Check) -> Self {
        self.checks.insert(check.name().clone(), check);
        self
    }

    /// The same registry with these checks.
    #[must_use]
    pub fn checks(self, checks: impl IntoIterator<Item = Check>) -> Self {
        checks.into_iter().fold(self, Self::check)
    }

    /// The same registry with a kind of gate that documents may declare. `make` is given the name that the gate must have, and
    /// the parameters, of which unknown fields are best refused (`#[serde(deny_unknown_fields)]`).
    #[must_use]
    pub fn gate_kind<P, G>(
        mut self,
        kind: impl Into<String>,
        make: impl Fn(BlockName, P) -> Result<G, String> + Send + Sync + 'static,
    ) -> Self
    where
        P: DeserializeOwned,
        G: Gate,
    {
        let maker = move |name: BlockName, with| {
            let gate = make(name.clone(), parameters(with)?)?;
            named(&name, &gate.name()).map(|()| Arc::new(gate) as Arc<dyn Gate>)
        };
        self.gate_kinds.insert(kind.into(), Arc::new(maker));
        self
    }

    /// The same registry with a kind of strategy that documents may declare. See [`gate_kind`](Self::gate_kind).
    #[must_use]
    pub fn strategy_kind<P, S>(
        mut self,
        kind: impl Into<String>,
        make: impl Fn(BlockName, P) -> Result<S, String> + Send + Sync + 'static,
    ) -> Self
    where
        P: DeserializeOwned,
        S: Strategy,
    {
        let maker = move |name: BlockName, with| {
            let strategy = make(name.clone(), parameters(with)?)?;
            named(&name, &strategy.name()).map(|()| Arc::new(strategy) as Arc<dyn Strategy>)
        };
        self.strategy_kinds.insert(kind.into(), Arc::new(maker));
        self
    }

    /// The same registry with another way to say a name, for workflows in prose: `the deployment operations manager` for
    /// `deployment-ops-manager`, or the words of an item for the name of its check. Case, spaces and hyphens do not matter.
    #[must_use]
    pub fn alias(mut self, words: impl AsRef<str>, name: impl Into<String>) -> Self {
        self.aliases.insert(slug(words.as_ref()), name.into());
        self
    }

    /// The same registry with everything of another, which takes the place of what has the same name here.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.agents.extend(other.agents);
        self.gates.extend(other.gates);
        self.monitors.extend(other.monitors);
        self.strategies.extend(other.strategies);
        self.targets.extend(other.targets);
        self.checks.extend(other.checks);
        self.gate_kinds.extend(other.gate_kinds);
        self.strategy_kinds.extend(other.strategy_kinds);
        self.aliases.extend(other.aliases);
        self
    }

    /// The agent of this name.
    #[must_use]
    pub fn find_agent(&self, name: &str) -> Option<&Arc<dyn Agent>> {
        self.agents.get(&BlockName::new(name).ok()?)
    }

    /// The agents, by name.
    pub fn agents(&self) -> impl Iterator<Item = &Arc<dyn Agent>> {
        self.agents.values()
    }
}

fn parameters<P: DeserializeOwned>(with: serde_json::Value) -> Result<P, String> {
    // No parameters at all may be written as nothing, whatever they would be made of.
    let none = with.is_null();
    serde_json::from_value(with)
        .or_else(|error| {
            let empty = || serde_json::from_value(serde_json::Value::Object(serde_json::Map::new()));
            if none { empty() } else { Err(error) }
        })
        .map_err(|error| error.to_string())
}

fn named(wanted: &BlockName, is: &BlockName) -> Result<(), String> {
    if wanted == is { Ok(()) } else { Err(format!("its maker called it {is}")) }
}

/// Words as a name: lower case, everything else a hyphen.
pub(super) fn slug(words: &str) -> String {
    let mut slug = String::new();
    for c in words.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}
