//! What restic says about its snapshots, and what its exit codes mean.

use super::facts::{Backup, BackupCheck, BackupFacts};
use super::json::{Document, Node, Tree};
use super::{ReadError, Source};

/// Reads what `restic snapshots --json` writes.
///
/// A snapshot says when its backup began. That it is there says nothing about whether it can be read back: run
/// `restic check` and hand its exit code to [`check`].
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn read(source: &Source<'_>) -> Result<BackupFacts, ReadError> {
    let document = Document::parse(source, &["excludes"])?;
    let root = document.root();
    let mut facts = BackupFacts { tool: "restic".to_owned(), ..BackupFacts::default() };
    // No snapshots are `[]` or, in some versions, `null`.
    let snapshots = if *root.tree == Tree::Null { Vec::new() } else { root.items()? };
    for node in snapshots {
        facts.backups.push(snapshot(&node)?);
    }
    super::pgbackrest::finish(&mut facts, &root);
    Ok(facts)
}

fn snapshot(node: &Node<'_>) -> Result<Backup, ReadError> {
    let mut backup = Backup {
        store: node.short_of("hostname")?,
        label: node.need("id")?.text()?.to_owned(),
        kind: "snapshot".to_owned(),
        started: Some(node.need("time")?.time()?),
        at: node.at(),
        ..Backup::default()
    };
    if let Some(summary) = node.get("summary") {
        backup.finished = summary.time_of("backup_end")?;
        backup.bytes = summary.whole_of("total_bytes_processed")?;
    }
    for path in node.list("paths")? {
        backup.contents.push(path.text()?.to_owned());
    }
    Ok(backup)
}

/// What an exit code of `restic check` means. A code that is not known is a failure.
///
/// ```
/// use deploy_agents::evidence::restic;
///
/// assert!(restic::check(0).sound);
/// assert_eq!(restic::check(10).meaning, "there is no repository");
/// assert!(!restic::check(77).sound);
/// ```
#[must_use]
pub fn check(exit_code: i32) -> BackupCheck {
    let meaning = match exit_code {
        0 => "the repository is sound",
        1 => "it failed, or the repository has errors",
        2 => "the program itself broke down",
        3 => "something could not be read",
        10 => "there is no repository",
        11 => "the repository is locked",
        12 => "the password is wrong",
        130 => "it was interrupted",
        _ => "this exit code is not known",
    };
    BackupCheck { sound: exit_code == 0, exit_code, meaning: meaning.to_owned() }
}
