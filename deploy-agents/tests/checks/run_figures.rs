//! The engine's own figures, as a page to scrape and pushed to a collector.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use deploy_agents::http::{HttpClient, HttpError, HttpLimits};
use deploy_agents::monitors::exposition::{Format, parse};
use deploy_agents::monitors::{OtlpError, OtlpExporter, OtlpPush, run_metrics};
use deploy_agents::secret::Secret;
use deploy_core::driver::{Engine, RuntimeClock};
use deploy_core::journal::{Journal as _, MemoryJournal};
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::RollbackTo;
use http::{Request, Response, StatusCode};
use serde_json::json;

use crate::virtual_time::pass;
use crate::world::{now, person, release};

/// An engine whose one pipeline soaks for a minute.
fn soaking() -> (Engine, Pipeline, Arc<MemoryJournal>) {
    let clock = Arc::new(RuntimeClock::new(now()));
    let journal = Arc::new(MemoryJournal::new(Arc::<RuntimeClock>::clone(&clock)));
    let p = Pipeline::builder("soak");
    p.rollback(RollbackTo::Previous);
    p.phase("only").soak("wait", Duration::from_secs(60)).add();
    let pipeline = p.build().expect("a pipeline");
    let engine = Engine::builder(Arc::<MemoryJournal>::clone(&journal)).clock(clock).pipeline(pipeline.clone()).build();
    (engine, pipeline, journal)
}

/// The page of our own figures is an exposition, and says how runs ended.
///
/// Rows: M235.
#[tokio::test(start_paused = true)]
async fn the_state_of_runs_is_a_page_that_scrapers_read() {
    let (engine, pipeline, journal) = soaking();
    let start = async |id: &str| {
        engine
            .start_as(id.try_into().expect("a name"), pipeline.name(), release(), person("bot"))
            .await
            .expect("it starts")
    };
    start("one").await.wait().await.expect("it ends");
    let two = start("two").await;
    // Virtual time: it has begun to soak, and does not end.
    assert!(tokio::time::timeout(Duration::from_secs(5), two.wait()).await.is_err());
    let page = run_metrics(&*journal).await.expect("readable");
    println!("{page}");
    let samples = parse(&page, Format::Prometheus).expect("an exposition");
    let value = |name: &str, label: (&str, &str)| {
        let is = |s: &&deploy_agents::monitors::exposition::Sample| {
            s.name == name && s.labels.get(label.0).map(String::as_str) == Some(label.1)
        };
        samples.iter().find(is).map(|s| s.value)
    };
    assert_eq!(value("deploy_runs", ("outcome", "succeeded")), Some(1.0));
    assert_eq!(value("deploy_runs", ("outcome", "unfinished")), Some(1.0));
    assert!(value("deploy_run_records", ("run", "two")).is_some_and(|records| records >= 1.0));
    assert_eq!(value("deploy_run_owned", ("run", "two")), Some(1.0));
    assert_eq!(value("deploy_run_holds_lock", ("run", "two")), Some(1.0));
    assert_eq!(value("deploy_run_records", ("run", "one")), None, "ended runs leave no series of their own");
}

/// A collector as a test wants it.
#[derive(Debug, Default)]
struct Collector {
    taken: std::sync::Mutex<Vec<Request<Bytes>>>,
    answers: std::sync::Mutex<Vec<Response<Bytes>>>,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send(&self, request: Request<Bytes>, _: HttpLimits) -> Result<Response<Bytes>, HttpError> {
        self.taken.lock().expect("not poisoned").push(request);
        Ok(self.answers.lock().expect("not poisoned").pop().unwrap_or_default())
    }
}

fn answer(status: StatusCode, body: &'static str) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from_static(body.as_bytes()));
    *answer.status_mut() = status;
    answer
}

