//! Notices as HTTP requests.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use deploy_core::evidence::Severity;
use deploy_core::time::{Clock, SystemClock, Timestamp};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Delivery, Notice, NoticeKey, Notifier, NotifyError, Party};
use crate::excerpt::excerpt;
use crate::http::{Draft, HttpClient, HttpError, HttpLimits, PlainHttp};
use crate::secret::{Secret, redact};
use crate::wait::pause;

/// How much of what a receiver said is quoted, in characters.
const QUOTED: usize = 200;

/// Posts each notice as JSON, with its key in the header `Idempotency-Key`, and reads the receiver's name for it from the answer.
///
/// The body is `{"format": 1, "key", "party": {"name", "address"}, "subject", "body", "severity", "acknowledge_by"}`, times in RFC 3339;
/// [`shape`](Self::shape) makes it what a chat wants. Any status from 200 to 299 says that it was taken. 408, 425, 429 and 500 to 599,
/// a broken connection and no answer in time are tried again under the same key: three times in all by default, after 1 s and 2 s.
///
/// The whole URL counts as a secret, since chats put theirs there: pages and errors show its host alone. TLS is
/// what the [`HttpClient`] brings.
///
/// That the same notice does not arrive twice is the receiver's doing: it must compare the keys.
///
/// ```
/// use deploy_agents::notifiers::{ReceiptAt, WebhookNotifier};
/// use deploy_agents::secret::Secret;
/// use serde_json::json;
///
/// let chat = WebhookNotifier::new(Secret::new("http://chat.example/hooks/T0/s3cret"))
///     .shape(|notice| json!({ "text": format!("{}\n{}", notice.subject(), notice.body()) }))
///     .receipt(ReceiptAt::Header("x-message-id".to_owned()));
/// assert!(!format!("{chat:?}").contains("s3cret"));
/// ```
///
/// Rows: M28.
#[derive(Clone)]
pub struct WebhookNotifier {
    url: Secret,
    host: String,
    token: Option<Secret>,
    shape: Arc<dyn Fn(&Notice) -> Value + Send + Sync>,
    receipt: ReceiptAt,
    acknowledgements: Option<Secret>,
    attempts: u32,
    first_pause: Duration,
    limits: HttpLimits,
    http: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
}

/// Where an answer names the delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiptAt {
    /// In its JSON body, at this pointer: a text or a number.
    Json(String),
    /// In this header.
    Header(String),
    /// Nowhere: the receiver gives no names, and the notice's own key stands for one. Then the receipt proves that a status was
    /// answered, and nothing more.
    Key,
}

impl fmt::Debug for WebhookNotifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookNotifier")
            .field("host", &self.host)
            .field("receipt", &self.receipt)
            .finish_non_exhaustive()
    }
}

