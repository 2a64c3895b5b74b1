//! Reads the tables of others' figures.

use std::path::PathBuf;

use serde_json::Value;

/// The folder of tables, or a part of it; nothing, loudly, if it is not there. With `REQUIRE_CASES=1` that fails.
pub(crate) fn folder(part: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("CASES_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/cases"), PathBuf::from);
    let path = folder.join(part);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var("REQUIRE_CASES").as_deref() != Ok("1"), "{} is not there", path.display());
    say(&format!("SKIPPED: {} is not there; set CASES_DIR", path.display()));
    None
}

/// The rows of one table file; none without the folder.
pub(crate) fn rows(file: &str) -> Vec<Value> {
    let Some(path) = folder(file) else { return Vec::new() };
    let whole: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    whole["cases"].as_array().unwrap().clone()
}

/// Runs `check` on every row of a table and says how many there were. Every row must be run.
pub(crate) fn each(file: &str, table: Option<&str>, mut check: impl FnMut(&str, &Value, &Value)) {
    let rows = rows(file);
    let mut ran = 0;
    for row in rows.iter().filter(|row| table.is_none_or(|table| row["table"] == table)) {
        check(row["name"].as_str().unwrap(), &row["input"], &row["expected"]);
        ran += 1;
    }
    assert!(rows.is_empty() || ran > 0, "{file} has no table {table:?}");
    say(&format!("{file} {}: {ran} rows of {} in the file", table.unwrap_or("(all)"), rows.len()));
}

/// Tells whoever runs the tests, also of a test that passes: what is printed is shown of those that fail alone.
pub(crate) fn say(text: &str) {
    use std::io::Write as _;

    writeln!(std::io::stderr(), "{text}").expect("standard error");
}

/// A whole number of a row; nothing if it is null or absent.
pub(crate) fn whole(value: &Value) -> Option<u32> {
    value.as_u64().map(|n| u32::try_from(n).unwrap())
}
