//! One question as a request, and its answer as a number.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use deploy_core::name::RevisionName;
use deploy_core::real::Real;
use deploy_core::release::Release;
use deploy_core::time::Timestamp;
use deploy_strategies::import::{AnswerError, Question};
use http::{HeaderName, Method, header};

use super::moment::Moment;
use crate::http::{Draft, HttpClient, HttpError, HttpLimits};
use crate::monitors::prometheus::{doubts, seconds};
use crate::secret::Secret;

/// What metrics call a revision.
pub(super) type Called = dyn Fn(&RevisionName) -> String + Send + Sync;
/// What metrics call the revision that served before.
pub(super) type Before = dyn Fn(&Release) -> String + Send + Sync;

/// A question, ready to be asked.
pub(super) struct Ask {
    pub(super) question: Question,
    pub(super) to: To,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) authorization: Option<Secret>,
    /// What `{{args.name}}` stands for, by name.
    pub(super) values: BTreeMap<String, Value>,
    pub(super) limits: HttpLimits,
}

/// Whom it is asked of.
pub(super) enum To {
    /// The HTTP interface of a Prometheus.
    Prometheus {
        /// What comes before `/api/v1`, without a slash at its end.
        base: String,
        /// PromQL.
        query: String,
        /// From when to when, and the step; otherwise it is asked about now.
        range: Option<(Moment, Moment, Duration)>,
    },
    /// Anything.
    Web {
        /// How.
        method: Method,
        /// Where.
        url: String,
        /// What is sent.
        body: String,
    },
}

/// What an argument stands for.
#[derive(Clone)]
pub(super) enum Value {
    Candidate(Arc<Called>),
    Stable(Arc<Before>),
    Secret(Secret),
}

/// A question without a number for an answer. None of them says what was sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("what is filled in for {{{{args.{argument}}}}} is no name of a revision")]
    Name { argument: String },
    #[error("with its arguments filled in it is no request: the address or a header has what none may have")]
    Request,
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the answer has the status {0}")]
    Status(http::StatusCode),
    #[error("the answer may be incomplete: {0}")]
    Doubtful(String),
    #[error("{0}")]
    NoAnswer(String),
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

impl Ask {
    /// Asks, and reads the number.
    pub(super) async fn number(
        &self,
        http: &dyn HttpClient,
        release: &Release,
        candidate: &RevisionName,
        now: Timestamp,
    ) -> Result<Real, AskError> {
        let values = self.values(release, candidate)?;
        let request = self.request(&values, now)?;
        let answer = http.send(request, self.limits).await?;
        if !answer.status().is_success() {
            return Err(AskError::Status(answer.status()));
        }
        if matches!(self.to, To::Prometheus { .. }) {
            let doubts = doubts(answer.body()).map_err(AskError::NoAnswer)?;
            if !doubts.is_empty() {
                return Err(AskError::Doubtful(doubts.join("; ")));
            }
        }
        Ok(self.question.number(answer.body())?)
    }

    fn values(&self, release: &Release, candidate: &RevisionName) -> Result<BTreeMap<&str, Filled>, AskError> {
        let one = |argument: &String, value: &Value| -> Result<Filled, AskError> {
            let name = match value {
                Value::Candidate(called) => called(candidate),
                Value::Stable(before) => before(release),
                Value::Secret(secret) => return Ok(Filled { text: secret.clone(), is_name: false }),
            };
            // Only what a revision may be called: anything else could be read as a part of the query.
            let name = RevisionName::new(&name).map_err(|_| AskError::Name { argument: argument.clone() })?;
            Ok(Filled { text: Secret::new(name.as_str()), is_name: true })
        };
        self.values.iter().map(|(argument, value)| Ok((argument.as_str(), one(argument, value)?))).collect()
    }

    fn request(&self, values: &BTreeMap<&str, Filled>, now: Timestamp) -> Result<http::Request<Bytes>, AskError> {
        let mut draft = match &self.to {
            To::Prometheus { base, query, range } => {
                let (base, query) = (fill(base, values, true), fill(query, values, false));
                match range {
                    None => {
                        let asked = [("query", query.as_str()), ("time", &seconds(now))];
                        Draft::asking(&format!("{base}/api/v1/query"), &asked)
                    }
                    Some((start, end, step)) => {
                        let (start, end, step) = (seconds(start.at(now)), seconds(end.at(now)), step.as_secs_f64());
                        let step = step.to_string();
                        let asked = [("query", query.as_str()), ("start", &start), ("end", &end), ("step", &step)];
                        Draft::asking(&format!("{base}/api/v1/query_range"), &asked)
                    }
                }
            }
            To::Web { method, url, body } => {
                Draft::new(method.clone(), &fill(url, values, true)).body(fill(body, values, false))
            }
        };
        for (name, value) in &self.headers {
            draft = draft.secret(name.clone(), &fill(value, values, false));
        }
        if let Some(secret) = &self.authorization {
            draft = draft.secret(header::AUTHORIZATION, secret.expose());
        }
        draft.request().map_err(|_| AskError::Request)
    }
}

/// What goes in for one argument.
struct Filled {
    text: Secret,
    is_name: bool,
}

impl fmt::Debug for Filled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filled")
    }
}

/// Fills in every argument, once from left to right, so that what was filled in is never filled again.
fn fill(text: &str, values: &BTreeMap<&str, Filled>, in_url: bool) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{args.") {
        filled.push_str(before);
        let known = after.split_once("}}").and_then(|(name, behind)| Some((values.get(name)?, behind)));
        if let Some((value, behind)) = known {
            if in_url && value.is_name {
                filled.extend(form_urlencoded::byte_serialize(value.text.expose().as_bytes()));
            } else {
                filled.push_str(value.text.expose());
            }
            rest = behind;
        } else {
            filled.push_str("{{args.");
            rest = after;
        }
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Filled, fill};
    use crate::secret::Secret;

    #[test]
    fn what_was_filled_in_is_not_filled_again() {
        let filled = |text: &str, is_name| Filled { text: Secret::new(text), is_name };
        let values = BTreeMap::from([("a", filled("{{args.b}}", false)), ("b", filled("v1+2", true))]);
        assert_eq!(
            fill("{{args.a}}/{{args.b}}/{{args.c}}{{args.", &values, false),
            "{{args.b}}/v1+2/{{args.c}}{{args."
        );
        assert_eq!(fill("?r={{args.b}}", &values, true), "?r=v1%2B2", "a plus would be a space");
    }
}
