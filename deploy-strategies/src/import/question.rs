//! What a monitor has to be able to answer, as data.

use std::collections::BTreeMap;

use deploy_core::name::{BlockName, MetricName};
use deploy_core::real::Real;
use serde::{Deserialize, Serialize};

use super::expression::{Datum, Expr, Expression, Operator};
use crate::analysis::threshold::{Bound, Condition};
use deploy_core::monitor::Comparison;

/// One question of an imported analysis. The strategy asks its [`monitor`](Self::monitor) for its [`metric`](Self::metric); a host binds
/// a monitor of that name which sends what [`source`](Self::source) says and hands the answer to [`number`](Self::number).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// The monitor that is asked.
    pub monitor: BlockName,
    /// The metric under which it is asked.
    pub metric: MetricName,
    /// Whom to ask, and what.
    pub source: Source,
    /// What only the host knows: the texts of the source say `{{args.name}}` where it goes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bindings: BTreeMap<String, Binding>,
    /// The file in which the metric stands, by the name that it was given.
    #[serde(default)]
    pub file: String,
    /// The line of the metric.
    #[serde(default)]
    pub line: Option<u32>,
    pub(super) reads: Reads,
}

/// Whom to ask, and what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// A Prometheus.
    Prometheus(PrometheusSource),
    /// Anything that answers HTTP requests with JSON.
    Web(WebSource),
    /// A metric that Flagger has a query of its own for, by provider.
    Flagger(FlaggerSource),
}

/// A query of a Prometheus.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PrometheusSource {
    /// Its base URL; empty for the one that its controller is configured with.
    pub address: String,
    /// PromQL.
    pub query: String,
    /// A query over a range, if it is one.
    pub range: Option<RangeSource>,
    /// Headers of the request.
    pub headers: Vec<(String, String)>,
    /// How long to wait, in seconds.
    pub timeout_seconds: Option<u32>,
    /// Whether its certificate is not looked at.
    pub insecure: bool,
    /// The secret with credentials, by name.
    pub secret: Option<String>,
}

/// A range, in the expressions of Argo Rollouts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RangeSource {
    /// When it begins, for example `now() - duration("1h")`.
    pub start: String,
    /// When it ends.
    pub end: String,
    /// From one point to the next, as a duration.
    pub step: String,
}

/// A request and where the number is in its answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WebSource {
    /// The method.
    pub method: String,
    /// The address.
    pub url: String,
    /// Headers of the request.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Option<String>,
    /// How long to wait, in seconds.
    pub timeout_seconds: Option<u32>,
    /// Whether its certificate is not looked at.
    pub insecure: bool,
    /// Where the value is: names and places in lists, from the outside in.
    pub path: Vec<Part>,
}

/// One part of the way into a JSON value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Part {
    /// A place in a list, counted from 0.
    Index(usize),
    /// A key of a map.
    Key(String),
}

/// A metric that Flagger has a query of its own for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlaggerSource {
    /// `request-success-rate`, in percent, or `request-duration`, the 99th percentile in milliseconds.
    pub metric: String,
    /// The mesh or ingress whose metrics are asked.
    pub provider: String,
    /// What it is asked about.
    pub target: String,
    /// How far back it looks.
    pub interval: String,
}

/// What only the host knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Binding {
    /// What tells the new revision's instances from others: the peer puts its pod template hash here.
    CandidateRevision,
    /// The same for the revision that served before.
    StableRevision,
    /// A key of a secret.
    Secret {
        /// The secret.
        name: String,
        /// The key.
        key: String,
    },
}

/// How an answer becomes a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reads {
    /// It is a number already.
    Whole,
    /// It is the first one of a list.
    First,
    /// It is 1 if the conditions call it good, 0 if bad, a half if neither.
    Outcome { success: Option<Expression>, failure: Option<Expression> },
}

/// An answer that gives no number: an error of the question, not of the release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer gives no number: {0}")]
pub struct AnswerError(String);

impl Question {
    /// Whether both ask the same, wherever they stand.
    pub(super) fn asks_as(&self, other: &Self) -> bool {
        *self == Self { file: self.file.clone(), line: self.line, ..other.clone() }
    }

    /// The number that the strategy judges, from the body of the answer. For a Prometheus that is what its HTTP interface answers; for a
    /// web source the JSON body.
    ///
    /// Where both conditions of the manifest compare one number with a limit, it is that number, and the limits stand in the strategy.
    /// Otherwise the conditions are evaluated here, and it is 1 for good, 0 for bad and a half for neither.
    ///
    /// # Errors
    ///
    /// [`AnswerError`] where the peer counts an error: no JSON, no such value, types that do not fit. Also for a number that is not
    /// finite where it is compared with a limit.
    pub fn number(&self, body: &[u8]) -> Result<Real, AnswerError> {
        let result = match (&self.source, serde_json::from_slice::<serde_json::Value>(body)) {
            (Source::Web(web), Ok(value)) => {
                let mut here = &value;
                for part in &web.path {
                    let found = match part {
                        Part::Index(index) => here.get(*index),
                        Part::Key(key) => here.get(key),
                    };
                    here = found.ok_or_else(|| AnswerError(format!("there is no {part:?} in it")))?;
                }
                Datum::of(here)
            }
            // A body that is no JSON is a text for the peer.
            (Source::Web(web), Err(_)) if web.path.is_empty() => {
                Datum::Text(String::from_utf8_lossy(body).into_owned())
            }
            (_, Err(error)) => return Err(AnswerError(error.to_string())),
            (_, Ok(value)) => of_prometheus(&value)?,
        };
        self.read(&result)
    }

