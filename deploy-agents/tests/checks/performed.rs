//! Agents outside of a run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::agent::{Agent, AgentError, Cancellation, Performed, Report, StepContext, Task};
use deploy_core::effect::{EffectKey, Fence};
use deploy_core::plan::StepPath;
use deploy_core::time::{Now, Timestamp};

use crate::world::release;

/// What an agent reports that is done at once, outside of a run, at this time.
pub(crate) async fn once(agent: &dyn Agent, wall: Timestamp) -> Result<Report, AgentError> {
    let step = StepPath::new("phase/step").expect("a path");
    let run = "run-1".try_into().expect("a name");
    let key = EffectKey { run, step: step.clone(), undo: false, iteration: 0, attempt: 1 };
    let task = Task::new(step, false, Arc::new(release()), BTreeMap::new());
    let now = Now { wall, ..Now::default() };
    let cx = StepContext::new(key, Fence::default(), now, Duration::from_secs(9), Cancellation::never());
    match agent.perform(&task, &cx).await? {
        Performed::Done(report) => Ok(report),
        Performed::Running { .. } => panic!("it is done at once"),
    }
}
