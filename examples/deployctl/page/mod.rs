//! A page that shows a run while it goes on: server-sent events with the numbers of the records, so that a browser that lost its
//! connection goes on where it was.

mod feed;

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use deploy_core::name::RunId;
use futures::StreamExt as _;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;

use self::feed::Feed;
use crate::Failure;
use crate::demo::new_token;
use crate::journal::JournalFile;
use crate::show::Screen;
use crate::trouble::Trouble;

/// The page itself. It loads nothing from elsewhere, and shows texts as texts.
const PAGE: &str = include_str!("page.html");
/// What the page may do: run its own script, and ask its own server.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Serves the page of a run for as long as it is waited for. The address holds a secret: other users of this machine do not
/// read along.
///
/// Rows: M112.
pub(crate) async fn serve(
    file: &JournalFile,
    run: &RunId,
    address: SocketAddr,
    screen: &mut Screen,
) -> Result<Infallible, Failure> {
    let cannot = |error: std::io::Error| Trouble::usage(format!("the page cannot be served at {address}: {error}"));
    let listener = TcpListener::bind(address).await.map_err(cannot)?;
    let at = listener.local_addr().map_err(cannot)?;
    let secret = new_token()?;
    let url = format!("http://{at}/{secret}/");
    screen.say("page", &format!("run {run}: {url}"), &json!({ "run": run, "url": url }));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file handles, most likely: others must end before this can go on.
            tokio::task::yield_now().await;
            continue;
        };
        let (file, run, secret) = (file.clone(), run.clone(), secret.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (file, run, secret) = (file.clone(), run.clone(), secret.clone());
            async move {
                let asked = request.uri().path().strip_prefix('/').and_then(|path| path.strip_prefix(secret.as_str()));
                Ok::<_, Infallible>(match asked {
                    Some("/") => whole(StatusCode::OK, "text/html; charset=utf-8", PAGE),
                    Some("/events") => events(&file, &run, request.headers()).await,
                    _ => whole(StatusCode::NOT_FOUND, "text/plain", "there is nothing here\n"),
                })
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn events(file: &JournalFile, run: &RunId, headers: &HeaderMap) -> Response<Body> {
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse::<u64>().ok());
    match Feed::open(file, run, seen.map_or(0, |seen| seen.saturating_add(1))).await {
        Ok(feed) => {
            let chunks = futures::stream::unfold(feed, |mut feed| async move { Some((feed.next().await?, feed)) });
            let body = StreamBody::new(chunks.map(|chunk| Ok(Frame::data(chunk))));
            answer(StatusCode::OK, "text/event-stream", body.boxed_unsync())
        }
        Err(failure) => whole(StatusCode::SERVICE_UNAVAILABLE, "text/plain", &Trouble::read(&failure).1),
    }
}

fn whole(status: StatusCode, kind: &'static str, text: &str) -> Response<Body> {
    answer(status, kind, Full::new(Bytes::copy_from_slice(text.as_bytes())).boxed_unsync())
}

fn answer(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, http::HeaderValue::from_static(value));
    }
    answer
}
