use super::sample::Sample;
use crate::digest::Digest;
use crate::journal::{Append, AppendError, JournalError};

pub(super) async fn are_kept(s: Sample) {
    let bytes: Vec<u8> = (0..100_000_u32).map(|n| u8::try_from(n % 251).unwrap_or_default()).collect();
    let digest = Digest::of(&bytes);
    assert_eq!(s.journal.blob(&digest).await.expect("an answer"), None);
    assert_eq!(s.journal.put_blob(bytes.clone()).await.expect("room"), digest);
    assert_eq!(s.journal.put_blob(bytes.clone()).await.expect("the same again"), digest);
    assert_eq!(s.journal.blob(&digest).await.expect("an answer"), Some(bytes));
    let empty = s.journal.put_blob(Vec::new()).await.expect("room");
    assert_eq!(s.journal.blob(&empty).await.expect("an answer"), Some(Vec::new()));
}

pub(super) async fn come_with_their_append(s: Sample) {
    let claim = s.created_and_claimed("a", "host").await;
    let bytes = b"evidence".to_vec();
    let digest = Digest::of(&bytes);
    let with = |expected, digest| Append { blobs: vec![(digest, bytes.clone())], ..s.append(&claim, expected, 1) };

    assert!(matches!(s.journal.append(with(5, digest)).await, Err(AppendError::Conflict { .. })));
    assert_eq!(s.journal.blob(&digest).await.expect("an answer"), None, "a refused append brings nothing");
    let wrong = s.journal.append(with(1, Digest::ZERO)).await;
    assert!(matches!(wrong, Err(AppendError::Journal(JournalError::Malformed(_)))), "{wrong:?}");
    assert_eq!(s.head("a").await.next, 1);

    s.journal.append(with(1, digest)).await.expect("an append");
    assert_eq!(s.journal.blob(&digest).await.expect("an answer"), Some(bytes.clone()));
}
