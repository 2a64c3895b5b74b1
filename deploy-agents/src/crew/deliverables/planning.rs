//! What a release plan is computed from.

use std::collections::BTreeMap;

use deploy_core::evidence::Refusal;
use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::checks::people::{Schedule, ScheduledTask};
use crate::crew::issued::Content;
use crate::crew::material::Material;
use crate::gates::Standing;

/// What is to be done, in which order, and how long it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReleasePlan {
    /// When the work begins.
    pub starts: Timestamp,
    /// When it ends, along the longest chain.
    pub ends: Timestamp,
    /// The tasks of the longest chain, in order.
    pub critical_path: Vec<String>,
    /// How many seconds each task may be late without making the end later.
    pub slack_seconds: BTreeMap<String, u64>,
}

impl Content for ReleasePlan {
    const NAME: &'static str = "release-plan";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let read = material.reading().document::<Schedule>()?;
        let schedule = &read.document;
        let order = ordered(&schedule.tasks)
            .map_err(|cycle| Refusal::Unparseable(format!("{}: {cycle} waits for itself", read.at("/tasks"))))?;
        Ok(planned(schedule.starts, &order))
    }
}

/// The tasks, each after all that it waits for.
///
/// # Errors
///
/// The first task that waits for itself, or for one that is not there.
fn ordered(tasks: &[ScheduledTask]) -> Result<Vec<&ScheduledTask>, String> {
    let mut done: Vec<&ScheduledTask> = Vec::new();
    while done.len() < tasks.len() {
        let is_done = |name: &String| done.iter().any(|task| task.name == *name);
        let next = tasks.iter().find(|task| !is_done(&task.name) && task.after.iter().all(is_done));
        match next {
            Some(next) => done.push(next),
            None => {
                let stuck = tasks.iter().find(|task| !is_done(&task.name));
                return Err(stuck.map(|task| task.name.clone()).unwrap_or_default());
            }
        }
    }
    Ok(done)
}

/// The critical path method: the earliest end of each task forwards, the latest backwards, and the difference between them.
fn planned(starts: Timestamp, order: &[&ScheduledTask]) -> ReleasePlan {
    let mut ends: BTreeMap<&str, u64> = BTreeMap::new();
    for task in order {
        let begins = task.after.iter().filter_map(|on| ends.get(on.as_str())).max().copied().unwrap_or(0);
        ends.insert(&task.name, begins.saturating_add(task.seconds));
    }
    let end = ends.values().max().copied().unwrap_or(0);
    let mut latest: BTreeMap<&str, u64> = order.iter().map(|task| (task.name.as_str(), end)).collect();
    for task in order.iter().rev() {
        let begins = latest.get(task.name.as_str()).copied().unwrap_or(end).saturating_sub(task.seconds);
        for on in &task.after {
            let limit = latest.entry(on.as_str()).or_insert(end);
            *limit = (*limit).min(begins);
        }
    }
    let slack = |name: &str| latest.get(name).copied().unwrap_or(end) - ends.get(name).copied().unwrap_or(0);
    let critical = order.iter().filter(|task| slack(&task.name) == 0).map(|task| task.name.clone());
    ReleasePlan {
        starts,
        ends: starts.after(std::time::Duration::from_secs(end)),
        critical_path: critical.collect(),
        slack_seconds: order.iter().map(|task| (task.name.clone(), slack(&task.name))).collect(),
    }
}

/// When work may be done, by the calendar of the schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WindowPlan {
    /// When the work is to begin.
    pub starts: Timestamp,
    /// Whether the calendar is open then.
    pub open: bool,
    /// Until when, if it is open and shuts again; when it opens next, if it is shut and does.
    pub until: Option<Timestamp>,
    /// Why it is shut; empty if it is open.
    pub because: String,
}

impl Content for WindowPlan {
    const NAME: &'static str = "change-window";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let schedule = material.reading().document::<Schedule>()?.document;
        let starts = schedule.starts;
        Ok(match schedule.calendar.at(starts, material.release().kind) {
            Standing::Open { until } => Self { starts, open: true, until, because: String::new() },
            Standing::Shut { because, opens } => Self { starts, open: false, until: opens, because },
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn task(name: String, seconds: u64, after: Vec<String>) -> ScheduledTask {
        ScheduledTask { name, seconds, history: Vec::new(), after }
    }

    /// Rows: M160.
    #[test]
    fn the_longest_chain_is_critical_and_the_rest_has_slack() {
        let tasks = [
            task("build".to_owned(), 10, vec![]),
            task("docs".to_owned(), 4, vec![]),
            task("deploy".to_owned(), 20, vec!["build".to_owned(), "docs".to_owned()]),
        ];
        let plan = planned(Timestamp(0), &ordered(&tasks).expect("no cycle"));
        assert_eq!(plan.ends, Timestamp(30_000));
        assert_eq!(plan.critical_path, ["build", "deploy"]);
        assert_eq!(plan.slack_seconds["docs"], 6);
        let round = [task("a".to_owned(), 1, vec!["b".to_owned()]), task("b".to_owned(), 1, vec!["a".to_owned()])];
        assert_eq!(ordered(&round).expect_err("a cycle"), "a");
    }

    proptest! {
        /// Making a task later by its slack leaves the end where it was; by a second more moves it by that second.
        #[test]
        fn slack_is_what_a_task_may_be_late(
            seconds in proptest::collection::vec(1_u64..500, 1..9),
            edges in proptest::collection::vec(any::<u16>(), 9),
            late in any::<proptest::sample::Index>(),
        ) {
            let name = |i: usize| format!("t{i}");
            let build = |seconds: &[u64]| -> Vec<ScheduledTask> {
                let after = |i: usize| (0..i).filter(|j| edges[i] & (1 << j) != 0).map(name).collect();
                seconds.iter().enumerate().map(|(i, s)| task(name(i), *s, after(i))).collect()
            };
            let end = |seconds: &[u64]| {
                let tasks = build(seconds);
                let plan = planned(Timestamp(0), &ordered(&tasks).expect("no cycle"));
                (plan.ends.0 / 1000, plan.slack_seconds)
            };
            let (before, slack) = end(&seconds);
            let late = late.index(seconds.len());
            let slack = slack[&name(late)];
            let mut slower = seconds.clone();
            slower[late] += slack;
            prop_assert_eq!(end(&slower).0, before);
            slower[late] += 1;
            prop_assert_eq!(end(&slower).0, before + 1);
        }
    }
}
