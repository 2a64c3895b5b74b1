//! Replaces a configuration, checked and with a way back.

mod difference;
mod file;
mod store;
mod validator;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::agent::{Agent, AgentCard, AgentError, Performed, Report, StepContext, Task};
use deploy_core::digest::Digest;
use deploy_core::evidence::{Claim, Collected};
use deploy_core::name::{BlockName, CheckName};
use deploy_core::time::{Clock, Spell, SystemClock};

pub use self::difference::{ConfigDifference, Differs, differences};
pub use self::file::ConfigFile;
pub use self::store::{ConfigError, ConfigStore, ConfigVersion};
pub use self::validator::ConfigValidator;
#[cfg(feature = "json-schema")]
pub use self::validator::SchemaError;
use super::subject;
use crate::checks::infrastructure::ConfigRecord;
use crate::process::{CommandLine, Ended, run};

/// How much of what a dry run wrote is kept of each stream, in bytes: enough for its last line.
const KEPT: usize = 8 * 1024;
/// How long a dry run may take by default.
const DRY_RUN_WITHIN: Duration = Duration::from_secs(60);

/// Replaces a configuration by another: valid or not at all, and with a way back.
///
/// In this order: the new one is the approved one, by digest; every validator finds it valid; one instance takes it in a dry
/// run, where one is named; it is compared with what is there; both versions are kept; it is put in place, if what is there is
/// still what it was compared with. Undoing the step puts back what was there before, if nobody changed it since.
///
/// | what happened | certainty |
/// |---|---|
/// | it is in place, or was already | done |
/// | not the approved one, not valid, the dry run failed, changed by somebody else meanwhile | definitive: nothing was replaced |
/// | the store could not be read or written | transient |
///
/// The evidence is of kinds `config-record`, which the check `configuration` of the [catalogue](crate::checks::Catalogue)
/// reads, and `config-difference`: which places differ, without their values. Without a dry run that check says no.
///
/// Rows: M33.
///
/// ```no_run
/// use std::sync::Arc;
/// use deploy_agents::agents::{ConfigChange, ConfigFile, ConfigValidator};
/// use deploy_agents::process::CommandLine;
/// use deploy_core::name::BlockName;
///
/// #[derive(serde::Deserialize)]
/// struct Settings { port: u16 }
///
/// let change = ConfigChange::new(
///     BlockName::new("settings")?,
///     Arc::new(ConfigFile::new("/etc/orders/settings.json")),
///     br#"{ "port": 8080 }"#.as_slice(),
/// )
/// .validator(ConfigValidator::typed::<Settings>("settings"))
/// .dry_run(CommandLine::new("orders").args(["--check-config", "{config}"]));
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ConfigChange {
    card: AgentCard,
    store: Arc<dyn ConfigStore>,
    wanted: Arc<[u8]>,
    approved: Option<Digest>,
    validators: Vec<ConfigValidator>,
    dry_run: Option<CommandLine>,
    dry_run_within: Duration,
    claims: Option<CheckName>,
    clock: Arc<dyn Clock>,
}

