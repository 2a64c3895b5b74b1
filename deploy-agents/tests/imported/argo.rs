//! Analyses of Argo Rollouts.

use std::sync::Arc;
use std::time::Duration;

use deploy_agents::monitors::imported::Binder;
use deploy_agents::secret::Secret;
use deploy_core::time::{Clock, Timestamp};

use crate::server::{Server, vector};
use crate::{bind, measured, refused};

/// A rollout whose analysis measures this, indented by two.
pub(crate) fn rollout(args: &str, metrics: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {{name: shop}}
spec:
  selector: {{matchLabels: {{app: shop}}}}
  template: {{metadata: {{labels: {{app: shop}}}}}}
  strategy:
    canary:
      canaryService: new
      stableService: old
      trafficRouting: {{nginx: {{stableIngress: shop}}}}
      steps: [{{setWeight: 20}}, {{pause: {{duration: 1m}}}}, {{analysis: {{templates: [{{templateName: all}}]}}}}]
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {{name: all}}
spec:
  args: [{args}]
  metrics:
{metrics}
"
    )
}

/// A clock that stands still.
#[derive(Debug)]
struct Standing;

impl Clock for Standing {
    fn wall(&self) -> Timestamp {
        Timestamp(1_700_000_100_500)
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

#[tokio::test]
async fn a_query_is_asked_about_now_with_its_arguments_headers_and_secrets() {
    let server = Server::start(|_| (200, vector(&["0.02", "9"]))).await;
    let text = rollout(
        "{name: hash, valueFrom: {podTemplateHashValue: Latest}}, {name: was, valueFrom: {podTemplateHashValue: Stable}}, {name: token, valueFrom: {secretKeyRef: {name: login, key: token}}}",
        &format!(
            "  - name: errors
    successCondition: result[0] < 0.05
    provider:
      prometheus:
        address: {}/
        query: 'e{{hash=\"{{{{args.hash}}}}\"}} / e{{hash=\"{{{{ args.was }}}}\"}}'
        headers: [{{key: Authorization, value: 'Bearer {{{{args.token}}}}'}}, {{key: X-Scope-OrgID, value: shop}}]",
            server.url()
        ),
    );
    let binder = Binder::new()
        .candidate(|revision| format!("{revision}-5d8c"))
        .stable(|_| "v1-77aa".to_owned())
        .secret("login", "token", Secret::new("hunter2"))
        .clock(Arc::new(Standing));
    assert!(!format!("{binder:?}").contains("hunter2"));
    let bound = bind(binder, &text);
    assert_eq!(measured(&bound).await.expect("a number")["errors"], 0.02);
    let [asked] = server.asked().try_into().expect("one question");
    assert_eq!((asked.method.as_str(), asked.path.split('?').next()), ("GET", Some("/api/v1/query")));
    assert_eq!(asked.value("query").as_deref(), Some("e{hash=\"v2-5d8c\"} / e{hash=\"v1-77aa\"}"));
    assert_eq!(asked.value("time").as_deref(), Some("1700000100.500"));
    assert_eq!(asked.header("authorization"), Some("Bearer hunter2"));
    assert_eq!(asked.header("x-scope-orgid"), Some("shop"));
    assert!(!format!("{bound:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_range_is_asked_from_its_start_to_its_end_and_a_long_query_as_a_form() {
    let matrix = r#"{"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": [[0, "1"], [30, "3"]]}]}}"#;
    let server = Server::start(move |_| (200, matrix.to_owned())).await;
    let long = format!("up{{job=~\"{}\"}}", "x".repeat(2_500));
    let text = rollout(
        "",
        &format!(
            "  - name: worst
    failureCondition: 'any(result, # > 2)'
    provider:
      prometheus:
        address: {}
        query: '{long}'
        rangeQuery: {{start: 'now() - duration(\"1h\")', end: now(), step: 30s}}",
            server.url()
        ),
    );
    let bound = bind(Binder::new().clock(Arc::new(Standing)), &text);
    assert_eq!(measured(&bound).await.expect("a number")["worst"], 0.0, "one of them is above 2");
    let [asked] = server.asked().try_into().expect("one question");
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/api/v1/query_range"));
    let value = |name: &str| asked.value(name).expect("a value");
    assert_eq!([value("start"), value("end"), value("step")], ["1699996500.500", "1700000100.500", "30"]);
    assert_eq!(value("query"), long);
}

#[tokio::test]
async fn a_web_metric_sends_its_request_and_reads_the_place_in_the_answer() {
    let body = r#"{"data": {"checks": [{"rate": 0.5}, {"rate": 0.25}]}}"#;
    let server = Server::start(move |asked| (if asked.body.contains("v2") { 200 } else { 400 }, body.to_owned())).await;
    let text = rollout(
        "{name: hash, valueFrom: {podTemplateHashValue: Latest}}, {name: key, valueFrom: {secretKeyRef: {name: web, key: k}}}",
        &format!(
            "  - name: rate
    successCondition: result <= 0.3
    provider:
      web:
        method: POST
        url: '{}/health?revision={{{{args.hash}}}}'
        timeoutSeconds: 7
        headers: [{{key: X-Key, value: '{{{{args.key}}}}'}}]
        jsonBody: {{revision: '{{{{args.hash}}}}'}}
        jsonPath: '{{$.data.checks[1].rate}}'",
            server.url()
        ),
    );
    let binder = Binder::new().secret("web", "k", Secret::new("s3cret")).candidate(|_| "v2+5d8c".to_owned());
    let bound = bind(binder, &text);
    assert_eq!(measured(&bound).await.expect("a number")["rate"], 0.25);
    let [asked] = server.asked().try_into().expect("one question");
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/health?revision=v2%2B5d8c"));
    assert_eq!(asked.body, r#"{"revision":"v2+5d8c"}"#);
    assert_eq!([asked.header("x-key"), asked.header("content-type")], [Some("s3cret"), Some("application/json")]);
}

/// Whatever is no whole answer is an error of the question, and never a number.
#[tokio::test]
async fn what_is_no_answer_is_an_error_and_shows_no_secret() {
    let metric = |url: &str, provider: &str| {
        let args = "{name: token, valueFrom: {secretKeyRef: {name: login, key: token}}}";
        let provider = provider.replace("URL", url);
        let text = rollout(args, &format!("  - {{name: m, successCondition: 'result[0] < 1', provider: {provider}}}"));
        bind(Binder::new().secret("login", "token", Secret::new("hunter2")), &text)
    };
    let prometheus = "{prometheus: {address: 'URL', query: 'e{t=\"{{args.token}}\"}', headers: [{key: X-T, value: '{{args.token}}'}]}}";
    let web = "{web: {url: 'URL/?t={{args.token}}', jsonPath: '{$.rate}'}}";
    let with_warning = vector(&["0"]).replacen('{', r#"{"warnings": ["a store is away"], "#, 1);
    let partial = vector(&["0"]).replacen('{', r#"{"isPartial": true, "#, 1);
    let answers = [
        (prometheus, 200, vector(&[]), "it is empty"),
        (prometheus, 200, vector(&["NaN"]), "NaN"),
        (prometheus, 200, "<html>".to_owned(), "expected value"),
        (prometheus, 200, with_warning, "a store is away"),
        (prometheus, 200, partial, "not all of the storage answered"),
        (prometheus, 422, vector(&["0"]), "the status 422"),
        (web, 503, r#"{"rate": [0]}"#.to_owned(), "the status 503"),
        (web, 200, r#"{"other": [0]}"#.to_owned(), "there is no Key(\"rate\") in it"),
        (web, 302, r#"{"rate": [0]}"#.to_owned(), "the status 302"),
    ];
    for (provider, status, body, said) in answers {
        let server = Server::start(move |_| (status, body.clone())).await;
        let why = refused(&metric(&server.url(), provider)).await;
        assert!(why.contains("cannot say what m is") && why.contains(said), "{said}: {why}");
        assert!(!why.contains("hunter2"), "{why}");
    }
    // Nobody listens there any more.
    let gone = Server::start(|_| (200, String::new())).await;
    let url = gone.url();
    drop(gone);
    tokio::task::yield_now().await;
    let why = refused(&metric(&url, prometheus)).await;
    assert!(why.contains("nobody answers") || why.contains("broke off"), "{why}");
    assert!(!why.contains("hunter2"), "{why}");
}

#[tokio::test]
async fn what_is_filled_in_for_a_revision_can_only_be_a_name() {
    let server = Server::start(|_| (200, vector(&["0"]))).await;
    let metric = format!(
        "  - {{name: m, provider: {{prometheus: {{address: '{}', query: 'e{{{{args.hash}}}}'}}}}}}",
        server.url()
    );
    let text = rollout("{name: hash, valueFrom: {podTemplateHashValue: Latest}}", &metric);
    let bound = bind(Binder::new().candidate(|_| "\"} or vector(0)".to_owned()), &text);
    let why = refused(&bound).await;
    assert!(why.contains("{{args.hash}} is no name of a revision"), "{why}");
    assert_eq!(server.asked(), []);
}
