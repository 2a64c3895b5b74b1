//! What can be wrong with a file or a disk has a name each, and nothing that was acknowledged is lost by it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use deploy_core::digest::Digest;
use deploy_core::journal::{
    Append, AppendError, CreateError, Journal, JournalError, LockAnswer, NewRun, QueuePolicy, SqliteJournal,
    SqliteOptions, SubmitError, Which, verify_run,
};
use deploy_core::testing::ManualClock;
use deploy_core::time::Clock as _;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use crate::sample::{LEASE, append, claimed, new_run, open, owner, quick, run};

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.db");
    (folder, path)
}

/// A closed journal with one run of some records, large enough to have many pages.
async fn filled(path: &Path, records: u64) {
    let journal = open(path).expect("a journal");
    let claim = claimed(&*journal, "a").await;
    let long = "x".repeat(2_000);
    for position in 1..records {
        journal.append(append(&claim, position, &[&long])).await.expect("an append");
    }
}

async fn head(journal: &SqliteJournal, name: &str) -> u64 {
    journal.head(&run(name)).await.expect("a head").next
}

#[tokio::test]
async fn a_newer_format_is_left_alone() {
    let (_folder, path) = folder();
    filled(&path, 2).await;
    Connection::open(&path).and_then(|sql| sql.pragma_update(None, "user_version", 99)).expect("a newer build");
    let before = fs::read(&path).expect("a file");
    match open(&path) {
        Err(JournalError::FutureFormat { found: 99, known: 2 }) => {}
        found => panic!("a newer format should be refused: {found:?}"),
    }
    assert_eq!(fs::read(&path).expect("a file"), before, "nothing was written to it");
}

/// A file of format 1 is read and written on: what waits in it waits behind a run of priority, and nothing is written anew.
#[tokio::test]
async fn a_file_of_the_first_format_goes_on() {
    let (_folder, path) = folder();
    filled(&path, 2).await;
    let sql = Connection::open(&path).expect("a database");
    sql.execute_batch("DROP INDEX runs_priority; DELETE FROM migrations WHERE number = 2; PRAGMA user_version = 1;")
        .expect("as the first format left it");
    drop(sql);
    let there = SqliteOptions::new(&path).read_only().open().expect("it can be read as it is");
    assert_eq!(head(&there, "a").await, 2);
    drop(there);

    let journal = open(&path).expect("it is brought to the newest format");
    assert_eq!(head(&journal, "a").await, 2);
    let urgent = NewRun { run: run("urgent"), queue: QueuePolicy::Priority, ..new_run("urgent") };
    journal.create(urgent).await.expect("a new run");
    let old = journal.claim(&run("a"), &owner("host"), LEASE).await.expect("a free run");
    let answer = journal.lock(&old).await.expect("an answer");
    assert!(matches!(&answer, LockAnswer::Waiting { behind, .. } if *behind == run("urgent")), "{answer:?}");
}

#[test]
fn what_is_no_journal_is_left_alone() {
    let (folder, text) = folder();
    fs::write(&text, "this is a text of somebody else's, long enough to look like something ".repeat(20))
        .expect("a file");
    let other = folder.path().join("other.db");
    Connection::open(&other).and_then(|sql| sql.execute_batch("CREATE TABLE theirs (x)")).expect("another database");
    let marked = folder.path().join("marked.db");
    Connection::open(&marked).and_then(|sql| sql.pragma_update(None, "application_id", 7)).expect("another database");
    for path in [text, other, marked] {
        let before = fs::read(&path).expect("a file");
        let found = open(&path);
        assert!(matches!(found, Err(JournalError::NotAJournal(_))), "{}: {found:?}", path.display());
        assert_eq!(fs::read(&path).expect("a file"), before, "nothing was written to it");
    }
}

