//! One row of a file.

use std::path::Path;

use deploy_core::monitor::Counts;
use deploy_core::name::MetricName;
use deploy_core::real::Real;
use serde::Deserialize;

use super::args::Format;
use super::outcome::Failure;
use super::{csv, json};

/// What stands in one row, and was found to make sense.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Fields")]
pub(crate) struct Record {
    pub(crate) metric: MetricName,
    pub(crate) window: u64,
    pub(crate) number: Number,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Value(Real),
    Counts(Counts),
}

/// The fields of a row, as they are written.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fields {
    pub(crate) metric: Option<String>,
    pub(crate) window: Option<u64>,
    pub(crate) value: Option<f64>,
    pub(crate) events: Option<u64>,
    pub(crate) bad: Option<u64>,
}

impl TryFrom<Fields> for Record {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let number = match (fields.value, fields.events, fields.bad) {
            (Some(value), None, None) => Number::Value(Real::new(value).map_err(|error| error.to_string())?),
            (None, Some(events), Some(bad)) => {
                Number::Counts(Counts::new(events, bad).map_err(|error| error.to_string())?)
            }
            (None, None, None) => return Err("neither a value nor events and bad are given".to_owned()),
            (None, ..) => return Err("events and bad belong together, and one of them is missing".to_owned()),
            (Some(_), ..) => return Err("both a value and counts are given; a row is one of the two".to_owned()),
        };
        let metric = MetricName::new(fields.metric.as_deref().unwrap_or("value")).map_err(|error| error.to_string())?;
        Ok(Self { metric, window: fields.window.unwrap_or(0), number })
    }
}

/// Reads a file whole; it has at least one row.
pub(crate) fn read(path: &Path, format: Option<Format>) -> Result<Vec<Record>, Failure> {
    let named = match path.extension().and_then(|end| end.to_str()) {
        Some("csv") => Some(Format::Csv),
        Some("json") => Some(Format::Json),
        _ => None,
    };
    let format = format.or(named).ok_or_else(|| Failure::Unnamed { path: path.to_owned() })?;
    let text = std::fs::read_to_string(path).map_err(|source| Failure::File { path: path.to_owned(), source })?;
    let read = match format {
        Format::Csv => csv::read(&text),
        Format::Json => json::read(&text),
    };
    let malformed = |wrong: Wrong| Failure::Malformed {
        path: path.to_owned(),
        line: wrong.line,
        column: wrong.column,
        wrong: wrong.what,
    };
    let records = read.map_err(malformed)?;
    if records.is_empty() {
        let (line, column) = (text.lines().count().max(1), 1);
        return Err(malformed(Wrong { line, column, what: "there is not a single row of numbers".to_owned() }));
    }
    Ok(records)
}

/// What is wrong in a file, and where; lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) what: String,
}
