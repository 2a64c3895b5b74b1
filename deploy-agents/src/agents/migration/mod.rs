//! Brings a database up to date, step by step.

mod database;
mod psql;
mod step;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::agent::{Agent, AgentCard, AgentError, Performed, Report, StepContext, Task};
use deploy_core::evidence::{Claim, Collected, Finding};
use deploy_core::name::{BlockName, CheckName};
use deploy_core::time::{Clock, SystemClock, millis};
use serde::{Deserialize, Serialize};

pub use self::database::{AppliedMigration, Database, DatabaseError, MigrationScript, MigrationWork};
pub use self::psql::Psql;
pub use self::step::{MigrationKind, MigrationStep};
use super::subject;
use crate::checks::Document;

/// How long a step may wait for a lock by default: users who wait behind it for longer would notice.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the script of one step may take by default.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(60);

/// Brings a database up to date, step by step, each in a transaction of its own that never waits long for a lock.
///
/// A table in the database says which steps were applied, with the digest of each script, and by which run: a step that was
/// applied stays, and one whose script was changed since is refused before anything is done. The entry is made in the
/// transaction of the step, so that a repeat after a crash finds out by itself what is done.
///
/// *Undoing* takes back the steps that this step of the run applied, newest first, in one transaction. A step
/// without a way back stays, and says so; a way back that would lose rows is refused, whoever asks: carrying it out anyway is for
/// a person, outside of a run.
///
/// | what happened | certainty |
/// |---|---|
/// | all steps are applied | done |
/// | a changed script, a gap, a script that the database refuses, rows that would be lost | definitive; steps that were applied before it stay |
/// | a lock that was not had in time, nobody answers | transient |
/// | the connection broke | unknown; a repeat reads the table |
///
/// The evidence is a [`MigrationRecord`].
///
/// Rows: M32.
///
/// ```
/// use std::sync::Arc;
/// use deploy_agents::agents::{Migration, MigrationStep, Psql};
/// use deploy_agents::process::CommandLine;
/// use deploy_core::name::BlockName;
///
/// let database = Psql::new("orders", CommandLine::new("psql").env("PGDATABASE", "orders"));
/// let migrate = Migration::new(BlockName::new("migrate")?, Arc::new(database)).step(
///     MigrationStep::expand("0007-email", "alter table customer add column email text")
///         .down_unless("alter table customer drop column email", "select count(*) from customer where email is not null"),
/// );
/// let rehearse = migrate.clone().rehearsal(BlockName::new("rehearse-migration")?);
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Migration {
    card: AgentCard,
    database: Arc<dyn Database>,
    steps: Vec<MigrationStep>,
    lock_timeout: Duration,
    script_timeout: Duration,
    rehearse: bool,
    claims: Option<CheckName>,
    clock: Arc<dyn Clock>,
}

/// What a migration did, as evidence records it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationRecord {
    /// The database.
    pub database: String,
    /// Whether everything was rolled back in the end.
    pub rehearsal: bool,
    /// How long each step may have waited for a lock, in milliseconds.
    pub lock_timeout_ms: u64,
    /// The steps, in order.
    pub steps: Vec<MigrationStanding>,
}

/// How one step of a migration stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationStanding {
    /// Which.
    pub name: String,
    /// Whether the version before still works after it.
    pub kind: MigrationKind,
    /// The digest of its script.
    pub checksum: String,
    /// Whether it can be taken back.
    pub reversible: bool,
    /// Whether it was there before.
    pub was_applied: bool,
    /// Whether the table of migrations has it, as read afterwards.
    pub is_applied: bool,
}

impl Document for MigrationRecord {
    const KIND: &'static str = "migration";
}