#[tokio::test]
async fn a_layout_of_another_build_is_refused() {
    let (_folder, path) = folder();
    filled(&path, 2).await;
    let sql = Connection::open(&path).expect("a database");
    sql.execute("UPDATE migrations SET checksum = 'sha256:of another layout'", []).expect("another build's number");
    let found = open(&path);
    assert!(matches!(found, Err(JournalError::NotAJournal(_))), "{found:?}");
}

#[tokio::test]
async fn a_truncated_file_is_damaged() {
    let (_folder, path) = folder();
    filled(&path, 40).await;
    let whole = fs::read(&path).expect("a file");
    for left in [whole.len() / 2, whole.len() - 4096, 4096, 5000] {
        fs::write(&path, &whole[..left]).expect("a file");
        let found = match open(&path) {
            Ok(journal) => journal.check().await.err(),
            Err(error) => Some(error),
        };
        assert!(matches!(found, Some(JournalError::Damaged { .. })), "{left} of {} bytes: {found:?}", whole.len());
    }
    fs::write(&path, &whole).expect("a file");
    assert_eq!(head(&open(&path).expect("the whole file again"), "a").await, 40);
}

#[tokio::test]
async fn a_damaged_page_is_found_and_the_rest_can_be_read() {
    let (_folder, path) = folder();
    filled(&path, 40).await;
    let journal = open(&path).expect("a journal");
    journal.create(new_run("b")).await.expect("another run");
    drop(journal);
    let mut bytes = fs::read(&path).expect("a file");
    let victim = (bytes.len() / 2..bytes.len()).find(|at| bytes[*at..].starts_with(b"xxxxxxxx")).expect("a record");
    let page = victim / 4096 * 4096;
    bytes[page..page + 4096].fill(0xa5);
    fs::write(&path, bytes).expect("a file");

    let journal = open(&path).expect("the first pages are whole");
    let found = verify_run(&*journal, &run("a"), None).await;
    assert!(found.is_err(), "{found:?}");
    let found = journal.check().await;
    assert!(matches!(found, Err(JournalError::Damaged { .. })), "{found:?}");
    assert_eq!(head(&journal, "b").await, 1, "what is whole can be read");
}

#[tokio::test]
async fn a_journal_for_inspection_reads_and_writes_nothing() {
    let (folder, path) = folder();
    let journal = open(&path).expect("a journal");
    let claim = claimed(&*journal, "a").await;
    let inspected = quick(&path).read_only().open().expect("a journal for inspection");
    journal.append(append(&claim, 1, &["two"])).await.expect("an append");
    assert_eq!(head(&inspected, "a").await, 2, "it sees what others write");
    assert_eq!(inspected.list(Which::All, None, 9).await.expect("a list").len(), 1);

    let refused = |error: &JournalError| matches!(error, JournalError::ReadOnly(_));
    let found = inspected.append(append(&claim, 2, &["three"])).await;
    assert!(matches!(&found, Err(AppendError::Journal(error)) if refused(error)), "{found:?}");
    let found = inspected.create(new_run("b")).await;
    assert!(matches!(&found, Err(CreateError::Journal(error)) if refused(error)), "{found:?}");
    let found = inspected.put_blob(vec![1]).await;
    assert!(matches!(&found, Err(error) if refused(error)), "{found:?}");
    assert_eq!(head(&journal, "a").await, 2);

    drop((journal, inspected));
    let inspected = quick(&path).read_only().open().expect("a journal that nobody else has open");
    assert_eq!(head(&inspected, "a").await, 2);
    inspected.check().await.expect("a sound database");

    let missing = folder.path().join("missing.db");
    let found = quick(&missing).read_only().open();
    assert!(matches!(found, Err(JournalError::Unavailable { .. })), "{found:?}");
    let found = quick(&missing).must_exist().open();
    assert!(matches!(found, Err(JournalError::Unavailable { .. })), "{found:?}");
    assert!(!missing.exists(), "it was not created");
    fs::write(&missing, "").expect("an empty file");
    let found = quick(&missing).read_only().open();
    assert!(matches!(found, Err(JournalError::NotAJournal(_))), "{found:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_without_write_permission_is_read_only() {
    use std::os::unix::fs::PermissionsExt as _;

    let (_folder, path) = folder();
    filled(&path, 2).await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).expect("permissions");
    if fs::OpenOptions::new().append(true).open(&path).is_ok() {
        writeln!(std::io::stderr(), "SKIPPED: this user may write everything").expect("standard error");
    } else {
        let found = open(&path);
        assert!(matches!(found, Err(JournalError::ReadOnly(_))), "{found:?}");
    }
}

