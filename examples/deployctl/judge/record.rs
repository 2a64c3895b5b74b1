//! One row of a file.

use std::path::Path;
use std::sync::Arc;

use deploy_core::monitor::Counts;
use deploy_core::name::{MetricName, StratumName};
use deploy_core::real::Real;
use serde::Deserialize;

use super::args::Format;
use super::outcome::Failure;
use super::place::Place;
use super::{csv, json};

/// What stands in one row, and was found to make sense.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) metric: MetricName,
    pub(crate) window: Option<u64>,
    pub(crate) stage: Option<(u32, Place)>,
    pub(crate) stratum: Option<(StratumName, Place)>,
    pub(crate) number: Number,
    /// Where the number stands.
    pub(crate) place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Value(Real),
    Counts(Counts),
}

/// The fields of a row, each of its own kind.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fields {
    pub(crate) metric: Option<MetricName>,
    pub(crate) window: Option<u64>,
    pub(crate) stage: Option<u32>,
    pub(crate) stratum: Option<StratumName>,
    pub(crate) value: Option<Real>,
    pub(crate) events: Option<u64>,
    pub(crate) bad: Option<u64>,
}

/// Where the parts of a row stand.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) row: Place,
    pub(crate) number: Place,
    pub(crate) stage: Place,
    pub(crate) stratum: Place,
}

impl Record {
    pub(crate) fn new(fields: Fields, places: Places) -> Result<Self, Failure> {
        let wrong = |what: &str| places.row.wrong(what);
        let number = match (fields.value, fields.events, fields.bad) {
            (Some(value), None, None) => Number::Value(value),
            (None, Some(events), Some(bad)) => {
                Number::Counts(Counts::new(events, bad).map_err(|error| wrong(&error.to_string()))?)
            }
            (None, None, None) => return Err(wrong("neither a value nor events and bad are given")),
            (None, ..) => return Err(wrong("events and bad belong together, and one of them is missing")),
            (Some(_), ..) => return Err(wrong("both a value and counts are given; a row is one of the two")),
        };
        if fields.stage.is_some() && fields.window.is_none() {
            return Err(places.stage.wrong("a stage is one of windows: give the number of the window beside it"));
        }
        let metric = match fields.metric {
            Some(metric) => metric,
            None => MetricName::new("value").map_err(|error| wrong(&error.to_string()))?,
        };
        let stage = fields.stage.map(|stage| (stage, places.stage));
        let stratum = fields.stratum.map(|stratum| (stratum, places.stratum));
        Ok(Self { metric, window: fields.window, stage, stratum, number, place: places.number })
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
    let bytes = std::fs::read(path).map_err(|source| Failure::File { path: path.to_owned(), source })?;
    let file: Arc<Path> = Arc::from(path);
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let place = Place::new(&file, Place::of_byte(&bytes, error.valid_up_to()));
        place.wrong("the bytes that stand here are not UTF-8; save the file as UTF-8")
    })?;
    // Spreadsheets begin a file with a mark of the byte order, which is no part of what stands in it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let records = match format {
        Format::Csv => csv::read(text, &file),
        Format::Json => json::read(text, &file),
    }?;
    if records.is_empty() {
        let place = Place::new(&file, (text.lines().count().max(1), 1));
        return Err(place.wrong("there is not a single row of numbers"));
    }
    Ok(records)
}
