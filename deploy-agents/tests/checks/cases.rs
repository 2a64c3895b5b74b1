//! Reads the tables of others' figures.

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::Value;

/// The rows of one table file; none, loudly, without the folder. With `REQUIRE_CASES=1` that fails.
pub(crate) fn rows(file: &str) -> Vec<Value> {
    let folder = std::env::var_os("CASES_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/cases"), PathBuf::from);
    let path = folder.join(file);
    if !path.exists() {
        assert!(std::env::var("REQUIRE_CASES").as_deref() != Ok("1"), "{} is not there", path.display());
        writeln!(std::io::stderr(), "SKIPPED: {} is not there; set CASES_DIR", path.display()).expect("standard error");
        return Vec::new();
    }
    let whole: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("readable")).expect("JSON");
    whole["cases"].as_array().expect("rows").clone()
}
