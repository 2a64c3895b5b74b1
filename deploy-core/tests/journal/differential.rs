//! Whatever is asked of them, in whatever order: the journal in memory and the one in SQLite answer alike. The one in SQLite
//! is asked through two handles on one file, as two processes would, and is closed and opened in between.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::digest::Digest;
use deploy_core::journal::{
    Append, Claim, Journal, MemoryJournal, NewRun, QueuePolicy, Snapshot, SqliteJournal, Which, verify_run,
};
use deploy_core::name::InputId;
use deploy_core::operator::{Act, OperatorInput, Principal};
use deploy_core::testing::ManualClock;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};

use crate::sample::{owner, quick, record, run};

const RUNS: [&str; 5] = ["a", "b", "c", "d", "e"];
const OWNERS: [&str; 3] = ["one", "two", "three"];
const QUEUES: [QueuePolicy; 4] =
    [QueuePolicy::Fifo, QueuePolicy::NewestWins, QueuePolicy::Reject, QueuePolicy::Priority];
const INPUTS: [&str; 4] = ["pause", "resume", "abort", "approve"];

#[derive(Debug, Clone)]
enum Ask {
    Create {
        run: usize,
        environment: bool,
        queue: usize,
        records: u64,
        text: u8,
    },
    Claim {
        run: usize,
        owner: usize,
        seconds: u64,
    },
    Renew {
        owner: usize,
        seconds: u64,
    },
    Release {
        claim: usize,
    },
    Lock {
        claim: usize,
    },
    Append {
        claim: usize,
        off: u64,
        records: u64,
        taken: Option<usize>,
        ends: bool,
        waits: Option<u8>,
        blob: Option<u8>,
    },
    Submit {
        run: usize,
        input: usize,
    },
    Inbox {
        owner: usize,
        skip: usize,
    },
    Taken {
        run: usize,
        input: usize,
    },
    Read {
        run: usize,
        from: u64,
        at_most: usize,
    },
    Look {
        run: usize,
    },
    List {
        which: usize,
        after: Option<usize>,
        at_most: usize,
    },
    PutBlob {
        byte: u8,
    },
    Blob {
        byte: u8,
    },
    SaveSnapshot {
        claim: usize,
        position: u64,
        fits: bool,
    },
    Advance {
        seconds: u64,
    },
    Reopen,
}

fn asks() -> impl Strategy<Value = Ask> {
    let r = || 0..RUNS.len();
    let o = || 0..OWNERS.len();
    let i = || 0..INPUTS.len();
    // The newest claims are the interesting ones: numbers count back from the last.
    let claim = || prop_oneof![4 => 0..3_usize, 1 => 0..20_usize];
    let seconds = || prop_oneof![Just(5_u64), Just(30), Just(0)];
    prop_oneof![
        3 => (r(), any::<bool>(), 0..QUEUES.len(), 0..3_u64, 0..2_u8).prop_map(|(run, environment, queue, records, text)| {
            Ask::Create { run, environment, queue, records, text }
        }),
        6 => (r(), o(), seconds()).prop_map(|(run, owner, seconds)| Ask::Claim { run, owner, seconds }),
        1 => (o(), seconds()).prop_map(|(owner, seconds)| Ask::Renew { owner, seconds }),
        1 => claim().prop_map(|claim| Ask::Release { claim }),
        4 => claim().prop_map(|claim| Ask::Lock { claim }),
        10 => (
            claim(),
            prop_oneof![8 => Just(0_u64), 1 => Just(1_u64)],
            0..4_u64,
            proptest::option::weighted(0.3, i()),
            proptest::bool::weighted(0.15),
            proptest::option::of(0..2_u8),
            proptest::option::weighted(0.2, 0..3_u8),
        )
            .prop_map(|(claim, off, records, taken, ends, waits, blob)| {
                Ask::Append { claim, off, records, taken, ends, waits, blob }
            }),
        4 => (r(), i()).prop_map(|(run, input)| Ask::Submit { run, input }),
        2 => (o(), 0..3_usize).prop_map(|(owner, skip)| Ask::Inbox { owner, skip }),
        1 => (r(), i()).prop_map(|(run, input)| Ask::Taken { run, input }),
        2 => (r(), 0..6_u64, 0..4_usize).prop_map(|(run, from, at_most)| Ask::Read { run, from, at_most }),
        3 => r().prop_map(|run| Ask::Look { run }),
        2 => (0..3_usize, proptest::option::of(r()), 0..4_usize).prop_map(|(which, after, at_most)| {
            Ask::List { which, after, at_most }
        }),
        1 => (0..3_u8).prop_map(|byte| Ask::PutBlob { byte }),
        1 => (0..3_u8).prop_map(|byte| Ask::Blob { byte }),
        2 => (claim(), 0..6_u64, proptest::bool::weighted(0.8)).prop_map(|(claim, position, fits)| {
            Ask::SaveSnapshot { claim, position, fits }
        }),
        3 => prop_oneof![Just(1_u64), Just(5), Just(30), Just(31)].prop_map(|seconds| Ask::Advance { seconds }),
        1 => Just(Ask::Reopen),
    ]
}

