//! Checks of people: who approved, who was told, who is on call, who may do what, who was taught.

use std::collections::BTreeSet;

use deploy_core::digest::Digest;
use deploy_core::evidence::Refusal;
use deploy_core::release::Release;
use deploy_core::time::{Spell, Timestamp};
use serde::{Deserialize, Serialize};

use super::assessment::{Assessment, Assessor, Figure};
use super::document::{Document, Read};
use super::thresholds::Thresholds;
use crate::gates::{ApprovalPolicy, ApprovalSheet, ChangeCalendar};

/// What people were asked, by which rules, and what they answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRecord {
    /// The fingerprint of the plan that was to be approved.
    pub plan: Digest,
    /// The rules.
    pub policy: ApprovalPolicy,
    /// The answers.
    pub sheet: ApprovalSheet,
}

impl Document for ApprovalRecord {
    const KIND: &'static str = "approvals";
}

/// Enough of the right people approved this plan, none of them its author, and nobody said no.
///
/// Rows: M15, M43, M146.
#[must_use]
pub fn approvals(record: &Read<ApprovalRecord>, release: &Release, now: Timestamp) -> Assessment {
    let mut found = Assessor::new();
    let file = &record.document;
    found.require(!file.policy.rules.is_empty(), || "nobody is asked, so that nobody could say yes".to_owned());
    let tally = file.policy.count(&file.sheet, release, &file.plan, now);
    found.figure(Figure::text("plan", file.plan).at(record.at("/plan")));
    for (index, rule) in tally.rules.iter().enumerate() {
        let limit = format!("at least {}", rule.rule.quorum.max(1));
        let at = record.at(format!("/policy/rules/{index}"));
        found.figure(Figure::count(format!("{} said yes", rule.rule.name), rule.yes.len() as u64).limit(limit).at(at));
        found.require(rule.is_met() && rule.rule.quorum > 0, || {
            format!("{} of {} must say yes, {} did", rule.rule.quorum.max(1), rule.rule.name, rule.yes.len())
        });
    }
    for (who, why) in &tally.rejected {
        found.fail(format!("{who} said no: {why}"));
    }
    for (who, why) in &tally.refused {
        found.note(format!("the answer of {who} does not count: {why}"));
    }
    found.finish()
}

/// Who had to be told, and what came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeRecord {
    /// When the work is to begin.
    pub work_starts: Timestamp,
    /// Who must know.
    pub parties: Vec<NoticeParty>,
}

/// Somebody who must know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeParty {
    /// Who: a person, a role or a list.
    pub name: String,
    /// Whether they must say that they have read it.
    pub must_acknowledge: bool,
    /// The receipt of whatever carried the notice; absent: it never arrived. A notice that was only sent has none.
    #[serde(default)]
    pub receipt: Option<NoticeReceipt>,
    /// When they said that they have read it.
    #[serde(default)]
    pub acknowledged_at: Option<Timestamp>,
}

/// What whatever carried a notice says about its delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeReceipt {
    /// What the carrier calls it.
    pub id: String,
    /// When it arrived.
    pub delivered_at: Timestamp,
    /// Through what it came, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub through: String,
}

impl Document for NoticeRecord {
    const KIND: &'static str = "notices";
}

