//! Every invariant of the engine is named by a test.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Those that no test of this workspace can show, and why.
const ELSEWHERE: &[(u32, &str)] = &[
    (21, "needs journals of earlier releases, and there is none yet"),
    (29, "compares engines of others with ours, and needs them"),
    (30, "is about the read model of another engine"),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The numbers after a capital D that stands by itself.
fn named(line: &str) -> Vec<u32> {
    let words = line.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter_map(|word| word.strip_prefix('D')?.parse().ok()).collect()
}

/// Each is named by the documentation of a test, or stands in the list of those that cannot be.
#[test]
fn every_invariant_is_named_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    let mut files = Vec::new();
    for member in ["deploy-core", "deploy-strategies", "deploy-agents", "examples"] {
        for part in ["src", "tests"] {
            let folder = root.join(member).join(part);
            if folder.is_dir() {
                sources(&folder, &mut files);
            }
        }
    }
    let mut tests: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a text");
        let (mut said, mut is_test) = (Vec::new(), false);
        for line in text.lines().map(str::trim_start) {
            if let Some(doc) = line.strip_prefix("///") {
                said.extend(named(doc));
            } else if line.starts_with("#[") {
                is_test |= line.contains("test");
            } else {
                let function = line.split("fn ").nth(1).and_then(|rest| rest.split('(').next());
                if let (Some(function), true) = (function, is_test) {
                    for number in &said {
                        tests.entry(*number).or_default().push(function.to_owned());
                    }
                }
                (said, is_test) = (Vec::new(), false);
            }
        }
    }
    for (number, tests) in &tests {
        println!("D{number}: {}", tests.join(", "));
    }
    let missing: Vec<u32> = (1..=30)
        .filter(|number| !tests.contains_key(number) && ELSEWHERE.iter().all(|(there, _)| there != number))
        .collect();
    assert!(missing.is_empty(), "no test names D{missing:?}");
    for (number, _) in ELSEWHERE {
        assert!(!tests.contains_key(number), "D{number} is named by a test and needs no excuse");
    }
}
