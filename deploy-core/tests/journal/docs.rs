//! The queries and commands of `docs/journal-format.md` do what it says.

use deploy_core::journal::{Append, Journal, export};
use rusqlite::{Connection, OpenFlags};
use std::io::Write as _;

use crate::sample::{append, claimed, new_run, open, pause, run};

const PAGE: &str = include_str!("../../docs/journal-format.md");

fn blocks(language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    let block = |rest: &'static str| rest.split("```").next().expect("a block ends");
    PAGE.split(opening.as_str()).skip(1).map(block).collect()
}

#[tokio::test]
async fn the_queries_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.db");
    let journal = open(&path).expect("a journal");
    let claim = claimed(&*journal, "r-1").await;
    journal.lock(&claim).await.expect("a lock");
    journal.submit(&run("r-1"), &pause("p")).await.expect("room");
    let ended = claimed(&*journal, "r-2").await;
    let end = Append { ends: Some("succeeded".to_owned()), ..append(&ended, 1, &["last"]) };
    journal.append(end).await.expect("an end");
    journal.renew(&claim.owner, std::time::Duration::ZERO).await.expect("a lease that is over at once");

    let sql = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a database");
    let queries = blocks("sql");
    assert!(queries.len() >= 6);
    for query in queries {
        let mut statement = sql.prepare(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        // The clock of the last one is the real one, whose milliseconds are cut off.
        let rows = statement.query_map([], |_| Ok(())).expect(query).count();
        assert!(rows > 0 || query.contains("unixepoch()"), "it should find something: {query}");
    }
    let (at, kind): (String, String) = sql
        .query_row("SELECT at, kind FROM events WHERE run = 'r-1'", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("an event");
    assert_eq!((at.as_str(), kind.as_str()), ("1970-01-01T00:00:00.000Z", "sampled"));
}

#[cfg(unix)]
#[tokio::test]
async fn the_shell_verifies_an_export() {
    let here = |tool: &str| std::process::Command::new(tool).arg("--version").output().is_ok();
    if !["bash", "xxd", "sha256sum"].into_iter().all(here) {
        writeln!(std::io::stderr(), "SKIPPED: bash, xxd or sha256sum is missing").expect("standard error");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let journal = open(&folder.path().join("journal.db")).expect("a journal");
    journal.create(new_run("r-1")).await.expect("a run");
    let claim = journal.claim(&run("r-1"), &crate::sample::owner("host"), crate::sample::LEASE).await.expect("a claim");
    journal.append(append(&claim, 1, &["two \\ % é", "three"])).await.expect("an append");
    let mut lines = Vec::new();
    let head = export(&*journal, &run("r-1"), &mut lines).await.expect("an export");

    let verified = |lines: &[u8]| {
        std::fs::write(folder.path().join("run.jsonl"), lines).expect("a file");
        let script = blocks("sh")[0];
        let output = std::process::Command::new("bash").arg("-c").arg(script).current_dir(folder.path()).output();
        let output = output.expect("a shell");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (whole, said) = verified(&lines);
    assert!(whole && said.contains(&head.hash.to_string()), "{said}");
    let at = lines.windows(5).position(|window| window == b"three").expect("a record");
    lines[at] = b'T';
    let (whole, said) = verified(&lines);
    assert!(!whole && said.contains("broken at") && said.contains("Three"), "{said}");
}
