//! What the HTTP interface of Prometheus answers, as data.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::excerpt::excerpt;

/// The most series of one answer. A question of a release is about a handful; more is a question that was not meant.
const MOST_SERIES: usize = 10_000;

/// The most characters of the server's own words that are told.
const QUOTED: usize = 200;

/// A sample: when, in milliseconds since the Unix epoch, and how much; NaN and the infinities are values here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) at_ms: i64,
    pub(super) value: f64,
}

/// The labels of a series.
pub(super) type Labels = BTreeMap<String, String>;

/// What was answered.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data {
    /// One number without labels.
    Scalar(Point),
    /// One sample of each series.
    Vector(Vec<(Labels, Point)>),
    /// The samples of each series, oldest first.
    Matrix(Vec<(Labels, Vec<Point>)>),
}

/// An answer and what the server said about it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) data: Data,
    /// Why it may be incomplete or wrong; empty if nothing was said.
    pub(super) doubts: Vec<String>,
}

/// An answer that is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    /// The server refused or gave up, in its own words.
    #[error("the server answered {kind}: {said}")]
    Refused { kind: String, said: String },
    /// It is not what the interface answers.
    #[error("the answer is not one of this interface")]
    Shape(#[source] serde_json::Error),
    /// A number that is none.
    #[error("{0:?} is not a number")]
    Number(String),
    /// A kind of result that no question here asks for.
    #[error("the answer is a {0}, not numbers")]
    Kind(String),
    /// Native histograms, which this monitor does not read.
    #[error("the answer holds native histograms; ask for numbers, for example by histogram_quantile")]
    NativeHistogram,
    /// More series than any question of a release is about.
    #[error("the answer holds {0} series; at most {MOST_SERIES} are read: aggregate")]
    TooMany(usize),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    status: String,
    #[serde(borrow, default)]
    data: Option<Result_<'a>>,
    #[serde(default, rename = "errorType")]
    error_type: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
    /// VictoriaMetrics says so when not all of its storage answered.
    #[serde(default, rename = "isPartial")]
    is_partial: bool,
}

#[derive(Deserialize)]
struct Result_<'a> {
    #[serde(rename = "resultType")]
    kind: String,
    #[serde(borrow)]
    result: &'a RawValue,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    metric: Labels,
    #[serde(default)]
    value: Option<(f64, String)>,
    #[serde(default)]
    values: Vec<(f64, String)>,
    #[serde(default)]
    histogram: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    histograms: Option<serde::de::IgnoredAny>,
}

impl Envelope<'_> {
    fn doubts(&self) -> Vec<String> {
        let warnings = self.warnings.iter().map(|warning| excerpt(warning, QUOTED)).take(8);
        warnings.chain(self.is_partial.then(|| "not all of the storage answered".to_owned())).collect()
    }
}

/// Why an answer may be incomplete or wrong, in the server's own words; empty if it says nothing. Otherwise why it is none.
#[cfg(feature = "import")]
pub(in crate::monitors) fn doubts(body: &[u8]) -> Result<Vec<String>, String> {
    let envelope: Envelope<'_> =
        serde_json::from_slice(body).map_err(|error| deploy_core::report::chain(&AnswerError::Shape(error)))?;
    Ok(envelope.doubts())
}

/// Reads an answer, whatever its status code: refusals are JSON too.
pub(super) fn read(body: &[u8]) -> Result<Answer, AnswerError> {
    let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(AnswerError::Shape)?;
    let doubts = envelope.doubts();
    let Some(data) = envelope.data.filter(|_| envelope.status == "success") else {
        let said = envelope.error.unwrap_or_else(|| "no reason".to_owned());
        return Err(AnswerError::Refused {
            kind: envelope.error_type.unwrap_or(envelope.status),
            said: excerpt(&said, QUOTED),
        });
    };
    let data = match data.kind.as_str() {
        "scalar" => Data::Scalar(point(&serde_json::from_str(data.result.get()).map_err(AnswerError::Shape)?)?),
        "vector" => {
            let one = |(labels, points): (Labels, Vec<Point>)| points.first().map(|point| (labels, *point));
            Data::Vector(series(data.result)?.into_iter().filter_map(one).collect())
        }
        "matrix" => Data::Matrix(series(data.result)?),
        other => return Err(AnswerError::Kind(excerpt(other, QUOTED))),
    };
    Ok(Answer { data, doubts })
}

fn series(result: &RawValue) -> Result<Vec<(Labels, Vec<Point>)>, AnswerError> {
    let all: Vec<Series> = serde_json::from_str(result.get()).map_err(AnswerError::Shape)?;
    if all.len() > MOST_SERIES {
        return Err(AnswerError::TooMany(all.len()));
    }
    let read = |series: Series| {
        if series.histogram.is_some() || series.histograms.is_some() {
            return Err(AnswerError::NativeHistogram);
        }
        let points = series.value.iter().chain(&series.values).map(point).collect::<Result<_, _>>()?;
        Ok((series.metric, points))
    };
    all.into_iter().map(read).collect()
}

fn point((at, value): &(f64, String)) -> Result<Point, AnswerError> {
    let number = value.parse().map_err(|_| AnswerError::Number(excerpt(value, QUOTED)))?;
    #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates, and no clock is there yet")]
    Ok(Point { at_ms: (at * 1_000.0).round() as i64, value: number })
}

#[cfg(test)]
mod tests {
    use super::{AnswerError, Data, Point, read};

    #[test]
    fn each_kind_of_answer_reads() {
        let vector = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1700000000.5,"NaN"]}]}}"#;
        let Data::Vector(all) = read(vector.as_bytes()).expect("an answer").data else { panic!("no vector") };
        assert!(all[0].0["a"] == "b" && all[0].1.at_ms == 1_700_000_000_500 && all[0].1.value.is_nan());
        let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"+Inf"]}}"#;
        assert_eq!(
            read(scalar.as_bytes()).expect("an answer").data,
            Data::Scalar(Point { at_ms: 1_000, value: f64::INFINITY })
        );
        let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"],[2,"3"]]}]},"warnings":["w"],"isPartial":true}"#;
        let answer = read(matrix.as_bytes()).expect("an answer");
        assert!(matches!(&answer.data, Data::Matrix(all) if all[0].1.len() == 2));
        assert_eq!(answer.doubts.len(), 2);
        let empty = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
        assert_eq!(read(empty.as_bytes()).expect("an answer").data, Data::Vector(Vec::new()));
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        let refused = r#"{"status":"error","errorType":"bad_data","error":"1:3: parse error"}"#;
        let error = read(refused.as_bytes()).expect_err("refused");
        assert_eq!(error.to_string(), "the server answered bad_data: 1:3: parse error");
        let with = |kind: &str, result: &str| {
            let text = format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#);
            read(text.as_bytes()).expect_err("no answer")
        };
        assert!(matches!(with("string", r#"[1,"x"]"#), AnswerError::Kind(_)));
        assert!(matches!(with("vector", r#"[{"metric":{},"value":[1,"x"]}]"#), AnswerError::Number(_)));
        let native = r#"[{"metric":{},"histogram":[1,{"count":"1"}]}]"#;
        assert!(matches!(with("vector", native), AnswerError::NativeHistogram));
        assert!(matches!(read(b"<html>").expect_err("no answer"), AnswerError::Shape(_)));
        assert!(matches!(read(b"{\"status\":\"success\"}").expect_err("no answer"), AnswerError::Refused { .. }));
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_it_panic(body in "[\\[\\]{}\":,0-9a-zN.+-]{0,60}") {
            let _ = read(body.as_bytes());
        }
    }
}
