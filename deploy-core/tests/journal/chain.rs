//! The hash chain finds every change, gap and swap, and relative to an anchor every truncation and rewriting.

use std::sync::Arc;

use deploy_core::digest::Digest;
use deploy_core::journal::{
    ChainError, ExportError, Head, ImportError, Journal, JournalError, MemoryJournal, Stored, VerifyError, export,
    import, verify, verify_run,
};
use deploy_core::testing::ManualClock;
use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};
use rusqlite::Connection;

use crate::sample::{append, claimed, open, record, run};

fn chained(texts: &[&str]) -> Vec<Stored> {
    let mut hash = Digest::ZERO;
    let link = |(position, text): (u64, &&str)| {
        let bytes = record(position, text).to_bytes();
        hash = hash.then(&bytes);
        Stored { position, bytes, hash }
    };
    (0..).zip(texts).map(link).collect()
}

fn head_of(records: &[Stored]) -> Head {
    records
        .last()
        .map_or(Head { next: 0, hash: Digest::ZERO }, |last| Head { next: last.position + 1, hash: last.hash })
}

#[test]
fn a_whole_chain_verifies_and_tells_its_head() {
    let records = chained(&["one", "two", "three"]);
    let report = verify(&records, None).expect("a whole chain");
    assert_eq!((report.head, report.anchored), (head_of(&records), 0));
    for kept in 0..=3 {
        let report = verify(&records, Some(head_of(&records[..kept]))).expect("it passes through each earlier head");
        assert_eq!(report.anchored, u64::try_from(kept).expect("small"));
    }
    assert_eq!(verify(&[], None).expect("an empty chain").head, Head { next: 0, hash: Digest::ZERO });
}

#[test]
fn gaps_swaps_and_truncation_are_named_with_their_position() {
    let records = chained(&["one", "two", "three", "four"]);
    let anchor = Some(head_of(&records));

    let mut gap = records.clone();
    gap.remove(1);
    assert_eq!(verify(&gap, anchor), Err(ChainError::Gap { expected: 1, found: 2 }));

    let mut swapped = records.clone();
    swapped.swap(1, 2);
    assert_eq!(verify(&swapped, None), Err(ChainError::Gap { expected: 1, found: 2 }));
    (swapped[1].position, swapped[2].position) = (1, 2);
    assert!(matches!(verify(&swapped, None), Err(ChainError::Changed { position: 1, .. })));

    assert!(verify(&records[..3], None).is_ok(), "without an anchor nobody knows that there was more");
    assert_eq!(verify(&records[..3], anchor), Err(ChainError::Truncated { anchored: 4, found: 3 }));
}

