//! The reverse proxy under traffic.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use deploy_agents::targets::proxy::{MIRROR_HEADER, Proxy, ProxyConfig, REVISION_HEADER, Routing, RoutingError};
use deploy_core::name::RevisionName;
use deploy_core::target::{Mirror, Route, RouteMatch};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::fronted::free;
use crate::load::{BOUND, Load, eventually};
use crate::service;

fn name(text: &str) -> RevisionName {
    RevisionName::new(text).expect("a name")
}

fn routing(upstreams: &[(&str, &[SocketAddr])], weights: &[(&str, u32)]) -> Routing {
    Routing {
        upstreams: upstreams.iter().map(|(r, a)| (name(r), a.iter().copied().collect())).collect(),
        weights: weights.iter().map(|(r, w)| (name(r), *w)).collect(),
        max_weight: 100,
        ..Routing::default()
    }
}

async fn proxy() -> Proxy {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Proxy::bind(any, ProxyConfig::default().reveal_revision()).await.expect("a proxy")
}

/// An address that refuses connections.
fn nobody() -> SocketAddr {
    free()
}

async fn send(proxy: &Proxy, request: Request<Full<Bytes>>) -> Response<Incoming> {
    let (mut parts, body) = request.into_parts();
    parts.uri = format!("http://{}{}", proxy.address(), parts.uri.path()).parse().expect("a URL");
    let client = Client::builder(TokioExecutor::new()).build_http();
    client.request(Request::from_parts(parts, body)).await.expect("an answer")
}

async fn text(answer: Response<Incoming>) -> String {
    String::from_utf8_lossy(&answer.into_body().collect().await.expect("a body").to_bytes()).into_owned()
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).body(Full::default()).expect("a request")
}

/// Rows: M60.
#[tokio::test]
async fn of_every_hundred_requests_exactly_as_many_go_to_each_revision_as_its_weight_says() {
    let (a, b, c) = (service::spawn("v1").await, service::spawn("v2").await, service::spawn("v3").await);
    let proxy = proxy().await;
    let all = [("v1", &[a][..]), ("v2", &[b][..]), ("v3", &[c][..])];
    assert_eq!(proxy.route(routing(&all, &[("v1", 83), ("v2", 10), ("v3", 7)])), Ok(true));
    let another = service::spawn("v1").await;
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for round in 0..200 {
        if round % 7 == 3 {
            // Instances come and go all the time, and no revision loses its turn by that.
            let addresses = if round % 2 == 0 { [a].into() } else { [a, another].into() };
            proxy.set_upstreams(&name("v1"), addresses);
        }
        let answer = send(&proxy, get("/")).await;
        let revealed = answer.headers()[REVISION_HEADER].to_str().expect("text").to_owned();
        let said = text(answer).await;
        assert_eq!(said, revealed);
        *seen.entry(said).or_default() += 1;
    }
    assert_eq!(seen, BTreeMap::from([("v1".to_owned(), 166), ("v2".to_owned(), 20), ("v3".to_owned(), 14)]));
    assert_eq!(proxy.counts()[&name("v2")].requests, 20);
    assert!(proxy.metrics().contains("deploy_proxy_requests_total{revision=\"v3\",code=\"2xx\"} 14\n"));
}

#[tokio::test]
async fn a_statement_that_is_not_sound_changes_nothing() {
    let a = service::spawn("v1").await;
    let proxy = proxy().await;
    let sound = routing(&[("v1", &[a])], &[("v1", 100)]);
    assert_eq!(send(&proxy, get("/")).await.status(), 503);
    assert_eq!(proxy.route(sound.clone()), Ok(true));
    assert_eq!(proxy.route(sound.clone()), Ok(false));
    let short = routing(&[("v1", &[a])], &[("v1", 99)]);
    assert_eq!(proxy.route(short), Err(RoutingError::NotWhole { sum: 99, max_weight: 100 }));
    let unserved = routing(&[("v1", &[a])], &[("v1", 50), ("v2", 50)]);
    assert_eq!(proxy.route(unserved), Err(RoutingError::NobodyServes { revision: name("v2") }));
    assert_eq!(proxy.routing(), sound);
}

