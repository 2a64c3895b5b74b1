//! Shows a run from now to its end.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::driver::{RunEnd, RunHandle};
use deploy_core::machine::Event;
use deploy_core::plan::Plan;
use futures::StreamExt as _;
use serde_json::json;
use tokio::time::MissedTickBehavior;

use crate::Failure;
use crate::desk::Desk;
use crate::facts::remark;
use crate::show::Screen;
use crate::tally::Counts;
use crate::view::{View, heading};

/// How often the view is made anew: quick for a person, little for the machine.
const EVERY: Duration = Duration::from_millis(200);

/// For how long nobody may be at the place's desk before the place counts as lost.
const LOST_AFTER: u32 = 25;

/// Shows every remarkable record as soon as it is durable, and in between where the run stands; answers when it has ended.
///
/// Nothing is lost by dropping the future: the run goes on.
pub(crate) async fn follow(handle: &RunHandle, from: u64, desk: &Desk, screen: &mut Screen) -> Result<RunEnd, Failure> {
    let mut records = std::pin::pin!(handle.events(0));
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut plan: Option<Arc<Plan>> = None;
    let (mut counts, mut nobody) = (Counts::default(), 0);
    loop {
        tokio::select! {
            record = records.next() => {
                let Some(record) = record else { break };
                let record = record?;
                let path = |id| plan.as_ref().and_then(|p| p.step(id)).map(|s| s.path.to_string()).unwrap_or_default();
                if let Some((what, text)) = remark(&record.event, path)
                    && record.position >= from
                {
                    let version = plan.as_ref().map(|p| p.release.revision.to_string()).unwrap_or_default();
                    let facts = json!({ "version": version, "position": record.position, "at_ms": record.at.run.0, "what": what, "text": text });
                    screen.say("record", &format!("{} · {text}", heading(record.at.run.0, &version)), &facts);
                }
                if let Event::Started(started) = record.event {
                    plan = Some(started.plan);
                }
            }
            _ = ticks.tick() => {
                // A place that is busy is asked again soon; until then the last tally is shown.
                match desk.counts().await {
                    Ok(newest) => (counts, nobody) = (newest, 0),
                    Err(error) => nobody += u32::from(error.nobody_there),
                }
                if nobody > LOST_AFTER {
                    return Err("the place has ended, and its processes with it; run the same again to begin anew".into());
                }
                let status = handle.status().await?;
                if status.end().is_none() {
                    screen.view(&View::of(&status, &counts));
                }
            }
        }
    }
    Ok(handle.wait().await?)
}
