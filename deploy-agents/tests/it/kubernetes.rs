//! A service in a stand-in for a cluster.

use std::time::Duration;

use deploy_agents::targets::kubernetes::{KubernetesConfig, KubernetesTarget, KubernetesTraffic};
use deploy_agents::testing::KubernetesStandIn;
use deploy_core::agent::Certainty;
use deploy_core::name::TargetName;
use deploy_core::target::{DesiredState, Target};
use deploy_core::testing::conformance::target::TargetSuite;
use http::StatusCode;
use serde_json::{Value, json};

use crate::fleet::{effect, name, reached, want};
use crate::load::{BOUND, EVERY};

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop-{revision}"},
        "spec": {
            "template": {
                "metadata": {"labels": {"app": "shop"}},
                "spec": {"containers": [{"name": "shop", "image": "registry.example/shop:{revision}"}]},
            },
        },
    })
}

fn service(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"port": 80}], "selector": {"app": "shop"}}})
}

fn route() -> Value {
    let rule = json!({"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": []});
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "shop"}, "spec": {"rules": [rule]}})
}

fn cluster() -> KubernetesStandIn {
    KubernetesStandIn::new().with(route()).with(service("live")).with(service("preview"))
}

fn config(traffic: KubernetesTraffic) -> KubernetesConfig {
    KubernetesConfig::new(TargetName::new("eu-west").expect("a name"), "shop", deployment(), traffic)
        .beside(service("shop-{revision}"))
        .preview("preview")
        .look_every(Duration::from_millis(2))
}

fn by_route() -> KubernetesTraffic {
    KubernetesTraffic::route("shop", "shop-{revision}", 80)
}

fn target(cluster: &KubernetesStandIn, traffic: KubernetesTraffic) -> KubernetesTarget {
    KubernetesTarget::new(cluster.client(), config(traffic)).expect("sound templates")
}

#[tokio::test]
async fn a_place_with_a_gateway_conforms() {
    let run = TargetSuite::new(name("v1"), name("v2")).run(|| async { target(&cluster(), by_route()) }).await;
    assert_eq!(run.len(), 6, "{run:?}");
}

#[tokio::test]
async fn users_always_meet_a_ready_pod_and_what_is_over_is_deleted() {
    let cluster = cluster();
    let target = target(&cluster, by_route());
    let ladder = [
        want(&[("v1", 3, 100)]),
        want(&[("v1", 3, 90), ("v2", 1, 10)]),
        want(&[("v1", 3, 50), ("v2", 2, 50)]),
        // In one statement, before a single pod of it runs.
        want(&[("v3", 3, 100)]),
        want(&[("v1", 1, 100)]),
    ];
    for (seq, wanted) in (1..).zip(ladder) {
        target.apply(&wanted, &effect(seq)).await.expect("taken");
        reached(&target, &wanted).await;
    }
    let gone = || async {
        target.observe().await.expect("seen");
        let left = ["shop-v2", "shop-v3"]
            .iter()
            .any(|name| cluster.object("deployments", name).is_some() || cluster.object("services", name).is_some());
        (!left).then_some(())
    };
    deploy_agents::wait::until(BOUND, EVERY, gone).await.expect("what is over is deleted");
    assert_eq!(cluster.violations(), Vec::<String>::new());
    let rule = cluster.object("httproutes", "shop").expect("there")["spec"]["rules"][0].clone();
    assert_eq!(rule["backendRefs"], json!([{"name": "shop-v1", "port": 80, "weight": 100}]));
    assert!(rule["matches"].is_array(), "the rest of the rule is kept");
    let pods = cluster.object("deployments", "shop-v1").expect("there");
    assert_eq!(pods["spec"]["template"]["spec"]["containers"][0]["image"], "registry.example/shop:v1");
}

#[tokio::test]
async fn weights_are_in_force_only_when_every_gateway_says_so() {
    let cluster = cluster();
    let target = target(&cluster, by_route());
    let wanted = want(&[("v1", 1, 100)]);
    target.apply(&wanted, &effect(1)).await.expect("taken");
    let looked = async |times: usize| {
        let before = cluster.calls().len();
        let enough = || std::future::ready((cluster.calls().len() > before + times).then_some(()));
        deploy_agents::wait::until(BOUND, EVERY, enough).await.expect("it is looked at again and again");
    };
    reached(&target, &wanted).await;
    // What the test has seen in force the place has to see as well: until then it still mends.
    looked(40).await;
    // Somebody sends everybody to a backend that is not there. The gateway has not said so yet.
    let rules = json!({"spec": {"rules": [{"backendRefs": [{"name": "shop-v9", "port": 80, "weight": 1}]}]}});
    cluster.gateways_sleep(true);
    cluster.change("httproutes", "shop", &rules);
    let seen = target.observe().await.expect("seen");
    assert_eq!(seen.weights, wanted.weights, "what was in force before still is");
    cluster.gateways_sleep(false);
    let told = || async { target.observe().await.err() };
    let error = deploy_agents::wait::until(BOUND, EVERY, told).await.expect("it is refused");
    assert!(error.certainty == Certainty::Transient && error.to_string().contains("BackendNotFound"), "{error}");
    // Applied again it is mended, and what somebody else then does is told and left alone.
    target.apply(&wanted, &effect(2)).await.expect("taken");
    let mended = || async { target.observe().await.ok().filter(|seen| seen.satisfies(&wanted)) };
    deploy_agents::wait::until(BOUND, EVERY, mended).await.expect("it is mended");
    looked(40).await;
    cluster.change("httproutes", "shop", &json!({"spec": {"rules": [{"backendRefs": []}]}}));
    let drifted = || async { target.observe().await.ok().filter(|seen| seen.weights.is_empty()) };
    deploy_agents::wait::until(BOUND, EVERY, drifted).await.expect("it is told");
    looked(40).await;
    assert!(target.observe().await.expect("seen").weights.is_empty(), "nobody has applied again");
    // Another place over the same cluster has seen nothing in force, and does not guess.
    cluster.gateways_sleep(true);
    cluster.change("httproutes", "shop", &json!({"spec": {"rules": [{"backendRefs": [], "name": "x"}]}}));
    assert!(KubernetesTarget::new(cluster.client(), config(by_route())).expect("sound").observe().await.is_err());
}

