//! A place driven from another process: here by clients that hold nothing but its address and a token.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use deploy_agents::http::{HttpClient, HttpLimits, PlainHttp};
use deploy_agents::secret::Secret;
use deploy_agents::targets::AdminAccess;
use deploy_agents::targets::place::{Place, PlaceConfig, PlaceTarget};
use deploy_agents::targets::processes::Launch;
use deploy_agents::targets::proxy::{Proxy, ProxyAdmin, ProxyConfig, PutRouting, Routing};
use deploy_core::agent::Certainty;
use deploy_core::effect::Fence;
use deploy_core::target::Target;

use crate::fleet::{config, effect, name, reached, want};
use crate::load::Load;
use crate::service;

const TOKEN: &str = "token-of-this-story";

async fn place() -> Place {
    let access = AdminAccess::token(Secret::new(TOKEN));
    Place::start(PlaceConfig::new(config(Launch::template(service::line())), access)).await.expect("a place")
}

fn client(place: &Place) -> PlaceTarget {
    PlaceTarget::new("here".try_into().expect("a name"), place.admin_address()).token(Secret::new(TOKEN))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_comes_and_goes_and_the_place_lives_on() {
    let place = place().await;
    let first = client(&place);
    let v1 = want(&[("v1", 2, 100)]);
    assert!(first.apply(&v1, &effect(1)).await.expect("taken").changed);
    reached(&first, &v1).await;
    let load = Load::start(4, place.traffic_address());
    load.more(200).await;
    let split = want(&[("v1", 2, 75), ("v2", 1, 25)]);
    assert!(first.apply(&split, &effect(2)).await.expect("taken").changed);
    // The engine is killed here; another one takes over, sees how far things are, and repeats the effect.
    drop(first);
    let second = client(&place);
    assert!(!second.apply(&split, &effect(2)).await.expect("taken").changed);
    reached(&second, &split).await;
    load.more(200).await;
    let effects = second.effects().await.expect("effects");
    assert_eq!(effects.iter().map(|e| e.count).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(second.instances().await.expect("instances").len(), 3);
    let tally = load.stop().await;
    assert_eq!(tally.failures, Vec::<String>::new());
    assert_eq!(tally.by_revision.len(), 2);
    place.close().await;
    let gone = second.observe().await.expect_err("nobody is there");
    assert_eq!(gone.certainty, Certainty::Transient);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_refuses_older_fences_unsound_statements_and_strangers() {
    let place = place().await;
    let target = client(&place).with_stated_capabilities().await.expect("stated");
    assert_eq!(target.capabilities(), place.fleet().capabilities());
    target.apply(&want(&[("v1", 1, 100)]), &effect(7)).await.expect("taken");
    let older = target.apply(&want(&[("v2", 1, 100)]), &effect(6)).await.expect_err("an older fence");
    assert!(older.is_stale_fence());
    let unsound = target.apply(&want(&[("v1", 1, 99)]), &effect(8)).await.expect_err("not whole");
    assert_eq!((unsound.certainty, unsound.is_stale_fence()), (Certainty::Definitive, false));
    for stranger in [PlaceTarget::new(target.name(), place.admin_address()), client(&place).token(Secret::new("guess"))]
    {
        let error = stranger.observe().await.expect_err("a stranger");
        assert_eq!(error.certainty, Certainty::Definitive);
        assert!(!format!("{stranger:?} {error:?}").contains("guess"));
    }
    place.close().await;
}

#[tokio::test]
async fn an_admin_interface_stays_on_this_machine_unless_told_otherwise() {
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let proxy = Proxy::bind(everywhere, ProxyConfig::default()).await.expect("a proxy");
    let access = AdminAccess::anyone_on_this_machine();
    assert!(ProxyAdmin::bind(everywhere, access, Arc::new(proxy)).await.is_err());
}

#[tokio::test]
async fn a_proxy_is_driven_over_its_own_interface() {
    let upstream = service::spawn("v1").await;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let proxy = Arc::new(Proxy::bind(any, ProxyConfig::default()).await.expect("a proxy"));
    let access = AdminAccess::token(Secret::new(TOKEN));
    let admin = ProxyAdmin::bind(any, access, Arc::clone(&proxy)).await.expect("an interface");
    let call = async |method: &str, path: &str, token: &str, body: Vec<u8>| {
        let request = http::Request::builder().method(method).uri(format!("http://{}{path}", admin.address()));
        let request = request.header("authorization", format!("Bearer {token}")).body(Bytes::from(body));
        PlainHttp::new().send(request.expect("a request"), HttpLimits::default()).await.expect("an answer")
    };
    let put = |epoch, seq, weight| {
        let routing = Routing {
            upstreams: [(name("v1"), [upstream].into())].into(),
            weights: [(name("v1"), weight)].into(),
            max_weight: 100,
            ..Routing::default()
        };
        serde_json::to_vec(&PutRouting { fence: Fence { epoch, seq }, routing }).expect("JSON")
    };
    assert_eq!(call("PUT", "/v1/routing", "guess", put(2, 1, 100)).await.status(), 401);
    assert_eq!(call("PUT", "/v1/routing", TOKEN, put(2, 1, 100)).await.status(), 200);
    assert_eq!(call("PUT", "/v1/routing", TOKEN, put(1, 9, 100)).await.status(), 409);
    assert_eq!(call("PUT", "/v1/routing", TOKEN, put(2, 2, 99)).await.status(), 422);
    assert_eq!(
        call("PUT", "/v1/routing", TOKEN, put(2, 1, 100)).await.status(),
        409,
        "a refused statement has shown its fence"
    );
    assert_eq!(call("PUT", "/v1/routing", TOKEN, b"{}".to_vec()).await.status(), 400);
    assert_eq!(call("GET", "/v1/nothing", TOKEN, Vec::new()).await.status(), 404);
    let routing: Routing =
        serde_json::from_slice(call("GET", "/v1/routing", TOKEN, Vec::new()).await.body()).expect("a routing");
    assert_eq!(routing, proxy.routing());
    let metrics = call("GET", "/metrics", TOKEN, Vec::new()).await;
    assert!(String::from_utf8_lossy(metrics.body()).contains("deploy_proxy_weight{revision=\"v1\"} 100"));
}
