//! Takes back a run that has ended, by a run of its own.

use deploy_core::driver::{Engine, RollBackError};
use deploy_core::journal::RunEntry;
use deploy_core::report::chain;

use super::Rollback;
use crate::Failure;
use crate::code::Code;
use crate::drive::{About, host, wait_for_owner};
use crate::follow::Until;
use crate::select::select;
use crate::shared::Shared;
use crate::trouble::Trouble;

/// The run that is meant, if it has ended.
pub(super) async fn ended(said: &Rollback, shared: &Shared) -> Result<Option<RunEntry>, Failure> {
    let journal = shared.journal()?.open()?;
    let entry = select(&*journal, said.on.run.as_deref()).await?;
    Ok(entry.outcome.is_some().then_some(entry))
}

/// Starts the run that takes it back, or goes on with the one that is there, and drives it to its end.
pub(super) async fn take_back(said: &Rollback, ended: &RunEntry, shared: &Shared) -> Result<Code, Failure> {
    let why = said.on.why()?;
    let who = said.on.who.principal()?;
    host(&said.source, shared, Until::End, async |host, screen| {
        let there = host.journal.entry(&Engine::rollback_id(&ended.run)).await?;
        if let Some(there) = &there {
            wait_for_owner(&host.journal, &host.engine, there, screen).await?;
        }
        let run = host.engine.roll_back(&ended.run, who, why).await.map_err(|error| match &error {
            RollBackError::Journal(_) | RollBackError::Unreadable { .. } => {
                Trouble::because("the run cannot be taken back", &error)
            }
            RollBackError::Start { .. } => Trouble::usage(format!("{}; give the pipeline that it had", chain(&error))),
            _ => Trouble::ends(Code::Refused, chain(&error)),
        })?;
        let (does, did) = (format!("takes back run {}", ended.run), format!("took back run {}", ended.run));
        let about = About { does, did, fact: ("takes_back", ended.run.to_string()) };
        Ok(about.begun(run, there.as_ref(), screen))
    })
    .await
}