    fn read(&self, result: &Datum) -> Result<Real, AnswerError> {
        let number = match (&self.reads, result) {
            (Reads::Outcome { success, failure }, result) => {
                let ask = |condition: &Option<Expression>| {
                    let holds = condition.as_ref().map(|condition| condition.holds(result)).transpose();
                    holds.map_err(|error| AnswerError(error.to_string()))
                };
                match (ask(success)?, ask(failure)?) {
                    (_, Some(true)) | (Some(false), None) => 0.0,
                    (Some(false), Some(false)) => 0.5,
                    (Some(true) | None, _) => 1.0,
                }
            }
            (Reads::First, Datum::Numbers(list)) => match list.first() {
                Some(number) => *number,
                None => return Err(AnswerError("it is empty".to_owned())),
            },
            (Reads::First, Datum::List(list)) => match list.first().and_then(Datum::number) {
                Some(number) => number,
                None => return Err(AnswerError("it does not begin with a number".to_owned())),
            },
            (Reads::Whole, other) => match other.number() {
                Some(number) => number,
                None => return Err(AnswerError(format!("it is {}", other.kind()))),
            },
            (Reads::First, other) => return Err(AnswerError(format!("it is {}, not a list", other.kind()))),
        };
        Real::new(number).map_err(|error| AnswerError(error.to_string()))
    }
}

/// Numbers out of what the HTTP interface of Prometheus answers.
fn of_prometheus(answer: &serde_json::Value) -> Result<Datum, AnswerError> {
    let wrong = |text: &str| AnswerError(text.to_owned());
    let data = &answer["data"];
    let number = |point: &serde_json::Value| {
        let text = point[1].as_str()?;
        match text {
            "+Inf" => Some(f64::INFINITY),
            "-Inf" => Some(f64::NEG_INFINITY),
            _ => text.parse().ok(),
        }
    };
    let series = || data["result"].as_array().ok_or_else(|| wrong("there is no result in it"));
    let unread = || wrong("a sample in it is no number");
    match data["resultType"].as_str() {
        Some("scalar") => number(&data["result"]).map(Datum::Float).ok_or_else(unread),
        Some("vector") => {
            let numbers = series()?.iter().map(|one| number(&one["value"]).ok_or_else(unread));
            Ok(Datum::Numbers(numbers.collect::<Result<_, _>>()?))
        }
        Some("matrix") => {
            let points = series()?.iter().flat_map(|one| one["values"].as_array().into_iter().flatten());
            Ok(Datum::Numbers(points.map(|point| number(point).ok_or_else(unread)).collect::<Result<_, _>>()?))
        }
        _ => Err(wrong("it is no vector, matrix or scalar")),
    }
}

/// The conditions as limits of one number if they are that and no more, otherwise as outcomes.
pub(super) fn conditions(success: Option<Expression>, failure: Option<Expression>) -> (Condition, Reads) {
    let bound = |condition: &Option<Expression>| condition.as_ref().map(|condition| as_bound(condition.tree()));
    let (good, bad) = (bound(&success), bound(&failure));
    let translated = match (&good, &bad) {
        (Some(Some((first, good))), None) => Some((first, Condition::success(*good))),
        (None, Some(Some((first, bad)))) => Some((first, Condition::failure(*bad))),
        (Some(Some((first, good))), Some(Some((second, bad)))) if first == second => {
            Some((first, Condition::both(*good, *bad)))
        }
        _ => None,
    };
    if let Some((first, condition)) = translated {
        return (condition, if *first { Reads::First } else { Reads::Whole });
    }
    let (one, none) = (Real::from(1), Real::ZERO);
    let condition = Condition::both(Bound::new(Comparison::AtLeast, one), Bound::new(Comparison::AtMost, none));
    (condition, Reads::Outcome { success, failure })
}

/// A comparison of the measured number with a limit, and whether the number is the first of a list.
fn as_bound(tree: &Expr) -> Option<(bool, Bound)> {
    let Expr::Binary(operator, left, right) = tree else { return None };
    let limit = |tree: &Expr| match tree {
        #[expect(clippy::cast_precision_loss, reason = "the peer converts so before it compares")]
        Expr::Int(number) => Real::new(*number as f64).ok(),
        Expr::Float(number) => Real::new(*number).ok(),
        _ => None,
    };
    let subject = |tree: &Expr| match tree {
        Expr::Result => Some(false),
        Expr::Member(value, index) if **value == Expr::Result && **index == Expr::Int(0) => Some(true),
        _ => None,
    };
    let (first, limit, turned) = match (subject(left), limit(right), limit(left), subject(right)) {
        (Some(first), Some(limit), _, _) => (first, limit, false),
        (_, _, Some(limit), Some(first)) => (first, limit, true),
        _ => return None,
    };
    let compare = match (operator, turned) {
        (Operator::Less, false) | (Operator::Greater, true) => Comparison::Less,
        (Operator::AtMost, false) | (Operator::AtLeast, true) => Comparison::AtMost,
        (Operator::Greater, false) | (Operator::Less, true) => Comparison::Greater,
        (Operator::AtLeast, false) | (Operator::AtMost, true) => Comparison::AtLeast,
        _ => return None,
    };
    Some((first, Bound::new(compare, limit)))
}
