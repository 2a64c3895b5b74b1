//! The durable step against the store alone: one run against raw append+fdatasync, 256 runs against plain SQLite with the same
//! bytes and the same group commit.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use deploy_benches::{drive, idle_pipeline, line, middle, timed};
use deploy_core::journal::{Journal, SqliteJournal, Which};

const PASSES: usize = 5;
const STEPS: usize = 200;
const RUNS: usize = 256;
/// Steps of each of them: enough that starting and ending a run is not what is measured.
const EACH: usize = 100;

/// The transactions that one engine pass made: the bytes of each.
async fn transactions(path: &Path) -> Vec<Vec<u8>> {
    let journal = SqliteJournal::open(path).expect("the journal that the engine just wrote");
    let mut all = Vec::new();
    for entry in journal.list(Which::All, None, RUNS).await.expect("readable") {
        all.extend(journal.read(&entry.run, 0, 100_000).await.expect("readable").into_iter().map(|r| r.bytes));
    }
    all
}

/// The same bytes, appended to a file, each step's two records synced together.
fn raw(dir: &Path, records: &[Vec<u8>]) -> Duration {
    let mut file = File::create(dir.join("raw")).expect("a file");
    timed(|| {
        for pair in records.chunks(2) {
            for record in pair {
                file.write_all(record).expect("written");
            }
            file.sync_data().expect("synced");
        }
    })
    .0
}

/// The same bytes in plain SQLite at the same durability, this many records a transaction.
fn plain(dir: &Path, records: &[Vec<u8>], group: usize) -> Duration {
    let connection = rusqlite::Connection::open(dir.join("plain.db")).expect("a database");
    connection
        .execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
             CREATE TABLE record (id INTEGER PRIMARY KEY, run INTEGER, position INTEGER, bytes BLOB);
             CREATE UNIQUE INDEX record_position ON record (run, position);",
        )
        .expect("a schema");
    timed(|| {
        for (n, group) in records.chunks(group).enumerate() {
            connection.execute_batch("BEGIN IMMEDIATE").expect("begun");
            for (m, record) in group.iter().enumerate() {
                let mut insert = connection
                    .prepare_cached("INSERT INTO record (run, position, bytes) VALUES (?1, ?2, ?3)")
                    .expect("prepared");
                insert.execute((m as i64, n as i64, record)).expect("inserted");
            }
            connection.execute_batch("COMMIT").expect("committed");
        }
    })
    .0
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    println!("durable step, SQLite WAL synchronous=FULL, {PASSES} passes, middle one\n");
    let (mut alone, mut floor, mut many, mut store) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let one = idle_pipeline(STEPS, 1, true);
    let short = idle_pipeline(EACH, 1, true);
    for _ in 0..PASSES {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("one.db");
        alone.push(
            timed(|| {
                let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::open(&path).expect("a journal"));
                runtime.block_on(drive(journal, &one, 0..1));
            })
            .0,
        );
        let records = runtime.block_on(transactions(&path));
        floor.push(raw(dir.path(), &records));

        let path = dir.path().join("many.db");
        many.push(
            timed(|| {
                let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::open(&path).expect("a journal"));
                runtime.block_on(drive(journal, &short, 0..RUNS));
            })
            .0,
        );
        let records = runtime.block_on(transactions(&path));
        store.push(plain(dir.path(), &records, RUNS));
    }
    let (alone, floor) = (middle(alone).as_secs_f64(), middle(floor).as_secs_f64());
    let (many, store) = (middle(many).as_secs_f64(), middle(store).as_secs_f64());
    let steps = (RUNS * EACH) as f64;
    let what = format!("one run, {:.0} steps/s; ratio to raw append+fdatasync", STEPS as f64 / alone);
    line(&what, floor / alone, "≥ 0.35", floor / alone >= 0.35);
    let what = format!("{RUNS} runs, {:.0} steps/s; ratio to plain SQLite, {RUNS} a transaction", steps / many);
    line(&what, store / many, "≥ 0.70", store / many >= 0.70);
}
