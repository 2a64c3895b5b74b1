//! What the clauses are written in: short words for runs, claims and records.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use crate::journal::{
    Append, AppendError, Claim, Created, Envelope, Head, Journal, LockAnswer, NewRun, QueuePolicy, Waiting,
};
use crate::name::{EnvironmentName, InputId, OwnerName, RunId, ServiceName};
use crate::operator::{Act, OperatorInput, Principal};
use crate::testing::ManualClock;
use crate::time::{Clock, Now, RunTime};

/// The lease that claims get here.
pub(super) const LEASE: Duration = Duration::from_secs(30);

/// An empty journal and its clock, with short words to write and read it.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    /// The journal under test.
    pub(super) journal: Arc<dyn Journal>,
    /// Its clock.
    pub(super) clock: Arc<ManualClock>,
}

impl Sample {
    /// A record.
    pub(super) fn record(&self, position: u64, kind: &str) -> Envelope {
        Envelope {
            position,
            at: Now { wall: self.clock.wall(), run: RunTime(position) },
            kind: kind.to_owned(),
            version: 1,
            body: body(&format!(r#"{{"n":{position}}}"#)),
        }
    }

    /// So many records from a position on.
    pub(super) fn records(&self, from: u64, amount: u64) -> Vec<Envelope> {
        (from..from + amount).map(|position| self.record(position, "sampled")).collect()
    }

    /// A run of the shop in production with one record.
    pub(super) fn new_run(&self, name: &str) -> NewRun {
        NewRun {
            run: run(name),
            service: ServiceName::new("shop").expect("a valid name"),
            environment: EnvironmentName::new("production").expect("a valid name"),
            queue: QueuePolicy::Fifo,
            records: vec![self.record(0, "started")],
        }
    }

    /// An append of so many records that says nothing else.
    pub(super) fn append(&self, claim: &Claim, expected: u64, amount: u64) -> Append {
        Append {
            claim: claim.clone(),
            expected,
            records: self.records(expected, amount),
            blobs: Vec::new(),
            taken: Vec::new(),
            ends: None,
            waits: None,
        }
    }

    pub(super) async fn create(&self, name: &str) -> Created {
        self.create_with(name, QueuePolicy::Fifo).await
    }

    pub(super) async fn create_with(&self, name: &str, queue: QueuePolicy) -> Created {
        let new = NewRun { queue, ..self.new_run(name) };
        self.journal.create(new).await.expect("a new run is created")
    }

    pub(super) async fn claim(&self, name: &str, by: &str) -> Claim {
        self.journal.claim(&run(name), &owner(by), LEASE).await.expect("a free run is claimed")
    }

    pub(super) async fn created_and_claimed(&self, name: &str, by: &str) -> Claim {
        self.create(name).await;
        self.claim(name, by).await
    }

    pub(super) async fn written(&self, claim: &Claim, expected: u64, amount: u64) -> Head {
        self.journal.append(self.append(claim, expected, amount)).await.expect("an append under the newest claim")
    }

    pub(super) async fn ended(&self, claim: &Claim) -> Head {
        let expected = self.head(claim.run.as_str()).await.next;
        let append = Append { ends: Some("succeeded".to_owned()), ..self.append(claim, expected, 1) };
        self.journal.append(append).await.expect("an append that ends a run")
    }

    pub(super) async fn head(&self, name: &str) -> Head {
        self.journal.head(&run(name)).await.expect("the head of a known run")
    }

    pub(super) async fn lock(&self, claim: &Claim) -> LockAnswer {
        self.journal.lock(claim).await.expect("an answer about the lock")
    }

    pub(super) async fn lock_epoch(&self, claim: &Claim) -> u64 {
        match self.lock(claim).await {
            LockAnswer::Held { epoch } => epoch,
            other => panic!("run {} should hold its lock: {other:?}", claim.run),
        }
    }

    pub(super) async fn inbox(&self, by: &str) -> Vec<Waiting> {
        self.journal.inbox(&owner(by), 0, usize::MAX).await.expect("the inbox can be read")
    }

    pub(super) async fn was_taken(&self, name: &str, input: &OperatorInput) -> bool {
        self.journal.was_taken(&run(name), &input.id).await.expect("the journal knows what was taken")
    }

    /// Asserts that a call was fenced, and that the run's records are as they were.
    pub(super) async fn assert_fenced<T: std::fmt::Debug>(&self, head: Head, answer: Result<T, AppendError>) {
        match answer {
            Err(AppendError::Fenced { run, ours, found }) => {
                assert!(ours < found, "the newer claim has a higher epoch: {ours} and {found}");
                assert_eq!(self.head(run.as_str()).await, head, "a fenced call writes nothing");
            }
            other => panic!("an older claim is fenced, and this was the answer: {other:?}"),
        }
    }
}

pub(super) fn run(name: &str) -> RunId {
    RunId::new(name).expect("a valid name")
}

pub(super) fn owner(name: &str) -> OwnerName {
    OwnerName::new(name).expect("a valid name")
}

pub(super) fn body(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).expect("valid JSON")
}

pub(super) fn input(id: &str) -> OperatorInput {
    OperatorInput {
        id: InputId::new(id).expect("a valid name"),
        who: Principal::new("ada", "tests"),
        why: "to see what happens".to_owned(),
        act: Act::Pause,
    }
}