/// Everybody who must know was reached in time, by receipts of whatever carried the notices, and said so where they must.
///
/// Rows: M99, M146, M197, M211.
#[must_use]
pub fn notified(record: &Read<NoticeRecord>, now: Timestamp, t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    let file = &record.document;
    found.require(!file.parties.is_empty(), || "nobody is to be told".to_owned());
    let mut reached = 0;
    let mut receipts = BTreeSet::new();
    for (index, party) in file.parties.iter().enumerate() {
        let at = record.at(format!("/parties/{index}"));
        let Some(receipt) = &party.receipt else {
            found.fail(format!("nothing arrived at {} ({at})", party.name));
            continue;
        };
        let arrived = receipt.delivered_at;
        if receipt.id.trim().is_empty() {
            found.fail(format!("the receipt of {} has no name ({at})", party.name));
        } else if !receipts.insert(&receipt.id) {
            found.refuse(Refusal::Duplicate(format!("receipt {} stands there twice ({at})", receipt.id)));
        } else if arrived > now {
            found.refuse(Refusal::FutureDated(format!("it arrived at {} at {arrived} ({at})", party.name)));
        } else if arrived.after(t.notice_before) > file.work_starts {
            found.fail(format!("it arrived at {} at {arrived}, too late ({at})", party.name));
        } else if party.must_acknowledge && !party.acknowledged_at.is_some_and(|read| arrived <= read && read <= now) {
            found.fail(format!("{} has not said that they have read it ({at})", party.name));
        } else {
            reached += 1;
        }
    }
    let limit = format!("all {}", file.parties.len());
    found.figure(Figure::count("parties reached", reached).limit(limit).at(record.at("/parties")));
    found.finish()
}

/// Who is on call, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// From when somebody must be there.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// The shifts.
    pub shifts: Vec<Shift>,
}

/// One person's time on call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shift {
    /// Who.
    pub person: String,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// When they answered the test page of this shift; absent: they did not.
    #[serde(default)]
    pub page_acknowledged_at: Option<Timestamp>,
}

impl Document for Roster {
    const KIND: &'static str = "on-call-roster";
}

/// Somebody is on call from the beginning to the end, without a gap, and answered a test page.
///
/// Rows: M25.
#[must_use]
pub fn on_call(roster: &Read<Roster>, now: Timestamp) -> Assessment {
    let mut found = Assessor::new();
    let file = &roster.document;
    found.require(file.from < file.until, || "the time that must be covered is empty".to_owned());
    let mut shifts: Vec<(usize, &Shift)> = file.shifts.iter().enumerate().filter(|(_, s)| s.from < s.until).collect();
    shifts.sort_by_key(|(_, shift)| shift.from);
    let mut covered = file.from;
    for (index, shift) in &shifts {
        if shift.until <= covered || shift.from >= file.until {
            continue;
        }
        if shift.from > covered {
            break;
        }
        covered = shift.until;
        let at = roster.at(format!("/shifts/{index}/page_acknowledged_at"));
        let answered = shift.page_acknowledged_at.is_some_and(|at| at <= now);
        found.require(answered, || format!("{} has not answered the test page ({at})", shift.person));
    }
    let limit = file.until.to_string();
    found.figure(Figure::text("on call without a gap until", covered).limit(limit).at(roster.at("/shifts")));
    found.require(covered >= file.until, || format!("nobody is on call from {covered} on"));
    found.finish()
}

/// Who may deploy, who deploys, and how old their secrets are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessExport {
    /// Who deploys.
    pub deployer: String,
    /// Who may, by the platform's own export.
    pub may_deploy: Vec<String>,
    /// Who approved the change.
    pub approvers: Vec<String>,
    /// What each identity may do.
    pub bindings: Vec<Binding>,
    /// The secrets that the deployment uses.
    pub secrets: Vec<SecretAge>,
}

/// What one identity may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Who.
    pub subject: String,
    /// What: `deployments/patch`, for example. A `*` is everything.
    pub permissions: Vec<String>,
}

/// A secret, by name. Its value is never in a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretAge {
    /// Its name.
    pub name: String,
    /// When it was last changed.
    pub rotated_at: Timestamp,
}

impl Document for AccessExport {
    const KIND: &'static str = "access-export";
}

