//! The service that is released: takes orders over HTTP. Three versions of it are one program that is told its revision.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use nix::unistd::getppid;
use tokio::net::TcpListener;

use crate::Failure;
use crate::server::{pause, serve, status};

/// Which version answered. On every answer of the service, good or bad: what lacks it was not answered by the service.
pub(crate) const VERSION_HEADER: &str = "x-orders-version";

/// How many connections version 3 has to its database. It gives none of them back.
const POOL: u64 = 20;
/// With an empty pool, every so many requests of version 3 find no connection in time.
const FAILS_EVERY: u64 = 5;
/// How long the others wait for one.
const WAITS: Duration = Duration::from_millis(600);
/// How long an order takes that finds a connection.
const WORK: Duration = Duration::from_millis(3);

/// One instance of the service. `PORT` and `REVISION` say where and what.
pub(crate) async fn run() -> Result<(), Failure> {
    let port: u16 = std::env::var("PORT")?.parse()?;
    let revision = std::env::var("REVISION")?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let parent = getppid();
    let orphaned = async {
        while getppid() == parent {
            pause(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        () = serve_orders(listener, revision) => {}
        // The place was killed: nobody is left who would end this process.
        () = orphaned => {}
    }
    Ok(())
}

/// Serves a revision at a listener.
pub(crate) async fn serve_orders(listener: TcpListener, revision: String) {
    let orders = std::sync::Arc::new(Orders { revision, taken: AtomicU64::new(0) });
    serve(listener, move |request| {
        let orders = std::sync::Arc::clone(&orders);
        async move { orders.answer(&request).await }
    })
    .await;
}

struct Orders {
    revision: String,
    taken: AtomicU64,
}

impl Orders {
    async fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let mut answer = match request.uri().path() {
            "/healthz" => Response::new(Bytes::from_static(b"ok")),
            "/version" => Response::new(Bytes::from(format!("{{\"version\":\"{}\"}}", self.revision))),
            "/orders" => self.order(request).await,
            _ => status(StatusCode::NOT_FOUND),
        };
        if let Ok(version) = HeaderValue::from_str(&self.revision) {
            answer.headers_mut().insert(VERSION_HEADER, version);
        }
        answer
    }

    async fn order(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let taken = self.taken.fetch_add(1, SeqCst);
        // The fault of version 3: a connection is taken for each order and never given back. Neither the self-test nor a health
        // check asks often enough to notice.
        let starved = self.revision == "v3" && taken >= POOL;
        pause(if starved { WAITS } else { WORK }).await;
        if starved && taken.is_multiple_of(FAILS_EVERY) {
            return status(StatusCode::INTERNAL_SERVER_ERROR);
        }
        let lines = request.body().len();
        Response::new(Bytes::from(format!("{{\"order\":{taken},\"bytes\":{lines},\"by\":\"{}\"}}", self.revision)))
    }
}
