//! Several processes on one file: they take runs over from each other, are killed, and no acknowledged record is lost or
//! written twice.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use deploy_core::journal::{AppendError, Envelope, Head, Journal, LockAnswer, SqliteJournal, Synchronous, verify_run};
use deploy_core::name::OwnerName;

use crate::sample::{append, new_run, owner, quick, run};

/// Tells the child of a test what to do: the file, its own name, and how many records to write at most.
const PART: &str = "DEPLOY_CORE_TEST_PART";

/// A lease that is over at once: whoever comes next takes over.
const NO_LEASE: Duration = Duration::ZERO;

fn child(path: &Path, name: &str, records: u64) -> Child {
    Command::new(std::env::current_exe().expect("this test program"))
        .args(["--exact", "sharing::part_of_a_child", "--ignored", "--nocapture"])
        .env(PART, format!("{name}\n{records}\n{}", path.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child")
}

/// Lets children begin: all of them are there, and the work of the one does not fall into the start of the other.
fn begin(children: &mut [Child]) {
    for child in children {
        child.stdin.take().expect("its ear").write_all(b"begin\n").expect("it listens");
    }
}

/// What a child says after each acknowledgement.
#[derive(Debug, PartialEq, Eq)]
struct Acknowledged {
    text: String,
    head: Head,
}

fn heard(line: &str) -> Option<Acknowledged> {
    let mut words = line.strip_prefix("acknowledged ")?.split(' ');
    let text = words.next()?.to_owned();
    let next = words.next()?.parse().ok()?;
    Some(Acknowledged { text, head: Head { next, hash: words.next()?.parse().ok()? } })
}

#[tokio::test]
#[ignore = "the child's part in the tests of this file"]
async fn part_of_a_child() {
    let Ok(part) = std::env::var(PART) else { return };
    let mut part = part.splitn(3, '\n');
    let name = part.next().expect("a name").to_owned();
    let records: u64 = part.next().and_then(|text| text.parse().ok()).expect("a number");
    let path = PathBuf::from(part.next().expect("a path"));
    // The children of the killing test are killed, not unplugged: the page cache survives, and nothing needs to be synced.
    let journal = quick(&path).synchronous(Synchronous::Normal).open().expect("a journal");
    std::io::stdin().read_line(&mut String::new()).expect("the word to begin");
    write_records(&journal, &owner(&name), records).await;
}

/// Writes so many records under claims that others take away all the time.
async fn write_records(journal: &SqliteJournal, me: &OwnerName, records: u64) {
    let mut claim = journal.claim(&run("a"), me, NO_LEASE).await.expect("no lease holds");
    let mut expected = journal.head(&run("a")).await.expect("a head").next;
    let mut written = 0;
    while written < records {
        let LockAnswer::Held { epoch } = (match journal.lock(&claim).await {
            Ok(answer) => answer,
            Err(AppendError::Fenced { .. }) => {
                claim = journal.claim(&run("a"), me, NO_LEASE).await.expect("no lease holds");
                continue;
            }
            Err(error) => panic!("{me} could not ask for the lock: {error}"),
        }) else {
            panic!("there is only one run to hold it")
        };
        let text = format!("{me}:{written}:{}:{epoch}", claim.epoch);
        match journal.append(append(&claim, expected, &[&text])).await {
            Ok(head) => {
                written += 1;
                expected = head.next;
                let mut out = std::io::stdout().lock();
                writeln!(out, "acknowledged {text} {} {}", head.next, head.hash).expect("somebody listens");
                out.flush().expect("somebody listens");
            }
            Err(AppendError::Fenced { .. }) => {
                claim = journal.claim(&run("a"), me, NO_LEASE).await.expect("no lease holds");
            }
            Err(AppendError::Conflict { found, .. }) => expected = found,
            Err(error) => panic!("{me} could not append: {error}"),
        }
    }
}

async fn texts(journal: &dyn Journal) -> Vec<String> {
    let records = journal.read(&run("a"), 1, usize::MAX).await.expect("records");
    let text = |bytes: &[u8]| -> String {
        let envelope = Envelope::parse(bytes).expect("an envelope");
        let body: serde_json::Value = serde_json::from_str(envelope.body.get()).expect("a body");
        body["text"].as_str().expect("a text").to_owned()
    };
    records.iter().map(|record| text(&record.bytes)).collect()
}

/// D11, D13: two processes take a run from each other all the time, and every record is written once, under its own claim.
#[tokio::test]
async fn two_processes_that_fight_over_a_run_write_each_record_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.db");
    let journal = quick(&path).open().expect("a journal");
    journal.create(new_run("a")).await.expect("a new run");
    let mut children: Vec<Child> = ["one", "two"].map(|name| child(&path, name, 200)).into();
    begin(&mut children);
    let mut acknowledged = BTreeSet::new();
    for mut child in children {
        let out = BufReader::new(child.stdout.take().expect("its words"));
        let lines = out.lines().map(|line| line.expect("a line"));
        acknowledged.extend(lines.filter_map(|line| heard(&line)).map(|heard| heard.text));
        assert!(child.wait().expect("its end").success());
    }

    let texts = texts(&journal).await;
    assert_eq!(texts.len(), 400, "each wrote its share");
    assert_eq!(texts.iter().cloned().collect::<BTreeSet<_>>(), acknowledged, "what was acknowledged, and nothing else");
    let epochs: Vec<(u64, u64)> = texts
        .iter()
        .map(|text| {
            let mut numbers = text.split(':').skip(2).map(|number| number.parse().expect("an epoch"));
            (numbers.next().expect("a claim"), numbers.next().expect("a lock"))
        })
        .collect();
    assert!(epochs.is_sorted(), "no older claim writes after a newer one: {epochs:?}");
    for pair in epochs.windows(2) {
        assert_eq!(pair[0].0 < pair[1].0, pair[0].1 < pair[1].1, "claim and lock rise together: {pair:?}");
    }
    verify_run(&journal, &run("a"), None).await.expect("a whole chain");
}

/// A process that is killed at any moment loses nothing that it was told is written, and the next one goes on at once.
#[tokio::test]
async fn a_killed_process_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.db");
    let journal = quick(&path).open().expect("a journal");
    journal.create(new_run("a")).await.expect("a new run");
    let mut known = Head { next: 0, hash: deploy_core::digest::Digest::ZERO };
    for (round, patience) in [1, 2, 40, 7, 19, 3, 28, 11, 5, 33].into_iter().enumerate() {
        let mut child = child(&path, &format!("child-{round}"), u64::MAX);
        begin(std::slice::from_mut(&mut child));
        let mut out = BufReader::new(child.stdout.take().expect("its words"));
        let mut heard_of = 0;
        let mut line = String::new();
        while out.read_line(&mut line).expect("a line") > 0 {
            if let Some(heard) = heard(line.trim_end()) {
                known = heard.head;
                heard_of += 1;
            }
            line.clear();
            if heard_of == patience {
                // What it says between this and its death is read, too.
                child.kill().expect("a child to kill");
            }
        }
        child.wait().expect("its end");
        assert!(heard_of >= patience, "it was killed while it wrote");
        let report = verify_run(&journal, &run("a"), Some(known)).await.expect("all that was acknowledged is there");
        assert_eq!(report.anchored, known.next);
        journal.check().await.expect("a sound database");
    }
}
