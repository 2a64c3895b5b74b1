//! The service that is released: it says who it is. One process for each instance.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nix::unistd::getppid;
use tokio::net::TcpListener;

use crate::Failure;
use crate::flag::{FILE, Flag};

/// Which revision answered. What lacks it was not answered by the service.
pub(crate) const REVISION_HEADER: &str = "x-shop-revision";
/// Which variant of the flag a user got.
pub(crate) const VARIANT_HEADER: &str = "x-shop-variant";
/// Who asks.
pub(crate) const USER_HEADER: &str = "x-user";

/// One instance. `PORT` and `REVISION` say where and what.
pub(crate) async fn run() -> Result<(), Failure> {
    let port: u16 = std::env::var("PORT")?.parse()?;
    let revision = std::env::var("REVISION")?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let flag = Flag::default();
    if let Ok(file) = std::env::var(FILE) {
        tokio::spawn(flag.clone().follow(file.into()));
    }
    let parent = getppid();
    let orphaned = async {
        while getppid() == parent {
            pause(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        () = serve(listener, &revision, &flag) => {}
        // Whoever started it was killed: nobody is left who would end it.
        () = orphaned => {}
    }
    Ok(())
}

async fn serve(listener: TcpListener, revision: &str, flag: &Flag) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file handles, most likely: others must end before this can go on.
            tokio::task::yield_now().await;
            continue;
        };
        // A failure here costs a few milliseconds of latency and nothing else.
        let _ = stream.set_nodelay(true);
        let (revision, flag) = (revision.to_owned(), flag.clone());
        let answer = service_fn(move |request: Request<Incoming>| {
            let user = request.headers().get(USER_HEADER).and_then(|user| user.to_str().ok()).unwrap_or_default();
            let (revision, variant) = (revision.clone(), flag.variant(user));
            async move {
                // An order has to arrive whole before it is confirmed.
                let order = request.into_body().collect().await.map_or(0, |body| body.to_bytes().len());
                let answer = Response::builder().header(REVISION_HEADER, &revision).header(VARIANT_HEADER, variant);
                let body = Full::new(Bytes::from(format!("{revision} took {order} bytes\n")));
                Ok::<_, Infallible>(answer.body(body).unwrap_or_default())
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}

/// Lets a span pass.
#[expect(clippy::disallowed_methods, reason = "the service and its users live on the wall clock")]
pub(crate) async fn pause(span: Duration) {
    tokio::time::sleep(span).await;
}