/// Only who may deploy deploys, nobody approves their own change, nobody may do everything, and secrets are not old.
///
/// Rows: M15, M150.
#[must_use]
pub fn access(export: &Read<AccessExport>, release: &Release, now: Timestamp, t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    let file = &export.document;
    found.require(file.may_deploy.contains(&file.deployer), || {
        format!("{} deploys and may not ({})", file.deployer, export.at("/may_deploy"))
    });
    found.require(!file.approvers.is_empty(), || "nobody approved the change".to_owned());
    for approver in &file.approvers {
        let own = release.change.authors.contains(approver) || *approver == file.deployer;
        found.require(!own, || format!("{approver} approved their own change ({})", export.at("/approvers")));
    }
    found.figure(Figure::text("deployer", &file.deployer).limit("one of those who may").at(export.at("/deployer")));
    let mut everything = 0;
    for (index, binding) in file.bindings.iter().enumerate() {
        if binding.permissions.iter().any(|permission| permission.contains('*')) {
            everything += 1;
            found.fail(format!("{} may do everything ({})", binding.subject, export.at(format!("/bindings/{index}"))));
        }
    }
    found.figure(
        Figure::count("identities that may do everything", everything).limit("none").at(export.at("/bindings")),
    );
    let mut oldest = std::time::Duration::ZERO;
    for (index, secret) in file.secrets.iter().enumerate() {
        let at = export.at(format!("/secrets/{index}/rotated_at"));
        if secret.rotated_at > now {
            found.refuse(Refusal::FutureDated(format!("{} was changed at {} ({at})", secret.name, secret.rotated_at)));
        }
        let age = now.since(secret.rotated_at);
        oldest = oldest.max(age);
        found.require(age <= t.secret_max_age, || format!("secret {} is {} old ({at})", secret.name, Spell(age)));
    }
    let limit = format!("at most {}", Spell(t.secret_max_age));
    found.figure(Figure::text("oldest secret", Spell(oldest)).limit(limit).at(export.at("/secrets")));
    found.finish()
}

/// When the work is to be done, and how long it took before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// When it is to begin.
    pub starts: Timestamp,
    /// The tasks.
    pub tasks: Vec<ScheduledTask>,
    /// When changes may be made.
    pub calendar: ChangeCalendar,
}

/// One task of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledTask {
    /// What it is called.
    pub name: String,
    /// How long it is planned to take, in seconds.
    pub seconds: u64,
    /// How long it took in past runs, in seconds.
    pub history: Vec<u64>,
    /// The tasks that must be done before.
    pub after: Vec<String>,
}

impl Document for Schedule {
    const KIND: &'static str = "schedule";
}

/// Each task has as much time as nine of ten of its past runs took, the order has no circle, and all of it fits into one
/// opening of the calendar.
///
/// Rows: M145.
#[must_use]
pub fn schedule(schedule: &Read<Schedule>, release: &Release, now: Timestamp) -> Assessment {
    let mut found = Assessor::new();
    let file = &schedule.document;
    found.require(!file.tasks.is_empty(), || "there is no task".to_owned());
    for (index, task) in file.tasks.iter().enumerate() {
        let at = schedule.at(format!("/tasks/{index}/seconds"));
        match nine_of_ten(&task.history) {
            None => found.remark(format!("{} was never done before: nobody knows how long it takes", task.name)),
            Some(usual) => {
                let figure = Figure::count(format!("{} planned, in seconds", task.name), task.seconds);
                found.figure(figure.limit(format!("at least {usual}")).at(at.clone()));
                found.require(task.seconds >= usual, || {
                    format!("{} is given {} s; nine of ten runs took up to {usual} s ({at})", task.name, task.seconds)
                });
            }
        }
        for before in &task.after {
            let known = file.tasks.iter().any(|other| other.name == *before);
            found.require(known, || format!("{} comes after {before}, which is no task", task.name));
        }
    }
    let Some(seconds) = longest_path(&file.tasks) else {
        found.fail("the order of the tasks goes in a circle");
        return found.finish();
    };
    found.require(file.starts >= now, || format!("it was to begin at {}, and it is {now}", file.starts));
    let kind = release.kind;
    let ends = file.starts.after(std::time::Duration::from_secs(seconds));
    found.figure(Figure::count("critical path, in seconds", seconds).at(schedule.at("/tasks")));
    match file.calendar.at(file.starts, kind) {
        crate::gates::Standing::Shut { because, opens } => {
            let opens = opens.map_or_else(|| "never".to_owned(), |at| file.calendar.spell(at));
            found.fail(format!("it begins while changes may not be made: {because}; it opens {opens}"));
        }
        crate::gates::Standing::Open { until } => {
            let slack = until.map(|until| until.0.saturating_sub(ends.0) / 1000);
            if let Some(slack) = slack {
                found.require(slack >= 0, || format!("it ends {} s after the calendar shuts", -slack));
                found.figure(
                    Figure::count("slack, in seconds", slack.max(0).unsigned_abs()).at(schedule.at("/calendar")),
                );
            }
        }
    }
    found.finish()
}

