//! Every number says where it stood, and it stands there.

use deploy_agents::evidence::{Format, Original, Place, Pointer, Source};
use deploy_core::time::Timestamp;
use serde_json::Value;

use crate::samples::ALL;

/// All sourced values in facts: `{"value": …, "at": {"file": …, "place": …}}`.
pub(crate) fn sourced(facts: &Value, found: &mut Vec<(Value, Pointer)>) {
    match facts {
        Value::Object(fields) => {
            if let (Some(value), Some(at), 2) = (fields.get("value"), fields.get("at"), fields.len()) {
                let at = serde_json::from_value(at.clone()).expect("a pointer");
                found.push((value.clone(), at));
                return;
            }
            fields.values().for_each(|value| sourced(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| sourced(item, found)),
        _ => {}
    }
}

/// Whether a value is what a text says, in the unit of the text.
fn same(value: &Value, text: &str) -> bool {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number = digits.trim_end_matches('%').parse::<f64>();
    match value {
        Value::String(mine) => mine == text || text.ends_with(&format!("@{mine}")),
        Value::Bool(mine) => mine.to_string() == text,
        Value::Number(mine) => {
            let mine = mine.as_f64().expect("finite");
            let as_time = Timestamp::parse(text).is_ok_and(|time| time == Timestamp(mine as i64));
            as_time || number.is_ok_and(|number| number == mine || number * 1_000.0 == mine)
        }
        _ => false,
    }
}

/// How many sourced values a report has; each must stand where it says.
pub(crate) fn check_pointers(format: Format, file: &str, bytes: &[u8]) -> usize {
    let source = Source::new(file, bytes);
    let facts = format.read(&source).unwrap_or_else(|error| panic!("{format}: {error}"));
    let facts = serde_json::to_value(facts).expect("facts are data");
    let mut found = Vec::new();
    sourced(&facts, &mut found);
    let original = Original::open(&source);
    for (value, at) in &found {
        assert_eq!(&*at.file, file);
        assert_ne!(at.place, Place::Whole, "{format}: {value} says no place");
        let text = original.text_at(&at.place).unwrap_or_else(|error| panic!("{format}: {value} at {at}: {error}"));
        assert!(same(value, &text), "{format}: {value} is cited from {at}, where {text:?} stands");
    }
    found.len()
}

#[test]
fn every_number_stands_where_it_says() {
    let mut total = 0;
    for (format, file, text) in ALL {
        let count = check_pointers(*format, file, text.as_bytes());
        let without = matches!(format, Format::Opa | Format::Conftest | Format::Csaf | Format::Osv);
        assert!(count > 0 || without || file.ends_with("sample.json"), "{format}: no number says where it stands");
        total += count;
    }
    println!("{total} sourced values of {} reports were found where they say", ALL.len());
    assert!(total > 150, "{total}");
}

#[test]
fn a_changed_number_no_longer_stands_there() {
    let source = Source::new("junit.xml", crate::samples::JUNIT.as_bytes());
    let facts = Format::Junit.read(&source).expect("readable");
    let mut found = Vec::new();
    sourced(&serde_json::to_value(facts).expect("data"), &mut found);
    let changed = crate::samples::JUNIT.replace("tests=\"5\"", "tests=\"6\"");
    let original_source = Source::new("junit.xml", changed.as_bytes());
    let original = Original::open(&original_source);
    let wrong = found.iter().filter(|(value, at)| !original.text_at(&at.place).is_ok_and(|text| same(value, &text)));
    assert_eq!(wrong.count(), 1);
}

#[test]
fn each_honest_report_is_recognised_as_what_it_is() {
    for (format, file, text) in ALL {
        let source = Source::new(file, text.as_bytes());
        let guessed = Format::guess(&source).unwrap_or_else(|error| panic!("{file}: {error}"));
        let wanted = if *format == Format::CycloneDxVex { Format::CycloneDx } else { *format };
        assert_eq!(guessed, wanted, "{file}");
    }
    let covered = Format::ALL.iter().filter(|format| ALL.iter().any(|(mine, ..)| mine == *format)).count();
    assert_eq!(covered, Format::ALL.len(), "a format has no sample");
}
