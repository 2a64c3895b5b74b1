//! The eight best practices, with what proves each.

use deploy_core::machine::Event;
use deploy_core::plan::{Plan, RollbackTo, Work};
use serde::Serialize;

use crate::Failure;
use crate::code::Code;
use crate::select::select;
use crate::shared::Shared;
use crate::show::Screen;
use crate::watcher::Watcher;

/// One practice.
///
/// Rows: M236, M237, M238, M239, M240, M241, M242, M243.
struct Practice {
    /// Its own row.
    row: u16,
    name: &'static str,
    /// The rows of the workflows that prove it.
    proven_by: &'static str,
    /// What in the library makes it so.
    made_so_by: &'static str,
    /// How a run keeps it, where that can be read off its plan and records.
    kept: Option<Kept>,
}

/// Whether a run keeps a practice, and what says so.
type Kept = fn(&Facts<'_>) -> (bool, String);

/// What of a run is looked at.
struct Facts<'a> {
    plan: &'a Plan,
    /// How often people said something.
    people: usize,
}

const PRACTICES: [Practice; 8] = [
    Practice {
        row: 236,
        name: "automated pipelines",
        proven_by: "M120",
        made_so_by: "a plan is data; every step that needs a person is an approval, and counted",
        kept: Some(|facts| {
            let manual = facts.plan.steps.iter().filter(|step| matches!(step.work, Work::Approval(_))).count();
            let steps =
                facts.plan.steps.iter().filter(|step| !matches!(step.work, Work::Gate { gate: None, .. })).count();
            (
                manual < steps,
                format!("{manual} of {steps} steps need a person; people said something {} times", facts.people),
            )
        }),
    },
    Practice {
        row: 237,
        name: "gradual rollout with monitoring",
        proven_by: "M168",
        made_so_by: "deploy_strategies::canary: stages, each of them judged",
        kept: Some(|facts| {
            let rollouts = facts.plan.steps.iter().filter_map(|step| match &step.work {
                Work::Rollout(work) => Some(!work.monitors.is_empty()),
                _ => None,
            });
            let rollouts: Vec<_> = rollouts.collect();
            let watched = rollouts.iter().filter(|watched| **watched).count();
            (watched == rollouts.len(), format!("{watched} of {} rollouts are watched by a monitor", rollouts.len()))
        }),
    },
    Practice {
        row: 238,
        name: "validation gates",
        proven_by: "M121",
        made_so_by: "deploy_core::pipeline: a gate at the entry and exit of each phase",
        kept: Some(|facts| {
            let gated =
                |id| facts.plan.step(id).is_some_and(|step| matches!(&step.work, Work::Gate { gate: Some(_), .. }));
            let verified = |phase: u32| {
                facts.plan.steps.iter().any(|step| {
                    step.phase == phase && (!step.verifications.is_empty() || matches!(step.work, Work::Rollout(_)))
                })
            };
            let open: Vec<_> = (0_u32..)
                .zip(&facts.plan.phases)
                .filter(|(index, phase)| !gated(phase.exit) && !verified(*index))
                .map(|(_, phase)| phase.name.to_string())
                .collect();
            let text = if open.is_empty() {
                "every phase ends with a gate, a verified step or a judged rollout".to_owned()
            } else {
                format!("nothing is checked in {}", open.join(", "))
            };
            (open.is_empty(), text)
        }),
    },
    Practice {
        row: 239,
        name: "monitoring before and after",
        proven_by: "M180",
        made_so_by: "deploy_agents::monitors: a monitor is probed before it is relied on",
        kept: Some(|facts| {
            let monitors: std::collections::BTreeSet<_> = facts
                .plan
                .steps
                .iter()
                .filter_map(|step| match &step.work {
                    Work::Rollout(work) => Some(&work.monitors),
                    _ => None,
                })
                .flatten()
                .collect();
            (!monitors.is_empty(), format!("{} monitors are bound", monitors.len()))
        }),
    },
    Practice {
        row: 240,
        name: "rollback by itself",
        proven_by: "M96",
        made_so_by: "deploy_core::machine: the way back is planned when the run is admitted",
        kept: Some(|facts| match &facts.plan.rollback {
            RollbackTo::Previous => (true, "to what was there before".to_owned()),
            RollbackTo::Remove => (true, "the new revision is removed".to_owned()),
            RollbackTo::None { .. } if let Some(of) = &facts.plan.rollback_of => {
                (true, format!("it is itself the way back of run {}", of.run))
            }
            RollbackTo::None { reason } => (false, format!("there is no way back: {reason}")),
        }),
    },
    Practice {
        row: 241,
        name: "people are told",
        proven_by: "M123",
        made_so_by: "deploy_agents: notices with receipts, and approvals that name whom they ask",
        kept: None,
    },
    Practice {
        row: 242,
        name: "documentation",
        proven_by: "M157",
        made_so_by: "deploy_agents::dossier: written from the records, never by hand",
        kept: None,
    },
    Practice {
        row: 243,
        name: "continuous improvement",
        proven_by: "M127, M128, M129, M130, M131",
        made_so_by: "the records stay: measured against their limits, searchable, readable by later builds",
        kept: None,
    },
];

#[derive(Serialize)]
struct Line {
    row: String,
    practice: &'static str,
    proven_by: &'static str,
    made_so_by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    how: Option<String>,
}

pub(super) async fn run(word: Option<&str>, shared: &Shared) -> Result<Code, Failure> {
    let mut screen = Screen::new(shared.json);
    let looked_at = match word {
        None => None,
        Some(word) => {
            let file = shared.journal()?;
            let journal = file.read()?;
            let entry = select(&*journal, Some(word)).await?;
            let mut watcher = Watcher::open(&file, journal, &entry.run).await?;
            let mut people = 0;
            while let Some(record) = watcher.next().await? {
                people += usize::from(matches!(record.event, Event::Took(_) | Event::Kept(_)));
            }
            Some((watcher, people))
        }
    };
    let facts = looked_at.as_ref().map(|(watcher, people)| {
        let plan = watcher.machine().plan();
        Facts { plan, people: *people }
    });
    let mut code = Code::Succeeded;
    for Practice { row, name, proven_by, made_so_by, kept } in PRACTICES {
        let kept = facts.as_ref().zip(kept).map(|(facts, kept)| kept(facts));
        let word = match &kept {
            None => String::new(),
            Some((true, how)) => format!("\n      kept: {how}"),
            Some((false, how)) => {
                code = Code::Failed;
                format!("\n      NOT KEPT: {how}")
            }
        };
        let text = format!("M{row} {name}, proven by {proven_by}\n      {made_so_by}{word}");
        let (kept, how) = kept.map_or((None, None), |(kept, how)| (Some(kept), Some(how)));
        screen.say(
            "practice",
            &text,
            &Line { row: format!("M{row}"), practice: name, proven_by, made_so_by, kept, how },
        );
    }
    Ok(code)
}