/// Figures go out as OTLP has them, and each kind of answer is told apart.
///
/// Rows: M235.
#[tokio::test(start_paused = true)]
async fn figures_are_sent_as_otlp_and_what_was_refused_is_said() {
    let (engine, pipeline, journal) = soaking();
    engine.start(pipeline.name(), release(), person("bot")).await.expect("it starts").wait().await.expect("it ends");
    let collector = Arc::new(Collector::default());
    let exporter = OtlpExporter::new("http://user:s3cret@collector:4318/")
        .token(Secret::new("t0ken"))
        .resource("host.name", "desk")
        .over(Arc::<Collector>::clone(&collector));
    let export = async |status, body| {
        collector.answers.lock().expect("not poisoned").push(answer(status, body));
        exporter.export(&*journal).await
    };
    assert_eq!(export(StatusCode::OK, "{}").await.expect("taken"), 2, "one run that ended, and that none is left out");
    let sent = {
        let taken = collector.taken.lock().expect("not poisoned");
        assert_eq!((taken[0].method().as_str(), taken[0].uri().path()), ("POST", "/v1/metrics"));
        assert_eq!(taken[0].headers()["content-type"], "application/json");
        assert_eq!(taken[0].headers()["authorization"], "Bearer t0ken");
        serde_json::from_slice::<serde_json::Value>(taken[0].body()).expect("JSON")
    };
    let whole = &sent["resourceMetrics"][0];
    let desk = json!({ "key": "host.name", "value": { "stringValue": "desk" } });
    assert_eq!(whole["resource"]["attributes"][0], desk);
    let runs = &whole["scopeMetrics"][0]["metrics"][0];
    assert_eq!((&runs["name"], &runs["unit"]), (&json!("deploy_runs"), &json!("{run}")));
    let point = &runs["gauge"]["dataPoints"][0];
    assert_eq!(point["asDouble"], json!(1.0));
    let nanoseconds: u64 = point["timeUnixNano"].as_str().expect("a text, as 64 bits are").parse().expect("a number");
    assert_eq!(nanoseconds / 1_000_000, journal.now().await.expect("a clock").0.unsigned_abs());
    assert!(point["attributes"].to_string().contains("succeeded"), "{point}");

    let partly = r#"{"partialSuccess": {"rejectedDataPoints": "2", "errorMessage": "too old"}}"#;
    let error = export(StatusCode::OK, partly).await.expect_err("some were refused");
    assert!(matches!(&error, OtlpError::Partly { points: 2, said, .. } if said == "too old"), "{error:?}");
    let warned = r#"{"partialSuccess": {"errorMessage": "old fields"}}"#;
    assert!(export(StatusCode::OK, warned).await.is_ok(), "a warning refuses nothing");
    assert!(export(StatusCode::OK, "<html>").await.is_ok(), "the status is the answer");
    let busy = export(StatusCode::SERVICE_UNAVAILABLE, "").await.expect_err("not now");
    assert!(matches!(busy, OtlpError::Busy { status: 503, retry_after: None, .. }), "{busy:?}");
    let refused = export(StatusCode::BAD_REQUEST, "no metrics here").await.expect_err("never");
    assert!(matches!(&refused, OtlpError::Refused { status: 400, said, .. } if said == "no metrics here"));
    for error in [error, busy, refused] {
        let said = format!("{error} {error:?} {exporter:?}");
        assert!(said.contains("collector") && !said.contains("s3cret") && !said.contains("t0ken"), "{said}");
    }

    // Pushed again and again, and later where it is asked for.
    let mut later = answer(StatusCode::TOO_MANY_REQUESTS, "");
    later.headers_mut().insert("retry-after", "90".parse().expect("a header"));
    collector.answers.lock().expect("not poisoned").push(later);
    let before = collector.taken.lock().expect("not poisoned").len();
    let push = OtlpPush::start(exporter, journal, Duration::from_secs(60));
    let sends = || collector.taken.lock().expect("not poisoned").len() - before;
    pass(Duration::from_secs(89)).await;
    assert!(sends() == 1 && matches!(push.last(), Some(Err(why)) if why.contains("busy")), "{:?}", push.last());
    pass(Duration::from_secs(2)).await;
    assert_eq!((sends(), push.last()), (2, Some(Ok(2))));
    pass(Duration::from_secs(60)).await;
    assert_eq!(sends(), 3);
    drop(push);
    pass(Duration::from_secs(600)).await;
    assert_eq!(sends(), 3, "dropped, it stops");
}
