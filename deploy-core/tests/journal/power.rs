//! D6: what was acknowledged is there after a power cut. `kill -9` cannot show that, because the system's cache survives a
//! process; here everything that was not synced is lost, or kept, or torn, at every moment there is.

use std::path::Path;
use std::sync::Arc;

use deploy_core::digest::Digest;
use deploy_core::journal::{
    AppendError, Head, Journal, JournalError, SqliteJournal, SqliteOptions, Synchronous, VerifyError, verify_run,
};

use rusqlite::{Connection, OpenFlags};

use crate::disk::{Disk, Fate};
use crate::sample::{append, claimed, owner, quick, run};

/// After this moment of the disk, this was acknowledged.
#[derive(Debug, Clone, Copy)]
struct Acknowledged {
    moment: usize,
    head: Head,
}

fn open(vfs: &str, synchronous: Synchronous) -> SqliteJournal {
    SqliteOptions::new("journal.db").vfs(vfs).synchronous(synchronous).readers(1).open().expect("a journal")
}

/// Writes a run over two openings of the journal, so that the log is copied back and deleted in between.
async fn write(disk: &Disk, vfs: &str, synchronous: Synchronous) -> Vec<Acknowledged> {
    let mut acknowledged = Vec::new();
    let long = "x".repeat(5_000);
    let mut journal = open(vfs, synchronous);
    let mut claim = claimed(&journal, "a").await;
    for position in 1..20 {
        let head =
            journal.append(append(&claim, position, &["short", &long][..usize::from(position % 3 == 0) + 1])).await;
        let head = match head {
            Ok(head) => head,
            Err(AppendError::Conflict { found, .. }) => {
                journal.append(append(&claim, found, &["short"])).await.expect("an append")
            }
            Err(error) => panic!("{error}"),
        };
        acknowledged.push(Acknowledged { moment: disk.moment(), head });
        if position == 10 {
            drop(journal);
            journal = open(vfs, synchronous);
            claim = journal.claim(&run("a"), &owner("host"), crate::sample::LEASE).await.expect("a claim");
        }
    }
    acknowledged
}

/// What a journal knows after a power cut.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    /// All that was acknowledged.
    All,
    /// A whole chain that lacks acknowledged records.
    Less,
    /// A file that is damaged.
    Damage,
}

async fn left_after(folder: &Path, acknowledged: Option<Head>) -> Left {
    let journal = match quick(&folder.join("journal.db")).open() {
        Ok(journal) => journal,
        Err(JournalError::Damaged { .. } | JournalError::NotAJournal(_)) => return Left::Damage,
        Err(error) => panic!("after a cut the journal must open or be damaged: {error}"),
    };
    if journal.check().await.is_err() {
        return Left::Damage;
    }
    match verify_run(&journal, &run("a"), acknowledged).await {
        Ok(_) => Left::All,
        Err(VerifyError::Journal(JournalError::NoSuchRun(_))) if acknowledged.is_none() => Left::All,
        Err(_) if verify_run(&journal, &run("a"), None).await.is_ok() => Left::Less,
        Err(VerifyError::Journal(JournalError::NoSuchRun(_))) => Left::Less,
        Err(_) => Left::Damage,
    }
}

/// Cuts the power at every moment, and counts what is left.
async fn cut_everywhere(disk: &Disk, acknowledged: &[Acknowledged], mut fate: impl FnMut() -> Fate) -> [usize; 3] {
    let mut counts = [0; 3];
    for moment in 0..=disk.moment() {
        let folder = tempfile::tempdir().expect("a folder");
        disk.cut_at(moment, folder.path(), &mut fate);
        let known = acknowledged.iter().rev().find(|known| known.moment <= moment).map(|known| known.head);
        match left_after(folder.path(), known).await {
            Left::All => counts[0] += 1,
            Left::Less => counts[1] += 1,
            Left::Damage => counts[2] += 1,
        }
    }
    counts
}

/// A small generator, so that each run of a test tears the same writes.
fn fates(mut seed: u64) -> impl FnMut() -> Fate {
    move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        match seed >> 61 {
            0..=2 => Fate::Lost,
            3..=5 => Fate::Kept,
            _ => Fate::Torn { sectors: usize::try_from(seed >> 40 & 7).unwrap_or_default() },
        }
    }
}