#[tokio::test]
async fn a_file_locked_by_another_process_is_busy_and_then_goes_on() {
    let (_folder, path) = folder();
    let journal = quick(&path).busy_timeout(Duration::from_millis(20)).open().expect("a journal");
    let claim = claimed(&journal, "a").await;
    let other = Connection::open(&path).expect("a database");
    other.execute_batch("BEGIN IMMEDIATE").expect("the write lock");
    let found = journal.append(append(&claim, 1, &["two"])).await;
    match found {
        Err(AppendError::Journal(error @ JournalError::Busy(_))) => assert!(error.is_retryable()),
        found => panic!("it should be busy: {found:?}"),
    }
    let found = journal.submit(&run("a"), &crate::sample::pause("p")).await;
    assert!(matches!(found, Err(SubmitError::Journal(JournalError::Busy(_)))), "{found:?}");
    assert_eq!(head(&journal, "a").await, 1, "readers wait for nobody");
    other.execute_batch("COMMIT").expect("the end");
    journal.append(append(&claim, 1, &["two"])).await.expect("it goes on");

    drop(journal);
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").expect("the whole file");
    let found = quick(&path).busy_timeout(Duration::from_millis(20)).open();
    assert!(matches!(found, Err(JournalError::Busy(_))), "{found:?}");
}

#[tokio::test]
async fn a_full_disk_refuses_and_loses_nothing() {
    let (_folder, path) = folder();
    let journal = quick(&path).max_bytes(400 * 1024).open().expect("a journal");
    let claim = claimed(&journal, "a").await;
    let long = "x".repeat(20_000);
    let mut acknowledged = 1;
    let full = loop {
        assert!(acknowledged < 100, "the disk should be full by now");
        match journal.append(append(&claim, acknowledged, &[&long])).await {
            Ok(head) => acknowledged = head.next,
            Err(error) => break error,
        }
    };
    assert!(matches!(&full, AppendError::Journal(error @ JournalError::Full(_)) if error.is_retryable()), "{full:?}");
    assert!(acknowledged > 2);
    assert_eq!(head(&journal, "a").await, acknowledged, "a refused append writes nothing");

    // Those that still fit are not taken down by one that does not, although they share a transaction: all of them wait
    // until another process lets the file go.
    let other = Connection::open(&path).expect("a database");
    other.execute_batch("BEGIN IMMEDIATE").expect("the write lock");
    let mut first = journal.put_blob(vec![1]);
    assert!(futures::poll!(first.as_mut()).is_pending());
    let large = Append { blobs: vec![blob(300_000)], ..append(&claim, acknowledged, &["large"]) };
    let pause = crate::sample::pause("p");
    let here = run("a");
    let (mut large, mut small) = (journal.append(large), journal.submit(&here, &pause));
    assert!(futures::poll!(large.as_mut()).is_pending() && futures::poll!(small.as_mut()).is_pending());
    other.execute_batch("COMMIT").expect("the end");
    first.await.expect("a small one fits");
    let (large, small) = tokio::join!(large, small);
    assert!(matches!(large, Err(AppendError::Journal(JournalError::Full(_)))), "{large:?}");
    small.expect("a small one fits");

    drop(journal);
    let journal = open(&path).expect("a larger disk");
    let report = verify_run(&*journal, &run("a"), None).await.expect("a whole chain");
    assert_eq!(report.head.next, acknowledged);
    journal.append(append(&claim, acknowledged, &[&long])).await.expect("it goes on");
}

