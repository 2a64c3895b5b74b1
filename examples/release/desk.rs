//! The place's desk: where the tally is read, and where the end is asked for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use deploy_agents::http::{HttpClient as _, HttpLimits, PlainHttp};
use deploy_agents::secret::Secret;
use http::{Method, Request, Response, StatusCode, header};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify};

use crate::Failure;
use crate::server::{serve, status};
use crate::session::PlaceFile;
use crate::tally::Counts;
use crate::users::Users;

/// How long an answer of the desk may take.
const WITHIN: Duration = Duration::from_secs(2);
/// How long the last users may take to leave.
const END_WITHIN: Duration = Duration::from_secs(45);

/// The engine's side of the desk.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    address: SocketAddr,
    token: Secret,
}

/// A desk that gave no answer.
#[derive(Debug)]
pub(crate) struct NoAnswer {
    /// Whether nobody listens there at all.
    pub(crate) nobody_there: bool,
    why: String,
}

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the place's desk gave no answer: {}", self.why)
    }
}

impl std::error::Error for NoAnswer {}

impl Desk {
    /// The desk of a place.
    pub(crate) fn of(place: &PlaceFile) -> Self {
        Self { address: place.desk, token: Secret::new(&place.token) }
    }

    /// How the users fare.
    pub(crate) async fn counts(&self) -> Result<Counts, NoAnswer> {
        self.call(Method::GET, "/tally", WITHIN).await
    }

    /// Sends the users home and ends the place. Answers with the last tally.
    pub(crate) async fn end(&self) -> Result<Counts, NoAnswer> {
        self.call(Method::POST, "/end", END_WITHIN).await
    }

    async fn call(&self, method: Method, path: &str, timeout: Duration) -> Result<Counts, NoAnswer> {
        let unusable = |why: String| NoAnswer { nobody_there: false, why };
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token.expose()))
            .body(Bytes::new())
            .map_err(|_| unusable("the request could not be made".to_owned()))?;
        let limits = HttpLimits { timeout, ..HttpLimits::default() };
        let answer = PlainHttp::new().send(request, limits).await;
        let answer = answer.map_err(|e| NoAnswer { nobody_there: e.is_not_sent(), why: e.to_string() })?;
        if answer.status() != StatusCode::OK {
            return Err(unusable(format!("it answered {}", answer.status())));
        }
        serde_json::from_slice(answer.body()).map_err(|e| unusable(e.to_string()))
    }
}

/// The place's side of the desk.
pub(crate) struct Behind {
    pub(crate) users: Mutex<Users>,
    /// Told at every call that was admitted.
    pub(crate) called: Notify,
    /// Told when the end is asked for.
    pub(crate) ended: Notify,
}

/// Answers at the desk for ever.
pub(crate) async fn attend(listener: TcpListener, token: Secret, behind: Arc<Behind>) {
    serve(listener, move |request| {
        let (token, behind) = (token.clone(), Arc::clone(&behind));
        async move { answer(&request, &token, &behind).await.unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR)) }
    })
    .await;
}

async fn answer(request: &Request<Bytes>, token: &Secret, behind: &Behind) -> Result<Response<Bytes>, Failure> {
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if !shown.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(|shown| token.is(shown)) {
        return Ok(status(StatusCode::UNAUTHORIZED));
    }
    behind.called.notify_one();
    let mut users = behind.users.lock().await;
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/tally") => {}
        (&Method::POST, "/end") => {
            users.stop().await;
            behind.ended.notify_one();
        }
        _ => return Ok(status(StatusCode::NOT_FOUND)),
    }
    Ok(Response::new(serde_json::to_vec(&users.counts())?.into()))
}
