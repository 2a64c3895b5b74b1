//! Runs, claims and records as these tests write them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::journal::{
    Append, Claim, Envelope, Journal, JournalError, NewRun, QueuePolicy, SqliteJournal, SqliteOptions, Synchronous,
};
use deploy_core::name::{InputId, OwnerName, RunId};
use deploy_core::operator::{Act, OperatorInput, Principal};
use deploy_core::time::Now;
use serde_json::value::RawValue;

pub(crate) const LEASE: Duration = Duration::from_secs(30);

pub(crate) fn run(name: &str) -> RunId {
    RunId::new(name).expect("a valid name")
}

pub(crate) fn owner(name: &str) -> OwnerName {
    OwnerName::new(name).expect("a valid name")
}

pub(crate) fn record(position: u64, text: &str) -> Envelope {
    Envelope {
        position,
        at: Now::default(),
        kind: "sampled".to_owned(),
        version: 1,
        body: RawValue::from_string(format!(r#"{{"text":{text:?}}}"#)).expect("valid JSON"),
    }
}

pub(crate) fn new_run(name: &str) -> NewRun {
    NewRun {
        run: run(name),
        service: "shop".try_into().expect("a valid name"),
        environment: "production".try_into().expect("a valid name"),
        queue: QueuePolicy::Fifo,
        records: vec![record(0, "first")],
    }
}

pub(crate) fn append(claim: &Claim, expected: u64, texts: &[&str]) -> Append {
    Append {
        claim: claim.clone(),
        expected,
        records: (expected..).zip(texts).map(|(position, text)| record(position, text)).collect(),
        blobs: Vec::new(),
        taken: Vec::new(),
        ends: None,
        waits: None,
    }
}

pub(crate) fn pause(id: &str) -> OperatorInput {
    let id = InputId::new(id).expect("a valid name");
    OperatorInput { id, who: Principal::new("ada", "tests"), why: "because".to_owned(), act: Act::Pause }
}

/// A journal that does not wait for the disk: for tests that do not cut the power.
pub(crate) fn quick(path: &Path) -> SqliteOptions {
    SqliteOptions::new(path).synchronous(Synchronous::Off)
}

pub(crate) fn open(path: &Path) -> Result<Arc<SqliteJournal>, JournalError> {
    quick(path).open().map(Arc::new)
}

pub(crate) async fn claimed(journal: &dyn Journal, name: &str) -> Claim {
    journal.create(new_run(name)).await.expect("a new run");
    journal.claim(&run(name), &owner("host"), LEASE).await.expect("a free run")
}