impl WebhookNotifier {
    /// Posts to this URL, and reads the receiver's name for a notice from `/id` of its answer.
    #[must_use]
    pub fn new(url: Secret) -> Self {
        let host = url.expose().parse::<http::Uri>().ok().and_then(|uri| Some(uri.host()?.to_owned()));
        Self {
            host: host.unwrap_or_else(|| "a URL that cannot be read".to_owned()),
            url,
            token: None,
            shape: Arc::new(plain),
            receipt: ReceiptAt::Json("/id".to_owned()),
            acknowledgements: None,
            attempts: 3,
            first_pause: Duration::from_secs(1),
            limits: HttpLimits::default(),
            http: Arc::new(PlainHttp::new()),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// The same, showing this bearer token.
    #[must_use]
    pub fn token(mut self, token: Secret) -> Self {
        self.token = Some(token);
        self
    }

    /// The same with another body.
    #[must_use]
    pub fn shape(mut self, shape: impl Fn(&Notice) -> Value + Send + Sync + 'static) -> Self {
        self.shape = Arc::new(shape);
        self
    }

    /// The same with the delivery named elsewhere.
    #[must_use]
    pub fn receipt(mut self, at: ReceiptAt) -> Self {
        self.receipt = at;
        self
    }

    /// The same, asking this URL with GET and `?key=…&id=…` whether a notice was acknowledged. The answer is
    /// `{"acknowledged_at": "2026-11-22T08:00:00Z"}`, or `null` there, or 404 where it was not.
    #[must_use]
    pub fn acknowledgements(mut self, url: Secret) -> Self {
        self.acknowledgements = Some(url);
        self
    }

    /// The same, trying so often in all, at least once, and waiting so long before the second try, then twice as long each time.
    #[must_use]
    pub fn tries(mut self, attempts: u32, first_pause: Duration) -> Self {
        (self.attempts, self.first_pause) = (attempts.max(1), first_pause);
        self
    }

    /// The same with other limits of one answer.
    #[must_use]
    pub fn limits(mut self, limits: HttpLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The same over another client, for example one that speaks TLS.
    #[must_use]
    pub fn over(mut self, http: Arc<dyn HttpClient>) -> Self {
        self.http = http;
        self
    }

    /// The same with another clock, which dates deliveries.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn name(&self) -> String {
        format!("webhook {}", self.host)
    }

    /// The error of an answer that is no success.
    fn refused(&self, party: String, answer: &http::Response<Bytes>) -> NotifyError {
        let (channel, said) = (self.name(), self.said(answer.status(), answer.body()));
        if passing(answer.status()) {
            NotifyError::Busy { party, channel, said }
        } else {
            NotifyError::Refused { party, channel, said }
        }
    }

    /// What the other side said, shortened and without anything that we gave it in confidence.
    fn said(&self, status: StatusCode, body: &[u8]) -> String {
        let mut secrets = vec![self.url.clone()];
        secrets.extend(self.token.clone());
        secrets.extend(self.acknowledgements.clone());
        // An answer may quote the path alone.
        let paths = [Some(&self.url), self.acknowledgements.as_ref()].into_iter().flatten();
        secrets.extend(paths.filter_map(|url| {
            let uri = url.expose().parse::<http::Uri>().ok()?;
            let path = uri.path_and_query()?.as_str();
            (path.len() > 1).then(|| Secret::new(path))
        }));
        let clean = redact(body, &secrets);
        let text = excerpt(&String::from_utf8_lossy(&clean), QUOTED);
        if text.is_empty() { status.to_string() } else { format!("{status}: {text}") }
    }

    async fn send(
        &self,
        url: &str,
        key: &NoticeKey,
        method: Method,
        body: Bytes,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let mut draft = Draft::new(method, url).accepts("application/json").bearer(self.token.as_ref());
        if !body.is_empty() {
            draft = draft.kind("application/json").header("idempotency-key", key.as_str()).body(body);
        }
        draft.send(self.http.as_ref(), self.limits).await
    }

    async fn post(&self, notice: &Notice, body: Bytes) -> Result<Delivery, NotifyError> {
        let (party, channel) = (notice.party().name.clone(), self.name());
        let answer = self.send(self.url.expose(), notice.key(), Method::POST, body).await;
        let answer = answer.map_err(|error| self.unanswered(&party, error))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(self.refused(party, &answer));
        }
        let no_receipt =
            |reason: String| NotifyError::NoReceipt { party: party.clone(), channel: channel.clone(), reason };
        let id = self.id(&answer, notice.key()).map_err(no_receipt)?;
        Delivery::new(&*party, &*channel, self.clock.wall(), id).map_err(|error| no_receipt(error.to_string()))
    }

    fn unanswered(&self, party: &str, error: HttpError) -> NotifyError {
        let (party, channel) = (party.to_owned(), self.name());
        match error {
            HttpError::Unsupported { reason, .. } => NotifyError::NoWay { party, reason },
            error if error.is_not_sent() => NotifyError::NotSent { party, channel, source: error.into() },
            error => NotifyError::Unanswered { party, channel, source: error.into() },
        }
    }

    /// What the answer calls the delivery.
    fn id(&self, answer: &http::Response<Bytes>, key: &NoticeKey) -> Result<String, String> {
        match &self.receipt {
            ReceiptAt::Key => Ok(Delivery::own_id(key)),
            ReceiptAt::Header(name) => {
                let value = answer.headers().get(name).ok_or_else(|| format!("the answer has no header {name}"))?;
                Ok(String::from_utf8_lossy(value.as_bytes()).into_owned())
            }
            ReceiptAt::Json(pointer) => {
                let body: Value =
                    serde_json::from_slice(answer.body()).map_err(|_| "the answer is not JSON".to_owned())?;
                match body.pointer(pointer) {
                    Some(Value::String(id)) => Ok(id.clone()),
                    Some(Value::Number(id)) => Ok(id.to_string()),
                    _ => Err(format!("the answer has no text and no number at {pointer}")),
                }
            }
        }
    }
}

/// Whether a status speaks of now, and not of the request.
fn passing(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
}

/// The body where the host gives no other.
fn plain(notice: &Notice) -> Value {
    let severity = match notice.urgency() {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
        Severity::Critical => "critical",
    };
    json!({
        "format": 1,
        "key": notice.key().as_str(),
        "party": { "name": notice.party().name, "address": notice.party().address },
        "subject": notice.subject(),
        "body": notice.body(),
        "severity": severity,
        "acknowledge_by": notice.acknowledge_by().map(|at| at.to_string()),
    })
}

#[derive(Deserialize)]
struct Acknowledged {
    acknowledged_at: Option<String>,
}

#[async_trait]
impl Notifier for WebhookNotifier {
    fn channel(&self, _party: &Party) -> String {
        self.name()
    }

    async fn notify(&self, notice: &Notice) -> Result<Delivery, NotifyError> {
        let body = Bytes::from((self.shape)(notice).to_string());
        let mut wait = self.first_pause;
        for _ in 1..self.attempts {
            match self.post(notice, body.clone()).await {
                Err(error) if error.is_retryable() => pause(wait).await,
                answer => return answer,
            }
            wait = wait.saturating_mul(2);
        }
        self.post(notice, body).await
    }

    async fn acknowledged(&self, key: &NoticeKey, delivery: &Delivery) -> Result<Option<Timestamp>, NotifyError> {
        let Some(url) = &self.acknowledgements else { return Ok(None) };
        let values = [("key", key.as_str()), ("id", delivery.id.as_str())];
        let values = form_urlencoded::Serializer::new(String::new()).extend_pairs(values).finish();
        let joint = if url.expose().contains('?') { '&' } else { '?' };
        let url = format!("{}{joint}{values}", url.expose());
        let (party, channel) = (delivery.party.clone(), self.name());
        let answer = self.send(&url, key, Method::GET, Bytes::new()).await;
        let answer = answer.map_err(|error| self.unanswered(&party, error))?;
        let status = answer.status();
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(self.refused(party, &answer));
        }
        let unreadable =
            |reason: String| NotifyError::NoReceipt { party: party.clone(), channel: channel.clone(), reason };
        let read: Acknowledged = serde_json::from_slice(answer.body())
            .map_err(|_| unreadable("the answer has no acknowledged_at".to_owned()))?;
        let at = read.acknowledged_at.as_deref().map(Timestamp::parse).transpose();
        at.map_err(|_| unreadable("acknowledged_at is no RFC 3339 time".to_owned()))
    }
}
