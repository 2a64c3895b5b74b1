//! Rows from a JSON array of objects.

use super::record::{Record, Wrong};

pub(crate) fn read(text: &str) -> Result<Vec<Record>, Wrong> {
    serde_json::from_str(text).map_err(|error| {
        let what = error.to_string();
        // The place is told apart from the words.
        let place = format!(" at line {} column {}", error.line(), error.column());
        Wrong { line: error.line().max(1), column: error.column().max(1), what: what.replace(&place, "") }
    })
}

#[cfg(test)]
mod tests {
    use super::read;

    fn wrong(text: &str) -> (usize, usize, String) {
        let wrong = read(text).expect_err("it is malformed");
        (wrong.line, wrong.column, wrong.what)
    }

    #[test]
    fn rows_are_read_by_their_fields() {
        let rows = read(r#"[{"metric": "errors", "window": 3, "events": 10, "bad": 1}, {"value": 2.5}]"#);
        assert_eq!(rows.expect("well-formed").len(), 2);
    }

    #[test]
    fn what_is_wrong_is_named_by_line_and_column() {
        let (line, column, what) = wrong("[{\"value\": 1},\n {\"values\": 2}]");
        assert_eq!((line, column), (2, 10));
        assert!(what.starts_with("unknown field `values`"), "{what}");
        let (line, _, what) = wrong("[\n{\"events\": 1, \"bad\": 2}\n]");
        assert_eq!(line, 2);
        assert!(what.contains("2 bad events among 1"), "{what}");
        assert_eq!(wrong("[{\"value\": 1}\n").0, 2, "cut off");
        assert!(wrong("[{\"value\": \"1\"}]").2.contains("invalid type: string"), "a text is no number");
    }
}
