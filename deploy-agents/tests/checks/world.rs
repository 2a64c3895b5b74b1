//! What several stories need.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::agent::{Agent, AgentError, Cancellation, Performed, Report, StepContext, Task};
use deploy_core::digest::Digest;
use deploy_core::effect::{EffectKey, Fence};
use deploy_core::operator::Principal;
use deploy_core::plan::StepPath;
use deploy_core::release::{Change, Release};
use deploy_core::time::{Now, Timestamp};

/// The commit that is released.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Now, in every story: a Monday, 09:00 in Berlin.
pub(crate) const NOW: &str = "2026-11-23T08:00:00Z";

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

pub(crate) fn now() -> Timestamp {
    at(NOW)
}

pub(crate) fn artifact() -> Digest {
    Digest::of(b"the image")
}

pub(crate) fn release() -> Release {
    let change = Change { commit: Some(COMMIT.to_owned()), authors: vec!["ada".to_owned()], ..Change::default() };
    Release::new(
        "shop".try_into().expect("a name"),
        "production".try_into().expect("a name"),
        "v2".try_into().expect("a name"),
    )
    .artifact("registry.example.org/shop:v2", artifact())
    .change(change)
}

pub(crate) fn person(name: &str) -> Principal {
    Principal::new(name, "example.org")
}

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
