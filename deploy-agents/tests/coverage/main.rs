//! Which row of the workflows is shown by what: `docs/workflow-coverage.md` is made from the source, and compared with it here.
//!
//! A row is cited by a line `Rows: M8, M9-M12.` in the documentation of a test, a function or a type. Only a test shows anything;
//! what only a type cites is listed as having no test. After a change of such lines, run
//! `UPDATE_COVERAGE=1 cargo test -p deploy-agents --test coverage`.
#![expect(clippy::print_stdout, reason = "the counts are shown with --nocapture")]

mod cite;
mod page;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use self::cite::{Cite, cites};

/// The rows with their titles.
const ROWS: &str = include_str!("rows.txt");

pub(crate) fn titles() -> BTreeMap<u16, &'static str> {
    let row = |line: &'static str| {
        let (row, title) = line.split_once(' ').expect("a row and its title");
        (row.trim_start_matches('M').parse().expect("a number"), title)
    };
    ROWS.lines().map(row).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace is there")
}

/// All source files of the workspace, in order.
fn sources() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
            if path.is_dir() {
                if !matches!(path.file_name().and_then(|name| name.to_str()), Some("target" | "compile_fail")) {
                    walk(&path, found);
                }
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    for member in ["deploy-core", "deploy-strategies", "deploy-agents", "examples", "benches"] {
        walk(&root().join(member), &mut found);
    }
    found.sort();
    found
}

fn all() -> Result<Vec<Cite>, String> {
    let (root, mut all, mut wrong) = (root(), Vec::new(), Vec::new());
    for path in sources() {
        let text = std::fs::read_to_string(&path).expect("a source file is text");
        let file = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
        match cites(&file, &text) {
            Ok(found) => all.extend(found),
            Err(error) => wrong.push(error),
        }
    }
    let known = titles();
    for cite in &all {
        for row in cite.rows.iter().filter(|row| !known.contains_key(row)) {
            wrong.push(format!("{}: {} cites M{row}, which is no row", cite.file, cite.name));
        }
    }
    if wrong.is_empty() { Ok(all) } else { Err(wrong.join("\n")) }
}

#[test]
fn the_page_says_what_the_source_says() {
    let cites = all().expect("every line of rows is well formed");
    let page = page::page(&titles(), &cites);
    println!("{}", page::summary(&titles(), &cites));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/workflow-coverage.md");
    if std::env::var("UPDATE_COVERAGE").as_deref() == Ok("1") {
        std::fs::write(&path, &page).expect("the page can be written");
        return;
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = there.lines().zip(page.lines()).find(|(a, b)| a != b);
    assert!(
        there == page,
        "docs/workflow-coverage.md is not what the source says (first difference: {differs:?}); \
         run `UPDATE_COVERAGE=1 cargo test -p deploy-agents --test coverage`"
    );
}

#[test]
fn there_are_243_rows() {
    assert_eq!(titles().keys().copied().collect::<Vec<_>>(), (1..=243).collect::<Vec<u16>>());
}