/// What nine of ten took at most: the smallest that at least nine tenths do not exceed.
fn nine_of_ten(history: &[u64]) -> Option<u64> {
    let mut sorted = history.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * 9).div_ceil(10);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// How long the longest chain of tasks takes; nothing where the order goes in a circle.
fn longest_path(tasks: &[ScheduledTask]) -> Option<u64> {
    let mut ends: Vec<Option<u64>> = vec![None; tasks.len()];
    for _ in 0..=tasks.len() {
        let mut settled = true;
        for (index, task) in tasks.iter().enumerate() {
            if ends[index].is_some() {
                continue;
            }
            let before = tasks.iter().enumerate().filter(|(_, other)| task.after.contains(&other.name));
            let starts = before.map(|(at, _)| ends[at]).try_fold(0, |latest: u64, end| Some(latest.max(end?)));
            match starts {
                Some(start) => ends[index] = Some(start.saturating_add(task.seconds)),
                None => settled = false,
            }
        }
        if settled {
            return Some(ends.into_iter().flatten().max().unwrap_or(0));
        }
    }
    None
}

/// What people need to know to live with what is new.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingPack {
    /// What is new, each with its material.
    pub features: Vec<TaughtFeature>,
    /// The briefings that were held.
    pub briefings: Vec<Briefing>,
    /// The roles that must have been briefed.
    pub roles: Vec<String>,
}

/// Something new, and what teaches it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaughtFeature {
    /// What.
    pub name: String,
    /// Where the material is; empty: nowhere.
    pub material: String,
    /// Who answers for it; empty: nobody.
    pub owner: String,
    /// How readable it is, as a Flesch score.
    pub readability: f64,
}

/// A briefing that was held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Briefing {
    /// For which role.
    pub role: String,
    /// What says that it was held: a receipt, a recording; empty: nothing.
    pub receipt: String,
    /// When.
    pub at: Timestamp,
}

impl Document for TrainingPack {
    const KIND: &'static str = "training-pack";
}

/// Everything new has readable material and somebody who answers for it, and every role was briefed, by receipts.
///
/// Rows: M158, M211.
#[must_use]
pub fn training(pack: &Read<TrainingPack>, now: Timestamp, t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    let file = &pack.document;
    found.require(!file.roles.is_empty(), || "nobody is to be briefed".to_owned());
    for (index, feature) in file.features.iter().enumerate() {
        let at = pack.at(format!("/features/{index}"));
        found.require(!feature.material.trim().is_empty(), || format!("{} has no material ({at})", feature.name));
        found.require(!feature.owner.trim().is_empty(), || format!("nobody answers for {} ({at})", feature.name));
        let figure = Figure::number(format!("readability of {}", feature.name), feature.readability, "");
        found.figure(
            figure
                .limit(format!("at least {}", t.readability_at_least))
                .at(pack.at(format!("/features/{index}/readability"))),
        );
        found.require(feature.readability >= t.readability_at_least, || {
            format!("the material of {} reads at {} ({at})", feature.name, feature.readability)
        });
    }
    let mut briefed = 0;
    for role in &file.roles {
        let held = file.briefings.iter().any(|b| b.role == *role && !b.receipt.trim().is_empty() && b.at <= now);
        briefed += u64::from(held);
        found.require(held, || format!("nothing says that {role} was briefed"));
    }
    let limit = format!("all {}", file.roles.len());
    found.figure(Figure::count("roles briefed", briefed).limit(limit).at(pack.at("/briefings")));
    found.finish()
}
