//! What a host writes: the pipeline that every version of the service goes through.

use std::sync::Arc;
use std::time::Duration;

use deploy_agents::agents::{HttpProbe, Program};
use deploy_agents::gates::GoNoGo;
use deploy_agents::monitors::{Query, ScrapeMonitor, Selector};
use deploy_agents::process::CommandLine;
use deploy_agents::secret::Secret;
use deploy_agents::targets::place::PlaceTarget;
use deploy_core::agent::{Agent, AgentCard, AgentError, Performed, agent_fn};
use deploy_core::evidence::{Check, CheckInput, EvidencePolicy, Refusal, Verdict, Verification};
use deploy_core::monitor::{Comparison, Monitor};
use deploy_core::name::{BlockName, CheckName, MetricName, NameError, TargetName};
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{RetryPolicy, RollbackTo};
use deploy_core::real::Real;
use deploy_core::target::Target;
use deploy_strategies::analysis::threshold::{
    Bound, Condition, ErrorPolicy, Limit, MetricLimits, NoData, OnError, Threshold,
};
use deploy_strategies::analysis::{Analysis, Judge};
use deploy_strategies::canary::{Canary, OnInconclusive, Step};

use crate::Failure;
use crate::self_test::SelfTested;
use crate::session::PlaceFile;

/// The ladder, in percent of the users.
const LADDER: [u32; 4] = [5, 25, 50, 100];
/// The largest share of requests that may fail.
const ERROR_RATIO: f64 = 0.05;
/// The longest that half of the requests may take, in seconds. The good versions stay near a hundredth of a second, and this
/// leaves room for a machine that is busy with something else. The median, because at a twentieth of so little traffic a window
/// holds a handful of requests, of which a slow one says nothing.
const LATENCY_P50: f64 = 0.5;

/// How the place is called.
pub(crate) fn target() -> Result<TargetName, NameError> {
    TargetName::new("place")
}

/// What touches the world: everything else about the pipeline is the same wherever it runs.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) self_test: Arc<dyn Agent>,
    pub(crate) place_answers: Arc<dyn Agent>,
    pub(crate) target: Arc<dyn Target>,
    pub(crate) monitor: Arc<dyn Monitor>,
    pub(crate) release_serves: Arc<dyn Agent>,
}

impl Parts {
    /// The parts that work on the place that was found or started.
    fn of(place: &PlaceFile, checks: &Checks) -> Result<Self, Failure> {
        let quickly = Duration::from_secs_f64(0.2 * place.pace);
        let healthy = HttpProbe::new(BlockName::new("probe-place")?, format!("http://{}/healthz", place.traffic));
        let version = HttpProbe::new(BlockName::new("probe-release")?, format!("http://{}/version", place.traffic));
        Ok(Self {
            self_test: Arc::new(self_test_agent(checks.self_test.clone())?),
            place_answers: Arc::new(healthy.every(quickly).claims(checks.reachable.clone())),
            target: Arc::new(target_of(place)?),
            monitor: Arc::new(monitor(place)?),
            release_serves: Arc::new(version.every(quickly).times(5).claims(checks.serves.clone())),
        })
    }
}

/// What is claimed and checked.
#[derive(Debug)]
pub(crate) struct Checks {
    pub(crate) self_test: CheckName,
    pub(crate) reachable: CheckName,
    pub(crate) serves: CheckName,
}

impl Checks {
    pub(crate) fn new() -> Result<Self, NameError> {
        Ok(Self {
            self_test: CheckName::new("self-test-passes")?,
            reachable: CheckName::new("place-answers")?,
            serves: CheckName::new("release-serves")?,
        })
    }
}

/// The pipeline, for the place that was found or started.
pub(crate) fn pipeline(place: &PlaceFile) -> Result<Pipeline, Failure> {
    let checks = Checks::new()?;
    compose(Parts::of(place, &checks)?, checks, place.pace)
}

/// The pipeline, of any parts.
pub(crate) fn compose(parts: Parts, checks: Checks, pace: f64) -> Result<Pipeline, Failure> {
    let Checks { self_test, reachable, serves } = checks;
    let p = Pipeline::builder("release-orders");
    p.rollback(RollbackTo::Previous);
    p.check(Check::new(self_test.clone(), says_that_it_passed));
    p.check(Check::new(reachable.clone(), |seen| about(seen, |answers| answers.contains("ok"))));
    p.check(Check::new(serves.clone(), |seen| about(seen, |answers| answers.contains(seen.release.revision.as_str()))));

    let before = p.phase("pre-deployment");
    before.exit(GoNoGo::new(BlockName::new("go-no-go")?, [self_test.clone(), reachable.clone()]));
    before
        .task("self-test", parts.self_test)
        .timeout(Duration::from_secs(30))
        .retry(RetryPolicy::attempts(2))
        .verify(mandatory(self_test))
        .add();
    before
        .task("place-answers", parts.place_answers)
        .timeout(Duration::from_secs(30))
        .verify(mandatory(reachable))
        .add();

    p.phase("rollout")
        .rollout("canary", canary(pace)?, parts.target)
        .monitor(parts.monitor)
        .observe_every(Duration::from_millis(400))
        .timeout(Duration::from_secs(600))
        .add();

    let after = p.phase("post-deployment");
    let settled = after.soak("settle", Duration::from_secs_f64(3.0 * pace)).add();
    after
        .task("release-serves", parts.release_serves)
        .timeout(Duration::from_secs(30))
        .verify(mandatory(serves))
        .after(&settled)
        .add();
    Ok(p.build()?)
}

