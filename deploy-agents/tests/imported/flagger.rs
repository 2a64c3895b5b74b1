//! Canaries of Flagger.

use std::collections::BTreeMap;
use std::sync::Arc;

use deploy_agents::monitors::imported::Binder;
use deploy_agents::secret::Secret;
use deploy_core::gate::{Gate as _, GateContext, GateDecision};
use deploy_core::plan::StepPath;
use deploy_core::time::Now;
use deploy_strategies::import::HookWhen;

use crate::server::{Server, vector};
use crate::{bind, measured, refused, release};

/// A Canary with this analysis, indented by four.
pub(crate) fn canary(analysis: &str) -> String {
    format!(
        "apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {{name: shop, namespace: prod}}
spec:
  provider: istio
  targetRef: {{apiVersion: apps/v1, kind: Deployment, name: shop}}
  service: {{port: 80}}
  analysis:
    interval: 1m
    stepWeight: 50
{analysis}
"
    )
}

#[tokio::test]
async fn its_own_metrics_are_asked_by_the_queries_of_the_host() {
    let server = Server::start(|asked| {
        let rate = asked.value("query").is_some_and(|query| query.contains("success"));
        (200, vector(&[if rate { "99.5" } else { "120" }]))
    })
    .await;
    let text = canary(
        "    metrics:
    - {name: request-success-rate, interval: 1m, thresholdRange: {min: 99}}
    - {name: request-duration, interval: 30s, thresholdRange: {max: 500}}",
    );
    let binder = Binder::new()
        .prometheus(server.url())
        .query("request-success-rate", "success{app=\"{{ target }}\"}[{{ interval }}]")
        .query("request-duration", "latency{app=\"{{target}}\"}[{{interval}}]");
    let numbers = measured(&bind(binder, &text)).await.expect("numbers");
    assert_eq!((numbers["request-success-rate"], numbers["request-duration"]), (99.5, 120.0));
    let mut queries: Vec<String> = server.asked().iter().filter_map(|asked| asked.value("query")).collect();
    queries.sort();
    assert_eq!(queries, ["latency{app=\"shop\"}[30s]", "success{app=\"shop\"}[1m]"]);
}

#[tokio::test]
async fn a_template_signs_in_with_its_secret() {
    let server = Server::start(|_| (200, vector(&["1"]))).await;
    let text = canary("    metrics:\n    - {name: mine, templateRef: {name: t}, thresholdRange: {max: 5}}");
    let template = format!(
        "---\napiVersion: flagger.app/v1beta1\nkind: MetricTemplate\nmetadata: {{name: t}}\nspec:\n  provider: {{type: prometheus, address: '{}', secretRef: {{name: login}}}}\n  query: e{{app=\"{{{{ target }}}}\"}}\n",
        server.url()
    );
    let text = format!("{text}{template}");
    let token = Binder::new().secret("login", "token", Secret::new("hunter2"));
    measured(&bind(token, &text)).await.expect("a number");
    let user = Binder::new().secret("login", "username", Secret::new("ada"));
    let user = user.secret("login", "password", Secret::new("hunter2"));
    measured(&bind(user, &text)).await.expect("a number");
    let shown: Vec<_> = server.asked().iter().map(|asked| asked.header("authorization").map(str::to_owned)).collect();
    assert_eq!(shown, [Some("Bearer hunter2".to_owned()), Some("Basic YWRhOmh1bnRlcjI=".to_owned())]);
}

#[tokio::test]
async fn no_value_is_no_number() {
    let server = Server::start(|_| (200, vector(&[]))).await;
    let text = canary("    metrics:\n    - {name: mine, query: up, thresholdRange: {max: 5}}");
    let why = refused(&bind(Binder::new().prometheus(server.url()), &text)).await;
    assert!(why.contains("it is empty"), "{why}");
}

fn context() -> GateContext {
    let step = StepPath::new("before/gate").expect("a path");
    GateContext::new(step, Arc::new(release()), Now::default(), BTreeMap::new(), BTreeMap::new())
}

#[tokio::test]
async fn webhooks_before_the_rollout_are_gates() {
    let server = Server::start(|asked| (if asked.path == "/no" { 403 } else { 202 }, "who cares".to_owned())).await;
    let url = server.url();
    let text = canary(&format!(
        "    webhooks:
    - {{name: ready, type: confirm-rollout, url: '{url}/yes', timeout: 5s, metadata: {{team: shop}}}}
    - {{name: wait, type: confirm-rollout, url: '{url}/no'}}
    - {{name: smoke, type: pre-rollout, url: '{url}/no'}}
    - {{name: load, url: '{url}/load'}}"
    ));
    let bound = bind(Binder::new().by_host("load"), &text);
    assert!(bound.monitors.is_empty());
    let [ready, wait, smoke] = bound.gates.as_slice() else { panic!("{:?}", bound.gates) };
    assert_eq!((ready.when(), smoke.when()), (HookWhen::ConfirmRollout, HookWhen::PreRollout));
    assert_eq!(ready.evaluate(&context()).await.expect("an answer"), GateDecision::Go);
    let GateDecision::Hold { reason, .. } = wait.evaluate(&context()).await.expect("an answer") else {
        panic!("no yes")
    };
    assert_eq!(reason, "wait answers 403");
    assert!(matches!(smoke.evaluate(&context()).await.expect("an answer"), GateDecision::NoGo { .. }));
    let asked = server.asked();
    assert_eq!((asked[0].method.as_str(), asked[0].path.as_str()), ("POST", "/yes"));
    let sent: serde_json::Value = serde_json::from_str(&asked[0].body).expect("JSON");
    let told = serde_json::json!({"name": "shop", "namespace": "prod", "phase": "Waiting", "checksum": "v2", "metadata": {"team": "shop"}});
    assert_eq!(sent, told);
    drop(server);
    tokio::task::yield_now().await;
    assert!(matches!(wait.evaluate(&context()).await, Ok(GateDecision::Hold { .. })), "nobody said yes");
    assert!(smoke.evaluate(&context()).await.is_err(), "that nobody answers is no veto");
}