#[tokio::test]
async fn headers_and_cookies_go_before_weights() {
    let (a, b) = (service::spawn("v1").await, service::spawn("v2").await);
    let proxy = proxy().await;
    let header = RouteMatch::Header { name: "x-canary".to_owned(), value: "yes".to_owned() };
    let cookie = RouteMatch::Cookie { name: "beta".to_owned(), value: "1".to_owned() };
    let mut wanted = routing(&[("v1", &[a]), ("v2", &[b])], &[("v1", 100)]);
    wanted.routes = vec![
        Route { matches: vec![header, cookie.clone()], to: name("v1") },
        Route { matches: vec![cookie], to: name("v2") },
    ];
    proxy.route(wanted).expect("sound");
    let with = |header: &str, cookie: &str| {
        let request = Request::get("/").header("x-canary", header).header("cookie", cookie);
        send(&proxy, request.body(Full::default()).expect("a request"))
    };
    assert_eq!(text(with("no", "a=2; beta=1").await).await, "v2");
    assert_eq!(text(with("yes", "beta=1").await).await, "v1");
    assert_eq!(text(with("no", "beta=2").await).await, "v1");
}

/// Rows: M57.
#[tokio::test]
async fn the_second_address_shows_one_revision_whatever_the_weights_say() {
    let (a, b) = (service::spawn("v1").await, service::spawn("v2").await);
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let proxy = proxy().await.with_preview(any).await.expect("a second address");
    let preview = proxy.preview_address().expect("there is one");
    let at_preview = || async {
        let url = format!("http://{preview}/").parse().expect("a URL");
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        client.get(url).await.expect("an answer")
    };
    let mut wanted = routing(&[("v1", &[a]), ("v2", &[b])], &[("v1", 100)]);
    proxy.route(wanted.clone()).expect("sound");
    assert_eq!(at_preview().await.status(), 503, "nothing is shown there");
    wanted.preview = Some(name("v2"));
    proxy.route(wanted.clone()).expect("sound");
    for _ in 0..3 {
        assert_eq!(text(at_preview().await).await, "v2");
        assert_eq!(text(send(&proxy, get("/")).await).await, "v1");
    }
    // Whoever asks for the preview gets that revision or none.
    proxy.set_upstreams(&name("v2"), BTreeSet::new());
    assert_eq!(at_preview().await.status(), 503);
    wanted.preview = Some(name("v3"));
    assert_eq!(proxy.route(wanted), Err(RoutingError::NobodyServes { revision: name("v3") }));
}

#[tokio::test]
async fn a_quarter_is_copied_and_nobody_sees_the_answers() {
    let (a, b) = (service::spawn("v1").await, service::spawn("v2").await);
    let proxy = proxy().await;
    let mut wanted = routing(&[("v1", &[a]), ("v2", &[b])], &[("v1", 100)]);
    wanted.mirror = Some(Mirror { to: name("v2"), percent: 25 });
    proxy.route(wanted).expect("sound");
    for _ in 0..100 {
        assert_eq!(text(send(&proxy, get("/")).await).await, "v1");
    }
    assert_eq!(text(send(&proxy, get(&format!("/header/{MIRROR_HEADER}"))).await).await, "none");
    assert_eq!(proxy.counts()[&name("v2")].mirrored, 25);
    assert_eq!(proxy.counts()[&name("v2")].requests, 0);
}

#[tokio::test]
async fn a_request_that_reached_nobody_is_sent_to_another_instance_body_and_all() {
    let a = service::spawn("v1").await;
    let proxy = proxy().await;
    proxy.route(routing(&[("v1", &[a, nobody()])], &[("v1", 100)])).expect("sound");
    for round in 0..20 {
        let body = format!("body {round}");
        let request = Request::post("/echo").body(Full::from(body.clone())).expect("a request");
        let answer = send(&proxy, request).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(text(answer).await, body);
    }
    let counts = &proxy.counts()[&name("v1")];
    assert_eq!(counts.requests, 20);
    assert!(counts.failed_attempts >= 1, "the dead instance was never tried");
    assert!(counts.failed_attempts < 10, "the dead instance was not passed over: {counts:?}");
}

/// An instance that takes every request and breaks the connection instead of answering.
async fn breaker() -> (SocketAddr, std::sync::Arc<std::sync::atomic::AtomicU32>) {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use tokio::io::AsyncReadExt;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let taken = std::sync::Arc::new(AtomicU32::new(0));
    let count = std::sync::Arc::clone(&taken);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut head = [0; 4096];
            if stream.read(&mut head).await.is_ok_and(|n| n > 0) {
                count.fetch_add(1, SeqCst);
            }
        }
    });
    (address, taken)
}

