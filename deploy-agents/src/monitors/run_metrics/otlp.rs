//! Our own figures, sent to whoever speaks OTLP.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::journal::{Journal, JournalError};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::RunFigures;
use crate::excerpt::excerpt;
use crate::http::{Endpoint, HttpClient, HttpError, HttpLimits, retry_after, shown};
use crate::secret::Secret;
use crate::wait::pause;

/// Where a collector takes metrics, after its base URL.
const PATH: &str = "/v1/metrics";
/// The most characters of a collector's own words that are told.
const QUOTED: usize = 200;

/// The longest time for which a collector's `Retry-After` is believed.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// Sends [`RunFigures`] to a collector by OTLP over HTTP, in its JSON encoding.
///
/// Each export is one request. It is not tried again: gauges that are a minute old are worth less than the next ones, and
/// [`OtlpPush`] sends those. A part that the collector refused is an error that says how many points and why.
///
/// Source: OpenTelemetry Protocol 1.x, "OTLP/HTTP", with the field names of `opentelemetry/proto/metrics/v1/metrics.proto`. Names stay as
/// Prometheus has them, so that one dashboard serves both.
///
/// ```no_run
/// use std::sync::Arc;
/// use std::time::Duration;
/// use deploy_agents::monitors::{OtlpExporter, OtlpPush};
/// use deploy_core::journal::Journal;
///
/// # fn host(journal: Arc<dyn Journal>) {
/// let collector = OtlpExporter::new("http://127.0.0.1:4318").resource("service.name", "release-desk");
/// let _push = OtlpPush::start(collector, journal, Duration::from_secs(60));
/// # }
/// ```
///
/// Rows: M235.
#[derive(Debug, Clone)]
pub struct OtlpExporter {
    endpoint: Endpoint,
    path: String,
    resource: BTreeMap<String, String>,
}

/// Figures that did not arrive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OtlpError {
    /// The figures could not be read: look at the journal.
    #[error("the journal could not be read")]
    Journal(#[from] JournalError),
    /// The collector gave no whole answer: they may have arrived.
    #[error("{to} gave no whole answer")]
    Unanswered {
        /// The collector.
        to: String,
        /// The cause.
        source: HttpError,
    },
    /// The collector does not take them now: send the next ones later.
    #[error("{to} is busy: it answered {status}")]
    Busy {
        /// The collector.
        to: String,
        /// Its answer.
        status: u16,
        /// How long it wants to be left alone, where it says so; at most an hour.
        retry_after: Option<Duration>,
    },
    /// The collector does not take them: look at the URL, the path and the token.
    #[error("{to} refused the figures with {status}: {said}")]
    Refused {
        /// The collector.
        to: String,
        /// Its answer.
        status: u16,
        /// How what it said begins.
        said: String,
    },
    /// The collector took the others.
    #[error("{to} refused {points} of the points: {said}")]
    Partly {
        /// The collector.
        to: String,
        /// How many it refused.
        points: u64,
        /// How what it said begins.
        said: String,
    },
}

impl OtlpExporter {
    /// One that sends to the collector at this base URL: what comes before `/v1/metrics`. The resource has `service.name=deploy`.
    #[must_use]
    pub fn new(base: impl Into<String>) -> Self {
        let resource = [("service.name".to_owned(), "deploy".to_owned())].into();
        Self { endpoint: Endpoint::new(base, HttpLimits::default()), path: PATH.to_owned(), resource }
    }

    /// The same, sending to another path than `/v1/metrics`.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// The same with one more attribute of the resource, or another value of it.
    #[must_use]
    pub fn resource(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.resource.insert(key.into(), value.into());
        self
    }

    /// The same, showing this bearer token.
    #[must_use]
    pub fn token(mut self, token: Secret) -> Self {
        self.endpoint.token(token);
        self
    }

    /// The same with other limits of one answer.
    #[must_use]
    pub fn limits(mut self, limits: HttpLimits) -> Self {
        self.endpoint.limits = limits;
        self
    }

    /// The same over another client, for example one that speaks TLS.
    #[must_use]
    pub fn over(mut self, http: Arc<dyn HttpClient>) -> Self {
        self.endpoint.over(http);
        self
    }

