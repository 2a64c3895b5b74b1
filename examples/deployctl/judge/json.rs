//! Rows from a JSON array of objects.

use std::path::Path;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::outcome::Failure;
use super::place::Place;
use super::record::{Fields, Places, Record};

pub(crate) fn read(text: &str, file: &Arc<Path>) -> Result<Vec<Record>, Failure> {
    // First where each object stands, so that whatever is wrong with it is named by its own place.
    let begin = Place::new(file, (1, 1));
    let rows: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| wrong(&error, &begin))?;
    let mut at = Place::new(file, (1, 1));
    let mut byte = 0;
    let row = |row: &RawValue| {
        let offset = row.get().as_ptr().addr() - text.as_ptr().addr();
        advance(&mut at, &text[byte..offset]);
        byte = offset;
        let fields: Fields = serde_json::from_str(row.get()).map_err(|error| wrong(&error, &at))?;
        Record::new(fields, Places { row: at.clone(), number: at.clone(), stage: at.clone(), stratum: at.clone() })
    };
    rows.into_iter().map(row).collect()
}

/// Moves a place on by this text.
fn advance(place: &mut Place, passed: &str) {
    match passed.rfind('\n') {
        Some(end) => {
            place.line += passed.matches('\n').count();
            place.column = passed[end + 1..].chars().count() + 1;
        }
        None => place.column += passed.chars().count(),
    }
}

/// An error in a part of a text that begins at this place.
fn wrong(error: &serde_json::Error, place: &Place) -> Failure {
    // The place is told apart from the words.
    let within = format!(" at line {} column {}", error.line(), error.column());
    let what = error.to_string().replace(&within, "");
    let first = error.line() <= 1;
    let column = if first { place.column + error.column().max(1) - 1 } else { error.column().max(1) };
    Place { line: place.line + error.line().max(1) - 1, column, ..place.clone() }.wrong(what)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::super::outcome::Failure;
    use super::super::record::Record;

    fn read(text: &str) -> Result<Vec<Record>, Failure> {
        super::read(text, &Arc::from(Path::new("it.json")))
    }

    fn wrong(text: &str) -> (usize, usize, String) {
        match read(text).expect_err("it is malformed") {
            Failure::Malformed { line, column, wrong, .. } => (line, column, wrong),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn rows_are_read_by_their_fields() {
        let rows = read(r#"[{"metric": "errors", "window": 3, "stage": 1, "events": 10, "bad": 1}, {"value": 2.5}]"#);
        let rows = rows.expect("well-formed");
        assert_eq!((rows.len(), rows[0].window, rows[1].window), (2, Some(3), None));
        assert_eq!((rows[1].place.line, rows[1].place.column), (1, 73));
        let lines = read("[\n {\"value\": 1},\n\n   {\"value\": 2}]").expect("well-formed");
        assert_eq!((lines[1].place.line, lines[1].place.column), (4, 4));
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
        assert_eq!(wrong("[{\"value\": 1, \"metric\": \"-x\"}]").0, 1);
    }
}
