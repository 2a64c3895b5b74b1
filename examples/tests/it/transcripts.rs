//! The small examples say what their transcripts say.

use std::path::Path;
use std::process::Command;

use crate::program::{program, stdout};

#[track_caller]
fn says_what_its_transcript_says(example: &str) {
    let output = Command::new(program(example)).output().expect("the example starts");
    assert!(output.status.success(), "{output:?}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(example).with_extension("out");
    let transcript = std::fs::read_to_string(&path).expect("a transcript lies beside the example");
    assert_eq!(stdout(&output), transcript, "if the change is meant, write it to {}", path.display());
}

#[test]
fn quickstart() {
    says_what_its_transcript_says("quickstart");
}

#[test]
fn canary() {
    says_what_its_transcript_says("canary");
}

#[test]
fn custom_agent() {
    says_what_its_transcript_says("custom_agent");
}

#[test]
fn deliverable() {
    says_what_its_transcript_says("deliverable");
}

#[test]
fn approval() {
    says_what_its_transcript_says("approval");
}

#[test]
fn evidence() {
    says_what_its_transcript_says("evidence");
}

/// A folder in which one report says otherwise: its check fails, with the place; as JSON too.
#[test]
fn evidence_of_a_folder_that_was_changed() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("evidence/sample");
    let folder = tempfile::tempdir().expect("a folder");
    for file in std::fs::read_dir(sample).expect("the sample") {
        let file = file.expect("a file");
        std::fs::copy(file.path(), folder.path().join(file.file_name())).expect("copied");
    }
    let changed = folder.path().join("health.json");
    let text = std::fs::read_to_string(&changed).expect("text").replace("\"v2\"", "\"v1\"");
    std::fs::write(&changed, text).expect("written");
    std::fs::remove_file(folder.path().join("lcov.info")).expect("it was there");
    let output = Command::new(program("evidence")).arg("--json").arg(folder.path()).output().expect("it starts");
    let lines: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    let verdict =
        |check: &str| lines.iter().find(|line| line["check"] == check).expect("a check")["verdict"].to_string();
    assert!(verdict("health").contains("foreign"), "{}", verdict("health"));
    assert!(verdict("coverage").contains("missing"), "{}", verdict("coverage"));
    assert_eq!(verdict("smoke"), "\"pass\"");
}

#[test]
fn resume_after_crash() {
    says_what_its_transcript_says("resume_after_crash");
}

/// What people copy from the front page is what is built and run here.
#[test]
fn the_front_page_shows_the_quickstart_as_it_is() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = std::fs::read_to_string(here.join("quickstart.rs")).expect("it is there");
    let (_, code) = example.split_once("\n\n").expect("the code begins after the first empty line");
    let front_page = std::fs::read_to_string(here.join("../README.md")).expect("it is there");
    assert!(front_page.contains(&format!("```rust\n{code}```\n")), "README.md shows another text than quickstart.rs");
}