/// What was answered, in words: values by their structure, errors by what they say.
fn told<T: Debug, E: std::error::Error>(answer: Result<T, E>) -> String {
    match answer {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("error: {error}"),
    }
}

fn input(n: usize) -> OperatorInput {
    let id = InputId::new(INPUTS[n]).expect("a valid name");
    OperatorInput { id, who: Principal::new("ada", "tests"), why: "because".to_owned(), act: Act::Pause }
}

fn newest(claims: &[Claim], back: usize) -> Option<&Claim> {
    claims.len().checked_sub(1 + back).map(|at| &claims[at])
}

/// Asks one journal, and says what it answered. Arrival numbers may differ, their order may not.
async fn ask(journal: &dyn Journal, claims: &mut Vec<Claim>, ask: &Ask) -> String {
    match *ask {
        Ask::Create { run: r, environment, queue, records, text } => {
            let environment = if environment { "production" } else { "staging" };
            let new = NewRun {
                run: run(RUNS[r]),
                service: "shop".try_into().expect("a valid name"),
                environment: environment.try_into().expect("a valid name"),
                queue: QUEUES[queue],
                records: (0..records).map(|position| record(position, &format!("text {text}"))).collect(),
            };
            told(journal.create(new).await)
        }
        Ask::Claim { run: r, owner: o, seconds } => {
            let claim = journal.claim(&run(RUNS[r]), &owner(OWNERS[o]), Duration::from_secs(seconds)).await;
            claims.extend(claim.as_ref().ok().cloned());
            told(claim)
        }
        Ask::Renew { owner: o, seconds } => told(journal.renew(&owner(OWNERS[o]), Duration::from_secs(seconds)).await),
        Ask::Release { claim } => match newest(claims, claim) {
            Some(claim) => told(journal.release(claim).await),
            None => String::new(),
        },
        Ask::Lock { claim } => match newest(claims, claim) {
            Some(claim) => told(journal.lock(claim).await),
            None => String::new(),
        },
        Ask::Append { claim, off, records, taken, ends, waits, blob } => {
            let Some(claim) = newest(claims, claim) else { return String::new() };
            let expected = journal.head(&claim.run).await.expect("a claimed run has a head").next + off;
            let append = Append {
                claim: claim.clone(),
                expected,
                records: (expected..expected + records).map(|position| record(position, "appended")).collect(),
                blobs: blob.map(|byte| (Digest::of(&[byte]), vec![byte])).into_iter().collect(),
                taken: taken.map(|n| input(n).id).into_iter().collect(),
                ends: ends.then(|| "succeeded".to_owned()),
                waits: waits.map(|n| format!("for {n}")),
            };
            told(journal.append(append).await)
        }
        Ask::Submit { run: r, input: n } => told(journal.submit(&run(RUNS[r]), &input(n)).await),
        Ask::Inbox { owner: o, skip } => {
            let all = journal.inbox(&owner(OWNERS[o]), 0, usize::MAX).await.expect("an inbox");
            assert!(all.is_sorted_by_key(|waiting| waiting.arrival));
            let after = skip.checked_sub(1).and_then(|at| all.get(at)).map_or(0, |waiting| waiting.arrival);
            let page = journal.inbox(&owner(OWNERS[o]), after, 2).await.expect("an inbox");
            let without_arrival = |all: Vec<deploy_core::journal::Waiting>| -> Vec<_> {
                all.into_iter().map(|waiting| (waiting.run, waiting.input)).collect()
            };
            format!("{:?} {:?}", without_arrival(all), without_arrival(page))
        }
        Ask::Taken { run: r, input: n } => told(journal.was_taken(&run(RUNS[r]), &input(n).id).await),
        Ask::Read { run: r, from, at_most } => told(journal.read(&run(RUNS[r]), from, at_most).await),
        Ask::Look { run: r } => {
            let run = run(RUNS[r]);
            let entry = told(journal.entry(&run).await);
            let head = told(journal.head(&run).await);
            format!("{entry} {head} {}", told(journal.snapshot(&run).await))
        }
        Ask::List { which, after, at_most } => {
            let which = [Which::All, Which::Unfinished, Which::Unowned][which];
            told(journal.list(which, after.map(|r| run(RUNS[r])).as_ref(), at_most).await)
        }
        Ask::PutBlob { byte } => told(journal.put_blob(vec![byte]).await),
        Ask::Blob { byte } => told(journal.blob(&Digest::of(&[byte])).await),
        Ask::SaveSnapshot { claim, position, fits } => {
            let Some(claim) = newest(claims, claim) else { return String::new() };
            let before = journal.read(&claim.run, position.saturating_sub(1), 1).await.expect("records");
            let hash = match before.first() {
                Some(record) if fits && position > 0 => record.hash,
                _ => Digest::ZERO,
            };
            let snapshot = Snapshot { position, hash, version: 1, state: format!("{{\"at\":{position}}}") };
            told(journal.save_snapshot(claim, snapshot).await)
        }
        Ask::Advance { .. } | Ask::Reopen => String::new(),
    }
}

