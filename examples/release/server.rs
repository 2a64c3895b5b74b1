//! A small HTTP server, for the service and for the place's desk.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// The largest request, in bytes.
const LARGEST: usize = 64 * 1024;

/// Answers requests for ever.
pub(crate) async fn serve<F, A>(listener: TcpListener, answer: F)
where
    F: Fn(Request<Bytes>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<Bytes>> + Send + 'static,
{
    let answer = Arc::new(answer);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file handles, most likely: others must end before this can go on.
            tokio::task::yield_now().await;
            continue;
        };
        // A failure here costs a few milliseconds of latency and nothing else.
        let _ = stream.set_nodelay(true);
        let answer = Arc::clone(&answer);
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = Arc::clone(&answer);
            async move {
                let (head, body) = request.into_parts();
                let answered = match Limited::new(body, LARGEST).collect().await {
                    Ok(body) => answer(Request::from_parts(head, body.to_bytes())).await,
                    Err(_) => status(http::StatusCode::PAYLOAD_TOO_LARGE),
                };
                Ok::<_, Infallible>(answered.map(Full::new))
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// An empty answer.
pub(crate) fn status(status: http::StatusCode) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = status;
    answer
}

/// Lets a span pass.
#[expect(clippy::disallowed_methods, reason = "the service, its users and a watching person live on the wall clock")]
pub(crate) async fn pause(span: std::time::Duration) {
    tokio::time::sleep(span).await;
}