    /// Sends the figures of a journal's runs as they are now; answers how many points there were.
    ///
    /// # Errors
    ///
    /// [`OtlpError`], told apart by what is to be done.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave them sent.
    pub async fn export(&self, journal: &dyn Journal) -> Result<usize, OtlpError> {
        let figures = RunFigures::of(journal).await?;
        let body = self.message(&figures).to_string();
        let to = shown(&format!("{}{}", self.endpoint.name(), self.path));
        let answer = self.endpoint.send(Method::POST, &self.path, Some("application/json"), body.into()).await;
        let answer = answer.map_err(|source| OtlpError::Unanswered { to: to.clone(), source })?;
        let status = answer.status();
        let text = |bytes: &[u8]| excerpt(&String::from_utf8_lossy(bytes), QUOTED);
        if !status.is_success() {
            let code = status.as_u16();
            return Err(match status {
                StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT => {
                    let retry_after = retry_after(&answer).map(|after| after.min(LONGEST_WAIT));
                    OtlpError::Busy { to, status: code, retry_after }
                }
                _ => OtlpError::Refused { to, status: code, said: text(answer.body()) },
            });
        }
        // What is no message says nothing about parts: the status is the answer.
        let said: Answer = serde_json::from_slice(answer.body()).unwrap_or_default();
        let partly = said.partial_success.unwrap_or_default();
        match count(&partly.rejected_data_points) {
            0 => Ok(figures.points()),
            points => Err(OtlpError::Partly { to, points, said: excerpt(&partly.error_message, QUOTED) }),
        }
    }

    /// An `ExportMetricsServiceRequest`.
    fn message(&self, figures: &RunFigures) -> Value {
        let attributes = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
        // Whole numbers of 64 bits are texts in the JSON encoding of protobuf.
        let at = (i128::from(figures.at.0) * 1_000_000).max(0).to_string();
        let metrics = figures.families.iter().filter(|family| !family.points.is_empty()).map(|family| {
            let points = family.points.iter().map(|(labels, value)| {
                let attributes: Vec<_> = labels.iter().map(|(key, value)| attributes(key, value)).collect();
                json!({ "attributes": attributes, "timeUnixNano": at, "asDouble": value })
            });
            let points: Vec<_> = points.collect();
            json!({ "name": family.name, "description": family.help, "unit": family.unit, "gauge": { "dataPoints": points } })
        });
        let metrics: Vec<_> = metrics.collect();
        let resource: Vec<_> = self.resource.iter().map(|(key, value)| attributes(key, value)).collect();
        let scope = json!({ "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") });
        json!({ "resourceMetrics": [
            { "resource": { "attributes": resource }, "scopeMetrics": [{ "scope": scope, "metrics": metrics }] }
        ] })
    }
}

/// An `ExportMetricsServiceResponse`.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    partial_success: Option<Partial>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Partial {
    /// A text by the encoding, a number by many who write it.
    rejected_data_points: Value,
    error_message: String,
}

fn count(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
}

/// Sends figures again and again. Dropping it stops it.
#[derive(Debug)]
pub struct OtlpPush {
    last: watch::Receiver<Option<Result<usize, String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl OtlpPush {
    /// Sends the figures now, and after each answer again so long later; later still where a collector that is busy asks for that.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn start(exporter: OtlpExporter, journal: Arc<dyn Journal>, every: Duration) -> Self {
        let (told, last) = watch::channel(None);
        let task = tokio::spawn(async move {
            loop {
                let sent = exporter.export(&*journal).await;
                let asked = match &sent {
                    Err(OtlpError::Busy { retry_after, .. }) => retry_after.unwrap_or_default(),
                    _ => Duration::ZERO,
                };
                let sent = sent.map_err(|error| deploy_core::report::chain(&error));
                if let Err(error) = &sent {
                    tracing::warn!(%error, "the figures of the runs did not arrive");
                }
                told.send_replace(Some(sent));
                pause(every.max(asked)).await;
            }
        });
        Self { last, task }
    }

    /// What became of the newest ones: how many points arrived, or why none did; nothing before the first answer.
    #[must_use]
    pub fn last(&self) -> Option<Result<usize, String>> {
        self.last.borrow().clone()
    }
}

impl Drop for OtlpPush {
    fn drop(&mut self) {
        self.task.abort();
    }
}