#[tokio::test]
async fn a_revision_that_never_becomes_ready_gets_no_traffic_and_costs_nobody_their_place() {
    let cluster = cluster();
    cluster.breaks("v2");
    let target = target(&cluster, by_route());
    let stable = want(&[("v1", 2, 100)]);
    target.apply(&stable, &effect(1)).await.expect("taken");
    reached(&target, &stable).await;
    target.apply(&want(&[("v2", 2, 100)]), &effect(2)).await.expect("taken");
    let given_up = || async {
        let seen = target.observe().await.expect("seen");
        assert_eq!((seen.weights == stable.weights, seen.revision(&name("v1")).ready), (true, 2), "{seen:?}");
        let status = cluster.object("deployments", "shop-v2")?["status"]["conditions"].clone();
        status.is_array().then_some(())
    };
    deploy_agents::wait::until(BOUND, EVERY, given_up).await.expect("the cluster gives it up");
    target.apply(&stable, &effect(3)).await.expect("taken");
    reached(&target, &stable).await;
    assert_eq!(cluster.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_selector_switches_everything_at_once() {
    let cluster = cluster();
    let target = target(&cluster, KubernetesTraffic::selector("live"));
    let able = target.capabilities();
    assert!(able.switch && able.preview && !able.weights, "a canary by weight is refused at planning");
    let selected = |service: &str| cluster.object("services", service).expect("there")["spec"]["selector"].clone();
    let stable = want(&[("v1", 2, 100)]);
    target.apply(&stable, &effect(1)).await.expect("taken");
    reached(&target, &stable).await;
    let shown = DesiredState { preview: Some(name("v2")), ..want(&[("v1", 2, 100), ("v2", 2, 0)]) };
    target.apply(&shown, &effect(2)).await.expect("taken");
    reached(&target, &shown).await;
    assert_eq!(
        (&selected("live")["deploy-agents/revision"], &selected("preview")["deploy-agents/revision"]),
        (&"v1".into(), &"v2".into())
    );
    let switched = want(&[("v2", 2, 100)]);
    target.apply(&switched, &effect(3)).await.expect("taken");
    reached(&target, &switched).await;
    assert_eq!(
        selected("live"),
        json!({"app": "shop", "deploy-agents/target": "eu-west", "deploy-agents/revision": "v2"})
    );
    assert_eq!(selected("preview")["deploy-agents/revision"], "nobody");
    let error = target.apply(&want(&[("v1", 1, 50), ("v2", 1, 50)]), &effect(4)).await.expect_err("a part");
    assert_eq!(error.certainty, Certainty::Definitive);
}

#[tokio::test]
async fn without_weights_pods_carry_the_split_and_the_last_ready_one_stays() {
    let cluster = cluster();
    let target = target(&cluster, KubernetesTraffic::Replicas);
    assert!(!target.capabilities().weights && !target.capabilities().fence);
    let only = |capacity: &[(&str, u32)]| DesiredState {
        capacity: capacity.iter().map(|(revision, n)| (name(revision), *n)).collect(),
        ..DesiredState::default()
    };
    for (seq, wanted) in (1..).zip([only(&[("v1", 3)]), only(&[("v1", 2), ("v2", 1)]), only(&[("v2", 3)])]) {
        target.apply(&wanted, &effect(seq)).await.expect("taken");
        let met = || async {
            let seen = target.observe().await.expect("seen");
            assert!(seq == 1 || seen.revisions.values().any(|revision| revision.ready > 0), "nobody serves: {seen:?}");
            seen.satisfies(&wanted).then_some(())
        };
        deploy_agents::wait::until(BOUND, EVERY, met).await.expect("reached");
    }
    assert!(target.apply(&want(&[("v2", 3, 100)]), &effect(9)).await.is_err(), "there are no weights");
}

#[tokio::test]
async fn how_sure_it_is_that_nothing_was_changed() {
    let cluster = cluster();
    let target = target(&cluster, by_route());
    for (status, certainty) in [
        (StatusCode::FORBIDDEN, Certainty::Definitive),
        (StatusCode::TOO_MANY_REQUESTS, Certainty::Transient),
        (StatusCode::SERVICE_UNAVAILABLE, Certainty::Transient),
    ] {
        cluster.fail_with(Some(status));
        let error = target.observe().await.expect_err("made to fail");
        assert_eq!(error.certainty, certainty, "{status}: {error}");
    }
    cluster.fail_with(None);
    let unfit = want(&[("v1+build", 1, 100)]);
    assert!(target.apply(&unfit, &effect(1)).await.expect_err("no label").to_string().contains("label"));
    let nameless = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"}});
    let config =
        KubernetesConfig::new(TargetName::new("x").expect("a name"), "shop", nameless, KubernetesTraffic::Replicas);
    assert!(KubernetesTarget::new(cluster.client(), config).is_err());
}
