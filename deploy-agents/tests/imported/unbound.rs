//! What a manifest leaves open is named by its line.

use std::sync::Arc;

use bytes::Bytes;
use deploy_agents::http::{HttpClient, HttpError, HttpLimits};
use deploy_agents::monitors::imported::Binder;

use crate::argo::rollout;
use crate::flagger::canary;
use crate::import;

/// Line and name of everything that is not bound, and the whole text.
fn unbound(binder: &Binder, text: &str) -> (Vec<(u32, String)>, String) {
    let unbound = binder.bind(&import(text)).expect_err("something is missing");
    let list = unbound.list().iter().map(|one| (one.line.expect("a line"), one.name.clone())).collect();
    (list, unbound.to_string())
}

/// Speaks TLS, so to say.
#[derive(Debug)]
struct Other;

#[async_trait::async_trait]
impl HttpClient for Other {
    async fn send(&self, _: http::Request<Bytes>, _: HttpLimits) -> Result<http::Response<Bytes>, HttpError> {
        Ok(http::Response::new(Bytes::new()))
    }
}

#[test]
fn each_metric_that_cannot_be_asked_is_named_with_its_line_and_a_remedy() {
    let metric = |name: &str, provider: &str| format!("  - {{name: {name}, provider: {provider}}}\n");
    let good = metric("good", "{prometheus: {address: 'http://p', query: up}}");
    let wrong = [
        (
            "nobody",
            "{prometheus: {query: up}}",
            "it names no Prometheus; give the one of its controller by `prometheus`",
        ),
        (
            "tls",
            "{prometheus: {address: 'https://p', query: up}}",
            "https://, which this client does not speak; hand one that does to `over`",
        ),
        ("where", "{web: {url: 'ftp://p', jsonPath: '{$.a}'}}", "does not begin with http:// or https://"),
        ("user", "{web: {url: 'http://ada:hunter2@p/', jsonPath: '{$.a}'}}", "has a user in it"),
        ("space", "{web: {url: 'http://p/a b', jsonPath: '{$.a}'}}", "its address is none"),
        (
            "header",
            "{web: {url: 'http://p', headers: [{key: 'a b', value: c}], jsonPath: '{$.a}'}}",
            "\"a b\" is no name of a header",
        ),
        (
            "secret",
            "{prometheus: {address: 'http://p', query: '{{args.token}}'}}",
            "the key \"k\" of the secret \"s\" is not there; give it by `secret`",
        ),
        (
            "stable",
            "{prometheus: {address: 'http://p', query: '{{args.was}}'}}",
            "served before (was); say it by `stable`",
        ),
        (
            "start",
            "{prometheus: {address: 'http://p', query: up, rangeQuery: {start: yesterday, end: now(), step: 1m}}}",
            "the time \"yesterday\" of its range",
        ),
        (
            "step",
            "{prometheus: {address: 'http://p', query: up, rangeQuery: {start: now(), end: now(), step: often}}}",
            "the step \"often\"",
        ),
    ];
    let args = "{name: token, valueFrom: {secretKeyRef: {name: s, key: k}}}, {name: was, valueFrom: {podTemplateHashValue: Stable}}";
    let metrics: String = wrong.iter().map(|(name, provider, _)| metric(name, provider)).collect();
    let (list, text) = unbound(&Binder::new(), &rollout(args, &format!("{good}{metrics}")));
    // The good one stands in line 20.
    let all: Vec<(u32, String)> = (21..).zip(wrong.iter().map(|(name, ..)| (*name).to_owned())).collect();
    assert_eq!(list, all, "{text}");
    for ((name, _, said), line) in wrong.iter().zip(text.lines()) {
        assert!(
            line.starts_with("shop.yaml:") && line.contains(&format!(": {name}: ")) && line.contains(said),
            "{line}"
        );
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_client_that_speaks_tls_and_certificates_of_its_own_is_the_hosts() {
    let text = rollout("", "  - {name: m, provider: {prometheus: {address: 'https://p', insecure: true, query: up}}}");
    let bound = Binder::new().over(Arc::new(Other)).bind(&import(&text)).expect("bound");
    assert_eq!(bound.monitors.len(), 1);
}

#[test]
fn webhooks_and_metrics_of_flagger_that_nobody_answers_are_named() {
    let text = canary(
        "    metrics:
    - {name: request-duration, interval: 30s, thresholdRange: {max: 500}}
    - {name: mine, templateRef: {name: t}, thresholdRange: {max: 5}}
    webhooks:
    - {name: gate, type: confirm-rollout, url: 'https://gate/'}
    - {name: load, url: 'http://load/'}
    - {name: raise, type: confirm-traffic-increase, url: 'http://gate/'}
    - {name: promote, type: confirm-promotion, url: 'http://gate/'}
    - {name: back, type: rollback, url: 'http://gate/'}
    - {name: over, type: post-rollout, url: 'http://chat/'}
    - {name: every, type: event, url: 'http://chat/'}",
    );
    let template = "---\napiVersion: flagger.app/v1beta1\nkind: MetricTemplate\nmetadata: {name: t}\nspec:\n  provider: {type: prometheus, address: 'http://p', secretRef: {name: login}}\n  query: up\n";
    let text = format!("{text}{template}");
    let (list, said) = unbound(&Binder::new(), &text);
    let names: Vec<&str> = list.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["request-duration", "mine", "gate", "load", "raise", "promote", "back", "over", "every"]);
    let lines: Vec<u32> = list.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [12, 13, 15, 16, 17, 18, 19, 20, 21], "{said}");
    assert!(said.contains("a query of its own for it at \"istio\"; give its PromQL by `query`"), "{said}");
    assert!(said.contains("the secret \"login\" has neither a token nor a username and a password"), "{said}");
    let binder = ["load", "raise", "promote", "back", "over", "every"].into_iter().fold(Binder::new(), Binder::by_host);
    let (list, _) = unbound(&binder.query("request-duration", "d{{ nothing }}").prometheus("http://p"), &text);
    let names: Vec<&str> = list.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["request-duration", "mine", "gate"], "what the host has bound itself is not named");
}