#[test]
fn a_chain_that_was_written_anew_does_not_reach_the_anchor() {
    let records = chained(&["one", "two", "three"]);
    let forged = chained(&["one", "TWO", "three"]);
    assert!(verify(&forged, None).is_ok());
    let found = verify(&forged, Some(head_of(&records)));
    assert!(matches!(found, Err(ChainError::Rewritten { anchored: 3, .. })), "{found:?}");
    let found = verify(&forged, Some(head_of(&records[..1]))).map(|report| report.anchored);
    assert_eq!(found, Ok(1), "what the anchor knows is as it was");

    let mut misplaced = chained(&["one", "two"]);
    misplaced[1].bytes = record(7, "two").to_bytes();
    misplaced[1].hash = misplaced[0].hash.then(&misplaced[1].bytes);
    assert!(matches!(verify(&misplaced, None), Err(ChainError::Misplaced { position: 1, .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_changed_bit_is_found_at_its_record(at in any::<proptest::sample::Index>(), bit in 0..8_u32, hash in any::<bool>()) {
        let records = chained(&["one", "two", "three", "four", "five"]);
        let mut changed = records.clone();
        let victim = at.index(records.len());
        if hash {
            let mut bytes = *changed[victim].hash.as_bytes();
            bytes[at.index(32)] ^= 1 << bit;
            changed[victim].hash = Digest::from_bytes(bytes);
        } else {
            let place = at.index(changed[victim].bytes.len());
            changed[victim].bytes[place] ^= 1 << bit;
        }
        let position = u64::try_from(victim).expect("small");
        let found = verify(&changed, None);
        prop_assert!(matches!(found, Err(ChainError::Changed { position: at, .. }) if at == position), "{found:?}");
    }
}

async fn exported() -> (Head, Vec<u8>) {
    let journal = MemoryJournal::new(Arc::new(ManualClock::default()));
    let claim = claimed(&journal, "a").await;
    journal.append(append(&claim, 1, &["two", "three"])).await.expect("an append");
    let mut lines = Vec::new();
    let head = export(&journal, &run("a"), &mut lines).await.expect("an export");
    (head, lines)
}

#[tokio::test]
async fn an_export_reads_back_to_the_byte_and_verifies() {
    let (head, lines) = exported().await;
    let text = String::from_utf8(lines).expect("text");
    assert_eq!(text.lines().count(), 4, "a header, and one line a record");
    let read = import(text.as_bytes()).expect("an export");
    assert_eq!((read.header.run.as_str(), read.header.head), ("a", head));
    assert_eq!(read.verify(Some(head)).expect("a whole chain").head, head);
    assert_eq!(read.records[2].bytes, record(2, "three").to_bytes());
}

#[tokio::test]
async fn any_tampered_byte_of_an_export_is_detected() {
    let (head, lines) = exported().await;
    let mut survivors = Vec::new();
    for at in 0..lines.len() {
        for flip in [1, 2, 4, 32] {
            let mut changed = lines.clone();
            changed[at] ^= flip;
            let detected = match import(changed.as_slice()) {
                Err(_) => true,
                Ok(read) => read.header.run.as_str() != "a" || read.verify(Some(head)).is_err(),
            };
            if !detected {
                survivors.push((at, flip));
            }
        }
    }
    assert_eq!(survivors, [], "place and flipped bit");
}

#[tokio::test]
async fn an_export_that_was_cut_off_is_detected() {
    let (head, lines) = exported().await;
    let text = String::from_utf8(lines).expect("text");
    let without_last: String = text.lines().take(3).map(|line| format!("{line}\n")).collect();
    let read = import(without_last.as_bytes()).expect("lines that can be read");
    assert_eq!(read.verify(None), Err(ChainError::Truncated { anchored: 3, found: 2 }));
    assert_eq!(read.verify(Some(head)), Err(ChainError::Truncated { anchored: 3, found: 2 }));
    let longer = format!("{text}{}\n", text.lines().last().expect("a line"));
    assert!(import(longer.as_bytes()).expect("lines that can be read").verify(None).is_err());
    assert!(matches!(import(&b""[..]), Err(ImportError::Empty)));
    assert!(matches!(import(&text.as_bytes()[..text.len() - 9]), Err(ImportError::Line { line: 4, .. })));
}

#[tokio::test]
async fn a_byte_changed_in_the_database_is_found_by_reading_and_by_verifying() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.db");
    let journal = open(&path).expect("a journal");
    let claim = claimed(&*journal, "a").await;
    let head = journal.append(append(&claim, 1, &["two", "three", "four"])).await.expect("an append");
    assert_eq!(verify_run(&*journal, &run("a"), Some(head)).await.expect("a whole chain").anchored, 4);

    let sql = Connection::open(&path).expect("a database");
    let changed = sql
        .execute("UPDATE records SET envelope = replace(envelope, 'three', 'THREE') WHERE position = 2", [])
        .expect("somebody changes a record");
    assert_eq!(changed, 1);
    match verify_run(&*journal, &run("a"), None).await {
        Err(VerifyError::Chain(ChainError::Changed { position: 2, .. })) => {}
        found => panic!("the change should be found: {found:?}"),
    }
    assert!(matches!(journal.read(&run("a"), 0, 9).await, Err(JournalError::Damaged { .. })));
    assert!(matches!(journal.read(&run("a"), 2, 1).await, Err(JournalError::Damaged { .. })), "in the middle, too");
    assert_eq!(journal.read(&run("a"), 0, 2).await.expect("what stands before it is as it was").len(), 2);
    let lines = &mut Vec::new();
    assert!(matches!(export(&*journal, &run("a"), lines).await, Err(ExportError::Journal(_))));

    sql.execute("DELETE FROM records WHERE position = 2", []).expect("somebody deletes it");
    match verify_run(&*journal, &run("a"), None).await {
        Err(VerifyError::Chain(ChainError::Gap { expected: 2, found: 3 })) => {}
        found => panic!("the gap should be found: {found:?}"),
    }
    sql.execute("DELETE FROM records WHERE position = 3", []).expect("somebody deletes the rest");
    match verify_run(&*journal, &run("a"), Some(head)).await {
        Err(VerifyError::Chain(ChainError::Truncated { anchored: 4, found: 2 })) => {}
        found => panic!("the truncation should be found: {found:?}"),
    }
}

#[tokio::test]
async fn a_changed_blob_is_not_handed_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.db");
    let journal = open(&path).expect("a journal");
    let digest = journal.put_blob(b"evidence".to_vec()).await.expect("room");
    let sql = Connection::open(&path).expect("a database");
    sql.execute("UPDATE blobs SET bytes = CAST('forgery' AS BLOB)", []).expect("somebody changes it");
    let found = journal.blob(&digest).await;
    assert!(matches!(found, Err(JournalError::Damaged { .. })), "{found:?}");
}
