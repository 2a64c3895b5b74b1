//! The pipelines that this host has.

use std::collections::BTreeMap;
use std::time::Duration;

use deploy_core::name::TargetName;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{Plan, Work};
use deploy_core::target::TargetState;

use crate::Failure;
use crate::demo::{self, Session};
use crate::journal::JournalFile;
use crate::trouble::Trouble;

/// How long a target may take to say what is there.
const LOOK: Duration = Duration::from_secs(5);

/// Which pipeline is meant.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Source {
    /// Have the default pipeline ask a person before it releases.
    #[arg(long)]
    ask: bool,

    /// Multiply soaks and intervals of the default pipeline; below 1 is faster.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = demo::pace)]
    pace: f64,
}

impl Source {
    /// The pipeline, to be driven: what it releases to is there afterwards.
    pub(crate) async fn ready(&self, file: &JournalFile) -> Result<Pipeline, Failure> {
        let session = Session::adopt_or_start(file).await?;
        demo::pipeline(&session, self.ask, self.pace)
    }

    /// The pipeline, to be looked at: nothing is started.
    pub(crate) async fn look(&self, file: &JournalFile) -> Result<Pipeline, Failure> {
        let session = Session::adopt(file).await?.unwrap_or_else(Session::absent);
        demo::pipeline(&session, self.ask, self.pace)
    }
}

/// What is at the targets of a plan now. Those that do not answer are left out: the preview says so.
pub(crate) async fn observe(pipeline: &Pipeline, plan: &Plan) -> BTreeMap<TargetName, TargetState> {
    let mut found = BTreeMap::new();
    for step in &plan.steps {
        let Work::Rollout(work) = &step.work else { continue };
        let Some(target) = pipeline.blocks().target(&work.target) else { continue };
        if found.contains_key(&work.target) {
            continue;
        }
        if let Ok(Ok(state)) = tokio::time::timeout(LOOK, target.observe()).await {
            found.insert(work.target.clone(), state);
        }
    }
    found
}

/// Reads a plan that was made before.
pub(crate) fn read_plan(path: &std::path::Path) -> Result<Plan, Failure> {
    let place = path.display();
    let text = std::fs::read(path).map_err(|error| Trouble::usage(format!("the plan {place} cannot be read: {error}")))?;
    serde_json::from_slice(&text).map_err(|error| Trouble::usage(format!("{place} is not a plan: {error}")))
}