/// The ladder, each step of it with an analysis of its own. An operator would choose minutes and the sequential judge; this
/// example has two minutes in all, and takes the threshold judge.
fn canary(pace: f64) -> Result<Canary, Failure> {
    let mut canary = Canary::builder()
        .scale_down_delay(Duration::from_secs_f64(2.0 * pace))
        .abort_delay(Duration::from_secs_f64(2.0 * pace))
        .progress_deadline(Duration::from_secs(60))
        .on_inconclusive(OnInconclusive::RollBack);
    for percent in LADDER {
        canary = canary.step(Step::weight(percent).soak(Duration::from_secs_f64(5.0 * pace)).analysis(analysis(pace)?));
    }
    Ok(canary.build()?)
}

/// Two good measurements in a row are enough for a step; two bad ones end the release.
fn analysis(pace: f64) -> Result<Analysis, Failure> {
    let limits = |metric: &str, limit: f64| {
        let condition = Condition::success(Bound::new(Comparison::AtMost, Real::new(limit)?));
        let errors = ErrorPolicy::consecutive(Limit::at_least(5), OnError::RollBack);
        // A revision that has just begun to serve has no two scrapes yet.
        let no_data = NoData::Hold { at_most: Duration::from_secs(30) };
        let limits = MetricLimits::new(MetricName::new(metric)?, condition, Limit::at_least(2), errors, no_data);
        Ok::<_, Failure>(MetricLimits { consecutive_success_limit: Some(Limit::at_least(2)), ..limits })
    };
    let judge =
        Threshold::new(vec![limits("http.error_ratio", ERROR_RATIO)?, limits("http.latency_p50_s", LATENCY_P50)?])?;
    let every = Duration::from_secs_f64(2.0 * pace);
    let analysis = Analysis::new(BlockName::new("proxy")?, Judge::Threshold(judge)).every(every);
    // A little longer than the interval, so that a late look still finds the scrape before it.
    Ok(Analysis { lookback: every + every / 2, ..analysis })
}

fn target_of(place: &PlaceFile) -> Result<PlaceTarget, Failure> {
    Ok(PlaceTarget::new(target()?, place.admin).token(Secret::new(&place.token)))
}

/// Reads what the proxy counts, by revision.
fn monitor(place: &PlaceFile) -> Result<ScrapeMonitor, Failure> {
    let requests = Selector::new("deploy_proxy_requests_total").is("revision", "{revision}");
    let durations = Selector::new("deploy_proxy_request_duration_seconds").is("revision", "{revision}");
    // The proxy shows every class of status from the start, so that an absent series would be a mistyped label.
    let ratio = Query::Ratio { bad: requests.clone().is("code", "5xx"), all: requests, absent_is_zero: false };
    Ok(ScrapeMonitor::new(BlockName::new("proxy")?)
        .endpoint(format!("http://{}/metrics", place.admin))
        .token(Secret::new(&place.token))
        .metric(MetricName::new("http.error_ratio")?, ratio)
        .metric(MetricName::new("http.latency_p50_s")?, Query::Quantile { q: 0.5, histogram: durations }))
}

/// Runs the program that is to be released, and has it test itself.
fn self_test_agent(check: CheckName) -> Result<impl Agent, Failure> {
    let program = std::env::current_exe()?;
    let card = AgentCard::new(BlockName::new("self-test")?, "has the new version test itself").repeatable();
    Ok(agent_fn(card.clone(), move |task, cx| {
        let line =
            CommandLine::new(&program).args(["--role", "self-test", "--revision", task.release.revision.as_str()]);
        let program = Program::new(card.clone(), line).claims(check.clone());
        async move {
            match program.perform(&task, &cx).await? {
                Performed::Done(report) => Ok(report),
                Performed::Running { .. } => Err(AgentError::unknown("a program was left running")),
            }
        }
    }))
}

fn mandatory(check: CheckName) -> Verification {
    Verification { check, policy: EvidencePolicy::default() }
}

/// Reads the program's own words: the version must be the one that is released, and no order refused.
fn says_that_it_passed(seen: &CheckInput<'_>) -> Verdict {
    let Some((_, output)) = seen.evidence.first() else {
        return Verdict::Fail { reason: "there is no output".to_owned() };
    };
    match SelfTested::read(output) {
        Ok(found) if found.version != seen.release.revision.as_str() => {
            Verdict::Fail { reason: format!("{} was tested, not {}", found.version, seen.release.revision) }
        }
        Ok(found) if found.refused > 0 => {
            Verdict::Fail { reason: format!("{} of {} orders were refused", found.refused, found.orders) }
        }
        Ok(_) => Verdict::Pass,
        Err(why) => Verdict::Inconclusive { refusal: Refusal::Unparseable(why) },
    }
}

/// Reads the answers that a probe collected; each of them must be as wanted.
fn about(seen: &CheckInput<'_>, wanted: impl Fn(&str) -> bool) -> Verdict {
    #[derive(serde::Deserialize)]
    struct Probed {
        answers: Vec<Answer>,
    }
    #[derive(serde::Deserialize)]
    struct Answer {
        body_begins: String,
    }
    let probed = seen.evidence.iter().map(|(_, bytes)| serde_json::from_slice::<Probed>(bytes));
    let probed: Result<Vec<Probed>, _> = probed.collect();
    match probed {
        Ok(probed) => match probed.iter().flat_map(|p| &p.answers).find(|answer| !wanted(&answer.body_begins)) {
            Some(other) => Verdict::Fail { reason: format!("an answer was {:?}", other.body_begins) },
            None => Verdict::Pass,
        },
        Err(error) => Verdict::Inconclusive { refusal: Refusal::Unparseable(error.to_string()) },
    }
}
