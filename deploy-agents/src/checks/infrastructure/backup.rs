//! Backups, and what came of restoring one.

use deploy_core::evidence::Refusal;
use deploy_core::time::{Spell, Timestamp};
use serde::{Deserialize, Serialize};

use crate::checks::assessment::{Assessment, Assessor, Figure};
use crate::checks::document::{Document, Read};
use crate::checks::thresholds::Thresholds;
use crate::evidence::facts::BackupFacts;

/// What a restore gave back, and when writes last stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreRecord {
    /// Which backup, by the name that the backup program gives it.
    pub label: String,
    /// When it was restored.
    pub at: Timestamp,
    /// What was compared after it: `rows`, `checksums`, for example.
    pub compared: String,
    /// Whether it was what was wanted.
    pub matches: bool,
    /// When writes were last frozen, or the schema last changed: the backup must be later. Absent: never.
    #[serde(default)]
    pub last_freeze: Option<Timestamp>,
}

impl Document for RestoreRecord {
    const KIND: &'static str = "restore-record";
}

/// There is a sound backup that is new enough, made after writes were last frozen, and one of this store was restored and
/// compared lately.
///
/// Rows: M19, M144, M198.
#[must_use]
pub fn backup(facts: &BackupFacts, restores: &[Read<RestoreRecord>], now: Timestamp, t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    found.doubts(&facts.doubts);
    for store in &facts.stores {
        if let Some(code) = store.code.as_ref().filter(|code| code.value != 0) {
            found.fail(format!("{} says {}: {} ({})", store.name, code.value, store.message, code.at));
        }
    }
    if let Some(check) = facts.check.as_ref().filter(|check| !check.sound) {
        found.fail(format!("the repository is not sound: {} (exit code {})", check.meaning, check.exit_code));
    }
    let freeze = restores.iter().filter_map(|r| r.document.last_freeze).max();
    match facts.newest_good() {
        None => found.fail("there is no backup that ended well"),
        Some(newest) => {
            let (made, at) = match newest.started.as_ref().or(newest.finished.as_ref()) {
                Some(time) => (Some(time.value), time.at.clone()),
                None => (None, newest.at.clone()),
            };
            let Some(made) = made else {
                found.refuse(Refusal::Unparseable(format!("{} does not say when it was made ({at})", newest.label)));
                return found.finish();
            };
            let limit = format!("at most {} old", Spell(t.backup_max_age));
            found.figure(Figure::text(format!("newest backup {}", newest.label), made).limit(limit).at(at.clone()));
            if made > now.after(std::time::Duration::from_secs(60)) {
                found.refuse(Refusal::FutureDated(format!("{} was made at {made}, and it is {now}", newest.label)));
            }
            let age = now.since(made);
            found.require(age <= t.backup_max_age, || format!("the newest backup is {} old ({at})", Spell(age)));
            if let Some(freeze) = freeze {
                found.require(made >= freeze, || {
                    format!("the newest backup is of {made}, before writes were frozen at {freeze}")
                });
            }
        }
    }
    let known = |label: &str| facts.backups.iter().any(|backup| backup.label == label);
    let good = restores.iter().filter(|r| r.document.matches && r.document.at <= now && known(&r.document.label));
    match good.max_by_key(|r| r.document.at) {
        None => found.fail("no backup of this store was ever restored and compared"),
        Some(last) => {
            let age = now.since(last.document.at);
            let limit = format!("at most {} ago", Spell(t.restore_max_age));
            found.figure(
                Figure::text(format!("{} restored", last.document.label), last.document.at)
                    .limit(limit)
                    .at(last.at("/at")),
            );
            found.require(age <= t.restore_max_age, || {
                format!("the last restore was {} ago ({})", Spell(age), last.at("/at"))
            });
        }
    }
    found.finish()
}
