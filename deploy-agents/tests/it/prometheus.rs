//! A real Prometheus that watches a real service: what is released by what it says.

use std::sync::Arc;
use std::time::Duration;

use deploy_agents::monitors::prometheus::{PromQuery, PrometheusMonitor, PrometheusPolicy, Stale, Unfit};
use deploy_agents::monitors::{Query, Selector};
use deploy_agents::secret::Secret;
use deploy_agents::targets::AdminAccess;
use deploy_agents::targets::place::{Place, PlaceConfig, PlaceTarget};
use deploy_agents::targets::processes::Launch;
use deploy_core::driver::{Engine, RunHandle};
use deploy_core::journal::MemoryJournal;
use deploy_core::machine::{Event, Outcome};
use deploy_core::monitor::Comparison;
use deploy_core::name::{BlockName, MetricName};
use deploy_core::operator::Principal;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::RollbackTo;
use deploy_core::real::Real;
use deploy_core::release::Release;
use deploy_core::time::SystemClock;
use deploy_strategies::analysis::sequential::{Sequential, Watch, Watched};
use deploy_strategies::analysis::threshold::{
    Bound, Condition, ErrorPolicy, Limit, MetricLimits, NoData, OnError, Threshold,
};
use deploy_strategies::analysis::{Absence, Analysis, Judge};
use deploy_strategies::canary::{Canary, OnInconclusive, Step};
use futures::StreamExt as _;

use crate::fleet::{config, name, reached, want};
use crate::load::{BOUND, Load};
use crate::peers::Prometheus;
use crate::prometheus_policy::policy;
use crate::service;

const TOKEN: &str = "token-of-this-story";

/// A place with v1, users, and a Prometheus that scrapes the place.
struct Story {
    place: Place,
    load: Load,
    prometheus: Prometheus,
}

impl Story {
    async fn begin() -> Option<Self> {
        let access = AdminAccess::token(Secret::new(TOKEN));
        let launch = Launch::by(|slot| {
            let line = service::line().env("SERVICE_PORT", slot.port.to_string());
            let line = line.env("SERVICE_REVISION", slot.revision.as_str());
            match slot.revision.as_str() {
                "bad" => line.env("SERVICE_FAILS_EVERY", "4"),
                "slow" => line.env("SERVICE_TAKES_MS", "3000"),
                _ => line,
            }
        });
        let place = Place::start(PlaceConfig::new(config(launch), access)).await.expect("a place");
        let scrape = format!(
            "scrape_configs:\n  - job_name: proxy\n    authorization: {{credentials: {TOKEN}}}\n    static_configs: [{{targets: ['{}']}}]\n",
            place.admin_address()
        );
        let prometheus = Prometheus::start(&scrape).await?;
        let v1 = want(&[("v1", 1, 100)]);
        place.fleet().begin_with(&v1).expect("sound");
        reached(place.fleet(), &v1).await;
        let load = Load::start(4, place.traffic_address());
        prometheus.has("deploy_proxy_requests_total{revision=\"v1\"}").await;
        Some(Self { place, load, prometheus })
    }

    fn monitor(&self) -> PrometheusMonitor {
        let requests = Selector::new("deploy_proxy_requests_total").is("revision", "{revision}");
        let errors = Query::Ratio { bad: requests.clone().is("code", "5xx"), all: requests, absent_is_zero: false };
        let policy = PrometheusPolicy {
            stale: Stale { after: Duration::from_secs(3), then: Unfit::NoData },
            warm_up: Duration::from_secs(3),
            scraped_every: Duration::from_secs(1),
            ..policy()
        };
        let took = Selector::new("deploy_proxy_request_duration_seconds").is("revision", "{revision}");
        PrometheusMonitor::new(BlockName::new("prometheus").expect("a name"), self.prometheus.url(), policy)
            .metric(MetricName::new("http.errors").expect("a name"), PromQuery::Series(errors))
            .metric(
                MetricName::new("http.slow").expect("a name"),
                PromQuery::Series(Query::Slower { than: 2.5, histogram: took }),
            )
    }

    /// By limits on the candidate alone, which promote after so many good answers in a row.
    fn limits(good: u32, on_error: OnError) -> Analysis {
        let limits = MetricLimits {
            consecutive_success_limit: Some(Limit::at_least(good)),
            ..MetricLimits::new(
                MetricName::new("http.errors").expect("a name"),
                Condition::success(Bound::new(Comparison::AtMost, Real::new(0.05).expect("finite"))),
                Limit::at_least(2),
                ErrorPolicy::consecutive(Limit::at_least(2), on_error),
                NoData::Hold { at_most: BOUND },
            )
        };
        let judge = Judge::Threshold(Threshold::new(vec![limits]).expect("limits"));
        let analysis =
            Analysis::new(BlockName::new("prometheus").expect("a name"), judge).every(Duration::from_secs(1));
        Analysis { lookback: Duration::from_secs(4), ..analysis }
    }

    /// By the sequential judge, which compares errors and slow answers of both revisions. Neither has any of them as a rule, so that it
    /// takes a share that is negligible.
    fn compared() -> Analysis {
        let watched = ["http.errors", "http.slow"].map(|metric| {
            Watched::required(MetricName::new(metric).expect("a name"), Watch::errors().negligible(0.05))
        });
        let judge = Sequential {
            // Longer than a scrape takes, so that no window of two steps counts.
            warm_up: Duration::from_secs(2),
            least_observed: Duration::from_secs(1),
            ..Sequential::new(2, watched.to_vec())
        };
        let analysis = Analysis::new(BlockName::new("prometheus").expect("a name"), Judge::Sequential(judge));
        analysis.every(Duration::from_secs(4)).absence(Absence::doubt(4))
    }

