use super::sample::{Sample, body, run};
use crate::journal::{Append, Envelope, JournalError, verify_run};

pub(super) async fn bytes_are_kept(s: Sample) {
    let claim = s.created_and_claimed("a", "host").await;
    let odd = Envelope {
        kind: "from-a-newer-build".to_owned(),
        version: 77,
        body: body(r#"{"z":1,"a":[0.1,1e300,-0.0,123456789012345678901234567890],"text":"\u00e9 é 🚀 \" \\ '"}"#),
        ..s.record(1, "odd")
    };
    let bytes = odd.to_bytes();
    let append = Append { records: vec![odd], ..s.append(&claim, 1, 1) };
    s.journal.append(append).await.expect("an append");

    let read = s.journal.read(&run("a"), 1, 9).await.expect("records");
    assert_eq!(read.len(), 1);
    assert_eq!(String::from_utf8_lossy(&read[0].bytes), String::from_utf8_lossy(&bytes));
    let parsed = Envelope::parse(&read[0].bytes).expect("an envelope");
    assert_eq!(parsed.to_bytes(), bytes, "an unknown kind survives a round trip to the byte");
    let report = verify_run(&*s.journal, &run("a"), None).await.expect("a whole chain");
    assert_eq!(report.head, s.head("a").await);
}

pub(super) async fn is_bounded(s: Sample) {
    let claim = s.created_and_claimed("a", "host").await;
    s.written(&claim, 1, 9).await;
    for (from, at_most, positions) in
        [(0, 3, 0..3), (3, 3, 3..6), (8, 3, 8..10), (10, 3, 0..0), (99, 3, 0..0), (4, 0, 0..0), (9, usize::MAX, 9..10)]
    {
        let read = s.journal.read(&run("a"), from, at_most).await.expect("records");
        let found: Vec<u64> = read.iter().map(|record| record.position).collect();
        assert_eq!(found, positions.collect::<Vec<u64>>(), "from {from}, at most {at_most}");
    }
}

pub(super) async fn of_unknown_run(s: Sample) {
    let unknown = run("a");
    assert!(matches!(s.journal.read(&unknown, 0, 9).await, Err(JournalError::NoSuchRun(_))));
    assert!(matches!(s.journal.head(&unknown).await, Err(JournalError::NoSuchRun(_))));
    assert!(matches!(s.journal.snapshot(&unknown).await, Err(JournalError::NoSuchRun(_))));
}
