//! Shows a run from now to its end.

use std::sync::Arc;

use deploy_core::journal::{Journal, RunEntry, Which};
use deploy_core::machine::{Machine, Mode};
use deploy_core::time::Timestamp;
use serde_json::json;

use crate::Failure;
use crate::code::{Code, is_held};
use crate::estimate::Estimate;
use crate::record::RecordView;
use crate::select::runs;
use crate::server::pause;
use crate::show::Screen;
use crate::view::View;
use crate::watcher::{EVERY, Watcher};

/// For how many looks in a row a run must be held before it counts: a second, in which its host reads the inbox ten times.
const SURELY_HELD: u32 = 5;

/// When a reader has seen enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// When the run has ended.
    End,
    /// When it has ended, or nothing more happens before somebody does something.
    Held,
}

/// Shows every record from a number on as soon as it is durable, and in between where the run stands.
///
/// Nothing is lost by dropping the future: whoever comes back goes on at the number after the last that was shown.
pub(crate) async fn follow(
    watcher: &mut Watcher,
    journal: &Arc<dyn Journal>,
    from: u64,
    until: Until,
    screen: &mut Screen,
) -> Result<Code, Failure> {
    let mut quiet = None;
    let estimate = Estimate::of(watcher.file(), journal, watcher.machine()).await?;
    loop {
        while let Some(record) = watcher.next().await? {
            if record.position >= from {
                quiet = Some(0);
                let view = RecordView::of(&record, watcher.machine().plan());
                screen.say("record", &view.line(), &view);
            }
        }
        let status = watcher.status().await?;
        if let Some(code) = Code::of_end(watcher.machine()) {
            screen.clear();
            return Ok(code);
        }
        let held = is_held(&status);
        screen.view(&view(watcher, journal, estimate).await?);
        if held && until == Until::Held {
            // Counted from the first record of this host on: what lies in the inbox has been taken by then.
            quiet = quiet.map(|looks| looks + 1);
            if quiet > Some(SURELY_HELD) {
                screen.clear();
                return Ok(Code::Held);
            }
        }
        pause(EVERY).await;
    }
}

/// Where a run stands, with who drives it and what it waits behind.
pub(crate) async fn view(
    watcher: &Watcher,
    journal: &Arc<dyn Journal>,
    estimate: Option<Estimate>,
) -> Result<View, Failure> {
    let status = watcher.status().await?;
    let now = journal.now().await?;
    let entry = journal.entry(&status.run).await?;
    let driven_by = entry.as_ref().and_then(|entry| driver(entry, now));
    let behind = match entry {
        Some(entry) if waits_for_lock(watcher.machine()) => {
            let same = |other: &RunEntry| {
                other.service == entry.service && other.environment == entry.environment && other.run != entry.run
            };
            let before =
                runs(&**journal, Which::Unfinished).await?.into_iter().take_while(|other| other.run != entry.run);
            before.filter(same).last().map(|other| (other.run.clone(), driver(&other, now)))
        }
        _ => None,
    };
    Ok(View::of(status, driven_by, behind, estimate))
}

/// Which process drives a run now; nothing if none does.
pub(crate) fn driver(entry: &RunEntry, now: Timestamp) -> Option<String> {
    let owned = entry.owned_until.is_some_and(|until| until > now);
    entry.owner.as_ref().filter(|_| owned).map(ToString::to_string)
}

/// Says how it ended, or why nobody waits for the end any longer, and what the exit code is.
pub(crate) fn end(watcher: &Watcher, code: Code, screen: &mut Screen) -> Code {
    let run = &watcher.machine().state().run;
    let (outcome, text) = match &watcher.machine().state().mode {
        Mode::Ended { outcome, because } => (Some(*outcome), format!("run {run} {outcome}: {because}")),
        Mode::Forward | Mode::Undoing { .. } => {
            (None, format!("run {run} goes no further before somebody does something; see: deployctl status {run}"))
        }
    };
    let facts = json!({ "run": run, "code": code.number(), "meaning": code, "outcome": outcome, "text": text });
    screen.say("end", &text, &facts);
    code
}

fn waits_for_lock(run: &Machine) -> bool {
    run.state().epoch.is_none()
}