/// D6 at the default setting.
#[tokio::test]
async fn at_full_every_acknowledged_append_survives_a_cut_at_every_moment() {
    let disk = Disk::register("cut-full");
    let acknowledged = write(&disk, "cut-full", Synchronous::Full).await;
    let moments = disk.moment() + 1;
    assert!(moments > 150, "there are writes and syncs to cut between: {moments}");
    assert_eq!(disk.deletions("journal.db-wal"), 2, "among them the ends of logs that were copied back");
    assert_eq!(cut_everywhere(&disk, &acknowledged, || Fate::Lost).await, [moments, 0, 0], "all unsynced is lost");
    assert_eq!(cut_everywhere(&disk, &acknowledged, || Fate::Kept).await, [moments, 0, 0], "all unsynced is kept");
    for seed in 1..=2 {
        let counts = cut_everywhere(&disk, &acknowledged, fates(seed)).await;
        assert_eq!(counts, [moments, 0, 0], "some is lost, kept or torn, seed {seed}");
    }
}

/// The same test shows what the weaker settings cost: acknowledged records, and at last the file.
#[tokio::test]
async fn at_normal_a_cut_takes_acknowledged_appends_and_leaves_a_whole_journal() {
    let disk = Disk::register("cut-normal");
    let acknowledged = write(&disk, "cut-normal", Synchronous::Normal).await;
    let [_, less, damage] = cut_everywhere(&disk, &acknowledged, || Fate::Lost).await;
    assert!(less > 0, "some cut takes an acknowledged append");
    assert_eq!(damage, 0, "the journal stays whole");
}

#[tokio::test]
async fn at_off_a_cut_takes_acknowledged_appends() {
    let disk = Disk::register("cut-off");
    let acknowledged = write(&disk, "cut-off", Synchronous::Off).await;
    let [_, less, damage] = cut_everywhere(&disk, &acknowledged, || Fate::Lost).await;
    assert!(less + damage > 0, "some cut takes an acknowledged append");
    let [_, _, damage] = cut_everywhere(&disk, &acknowledged, fates(3)).await;
    assert!(damage > 0, "some cut damages the file");
}

/// A commit whose sync fails may be found after a crash or not: the outcome is unknown until the head is read again.
#[tokio::test]
async fn an_append_whose_sync_fails_has_an_unknown_outcome() {
    let disk = Disk::register("failing-sync");
    let journal = Arc::new(open("failing-sync", Synchronous::Full));
    let claim = claimed(&*journal, "a").await;
    let head = journal.append(append(&claim, 1, &["two"])).await.expect("an append");
    disk.fail_syncs(true);
    match journal.append(append(&claim, 2, &["three"])).await {
        Err(AppendError::Unknown { run: of, source: Some(_) }) => assert_eq!(of, run("a")),
        found => panic!("nobody knows whether it was written: {found:?}"),
    }
    let found = journal.put_blob(vec![1]).await;
    assert!(matches!(found, Err(JournalError::Unavailable { .. })), "{found:?}");
    disk.fail_syncs(false);
    let now = journal.head(&run("a")).await.expect("a head");
    assert!(now == head || now.next == head.next + 1, "it was written or not: {now:?}");
    let after = journal.append(append(&claim, now.next, &["again"])).await.expect("the journal goes on");
    assert_ne!(after.hash, Digest::ZERO);
    verify_run(&*journal, &run("a"), Some(after)).await.expect("a whole chain");
}

/// Group commit: what waits while the writer is busy shares one transaction and one sync, and each gets its own answer.
#[tokio::test]
async fn appends_that_wait_share_one_sync() {
    let disk = Disk::register("shared-sync");
    let journal = open("shared-sync", Synchronous::Full);
    let mut claims = Vec::new();
    for run in 0..100 {
        claims.push(claimed(&journal, &format!("run-{run}")).await);
    }
    let before = disk.syncs("journal.db-wal");
    let one_by_one = journal.append(append(&claims[0], 1, &["alone"])).await.expect("an append");
    assert_eq!((one_by_one.next, disk.syncs("journal.db-wal") - before), (2, 1), "one append is one sync");

    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let other = Connection::open_with_flags_and_vfs("journal.db", flags, "shared-sync").expect("the same database");
    other.execute_batch("BEGIN IMMEDIATE").expect("the write lock");
    let before = disk.syncs("journal.db-wal");
    let mut appends: Vec<_> = claims.iter().map(|claim| journal.append(append(claim, 1, &["together"]))).collect();
    for append in &mut appends {
        assert!(futures::poll!(append.as_mut()).is_pending());
    }
    other.execute_batch("COMMIT").expect("the end");
    let answers = futures::future::join_all(appends).await;
    assert!(matches!(answers[0], Err(AppendError::Conflict { found: 2, .. })), "{:?}", answers[0]);
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 99);
    // The writer may have begun with the first few before the rest had come.
    let syncs = disk.syncs("journal.db-wal") - before;
    assert!((1..=3).contains(&syncs), "99 appends took {syncs} syncs");
}
