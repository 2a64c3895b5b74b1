//! Monitors and gates for strategies that were read from the manifests of other systems.
//!
//! ```text
//!  manifests ─► Manifests::strategies ─► Imported { strategy, questions, hooks, … }
//!                                              │
//!                Binder (addresses, secrets) ──┴─► Bound { monitors, gates }  or  every one that is not bound, by file and line
//! ```
//!
//! | what the manifest has | what it becomes |
//! |---|---|
//! | Argo Rollouts, provider `prometheus` | `query` at the time of the question, or `query_range`, over the HTTP interface |
//! | Argo Rollouts, provider `web` | its request; the value at its JSON path |
//! | Flagger, a `MetricTemplate` or a `query` | `query` at the time of the question |
//! | Flagger, `request-success-rate` and `request-duration` | the PromQL that the host gives by [`Binder::query`]: the peer's own depends on its mesh |
//! | Flagger, webhooks `confirm-rollout` and `pre-rollout` | a [`HookGate`] |
//! | Flagger, every other webhook | nothing of ours: the host says by [`Binder::by_host`] that it has bound it |
//!
//! A question that cannot be asked or answered is a [`MonitorError`], for every metric that is asked
//! with it. So is an answer with a status other than 2xx, and one that a Prometheus gives with warnings or for a part of its storage: the
//! peers take these two, but half an answer can be the good half.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use std::sync::Arc;
//!
//! use deploy_agents::http::{HttpClient, HttpError, HttpLimits};
//! use deploy_agents::monitors::imported::Binder;
//! use deploy_core::monitor::{MeasureContext, MeasureRequest, Monitor, Reading};
//! use deploy_core::release::Release;
//! use deploy_core::time::Now;
//! use deploy_strategies::import::Manifests;
//!
//! let rollout = r#"
//! apiVersion: argoproj.io/v1alpha1
//! kind: Rollout
//! metadata: {name: shop}
//! spec:
//!   selector: {matchLabels: {app: shop}}
//!   template: {metadata: {labels: {app: shop}}}
//!   strategy:
//!     canary:
//!       trafficRouting: {nginx: {stableIngress: shop}}
//!       canaryService: shop-canary
//!       stableService: shop-stable
//!       steps: [{setWeight: 20}, {pause: {duration: 10m}}, {analysis: {templates: [{templateName: errors}]}}]
//! ---
//! apiVersion: argoproj.io/v1alpha1
//! kind: AnalysisTemplate
//! metadata: {name: errors}
//! spec:
//!   args: [{name: hash, valueFrom: {podTemplateHashValue: Latest}}]
//!   metrics:
//!     - name: error-rate
//!       interval: 1m
//!       count: 5
//!       successCondition: result[0] <= 0.01
//!       provider: {prometheus: {query: 'sum(rate(errors{hash="{{args.hash}}"}[1m]))'}}
//! "#;
//! let mut manifests = Manifests::new();
//! manifests.add("shop.yaml", rollout);
//! let imported = manifests.strategies()?.remove(0);
//!
//! // The manifest leaves the address to its controller, so the host has to say it.
//! let unbound = Binder::new().bind(&imported).expect_err("no address");
//! assert!(unbound.to_string().starts_with("shop.yaml:21: error-rate: it names no Prometheus"), "{unbound}");
//!
//! /// A Prometheus that has one answer.
//! #[derive(Debug)]
//! struct Prometheus;
//!
//! #[async_trait::async_trait]
//! impl HttpClient for Prometheus {
//!     async fn send(&self, request: http::Request<bytes::Bytes>, _: HttpLimits)
//!     -> Result<http::Response<bytes::Bytes>, HttpError> {
//!         assert!(request.uri().query().is_some_and(|asked| asked.contains("hash%3D%22v2%22")), "the revision is filled in");
//!         let answer = r#"{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [0, "0.002"]}]}}"#;
//!         Ok(http::Response::new(answer.into()))
//!     }
//! }
//!
//! let bound = Binder::new().prometheus("http://prometheus:9090").over(Arc::new(Prometheus)).bind(&imported)?;
//! let monitor = &bound.monitors[0];
//! let release = Release::new("shop".try_into()?, "production".try_into()?, "v2".try_into()?);
//! let request = MeasureRequest {
//!     monitor: monitor.name(),
//!     metrics: vec!["error-rate".try_into()?],
//!     candidate: release.revision.clone(),
//!     baseline: None,
//!     lookback: std::time::Duration::from_secs(60),
//! };
//! let measured = monitor.measure(&request, &MeasureContext::new(Arc::new(release), Now::default())).await?;
//! assert_eq!(measured[0].reading.number(), Some(0.002));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ask;
mod binder;
mod hook;
mod moment;
mod unbound;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use deploy_core::monitor::{Arm, MeasureContext, MeasureRequest, Measurement, Monitor, MonitorError, Reading, Window};
use deploy_core::name::{BlockName, MetricName};
use deploy_core::time::Clock;
use futures::StreamExt as _;

use self::ask::Ask;
pub use self::binder::{Binder, Bound};
pub use self::hook::HookGate;
pub use self::unbound::{NotBound, Unbound};
use crate::http::HttpClient;

/// So many questions of one request are open at a time: enough for any manifest, and no storm for the server.
const AT_ONCE: usize = 8;

/// Answers the questions of an imported strategy under one name. [`Binder::bind`] makes it.
///
/// Each reading is a [`Reading::Value`] of the candidate: whatever a manifest compares is inside its own question.
pub struct ImportedMonitor {
    name: BlockName,
    asks: BTreeMap<MetricName, Ask>,
    http: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for ImportedMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metrics: Vec<&MetricName> = self.asks.keys().collect();
        f.debug_struct("ImportedMonitor").field("name", &self.name).field("metrics", &metrics).finish_non_exhaustive()
    }
}

#[async_trait]
impl Monitor for ImportedMonitor {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    async fn measure(&self, request: &MeasureRequest, cx: &MeasureContext) -> Result<Vec<Measurement>, MonitorError> {
        if let Some(unknown) = request.metrics.iter().find(|metric| !self.asks.contains_key(metric)) {
            return Err(MonitorError::new(format!("{} has no metric {unknown}", self.name)));
        }
        let asked = |metric: &MetricName| request.metrics.is_empty() || request.metrics.contains(metric);
        let now = self.clock.wall();
        let window = Window::ending(now, request.lookback);
        let questions = self.asks.iter().filter(|(metric, _)| asked(metric)).map(|(metric, ask)| async move {
            let number = ask.number(&*self.http, &cx.release, &request.candidate, now).await.map_err(|error| {
                MonitorError::new(format!("{} cannot say what {metric} is", self.name)).because(error)
            })?;
            Ok(Measurement::new(metric.clone(), Arm::Candidate, window, Reading::Value(number)))
        });
        // In a vector of their own: the compiler cannot tell that a lazy iterator of such futures may be sent.
        let questions: Vec<_> = questions.collect();
        let answers: Vec<_> = futures::stream::iter(questions).buffered(AT_ONCE).collect().await;
        answers.into_iter().collect()
    }
}
