//! Both journals keep every clause of the contract.

use std::sync::Arc;

use deploy_core::journal::{Journal, MemoryJournal, SqliteOptions};
use deploy_core::testing::conformance::journal;

#[tokio::test]
async fn the_journal_in_memory_keeps_the_contract() {
    journal::check(async |clock| Arc::new(MemoryJournal::new(clock)) as Arc<dyn Journal>).await;
}

#[tokio::test]
async fn the_journal_in_sqlite_keeps_the_contract() {
    let folder = tempfile::tempdir().expect("a folder");
    let number = std::sync::atomic::AtomicUsize::new(0);
    journal::check(async |clock| {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = folder.path().join(format!("{number}.db"));
        Arc::new(SqliteOptions::new(path).clock(clock).open().expect("a new journal")) as Arc<dyn Journal>
    })
    .await;
    assert_eq!(number.into_inner(), journal::clauses().len());
}
