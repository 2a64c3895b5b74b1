//! Histories of repositories that are made here, hostile ones among them.

use std::path::Path;
use std::process::Command;

use deploy_agents::evidence::facts::{CommitSignature, GitFacts, Growth};
use deploy_agents::evidence::git::Repository;
use deploy_agents::evidence::{DoubtKind, Limits, Problem, blocking};
use deploy_core::time::Timestamp;

use crate::doubted;

/// Runs git as somebody who works in a repository.
fn git(folder: &Path, words: &[&str]) -> String {
    git_at(folder, words, "2026-11-20T10:00:00Z")
}

fn git_at(folder: &Path, words: &[&str], date: &str) -> String {
    let said = Command::new("git")
        .current_dir(folder)
        .args([
            "-c",
            "user.name=Ada",
            "-c",
            "user.email=ada@example.com",
            "-c",
            "init.defaultBranch=main",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(words)
        .env("GIT_AUTHOR_DATE", date)
        .env("GIT_COMMITTER_DATE", date)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git starts");
    assert!(said.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}

fn commit(folder: &Path, file: &str, text: &str, message: &str) -> String {
    std::fs::write(folder.join(file), text).expect("written");
    git(folder, &["add", "-A"]);
    git(folder, &["commit", "--allow-empty", "-m", message]);
    git(folder, &["rev-parse", "HEAD"])
}

fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    git(folder.path(), &["init"]);
    commit(folder.path(), "cart.rs", "one\ntwo\nthree\n", "chore: begin");
    git(folder.path(), &["tag", "-a", "v1.0.0", "-m", "first"]);
    folder
}

async fn read(folder: &Path, from: Option<&str>, to: &str) -> GitFacts {
    Repository::new(folder).with_lines().read(from, to).await.expect("readable")
}

#[tokio::test]
async fn commits_between_two_tags_are_read_with_what_they_say() {
    let folder = repository();
    let feature = commit(
        folder.path(),
        "cart.rs",
        "one\n2\nthree\nfour\n",
        "feat(cart): add sums\n\nBecause.\n\nReviewed-by: Bob <bob@example.com>\nRefs: #12",
    );
    commit(
        folder.path(),
        "pay ment\t\"é\".rs",
        "++ x\n-- y\n",
        "fix!: pay once\n\nBREAKING CHANGE: callers must\n wait",
    );
    commit(folder.path(), "binary", "\0\u{1}\0", "no convention here");
    git(folder.path(), &["tag", "v2.0.0"]);
    let facts = read(folder.path(), Some("v1.0.0"), "v2.0.0").await;
    assert_eq!(facts.tags, ["v2.0.0"]);
    assert!(facts.linear && !facts.shallow && facts.doubts.is_empty(), "{:?}", facts.doubts);
    let subjects: Vec<_> = facts.commits.iter().map(|c| c.subject.as_str()).collect();
    assert_eq!(subjects, ["no convention here", "fix!: pay once", "feat(cart): add sums"]);
    let first = &facts.commits[2];
    assert_eq!((first.id.as_str(), first.author.as_str()), (feature.as_str(), "Ada <ada@example.com>"));
    assert_eq!(first.committed, Timestamp::parse("2026-11-20T10:00:00Z").expect("a time"));
    assert_eq!(first.body, "Because.");
    assert_eq!(
        first.trailers,
        [("Reviewed-by".to_owned(), "Bob <bob@example.com>".to_owned()), ("Refs".to_owned(), "#12".to_owned())]
    );
    assert_eq!(first.signature, CommitSignature::None);
    let conventional = first.conventional.as_ref().expect("it follows them");
    assert_eq!(
        (conventional.kind.as_str(), conventional.scope.as_deref(), conventional.breaking),
        ("feat", Some("cart"), false)
    );
    assert!(facts.commits[0].conventional.is_none());
    let breaking = facts.commits[1].conventional.as_ref().expect("it follows them");
    assert!(
        breaking.breaking && breaking.breaking_text.as_deref().is_some_and(|text| text.starts_with("callers must")),
        "{breaking:?}"
    );
    assert_eq!(facts.growth(), Growth::Major);
    let lines = facts.changed_lines();
    assert_eq!(lines["cart.rs"].iter().copied().collect::<Vec<_>>(), [2, 4]);
    assert_eq!(lines["pay ment\t\"é\".rs"].len(), 2, "content that looks like a header is content");
    let binary = facts.changed.iter().find(|f| f.path == "binary").expect("there");
    assert_eq!(binary.added, None);
}

#[tokio::test]
async fn what_is_taken_back_does_not_count_and_copies_name_their_source() {
    let folder = repository();
    let feature = commit(folder.path(), "a", "1", "feat: new thing");
    git(folder.path(), &["revert", "--no-edit", "HEAD"]);
    git(folder.path(), &["checkout", "-q", "-b", "side", "v1.0.0"]);
    let fix = commit(folder.path(), "b", "1", "fix: mend");
    git(folder.path(), &["checkout", "-q", "main"]);
    git(folder.path(), &["cherry-pick", "-x", &fix]);
    let facts = read(folder.path(), Some("v1.0.0"), "HEAD").await;
    assert_eq!(facts.commits[1].reverts, [feature]);
    assert_eq!(facts.commits[0].copied_from, Some(fix));
    assert_eq!(facts.growth(), Growth::Patch);
}

#[tokio::test]
async fn merges_have_two_parents_and_both_sides_are_read() {
    let folder = repository();
    git(folder.path(), &["checkout", "-q", "-b", "side"]);
    commit(folder.path(), "b", "1", "feat: aside");
    git(folder.path(), &["checkout", "-q", "main"]);
    commit(folder.path(), "a", "1", "fix: main");
    git(folder.path(), &["merge", "--no-ff", "-m", "Merge side", "side"]);
    let facts = read(folder.path(), Some("v1.0.0"), "HEAD").await;
    assert_eq!((facts.commits.len(), facts.commits[0].parents.len()), (3, 2));
}

#[tokio::test]
async fn a_history_that_is_cut_off_blocks() {
    let folder = repository();
    commit(folder.path(), "a", "1", "feat: one");
    commit(folder.path(), "a", "2", "feat: two");
    let clone = tempfile::tempdir().expect("a folder");
    let from = format!("file://{}", folder.path().display());
    git(clone.path(), &["clone", "--quiet", "--depth", "2", &from, "."]);
    let facts = read(clone.path(), None, "HEAD").await;
    assert!(facts.shallow && facts.commits.len() == 2);
    assert_eq!(doubted(&facts.doubts, DoubtKind::Incomplete), 1);
    assert!(blocking(&facts.doubts).is_some());
}

#[tokio::test]
async fn a_rewritten_history_and_no_commit_block() {
    let folder = repository();
    commit(folder.path(), "a", "1", "feat: one");
    git(folder.path(), &["tag", "old"]);
    git(folder.path(), &["commit", "--amend", "-m", "feat: other"]);
    let facts = read(folder.path(), Some("old"), "HEAD").await;
    assert!(!facts.linear);
    assert_eq!(doubted(&facts.doubts, DoubtKind::Contradiction), 1);
    let facts = read(folder.path(), Some("HEAD"), "HEAD").await;
    assert_eq!(doubted(&facts.doubts, DoubtKind::NothingMeasured), 1);
}

#[tokio::test]
async fn times_that_cannot_be_are_doubted() {
    let folder = repository();
    std::fs::write(folder.path().join("a"), "1").expect("written");
    git(folder.path(), &["add", "-A"]);
    git_at(folder.path(), &["commit", "-m", "fix: from the past"], "2001-01-01T00:00:00Z");
    git_at(
        folder.path(),
        &["commit", "--allow-empty", "--date", "2036-01-01T00:00:00Z", "-m", "fix: written tomorrow"],
        "2026-11-21T00:00:00Z",
    );
    let facts = read(folder.path(), None, "HEAD").await;
    assert_eq!(doubted(&facts.doubts, DoubtKind::Times), 2, "{:?}", facts.doubts);
}

/// A repository whose configuration, attributes, hooks, replacements and grafts each try to run a program or to lie.
#[tokio::test]
async fn a_hostile_repository_runs_nothing_and_rewrites_nothing() {
    let folder = repository();
    let path = folder.path();
    let real = commit(path, "a.txt", "1\n", "feat: real");
    // A replacement shows another commit under the same name, a graft other parents.
    let tree = git(path, &["rev-parse", "HEAD^{tree}"]);
    let forged = git(path, &["commit-tree", &tree, "-m", "docs: harmless"]);
    git(path, &["replace", &real, &forged]);
    std::fs::write(path.join(".git/info/grafts"), format!("{real}\n")).expect("written");
    let mark = path.join("ran");
    let program = path.join("evil.sh");
    std::fs::write(&program, format!("#!/bin/sh\ntouch '{}'\ncat\n", mark.display())).expect("written");
    let made = Command::new("chmod").arg("+x").arg(&program).status().expect("chmod starts");
    assert!(made.success());
    let evil = program.to_str().expect("text");
    for (key, value) in [
        ("core.fsmonitor", evil),
        ("core.pager", evil),
        ("core.sshCommand", evil),
        ("core.alternateRefsCommand", evil),
        ("diff.external", evil),
        ("diff.evil.textconv", evil),
        ("diff.evil.command", evil),
        ("filter.evil.clean", evil),
        ("filter.evil.smudge", evil),
        ("gpg.program", evil),
        ("log.showSignature", "true"),
        ("pager.log", evil),
        ("pager.diff-tree", evil),
        ("alias.rev-list", &format!("!{evil}")),
        ("credential.helper", evil),
        ("log.mailmap", "true"),
    ] {
        git(path, &["config", key, value]);
    }
    std::fs::write(path.join(".git/info/attributes"), "* diff=evil filter=evil\n").expect("written");
    std::fs::write(path.join(".mailmap"), "Mallory <m@example.com> <ada@example.com>\n").expect("written");
    for hook in ["post-checkout", "reference-transaction", "pre-auto-gc"] {
        std::fs::copy(&program, path.join(".git/hooks").join(hook)).expect("copied");
    }
    let facts = Repository::new(path).with_lines().read(Some("v1.0.0"), "HEAD").await.expect("readable");
    assert!(!mark.exists(), "a program of the repository was run");
    assert_eq!(facts.commits[0].author, "Ada <ada@example.com>");
    assert_eq!(facts.changed.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), ["a.txt"]);
    assert_eq!((facts.commits[0].subject.as_str(), facts.commits.len()), ("feat: real", 1));
    assert_eq!(facts.commits[0].parents.len(), 1, "grafts are not followed");
    // The traps are set: a git that is not held back springs them.
    git(path, &["--paginate", "log", "-p", "--ext-diff", "-1"]);
    assert!(mark.exists(), "nothing here would ever have run");
    assert_eq!(git(path, &["log", "-1", "--format=%s", &real]), "docs: harmless");
}

#[tokio::test]
async fn names_that_are_options_or_nothing_are_refused() {
    let folder = repository();
    let repository = Repository::new(folder.path());
    for name in
        ["--all", "-h", "", "HEAD\n", "nobody", "v1.0.0..HEAD", "HEAD:cart.rs", "--output=/tmp/x", &"f".repeat(40)]
    {
        let error = repository.read(None, name).await.expect_err(name);
        assert_eq!(error.problem, Problem::Field, "{name:?}: {error}");
        assert!(repository.read(Some(name), "HEAD").await.is_err(), "{name:?}");
    }
    let empty = tempfile::tempdir().expect("a folder");
    let error = Repository::new(empty.path()).read(None, "HEAD").await.expect_err("no repository");
    assert!(error.problem == Problem::Producer && error.reason.contains("not a git repository"), "{error}");
    let error =
        Repository::new(folder.path()).program("/nonexistent/git").read(None, "HEAD").await.expect_err("no git");
    assert_eq!(error.problem, Problem::Producer);
}

#[tokio::test]
async fn more_commits_than_the_limit_are_an_error_and_odd_bytes_are_kept_as_text() {
    let folder = repository();
    commit(folder.path(), "a", "1", "feat: one");
    let limited = Repository::new(folder.path()).limits(Limits::default().things(1));
    assert_eq!(limited.read(None, "HEAD").await.expect_err("two").problem, Problem::TooLarge);
    let limited = Repository::new(folder.path()).limits(Limits::default().bytes(100));
    assert_eq!(limited.read(None, "HEAD").await.expect_err("long").problem, Problem::TooLarge);
    // A commit as no porcelain would write it: no message, no UTF-8, a signature.
    let tree = git(folder.path(), &["rev-parse", "HEAD^{tree}"]);
    let mut object = format!("tree {tree}\nauthor ").into_bytes();
    object.extend_from_slice(b"\xE9ve <e@x> 1763600000 +0530\ncommitter E <e@x> 1763600000 -0800\ngpgsig -----BEGIN X-----\n line\n -----END X-----\nencoding latin1\n\n\xE9t\xE9\n");
    std::fs::write(folder.path().join("object"), &object).expect("written");
    let id = git(folder.path(), &["hash-object", "-t", "commit", "-w", "--literally", "object"]);
    let facts = Repository::new(folder.path()).read(None, &id).await.expect("readable");
    let odd = &facts.commits[0];
    assert_eq!((odd.signature, odd.authored), (CommitSignature::Present, Timestamp(1_763_600_000_000)));
    assert!(odd.author.ends_with("ve <e@x>") && odd.subject.contains('t'));
}
