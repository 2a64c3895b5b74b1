//! Rows from a JSON array of objects.

use serde_json::value::RawValue;

use super::record::{Fields, Record, Wrong};

pub(crate) fn read(text: &str) -> Result<Vec<Record>, Wrong> {
    // First where each object stands, so that whatever is wrong with it is named by its own place.
    let rows: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| wrong(&error, (1, 1)))?;
    let row = |row: &RawValue| {
        let place = place(text, row.get());
        let fields: Fields = serde_json::from_str(row.get()).map_err(|error| wrong(&error, place))?;
        Record::try_from(fields).map_err(|what| Wrong { line: place.0, column: place.1, what })
    };
    rows.into_iter().map(row).collect()
}

/// Line and column of a part of a text.
fn place(text: &str, part: &str) -> (usize, usize) {
    let offset = part.as_ptr().addr() - text.as_ptr().addr();
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// An error in a part of a text that begins at this line and column.
fn wrong(error: &serde_json::Error, (line, column): (usize, usize)) -> Wrong {
    // The place is told apart from the words.
    let within = format!(" at line {} column {}", error.line(), error.column());
    let what = error.to_string().replace(&within, "");
    let first = error.line() <= 1;
    let column = if first { column + error.column().max(1) - 1 } else { error.column().max(1) };
    Wrong { line: line + error.line().max(1) - 1, column, what }
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
        assert_eq!(line, 2, "{what}");
        assert!(what.contains("2 bad events among 1"), "{what}");
        assert_eq!(wrong("[{\"value\": 1}\n").0, 2, "cut off");
        assert!(wrong("[{\"value\": \"1\"}]").2.contains("invalid type: string"), "a text is no number");
    }
}
