//! Says something to a run, and waits for the answer.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::journal::{Journal, SubmitError};
use deploy_core::machine::{Event, Input, Machine, Strategies};
use deploy_core::name::BlockName;
use deploy_core::operator::OperatorInput;
use deploy_core::report::chain;
use deploy_core::strategy::Strategy;
use deploy_core::time::{Now, Spell};
use serde::Serialize;

use super::{Command, OnRun};
use crate::Failure;
use crate::code::Code;
use crate::follow::driver;
use crate::select::select;
use crate::server::pause;
use crate::shared::Shared;
use crate::show::Screen;
use crate::trouble::Trouble;
use crate::watcher::Watcher;

/// How often the answer is looked for.
const EVERY: Duration = Duration::from_millis(50);

/// What became of what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Became {
    /// It is recorded and has its effect.
    Taken,
    /// It is recorded, and has its effect when somebody waits for it.
    Kept,
    /// It lies in the inbox; nobody has looked yet.
    Waits,
}

#[derive(Serialize)]
struct Said<'a> {
    run: &'a str,
    became: Became,
    /// The record that holds it.
    position: Option<u64>,
    input: &'a OperatorInput,
}

pub(super) async fn say(command: &Command, on: &OnRun, shared: &Shared) -> Result<Code, Failure> {
    let why = on.why()?;
    let who = on.who.principal()?;
    let file = shared.journal()?;
    let journal = file.open()?;
    let entry = select(&*journal, on.run.as_deref()).await?;
    let mut watcher = Watcher::open(&file, Arc::clone(&journal), &entry.run).await?;
    watcher.catch_up().await?;
    let act = command.act(&watcher.status().await?, journal.now().await?)?;
    let input = OperatorInput::new(who, why, act);

    // The rules are pure, so that what the engine would say is known before it is asked.
    rehearse(watcher.machine(), &input, watcher.now().await?)?;
    let driven = driver(&entry, journal.now().await?).is_some();
    journal.submit(&entry.run, &input).await.map_err(|error| match &error {
        SubmitError::Ended { .. } | SubmitError::Full { .. } => Trouble::ends(Code::Refused, chain(&error)),
        _ => Trouble::because("it could not be said", &error),
    })?;
    let answer = if driven { answer(&mut watcher, &journal, &input, on.wait).await? } else { None };

    let (became, position) = answer.map_or((Became::Waits, None), |(became, position)| (became, Some(position)));
    let run = entry.run.as_str();
    let about = input.act.step().map(|step| format!(" {step}")).unwrap_or_default();
    let said = format!("run {run}: {}{about}, by {}", input.act.name(), input.who);
    let (text, code) = match became {
        Became::Taken => (format!("{said}: taken"), Code::Succeeded),
        Became::Kept => (format!("{said}: kept until somebody waits for it"), Code::Succeeded),
        Became::Waits if driven => {
            (format!("{said}: nobody has answered within {}; it lies in the inbox", Spell(on.wait)), Code::Held)
        }
        Became::Waits => {
            (format!("{said}: lies in the inbox; nobody drives the run now: deployctl run --run {run}"), Code::Held)
        }
    };
    Screen::new(shared.json).say("said", &text, &Said { run, became, position, input: &input });
    Ok(code)
}

/// Waits until whoever drives the run has taken or refused it; nothing if neither happens in time.
async fn answer(
    watcher: &mut Watcher,
    journal: &Arc<dyn Journal>,
    input: &OperatorInput,
    wait: Duration,
) -> Result<Option<(Became, u64)>, Failure> {
    let run = watcher.machine().state().run.clone();
    let looks = wait.as_millis() / EVERY.as_millis() + 1;
    for _ in 0..looks {
        // Asked before the records are read: what was taken by then is among them.
        let was_taken = journal.was_taken(&run, &input.id).await?;
        while let Some(record) = watcher.next().await? {
            match &record.event {
                Event::Took(took) if took.input.id == input.id => return Ok(Some((Became::Taken, record.position))),
                Event::Kept(kept) if kept.input.id == input.id => return Ok(Some((Became::Kept, record.position))),
                _ => {}
            }
        }
        if was_taken {
            // It left the inbox without a record: refused, for a reason that arose after it was rehearsed.
            rehearse(watcher.machine(), input, watcher.now().await?)?;
            return Err(refused(format!("run {run} did not take it; see where it stands: deployctl status {run}")));
        }
        if watcher.is_over() {
            return Err(refused(format!("run {run} ended before it was taken")));
        }
        pause(EVERY).await;
    }
    Ok(None)
}

/// Asks a copy of the run whether it would take this.
fn rehearse(run: &Machine, input: &OperatorInput, now: Now) -> Result<(), Failure> {
    match run.decide(&Input::Operator(input.clone()), now, &Nobody) {
        Ok(_) => Ok(()),
        Err(error) => Err(refused(format!("run {}: {error}", run.state().run))),
    }
}

fn refused(text: String) -> Failure {
    Trouble::ends(Code::Refused, text)
}

/// No strategy is asked about what an operator says.
struct Nobody;

impl Strategies for Nobody {
    fn strategy(&self, _name: &BlockName) -> Option<&dyn Strategy> {
        None
    }
}