    async fn release(&self, revision: &str, analysis: Analysis) -> (Engine, RunHandle) {
        let canary = Canary::builder()
            .step(Step::weight(20).analysis(analysis.clone()))
            .step(Step::weight(50).analysis(analysis))
            .scale_down_delay(Duration::from_millis(100))
            .abort_delay(Duration::from_millis(100))
            .progress_deadline(BOUND)
            .on_inconclusive(OnInconclusive::RollBack)
            .build()
            .expect("a canary");
        let target =
            PlaceTarget::new("here".try_into().expect("a name"), self.place.admin_address()).token(Secret::new(TOKEN));
        let p = Pipeline::builder("release");
        p.rollback(RollbackTo::Previous);
        p.phase("rollout")
            .rollout("canary", canary, target)
            .monitor(self.monitor())
            .observe_every(Duration::from_millis(250))
            .timeout(BOUND)
            .add();
        let pipeline = p.build().expect("a pipeline");
        let journal = Arc::new(MemoryJournal::new(Arc::new(SystemClock::new())));
        let engine = Engine::builder(journal).pipeline(pipeline.clone()).build();
        let release =
            Release::new("shop".try_into().expect("a name"), "test".try_into().expect("a name"), name(revision));
        let run = engine.start(pipeline.name(), release, Principal::new("ada", "example.org")).await.expect("started");
        (engine, run)
    }

    async fn end(self) -> u64 {
        let tally = self.load.stop().await;
        self.place.close().await;
        tally.failures.len() as u64
    }
}

/// Reads on until so much was measured, or the run has ended: how many answers, how many errors.
async fn measured(run: &RunHandle, enough: impl Fn(usize, usize) -> bool) -> (usize, usize) {
    let mut events = Box::pin(run.events(0));
    let (mut answers, mut errors) = (0, 0);
    let reading = async {
        while let Some(Ok(record)) = events.next().await {
            if let Event::Looked(looked) = &record.event {
                errors += looked.measured.iter().filter(|m| m.result.is_err()).count();
                answers += looked.measured.iter().filter(|m| m.result.is_ok()).count();
                if enough(answers, errors) {
                    return;
                }
            }
        }
    };
    assert!(tokio::time::timeout(BOUND, reading).await.is_ok(), "not enough was measured");
    (answers, errors)
}

/// Rows: M62, M70, M235.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_release_is_promoted() {
    let Some(story) = Story::begin().await else { return };
    let (_engine, run) = story.release("v2", Story::limits(2, OnError::RollBack)).await;
    let end = run.wait().await.expect("it ends");
    assert_eq!(end.outcome, Outcome::Succeeded, "{}", end.because);
    let (answers, errors) = measured(&run, |_, _| false).await;
    assert!(answers >= 4 && errors == 0, "two good answers for each of two steps: {answers}, {errors}");
    assert_eq!(story.place.fleet().proxy().routing().weights, want(&[("v2", 1, 100)]).weights);
    assert_eq!(story.end().await, 0, "no user was failed");
}

/// Rows: M62, M70, M96, M235.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_release_is_rolled_back() {
    let Some(story) = Story::begin().await else { return };
    let (_engine, run) = story.release("bad", Story::limits(2, OnError::RollBack)).await;
    let end = run.wait().await.expect("it ends");
    assert_eq!(end.outcome, Outcome::RolledBack, "{}", end.because);
    assert!(end.because.contains("http.errors"), "{}", end.because);
    assert_eq!(story.place.fleet().proxy().routing().weights, want(&[("v1", 1, 100)]).weights);
    assert!(story.end().await > 0, "the fault was met");
}

/// The default judge on what a real Prometheus says: what is no worse is promoted, and what is slow, without any error, goes back.
///
/// Rows: M62, M68, M235.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sequential_judge_promotes_what_is_no_worse_and_takes_back_what_is_slow() {
    for (revision, outcome) in [("v2", Outcome::Succeeded), ("slow", Outcome::RolledBack)] {
        let Some(story) = Story::begin().await else { return };
        let (_engine, run) = story.release(revision, Story::compared()).await;
        let end = run.wait().await.expect("it ends");
        assert_eq!(end.outcome, outcome, "{revision}: {}", end.because);
        assert!(revision == "v2" || end.because.contains("http.slow"), "{}", end.because);
        assert_eq!(story.end().await, 0, "no user was failed");
    }
}

/// Rows: M190, M235.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prometheus_that_dies_is_an_error_and_then_what_was_declared() {
    let held = OnError::Hold { at_most: BOUND };
    for (on_error, goes_back) in [(OnError::RollBack, true), (held, false)] {
        let Some(mut story) = Story::begin().await else { return };
        // More good answers than there ever are: it dies before anything is promoted, however late that is.
        let (engine, run) = story.release("v2", Story::limits(1_000, on_error)).await;
        measured(&run, |answers, _| answers > 0).await;
        story.prometheus.kill();
        if goes_back {
            let end = run.wait().await.expect("it ends");
            assert_eq!(end.outcome, Outcome::RolledBack, "{}", end.because);
            let (_, errors) = measured(&run, |_, _| false).await;
            assert!(errors >= 2, "two errors in a row, then the declared policy: {errors}");
        } else {
            measured(&run, |_, errors| errors >= 5).await;
            let status = run.status().await.expect("a status");
            let rollout = status.open.iter().find_map(|step| step.rollout.as_ref()).expect("it is still at work");
            assert!(!rollout.back && rollout.actual[&name("v2")] <= 50, "it holds where it was: {rollout:?}");
        }
        engine.shutdown(Duration::from_secs(5)).await;
        story.end().await;
    }
}
