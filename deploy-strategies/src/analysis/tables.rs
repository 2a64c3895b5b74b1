//! Tables of figures that others computed, read where they lie.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// One row of a table.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) table: String,
    pub(crate) input: Value,
    pub(crate) expected: Value,
    relative: f64,
    absolute: f64,
}

impl Row {
    pub(crate) fn expects(&self, field: &str) -> bool {
        !self.expected[field].is_null()
    }

    /// Fails unless `got` is within the row's tolerance of what `field` expects, where it expects something.
    pub(crate) fn near(&self, field: &str, got: f64) {
        if self.expects(field) {
            self.within(field, got, number(&self.expected[field]), self.relative, self.absolute);
        }
    }

    pub(crate) fn near_pair(&self, field: &str, got: (f64, f64)) {
        if self.expects(field) {
            let want = &self.expected[field];
            self.within(field, got.0, number(&want[0]), self.relative, self.absolute);
            self.within(field, got.1, number(&want[1]), self.relative, self.absolute);
        }
    }

    /// Fails unless `got` is within the tolerance that stands beside the figure.
    pub(crate) fn near_by(&self, field: &str, tolerance: &str, got: f64) {
        self.within(field, got, number(&self.expected[field]), 0.0, number(&self.expected[tolerance]));
    }

    fn within(&self, field: &str, got: f64, want: f64, relative: f64, absolute: f64) {
        let same = (got.is_nan() && want.is_nan())
            || got.to_bits() == want.to_bits()
            || (got - want).abs() <= absolute + relative * want.abs();
        assert!(same, "{}: {field} is {got}, expected {want}, off by {:e}", self.name, (got - want).abs());
    }

    pub(crate) fn numbers(&self, field: &str) -> Vec<f64> {
        numbers(&self.input[field])
    }

    pub(crate) fn number(&self, field: &str) -> f64 {
        number(&self.input[field])
    }

    pub(crate) fn count(&self, field: &str) -> u64 {
        self.input[field].as_u64().unwrap_or_else(|| panic!("{}: {field} is no count", self.name))
    }
}

pub(crate) fn number(value: &Value) -> f64 {
    match value {
        Value::String(text) => match text.as_str() {
            "NaN" => f64::NAN,
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            other => panic!("{other} is no number"),
        },
        other => other.as_f64().unwrap_or_else(|| panic!("{other} is no number")),
    }
}

pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(number).collect()
}

/// Runs every row of one family of the reference values, and says how many.
pub(crate) fn vectors(family: &str, mut check: impl FnMut(&Row)) {
    let Some(file) = read("stats_vectors.json") else { return };
    let mut ran = 0;
    for case in file["cases"].as_array().expect("cases") {
        if case["family"] != family {
            continue;
        }
        check(&Row {
            name: case["id"].as_str().expect("an id").to_owned(),
            table: family.to_owned(),
            input: case["input"].clone(),
            expected: case["expect"].clone(),
            relative: number(&case["rtol"]),
            absolute: number(&case["atol"]),
        });
        ran += 1;
    }
    say(&format!("stats_vectors.json, {family}: {ran} rows"));
    assert!(ran > 0, "no row of {family}");
}

/// Runs every row of a table, and says how many. The check says whether it ran the row.
pub(crate) fn rows(name: &str, mut check: impl FnMut(&Row) -> bool) {
    let Some(file) = read(name) else { return };
    let cases = file["cases"].as_array().expect("cases");
    let mut ran = 0;
    for case in cases {
        let row = Row {
            name: case["name"].as_str().expect("a name").to_owned(),
            table: case["table"].as_str().unwrap_or_default().to_owned(),
            input: case["input"].clone(),
            expected: case["expected"].clone(),
            relative: 0.0,
            absolute: 0.0,
        };
        ran += usize::from(check(&row));
    }
    say(&format!("{name}: {ran} of {} rows", cases.len()));
    assert!(ran > 0, "no row of {name}");
}

pub(crate) fn read(name: &str) -> Option<Value> {
    let path = folder().join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(serde_json::from_str(&text).expect("the table is JSON")),
        Err(error) => {
            let required = std::env::var("REQUIRE_CASES").is_ok_and(|value| value == "1");
            assert!(!required, "{} cannot be read: {error}", path.display());
            say(&format!("SKIPPED: {} cannot be read: {error}", path.display()));
            None
        }
    }
}

fn folder() -> PathBuf {
    std::env::var_os("CASES_DIR").map_or_else(
        || {
            // The workspace root is the parent of this package; the tables lie beside it.
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_owned();
            root.join("../shared/cases")
        },
        PathBuf::from,
    )
}

/// Tells whoever runs the tests, also of a test that passes: what is printed is shown of those that fail alone.
pub(crate) fn say(line: &str) {
    use std::io::Write as _;

    writeln!(std::io::stderr(), "{line}").expect("standard error");
}
