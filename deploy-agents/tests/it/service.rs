//! The service that the stories release: this very test program, started again as a child.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use deploy_agents::process::CommandLine;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

pub(crate) type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// The command line of an instance: the test program itself, asked for one test alone.
pub(crate) fn line() -> CommandLine {
    line_of(std::env::current_exe().expect("this program has a path"))
}

/// The same for a copy of the program.
pub(crate) fn line_of(program: std::path::PathBuf) -> CommandLine {
    CommandLine::new(program)
        .args(["--exact", "service::serves_as_a_child", "--nocapture"])
        .env("SERVICE_PORT", "{port}")
        .env("SERVICE_REVISION", "{revision}")
}

/// Not a test of its own: the body of the child process. Without a port it has nothing to do.
#[test]
fn serves_as_a_child() {
    let Ok(port) = std::env::var("SERVICE_PORT") else { return };
    let port: u16 = port.parse().expect("a port");
    if std::env::var("SERVICE_ENDS").is_ok() {
        eprintln!("this revision ends at once");
        std::process::exit(3);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
        let revision = std::env::var("SERVICE_REVISION").unwrap_or_default();
        let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
        let slow = Duration::from_millis(number("SERVICE_TAKES_MS").unwrap_or_default());
        serve(listener, revision, number("SERVICE_FAILS_EVERY"), slow).await;
    });
}

/// A service in this process, for stories that need no process of its own.
pub(crate) async fn spawn(revision: &str) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(serve(listener, revision.to_owned(), None, Duration::ZERO));
    address
}

/// How many requests an instance has answered with its revision.
type Answered = std::sync::Arc<std::sync::atomic::AtomicU64>;

async fn serve(listener: TcpListener, revision: String, fails_every: Option<u64>, takes: Duration) {
    let answered = Answered::default();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.set_nodelay(true);
        let revision = revision.clone();
        let answered = Answered::clone(&answered);
        let answer = service_fn(move |request| {
            let fails = request.uri().path() == "/" && {
                let before = answered.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                fails_every.is_some_and(|every| before % every == 0)
            };
            let revision = revision.clone();
            async move {
                if !takes.is_zero() {
                    // What makes a revision slow, and nothing that a test waits for.
                    let _over = tokio::time::timeout(takes, std::future::pending::<()>()).await;
                }
                answer(request, revision, fails).await
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}

fn text(text: String) -> Body {
    Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync()
}

/// `/` says the revision, `/echo` gives back what it is sent as it comes, `/fail` is a 500, `/header/NAME` says what a header holds,
/// `/wait-for/FILE` answers once the file is there. A request that fails is a 500 too.
async fn answer(request: Request<Incoming>, revision: String, fails: bool) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    if path == "/echo" {
        return Ok(Response::new(request.into_body().boxed_unsync()));
    }
    if let Some(name) = path.strip_prefix("/header/") {
        let value = request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or("none").to_owned();
        return Ok(Response::new(text(value)));
    }
    if let Some(file) = path.strip_prefix("/wait-for") {
        while !std::path::Path::new(file).exists() {
            tokio::task::yield_now().await;
        }
    }
    let mut response = Response::new(text(revision));
    if path == "/fail" || fails {
        *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
    }
    Ok(response)
}