fn blob(size: usize) -> (Digest, Vec<u8>) {
    let bytes = vec![7; size];
    (Digest::of(&bytes), bytes)
}

#[tokio::test]
async fn dropping_the_journal_finishes_what_was_accepted() {
    let (_folder, path) = folder();
    let journal = open(&path).expect("a journal");
    let claim = claimed(&*journal, "a").await;
    let mut asked: Vec<_> = (1..=100).map(|at| journal.append(append(&claim, at, &["more"]))).collect();
    for append in &mut asked {
        // Asked once, it stands in the queue; the answer is not waited for. A task may ask 128 times before it must yield.
        let _ = futures::poll!(append.as_mut());
    }
    drop(asked);
    drop(journal);
    assert!(!path.with_extension("db-wal").exists(), "the last to close it leaves no log behind");
    assert_eq!(head(&open(&path).expect("a journal"), "a").await, 101);
}

#[test]
fn many_can_create_the_file_at_the_same_time() {
    for _ in 0..10 {
        let (_folder, path) = folder();
        let opened: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| open(&path))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        for journal in opened {
            journal.expect("each of them opens it");
        }
    }
}

/// D26: a log that a reader held up is cut back as soon as that reader has gone, and does not keep its largest size.
#[tokio::test]
async fn the_log_is_bounded() {
    const MIB: u64 = 1024 * 1024;
    let (_folder, path) = folder();
    let journal = open(&path).expect("a journal");
    let log = || fs::metadata(path.with_extension("db-wal")).map_or(0, |file| file.len());
    let reader = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a database");
    reader.execute_batch("BEGIN; SELECT count(*) FROM blobs").expect("a reader");
    for n in 0..160_u32 {
        let mut bytes = vec![0; 256 * 1024];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        journal.put_blob(bytes).await.expect("room");
    }
    assert!(log() > 32 * MIB, "the reader holds the log up: {}", log());
    reader.execute_batch("COMMIT").expect("the end");
    for n in 0..80_u32 {
        journal.put_blob(n.to_be_bytes().to_vec()).await.expect("room");
    }
    assert!(log() < 8 * MIB, "the reader has gone, and the log still has {} bytes", log());
}

/// D12: a lease begins when the store has its write lock, not when somebody began to wait for that lock.
#[tokio::test]
async fn waiting_for_the_lock_does_not_eat_into_a_lease() {
    let (_folder, path) = folder();
    let clock = Arc::new(ManualClock::default());
    let journal = quick(&path).clock(Arc::<ManualClock>::clone(&clock)).open().expect("a journal");
    journal.create(new_run("a")).await.expect("a new run");
    let other = Connection::open(&path).expect("a database");
    other.execute_batch("BEGIN IMMEDIATE").expect("the write lock");
    let (here, host) = (run("a"), owner("host"));
    let mut claim = journal.claim(&here, &host, LEASE);
    assert!(futures::poll!(claim.as_mut()).is_pending(), "it waits for the other");
    clock.advance(Duration::from_secs(3));
    other.execute_batch("COMMIT").expect("the end");
    assert_eq!(claim.await.expect("a claim").until, clock.wall().after(LEASE));
}

/// D16: a run is parked, or steered, by whoever has no claim on it.
#[tokio::test]
async fn parking_needs_no_lease() {
    let (_folder, path) = folder();
    let driver = open(&path).expect("a journal");
    let claim = claimed(&*driver, "a").await;
    let other = open(&path).expect("the same from elsewhere");
    other.submit(&run("a"), &crate::sample::pause("p")).await.expect("no claim is needed");
    assert_eq!(driver.inbox(&owner("host"), 0, 9).await.expect("an inbox").len(), 1);
    driver.release(&claim).await.expect("nor a lease that still holds");
    assert_eq!(other.list(Which::Unowned, None, 9).await.expect("a list").len(), 1);
}