impl ConfigChange {
    /// Puts `wanted` in place in `store`.
    #[must_use]
    pub fn new(name: BlockName, store: Arc<dyn ConfigStore>, wanted: impl Into<Arc<[u8]>>) -> Self {
        let responsibility = format!("replaces {} by a valid configuration, and puts it back", store.name());
        Self {
            card: AgentCard::new(name, responsibility).repeatable(),
            store,
            wanted: wanted.into(),
            approved: None,
            validators: Vec::new(),
            dry_run: None,
            dry_run_within: DRY_RUN_WITHIN,
            claims: None,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// The same, where a configuration of this digest was approved. Default: that of the new configuration.
    #[must_use]
    pub fn approved(mut self, digest: Digest) -> Self {
        self.approved = Some(digest);
        self
    }

    /// The same with one more validator. Every one of them must find it valid.
    #[must_use]
    pub fn validator(mut self, validator: ConfigValidator) -> Self {
        self.validators.push(validator);
        self
    }

    /// The same, where a program must take the new configuration before it is put in place. `{config}` in its arguments and
    /// variables stands for the path of a file that holds it, which only this user can read.
    #[must_use]
    pub fn dry_run(mut self, line: CommandLine) -> Self {
        self.dry_run = Some(line);
        self
    }

    /// The same with another limit for the dry run. Default 60 s.
    #[must_use]
    pub fn dry_run_within(mut self, bound: Duration) -> Self {
        self.dry_run_within = bound;
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

    /// Refuses what must never be put in place.
    fn examine(&self) -> Result<(), AgentError> {
        let digest = Digest::of(&self.wanted);
        if let Some(approved) = self.approved.filter(|approved| *approved != digest) {
            let (found, wanted) = (digest.short(), approved.short());
            return Err(AgentError::definitive(format!(
                "the configuration {found} is not the approved one, {wanted}; nothing was replaced"
            )));
        }
        for validator in &self.validators {
            let faults = validator.faults(&self.wanted);
            if !faults.is_empty() {
                let (count, shown) = (faults.len(), faults.iter().take(5).cloned().collect::<Vec<_>>().join("; "));
                return Err(AgentError::definitive(format!(
                    "{} finds {count} faults, and nothing was replaced: {shown}",
                    validator.name()
                )));
            }
        }
        Ok(())
    }

    /// Lets one instance take the new configuration.
    async fn rehearse(&self, cx: &StepContext) -> Result<(), AgentError> {
        let Some(line) = &self.dry_run else { return Ok(()) };
        let name = line.name();
        let wanted = Arc::clone(&self.wanted);
        let written = tokio::task::spawn_blocking(move || candidate(&wanted)).await;
        let file = written.unwrap_or_else(|panicked| Err(std::io::Error::other(panicked))).map_err(|e| {
            AgentError::transient("the new configuration could not be written for a dry run").because(e)
        })?;
        let path = file.0.join("config").display().to_string();
        let line = line.clone().map(|text| text.replace("{config}", &path));
        let within = self.dry_run_within.min(cx.timeout);
        let ran = run(&line, &[], KEPT, within, &cx.cancellation).await;
        let ran = ran.map_err(|e| AgentError::definitive(format!("{name} could not be started")).because(e))?;
        let why = match ran.ended {
            Ended::With(status) if status.success() => return Ok(()),
            Ended::With(status) => format!("ended with {status}"),
            Ended::TimedOut => format!("did not end within {}", Spell(within)),
            Ended::Cancelled => "was cancelled".to_owned(),
        };
        let last = ran.last_line();
        Err(AgentError::definitive(format!(
            "the dry run by {name} {why}, and nothing was replaced; it said last: {last}"
        )))
    }

    async fn put(&self, task: &Task, cx: &StepContext) -> Result<Report, AgentError> {
        self.examine()?;
        self.rehearse(cx).await?;
        let after = Digest::of(&self.wanted);
        let there = self.store.current().await.map_err(refused)?;
        let found = there.as_deref().map(Digest::of);
        let change = of(cx, false);
        // A repeat finds its own work: what was there before stands in the record of the change.
        let known = self.store.changes().await.map_err(refused)?;
        let mine = known.iter().rfind(|c| c.change == change && c.after == Some(after));
        let (before, old) = match mine.filter(|_| found == Some(after)) {
            Some(mine) => match mine.before {
                Some(digest) => (Some(digest), Some(self.store.version(digest).await.map_err(refused)?)),
                None => (None, None),
            },
            None => (found, there),
        };
        if found != Some(after) {
            let version = ConfigVersion { change, before, after: Some(after), at: self.clock.wall() };
            self.store.replace(&version, Some(&self.wanted)).await.map_err(refused)?;
        }
        self.report(task, before, old.as_deref())
    }

    async fn put_back(&self, cx: &StepContext) -> Result<Report, AgentError> {
        let (done, undone) = (of(cx, false), of(cx, true));
        let known = self.store.changes().await.map_err(refused)?;
        let name = self.store.name();
        let Some(mine) = known.iter().rfind(|c| c.change == done) else {
            return Ok(Report::new().note(format!("this step never changed {name}")));
        };
        let found = self.store.current().await.map_err(refused)?.as_deref().map(Digest::of);
        if found == mine.before {
            return Ok(Report::new().note(format!("{name} is what it was before")));
        }
        let old = match mine.before {
            Some(digest) => Some(self.store.version(digest).await.map_err(refused)?),
            None => None,
        };
        let version = ConfigVersion { change: undone, before: mine.after, after: mine.before, at: self.clock.wall() };
        self.store.replace(&version, old.as_deref()).await.map_err(refused)?;
        Ok(Report::new().note(format!("{name} is again what it was before")))
    }

    fn report(&self, task: &Task, before: Option<Digest>, old: Option<&[u8]>) -> Result<Report, AgentError> {
        let (name, after, now) = (self.store.name(), Digest::of(&self.wanted), self.clock.wall());
        let record = ConfigRecord {
            // Where nothing was there before, the digest is that of nothing.
            before: before.unwrap_or_else(|| Digest::of(b"")),
            approved: self.approved.unwrap_or(after),
            after,
            schema_errors: Vec::new(),
            dry_run_passed: self.dry_run.is_some(),
        };
        let json = |value: serde_json::Value| {
            serde_json::to_vec_pretty(&value)
                .map_err(|e| AgentError::definitive("the record cannot be written as JSON").because(e))
        };
        let mut document = serde_json::to_value(&record)
            .map_err(|e| AgentError::definitive("the record cannot be written as JSON").because(e))?;
        document["format"] = 1.into();
        document["validators"] = self.validators.iter().map(ConfigValidator::name).collect();
        let record = Collected::new("config-record", &name, subject(task), now, json(document)?);
        let parsed = |bytes: Option<&[u8]>| match bytes {
            Some(bytes) => serde_json::from_slice::<serde_json::Value>(bytes).ok(),
            None => Some(serde_json::Value::Null),
        };
        let mut report = Report::new();
        if before == Some(after) {
            report = report.note(format!("{name} is as it is wanted; nothing was changed"));
        } else if let (Some(old), Some(new)) = (parsed(old), parsed(Some(&self.wanted))) {
            let found = differences(&old, &new);
            let shown: Vec<String> = found.iter().take(10).map(ToString::to_string).collect();
            report = report.note(format!("{name}: {} places differ: {}", found.len(), shown.join(", ")));
            let bytes = json(serde_json::json!({ "format": 1, "differences": found }))?;
            report = report.evidence(Collected::new("config-difference", &name, subject(task), now, bytes));
        } else {
            report = report.note(format!("{name} was replaced; it is not JSON, so that places are not compared"));
        }
        if let Some(check) = &self.claims {
            let evidence = vec![record.evidence.digest];
            report = report.claim(Claim { check: check.clone(), evidence, value: String::new() });
        }
        Ok(report.evidence(record.summary("config-record.json")))
    }
}

/// How a change of a step is called in the store: the same for each attempt at it.
fn of(cx: &StepContext, undo: bool) -> String {
    format!("{}/{}/{}", cx.key.run, cx.key.step, if undo { "undo" } else { "do" })
}

fn refused(error: ConfigError) -> AgentError {
    let message = error.to_string();
    match error {
        ConfigError::Store { source, .. } => AgentError::transient(message).because(source),
        ConfigError::Changed { .. } | ConfigError::NoVersion { .. } => AgentError::definitive(message),
    }
}

/// A folder that goes when it is dropped.
struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "a folder with a configuration could not be removed");
        }
    }
}

/// Writes the configuration where only this user can read it.
fn candidate(bytes: &[u8]) -> std::io::Result<Folder> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("deploy-config-{}-{next}", std::process::id()));
    // Fails where something is there already, so that nobody can have put a link there.
    std::fs::DirBuilder::new().mode(0o700).create(&path)?;
    let folder = Folder(path);
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.0.join("config"))?;
    std::io::Write::write_all(&mut file, bytes)?;
    Ok(folder)
}

#[async_trait]
impl Agent for ConfigChange {
    fn card(&self) -> AgentCard {
        self.card.clone()
    }

    async fn perform(&self, task: &Task, cx: &StepContext) -> Result<Performed, AgentError> {
        if cx.cancellation.is_cancelled() {
            return Err(AgentError::definitive("the change of configuration was cancelled before it was begun"));
        }
        let done = if task.undo { self.put_back(cx).await } else { self.put(task, cx).await };
        done.map(Performed::from)
    }
}