#[tokio::test]
async fn a_request_that_may_have_had_its_effect_is_never_sent_twice() {
    use std::sync::atomic::Ordering::SeqCst;
    let ((first, taken), a) = (breaker().await, service::spawn("v1").await);
    let proxy = proxy().await;
    proxy.route(routing(&[("v1", &[first])], &[("v1", 100)])).expect("sound");
    proxy.route(routing(&[("v1", &[first]), ("v2", &[a])], &[("v1", 50), ("v2", 50)])).expect("sound");
    for (method, body) in [(Method::POST, "x"), (Method::PUT, "x"), (Method::DELETE, ""), (Method::POST, "")] {
        let before = taken.load(SeqCst);
        let mut statuses = BTreeSet::new();
        // One of two in a row is meant for the instance that breaks off.
        for _ in 0..2 {
            let request = Request::builder().method(&method).uri("/echo").body(Full::from(body)).expect("a request");
            statuses.insert(send(&proxy, request).await.status().as_u16());
        }
        assert_eq!(taken.load(SeqCst) - before, 1, "{method} was sent more than once");
        assert_eq!(statuses, BTreeSet::from([200, 502]), "{method}");
    }
    // A safe one may be asked elsewhere.
    for _ in 0..4 {
        assert_eq!(send(&proxy, get("/")).await.status(), 200);
    }
    assert!(proxy.counts()[&name("v1")].failed_over >= 1);
}

/// Rows: M66.
#[tokio::test]
async fn a_request_under_way_survives_its_revision_and_the_drain_waits_for_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("go");
    let (a, b) = (service::spawn("v1").await, service::spawn("v2").await);
    let proxy = proxy().await;
    proxy.route(routing(&[("v1", &[a])], &[("v1", 100)])).expect("sound");
    let slow = get(&format!("/wait-for{}", file.display()));
    let under_way = async { text(send(&proxy, slow).await).await };
    let change = async {
        eventually("the request is under way", || proxy.counts()[&name("v1")].in_flight == 1).await;
        proxy.route(routing(&[("v1", &[a]), ("v2", &[b])], &[("v2", 100)])).expect("sound");
        let retired = proxy.retire(&name("v1"), a);
        assert_eq!(retired.drained(Duration::from_millis(20)).await, 1, "the drain did not see the request");
        assert_eq!(text(send(&proxy, get("/")).await).await, "v2");
        std::fs::write(&file, "").expect("a file");
        assert_eq!(retired.drained(BOUND).await, 0);
    };
    let (answer, ()) = tokio::join!(under_way, change);
    assert_eq!(answer, "v1");
}

#[tokio::test]
async fn bodies_are_streamed_both_ways() {
    let a = service::spawn("v1").await;
    let proxy = proxy().await;
    proxy.route(routing(&[("v1", &[a])], &[("v1", 100)])).expect("sound");
    let (feed, mut chunks) = tokio::sync::mpsc::channel::<Bytes>(1);
    let stream = futures_stream(move |cx| chunks.poll_recv(cx));
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request =
        Request::post(format!("http://{}/echo", proxy.address())).body(StreamBody::new(stream)).expect("a request");
    // The first chunk comes back before the second is sent: neither side is held back until the end.
    feed.send(Bytes::from("one")).await.expect("room");
    let answer: Response<Incoming> = client.request(request).await.expect("an answer");
    let mut body = answer.into_body();
    let first = body.frame().await.expect("a frame").expect("whole").into_data().expect("data");
    assert_eq!(first, "one");
    feed.send(Bytes::from("two")).await.expect("room");
    drop(feed);
    assert_eq!(body.collect().await.expect("the rest").to_bytes(), "two");
}

/// A stream of frames from a poll function.
fn futures_stream(
    mut poll: impl FnMut(&mut std::task::Context<'_>) -> std::task::Poll<Option<Bytes>> + Unpin,
) -> impl futures::Stream<Item = Result<Frame<Bytes>, std::convert::Infallible>> {
    futures::stream::poll_fn(move |cx| poll(cx).map(|chunk| chunk.map(|bytes| Ok(Frame::data(bytes)))))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_and_instances_change_under_load_without_a_failed_request() {
    let proxy = proxy().await;
    let (a, b, c) = (service::spawn("v1").await, service::spawn("v1").await, service::spawn("v2").await);
    proxy.route(routing(&[("v1", &[a, b])], &[("v1", 100)])).expect("sound");
    let load = Load::start(8, proxy.address());
    for round in 0..40 {
        let weight = (round * 7) % 101;
        let upstreams: &[SocketAddr] = if round % 2 == 0 { &[a] } else { &[a, b] };
        let weights = [("v1", 100 - weight), ("v2", weight)];
        proxy.route(routing(&[("v1", upstreams), ("v2", &[c])], &weights)).expect("sound");
        load.more(50).await;
    }
    let tally = load.stop().await;
    assert_eq!(tally.failures, Vec::<String>::new());
    assert!(tally.answered >= 2_000 && tally.by_revision.len() == 2);
}