/// Asks everything that can be asked without changing anything.
async fn everything(journal: &dyn Journal) -> Vec<String> {
    let mut told_all = Vec::new();
    let mut looks = Vec::new();
    for which in 0..3 {
        looks.push(Ask::List { which, after: None, at_most: 99 });
    }
    for run in 0..RUNS.len() {
        looks.push(Ask::Look { run });
        looks.push(Ask::Read { run, from: 0, at_most: usize::MAX });
        looks.extend((0..INPUTS.len()).map(|input| Ask::Taken { run, input }));
    }
    looks.extend((0..OWNERS.len()).map(|owner| Ask::Inbox { owner, skip: 1 }));
    looks.extend((0..3).map(|byte| Ask::Blob { byte }));
    for look in looks {
        told_all.push(format!("{look:?}: {}", ask(journal, &mut Vec::new(), &look).await));
    }
    for name in RUNS {
        told_all.push(told(verify_run(journal, &run(name), None).await));
    }
    told_all
}

fn open(path: &Path, clock: &Arc<ManualClock>) -> SqliteJournal {
    let clock = Arc::clone(clock);
    quick(path).clock(clock).open().expect("a journal")
}

async fn compare(asked: Vec<(Ask, bool)>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.db");
    let clock = Arc::new(ManualClock::default());
    let memory = MemoryJournal::new(Arc::<ManualClock>::clone(&clock));
    let mut handles = [open(&path, &clock), open(&path, &clock)];
    let (mut claims, mut sqlite_claims) = (Vec::new(), Vec::new());
    for (step, (what, second)) in asked.into_iter().enumerate() {
        match what {
            Ask::Advance { seconds } => clock.advance(Duration::from_secs(seconds)),
            Ask::Reopen => {
                drop(handles);
                handles = [open(&path, &clock), open(&path, &clock)];
            }
            what => {
                let expected = ask(&memory, &mut claims, &what).await;
                let found = ask(&handles[usize::from(second)], &mut sqlite_claims, &what).await;
                assert_eq!(found, expected, "step {step}: {what:?}");
            }
        }
    }
    for handle in &handles {
        for (found, expected) in everything(handle).await.into_iter().zip(everything(&memory).await) {
            assert_eq!(found, expected);
        }
        handle.check().await.expect("a sound database");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_and_sqlite_answer_alike(asked in proptest::collection::vec((asks(), any::<bool>()), 1..120)) {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(compare(asked));
    }
}
