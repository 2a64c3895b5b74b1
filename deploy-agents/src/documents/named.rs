//! A strategy under the name that a document gives it.

use std::sync::Arc;

use deploy_core::name::BlockName;
use deploy_core::release::Release;
use deploy_core::strategy::{Decision, Outline, Situation, Strategy};
use deploy_core::target::{Capabilities, TargetState};
use deploy_core::time::Timestamp;
use deploy_strategies::spec::StrategySpec;

use super::Registry;

/// A strategy under another name, so that a document may have several of one kind.
#[derive(Debug)]
struct Named {
    name: BlockName,
    strategy: Arc<dyn Strategy>,
}

impl Strategy for Named {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    fn needs(&self) -> Capabilities {
        self.strategy.needs()
    }

    fn monitors(&self) -> Vec<BlockName> {
        self.strategy.monitors()
    }

    fn objection(&self, release: &Release, wall: Timestamp) -> Option<String> {
        self.strategy.objection(release, wall)
    }

    fn outline(&self, release: &Release, from: &TargetState) -> Outline {
        self.strategy.outline(release, from)
    }

    fn decide(&self, situation: &Situation<'_>) -> Decision {
        self.strategy.decide(situation)
    }

    fn revert(&self, situation: &Situation<'_>) -> Decision {
        self.strategy.revert(situation)
    }
}

impl Registry {
    /// The same registry with every kind of strategy that is data: `canary`, `blue-green`, `rolling`, `flags` and `all-at-once`.
    /// The parameters are the fields of [`StrategySpec`] without its `type`; the name is the one under which the document
    /// declares it.
    ///
    /// ```
    /// use deploy_agents::documents::{Loaded, Registry};
    /// # use deploy_core::testing::scripted::ScriptedTarget;
    /// # let eu = ScriptedTarget::new("eu".try_into()?);
    /// let text = r#"{
    ///   "format": 1, "name": "release-api", "rollback": "previous",
    ///   "strategies": { "slow": { "kind": "canary", "with": { "steps": [{ "weight": 5, "soak": "10m" }] } } },
    ///   "phases": [{ "name": "ship", "steps": [{ "name": "out", "rollout": { "strategy": "slow", "target": "eu" } }] }]
    /// }"#;
    /// let registry = Registry::new().standard_strategies().target(eu);
    /// assert!(Loaded::json(text)?.bind(&registry).is_ok());
    ///
    /// let refused = Loaded::json(&text.replace("5,", "500,"))?.bind(&registry).unwrap_err();
    /// assert!(refused.to_string().contains("steps[0].weight: 500 is more than the whole, 100"), "{refused}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn standard_strategies(self) -> Self {
        StrategySpec::TYPES.into_iter().fold(self, |registry, kind| {
            registry.strategy_kind(kind, move |name, mut fields: serde_json::Map<String, serde_json::Value>| {
                if fields.insert("type".to_owned(), kind.into()).is_some() {
                    return Err("its kind is its type; drop `type`".to_owned());
                }
                let text = serde_json::Value::Object(fields).to_string();
                let spec = StrategySpec::from_json(&text).map_err(|error| error.to_string())?;
                Ok(Named { name, strategy: spec.into_strategy() })
            })
        })
    }
}
