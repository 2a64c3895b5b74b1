use std::time::Duration;

use super::sample::{LEASE, Sample, owner, run};
use crate::journal::{Append, JournalError, Which};

impl Sample {
    async fn listed(&self, which: Which) -> Vec<String> {
        let list = self.journal.list(which, None, usize::MAX).await.expect("a list");
        list.into_iter().map(|entry| entry.run.to_string()).collect()
    }
}

pub(super) async fn finds_the_unowned(s: Sample) {
    let ended = s.created_and_claimed("ended", "one").await;
    s.ended(&ended).await;
    s.create("never").await;
    s.created_and_claimed("owned", "one").await;
    let back = s.created_and_claimed("back", "one").await;
    s.journal.release(&back).await.expect("a release");
    assert_eq!(s.listed(Which::All).await, ["ended", "never", "owned", "back"]);
    assert_eq!(s.listed(Which::Unfinished).await, ["never", "owned", "back"]);
    assert_eq!(s.listed(Which::Unowned).await, ["never", "back"]);

    s.clock.advance(LEASE - Duration::from_millis(1));
    assert_eq!(s.listed(Which::Unowned).await, ["never", "back"]);
    s.clock.advance(Duration::from_millis(1));
    assert_eq!(s.listed(Which::Unowned).await, ["never", "owned", "back"], "a lease that has passed keeps no run");
    for name in s.listed(Which::Unowned).await {
        s.claim(&name, "two").await;
    }
    assert_eq!(s.listed(Which::Unowned).await, [""; 0]);
}

pub(super) async fn comes_in_pages(s: Sample) {
    for name in ["c", "a", "d", "b"] {
        s.create(name).await;
    }
    let page = |after: Option<&'static str>| {
        let journal = &s.journal;
        async move {
            let after = after.map(run);
            let list = journal.list(Which::All, after.as_ref(), 2).await.expect("a page");
            list.into_iter().map(|entry| entry.run.to_string()).collect::<Vec<_>>()
        }
    };
    assert_eq!(page(None).await, ["c", "a"], "in order of creation, not of names");
    assert_eq!(page(Some("a")).await, ["d", "b"]);
    assert_eq!(page(Some("b")).await, [""; 0]);
    let unknown = s.journal.list(Which::All, Some(&run("z")), 2).await;
    assert!(matches!(unknown, Err(JournalError::NoSuchRun(_))), "{unknown:?}");
}

pub(super) async fn entry_follows(s: Sample) {
    let claim = s.created_and_claimed("a", "host").await;
    let entry = async || s.journal.entry(&run("a")).await.expect("an answer").expect("an entry");
    let found = entry().await;
    assert_eq!((found.owner, found.owned_until), (Some(owner("host")), Some(claim.until)));
    assert_eq!((found.waits, found.holds_lock), (None, false));

    s.lock_epoch(&claim).await;
    let waits = Some("an approval until noon".to_owned());
    let append = Append { waits: waits.clone(), ..s.append(&claim, 1, 2) };
    s.journal.append(append).await.expect("an append");
    let found = entry().await;
    assert_eq!((found.records, found.waits, found.holds_lock), (3, waits, true));
    s.written(&claim, 3, 1).await;
    assert_eq!(entry().await.waits, None, "the last append says what the run waits for");
    assert_eq!(s.journal.list(Which::All, None, 9).await.expect("a list"), [entry().await]);
}
