//! Strategies as plain data: one tagged type that reads from JSON and YAML and writes back the same.
//!
//! ```text
//!  text ──► document, every value with its place ──► builder ──► build() ──► StrategySpec ──► the same text's meaning
//!           (duplicate keys, depth, size)             (unknown fields)  (what may be)
//! ```
//!
//! There is no second path: what is read goes through the same builders as what is written in Rust, and an error names the path of what
//! is wrong, what is allowed there, and for YAML the line and column.
//!
//! ```
//! use deploy_strategies::spec::StrategySpec;
//!
//! let text = r#"{"type": "canary", "steps": [{"weight": 5, "soak": "10m"}, {"weight": 50, "soak": "30m"}]}"#;
//! let spec = StrategySpec::from_json(text)?;
//! let StrategySpec::Canary(canary) = &spec else { unreachable!() };
//! assert_eq!(canary.spec().steps.len(), 2);
//! assert_eq!(StrategySpec::from_json(spec.to_json())?, spec);
//!
//! let refused = StrategySpec::from_json(r#"{"type": "canary", "steps": [{"weight": 120}]}"#).expect_err("120 of 100");
//! assert_eq!(refused.to_string(), "steps[0].weight: 120 is more than the whole, 100; allowed: 0 to 100");
//! # Ok::<(), deploy_strategies::spec::SpecError>(())
//! ```

mod error;
mod read;
mod schema;
mod write;

use std::sync::Arc;

use deploy_core::name::BlockName;
use deploy_core::release::Release;
use deploy_core::strategy::{Decision, Outline, Situation, Strategy};
use deploy_core::target::{Capabilities, TargetState};
use deploy_core::time::Timestamp;
use serde::Serialize;

pub use self::error::{SpecError, SpecProblem};
use crate::all_at_once::AllAtOnce;
use crate::blue_green::BlueGreen;
use crate::canary::Canary;
use crate::flags::FlagRollout;
use crate::rolling::Rolling;

/// A strategy as it stands in a file: a map whose `type` says which, and whose other keys are the fields of that strategy's builder.
///
/// | `type` | strategy | fields |
/// |---|---|---|
/// | `canary` | [`Canary`] | [`CanaryBuilder`](crate::canary::CanaryBuilder) |
/// | `blue-green` | [`BlueGreen`] | [`BlueGreenBuilder`](crate::blue_green::BlueGreenBuilder) |
/// | `rolling` | [`Rolling`] | [`RollingBuilder`](crate::rolling::RollingBuilder) |
/// | `flags` | [`FlagRollout`] | [`FlagRolloutBuilder`](crate::flags::FlagRolloutBuilder) |
/// | `all-at-once` | [`AllAtOnce`] | `instances`, `scale_down_delay`, `progress_deadline` |
///
/// It is a [`Strategy`] itself, so it goes wherever one is asked for. With serde it reads from any format; [`from_json`](Self::from_json)
/// and `from_yaml` (feature `yaml`) say every problem with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum StrategySpec {
    /// Traffic step by step.
    Canary(Canary),
    /// One side, then the other.
    BlueGreen(BlueGreen),
    /// Instances a few at a time.
    Rolling(Rolling),
    /// The percentage of a flag.
    Flags(FlagRollout),
    /// Everything at once.
    AllAtOnce(AllAtOnce),
}

impl StrategySpec {
    /// What may stand under `type`.
    pub const TYPES: [&'static str; 5] = ["canary", "blue-green", "rolling", "flags", "all-at-once"];

    /// What stands under `type`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Canary(_) => "canary",
            Self::BlueGreen(_) => "blue-green",
            Self::Rolling(_) => "rolling",
            Self::Flags(_) => "flags",
            Self::AllAtOnce(_) => "all-at-once",
        }
    }

    /// The strategy alone, for builders of pipelines.
    #[must_use]
    pub fn into_strategy(self) -> Arc<dyn Strategy> {
        match self {
            Self::Canary(strategy) => Arc::new(strategy),
            Self::BlueGreen(strategy) => Arc::new(strategy),
            Self::Rolling(strategy) => Arc::new(strategy),
            Self::Flags(strategy) => Arc::new(strategy),
            Self::AllAtOnce(strategy) => Arc::new(strategy),
        }
    }

    fn strategy(&self) -> &dyn Strategy {
        match self {
            Self::Canary(strategy) => strategy,
            Self::BlueGreen(strategy) => strategy,
            Self::Rolling(strategy) => strategy,
            Self::Flags(strategy) => strategy,
            Self::AllAtOnce(strategy) => strategy,
        }
    }
}

impl Strategy for StrategySpec {
    fn name(&self) -> BlockName {
        self.strategy().name()
    }

    fn needs(&self) -> Capabilities {
        self.strategy().needs()
    }

    fn monitors(&self) -> Vec<BlockName> {
        self.strategy().monitors()
    }

    fn objection(&self, release: &Release, wall: Timestamp) -> Option<String> {
        self.strategy().objection(release, wall)
    }

    fn outline(&self, release: &Release, from: &TargetState) -> Outline {
        self.strategy().outline(release, from)
    }

    fn decide(&self, situation: &Situation<'_>) -> Decision {
        self.strategy().decide(situation)
    }

    fn revert(&self, situation: &Situation<'_>) -> Decision {
        self.strategy().revert(situation)
    }
}

macro_rules! from {
    ($($strategy:ident => $variant:ident),*) => {$(
        impl From<$strategy> for StrategySpec {
            fn from(strategy: $strategy) -> Self {
                Self::$variant(strategy)
            }
        }
    )*};
}

from!(Canary => Canary, BlueGreen => BlueGreen, Rolling => Rolling, FlagRollout => Flags, AllAtOnce => AllAtOnce);
