//! What pgBackRest says about its backups.

use deploy_core::time::Timestamp;

use super::facts::{Backup, BackupFacts, BackupStore};
use super::json::{Document, LONGEST_NAME, Node, clip};
use super::{Doubt, DoubtKind, Problem, ReadError, Source, Sourced};

/// Reads what `pgbackrest info --output=json` writes.
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn read(source: &Source<'_>) -> Result<BackupFacts, ReadError> {
    let document = Document::parse(source, &[])?;
    let root = document.root();
    let mut facts = BackupFacts { tool: "pgbackrest".to_owned(), ..BackupFacts::default() };
    for stanza in root.items()? {
        let name = clip(stanza.need("name")?.text()?, LONGEST_NAME);
        let status = stanza.need("status")?;
        let code = status.need("code")?.integer()?;
        let message = status.short_of("message")?;
        if code.value != 0 {
            let text = format!("{name:?} is not well: {message} ({})", code.value);
            facts.doubts.push(Doubt::new(DoubtKind::Unfinished, code.at.clone(), text));
        }
        facts.stores.push(BackupStore { name: name.clone(), code: Some(code), message });
        for node in stanza.list("backup")? {
            let backup = backup(&name, &node)?;
            if backup.failed {
                let text = format!("{} has errors in its pages", backup.label);
                facts.doubts.push(Doubt::new(DoubtKind::LeftOut, node.at(), text));
            }
            if let (Some(started), Some(finished)) = (&backup.started, &backup.finished)
                && finished.value < started.value
            {
                let text = format!("{} ended before it began", backup.label);
                facts.doubts.push(Doubt::new(DoubtKind::Times, finished.at.clone(), text));
            }
            facts.backups.push(backup);
        }
    }
    finish(&mut facts, &root);
    Ok(facts)
}

/// Oldest first; without any, nothing is there to restore.
pub(super) fn finish(facts: &mut BackupFacts, root: &Node<'_>) {
    facts.backups.sort_by_key(|backup| backup.started.as_ref().map(|at| at.value));
    if facts.backups.is_empty() {
        facts.doubts.push(Doubt::new(DoubtKind::NothingMeasured, root.at(), "there is no backup"));
    }
}

fn backup(store: &str, node: &Node<'_>) -> Result<Backup, ReadError> {
    let timestamp = node.need("timestamp")?;
    let mut backup = Backup {
        store: store.to_owned(),
        label: clip(node.need("label")?.text()?, LONGEST_NAME),
        kind: node.need("type")?.text()?.to_owned(),
        started: Some(seconds(&timestamp.need("start")?)?),
        finished: Some(seconds(&timestamp.need("stop")?)?),
        failed: node.flag_of("error")?.is_some_and(|error| error.value),
        bytes: node.path(&["info", "size"]).map(|n| n.whole()).transpose()?,
        at: node.at(),
        ..Backup::default()
    };
    if let Some(range) = node.get("lsn") {
        backup.log_range = Some((range.text_or_empty("start")?, range.text_or_empty("stop")?));
    }
    for needed in node.list("reference")? {
        backup.needs.push(needed.text()?.to_owned());
    }
    // Only with `--set` does a backup list its databases.
    for database in node.list("database-ref")? {
        backup.contents.push(database.text_or_empty("name")?);
    }
    Ok(backup)
}

/// Seconds since the Unix epoch.
fn seconds(node: &Node<'_>) -> Result<Sourced<Timestamp>, ReadError> {
    let seconds = node.integer()?;
    let millis = seconds.value.checked_mul(1_000).filter(|millis| *millis >= 0);
    let millis = millis.ok_or_else(|| node.error(Problem::Field, "seconds since 1970 must stand here"))?;
    Ok(Sourced::new(Timestamp(millis), seconds.at))
}