impl Migration {
    /// A migration of no steps.
    #[must_use]
    pub fn new(name: BlockName, database: Arc<dyn Database>) -> Self {
        let responsibility = format!("brings the database {} up to date", database.name());
        Self {
            card: AgentCard::new(name, responsibility).repeatable(),
            database,
            steps: Vec::new(),
            lock_timeout: LOCK_TIMEOUT,
            script_timeout: SCRIPT_TIMEOUT,
            rehearse: false,
            claims: None,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// The same with one more step, after those that it has.
    #[must_use]
    pub fn step(mut self, step: MigrationStep) -> Self {
        self.steps.push(step);
        self
    }

    /// The same with another limit for waiting for a lock. Default 2 s.
    #[must_use]
    pub fn lock_timeout(mut self, bound: Duration) -> Self {
        self.lock_timeout = bound;
        self
    }

    /// The same with another limit for the script of one step. Default 60 s.
    #[must_use]
    pub fn script_timeout(mut self, bound: Duration) -> Self {
        self.script_timeout = bound;
        self
    }

    /// The same as an agent that only tries it: all steps that are not applied yet, in one transaction that is rolled back.
    #[must_use]
    pub fn rehearsal(mut self, name: BlockName) -> Self {
        let responsibility = format!("tries whether the database {} can be brought up to date", self.database.name());
        self.card = AgentCard::new(name, responsibility).repeatable();
        self.rehearse = true;
        self
    }

    /// The same, claiming this check with the record as evidence.
    #[must_use]
    pub fn claims(mut self, check: CheckName) -> Self {
        self.claims = Some(check);
        self
    }

    /// The same with another clock, which dates the evidence.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The steps that are not applied yet. Refuses a changed script, and a gap.
    fn pending(&self, applied: &[AppliedMigration]) -> Result<Vec<&MigrationStep>, AgentError> {
        let mut pending: Vec<&MigrationStep> = Vec::new();
        for step in &self.steps {
            match applied.iter().find(|entry| entry.name == step.name()) {
                Some(entry) if entry.checksum != step.checksum() => {
                    return Err(AgentError::definitive(format!(
                        "the script of {} was changed since it was applied, by {}; make a new step of the change",
                        step.name(),
                        entry.change
                    )));
                }
                Some(_) => {
                    if let Some(first) = pending.first() {
                        return Err(AgentError::definitive(format!(
                            "{} is applied and {}, which comes before it, is not; put new steps at the end",
                            step.name(),
                            first.name()
                        )));
                    }
                }
                None => pending.push(step),
            }
        }
        Ok(pending)
    }

    fn work(&self, scripts: Vec<MigrationScript>) -> MigrationWork {
        MigrationWork {
            scripts,
            lock_timeout: self.lock_timeout,
            script_timeout: self.script_timeout,
            rehearse: self.rehearse,
        }
    }

    async fn put(&self, task: &Task, cx: &StepContext) -> Result<Report, AgentError> {
        let before = self.database.applied().await.map_err(failed)?;
        let pending = self.pending(&before)?;
        let script = |step: &MigrationStep| MigrationScript {
            sql: step.up().to_owned(),
            loses: None,
            entry: AppliedMigration { name: step.name().to_owned(), checksum: step.checksum(), change: change(cx) },
            reverts: false,
        };
        if self.rehearse {
            if !pending.is_empty() {
                let work = self.work(pending.iter().map(|step| script(step)).collect());
                self.database.transact(&work).await.map_err(failed)?;
            }
        } else {
            for step in &pending {
                if cx.cancellation.is_cancelled() {
                    let text = format!("cancelled before {}; steps before it stay applied", step.name());
                    return Err(AgentError::definitive(text));
                }
                self.database.transact(&self.work(vec![script(step)])).await.map_err(failed)?;
            }
        }
        self.report(task, &before).await
    }

    async fn take_back(&self, cx: &StepContext) -> Result<Report, AgentError> {
        let (applied, mine) = (self.database.applied().await.map_err(failed)?, change(cx));
        let (mut report, mut scripts) = (Report::new(), Vec::new());
        for entry in applied.iter().rev().filter(|entry| entry.change == mine) {
            let step = self.steps.iter().find(|step| step.name() == entry.name);
            let Some(reversal) = step.and_then(MigrationStep::reversal) else {
                let text = format!("{} has no way back, and stays with what comes before it", entry.name);
                report = report.finding(Finding::warning(text));
                // What it stands on must not be taken from under it.
                break;
            };
            scripts.push(MigrationScript {
                sql: reversal.sql.clone(),
                loses: reversal.loses.clone(),
                entry: entry.clone(),
                reverts: true,
            });
        }
        let names: Vec<String> = scripts.iter().map(|script| script.entry.name.clone()).collect();
        if !scripts.is_empty() {
            self.database.transact(&self.work(scripts)).await.map_err(failed)?;
        }
        let taken = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        Ok(report.note(format!("taken back in {}: {taken}", self.database.name())))
    }

    async fn report(&self, task: &Task, before: &[AppliedMigration]) -> Result<Report, AgentError> {
        let name = self.database.name();
        // Read back, not remembered.
        let after = self.database.applied().await.map_err(failed)?;
        let has = |entries: &[AppliedMigration], step: &MigrationStep| {
            entries.iter().any(|entry| entry.name == step.name() && entry.checksum == step.checksum())
        };
        let steps: Vec<MigrationStanding> = self
            .steps
            .iter()
            .map(|step| MigrationStanding {
                name: step.name().to_owned(),
                kind: step.kind(),
                checksum: step.checksum(),
                reversible: step.is_reversible(),
                was_applied: has(before, step),
                is_applied: has(&after, step),
            })
            .collect();
        if let Some(open) = steps.iter().find(|step| step.is_applied == (self.rehearse && !step.was_applied)) {
            return Err(AgentError::unknown(format!(
                "the table of migrations of {name} does not say of {} what was done",
                open.name
            )));
        }
        let new = steps.iter().filter(|step| !step.was_applied).count();
        let done = if self.rehearse { "would be applied" } else { "were applied" };
        let mut report = Report::new().note(format!("{name}: {new} of {} steps {done}", steps.len()));
        for unknown in after.iter().filter(|entry| !self.steps.iter().any(|step| step.name() == entry.name)) {
            let text = format!("{name} holds {}, which this release does not know", unknown.name);
            report = report.finding(Finding::warning(text));
        }
        let lock_timeout_ms = millis(self.lock_timeout);
        let record = MigrationRecord { database: name.clone(), rehearsal: self.rehearse, lock_timeout_ms, steps };
        let written = |e: serde_json::Error| AgentError::definitive("the record cannot be written as JSON").because(e);
        let mut document = serde_json::to_value(&record).map_err(written)?;
        document["format"] = 1.into();
        let bytes = serde_json::to_vec_pretty(&document).map_err(written)?;
        let record = Collected::new(MigrationRecord::KIND, name, subject(task), self.clock.wall(), bytes);
        if let Some(check) = &self.claims {
            let evidence = vec![record.evidence.digest];
            report = report.claim(Claim { check: check.clone(), evidence, value: String::new() });
        }
        Ok(report.evidence(record.summary("migration.json")))
    }
}

/// How the table of migrations calls a step of a run: the same for each attempt at it, and for its undo.
fn change(cx: &StepContext) -> String {
    format!("{}/{}", cx.key.run, cx.key.step)
}

fn failed(error: DatabaseError) -> AgentError {
    let message = error.to_string();
    match error {
        DatabaseError::Unreachable { .. } | DatabaseError::Locked { .. } => AgentError::transient(message),
        DatabaseError::WouldLose { .. } | DatabaseError::Refused { .. } => AgentError::definitive(message),
        DatabaseError::Broken { .. } => AgentError::unknown(message),
    }
}

#[async_trait]
impl Agent for Migration {
    fn card(&self) -> AgentCard {
        self.card.clone()
    }

    async fn perform(&self, task: &Task, cx: &StepContext) -> Result<Performed, AgentError> {
        if cx.cancellation.is_cancelled() {
            return Err(AgentError::definitive("the migration was cancelled before it was begun"));
        }
        let done = match (task.undo, self.rehearse) {
            (true, true) => Ok(Report::new().note("a rehearsal leaves nothing to undo")),
            (true, false) => self.take_back(cx).await,
            (false, _) => self.put(task, cx).await,
        };
        done.map(Performed::from)
    }
}
