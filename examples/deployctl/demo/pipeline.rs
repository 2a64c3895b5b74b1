//! What a host writes: the pipeline that every revision of the service goes through.

use std::sync::Arc;
use std::time::Duration;

use deploy_agents::agents::{HttpProbe, Program};
use deploy_agents::gates::GoNoGo;
use deploy_agents::monitors::{Query, ScrapeMonitor, Selector};
use deploy_agents::process::CommandLine;
use deploy_agents::secret::Secret;
use deploy_agents::workflows::Site;
use deploy_core::agent::{Agent, AgentCard, AgentError, Performed, Report, agent_fn};
use deploy_core::evidence::{Check, CheckInput, EvidencePolicy, Refusal, Verdict, Verification};
use deploy_core::monitor::Comparison;
use deploy_core::name::{BlockName, CheckName, MetricName};
use deploy_core::operator::ApprovalRequest;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{OnFailure, RollbackTo};
use deploy_core::real::Real;
use deploy_strategies::analysis::threshold::{
    Bound, Condition, ErrorPolicy, Limit, MetricLimits, NoData, OnError, Threshold,
};
use deploy_strategies::analysis::{Analysis, Judge};
use deploy_strategies::canary::{Canary, OnInconclusive, Step};

use super::session::Session;
use crate::Failure;
use crate::self_test::SelfTested;

/// The ladder, in percent of the users.
const LADDER: [u32; 3] = [20, 50, 100];
/// The largest share of requests that may fail.
const ERROR_RATIO: f64 = 0.05;
/// The longest that half of the requests may take, in seconds.
const LATENCY_P50: f64 = 0.5;

/// The pipeline, for this place: check, ask if wanted, release by a canary that is judged, check again.
pub(crate) fn pipeline(place: &Session, ask: bool, pace: f64) -> Result<Pipeline, Failure> {
    let (tested, serves) = (CheckName::new("self-test-passes")?, CheckName::new("release-serves")?);
    let p = Pipeline::builder("orders");
    p.rollback(RollbackTo::Previous);
    p.check(Check::new(tested.clone(), self_test_passed));
    p.check(Check::new(serves.clone(), answers_name_the_revision));

    let before = p.phase("pre-deployment");
    before.exit(GoNoGo::new(BlockName::new("go-no-go")?, [tested.clone()]));
    let found = before
        .task("self-test", self_test(&tested)?)
        .timeout(Duration::from_secs(60))
        .verify(mandatory(tested))
        .on_failure(OnFailure::Continue { reason: "the go or no-go at the end of the phase decides by it".to_owned() })
        .add();
    if ask {
        let question = ApprovalRequest::new("Shall this revision go out?");
        before.approval("sign-off", question).after(&found).add();
    }

    p.phase("rollout")
        .rollout("canary", canary(pace)?, Arc::new(place.target()?) as Arc<dyn deploy_core::target::Target>)
        .monitor(monitor(place)?)
        .observe_every(Duration::from_millis(400))
        .timeout(Duration::from_secs(600))
        .add();

    let after = p.phase("post-deployment");
    let settled = after.soak("settle", Duration::from_secs_f64(3.0 * pace)).add();
    after
        .task("release-serves", probe(place, &serves)?)
        .timeout(Duration::from_secs(60))
        .verify(mandatory(serves))
        .after(&settled)
        .add();
    Ok(p.build()?)
}

/// The place as a site of the ready-made workflows, with the same canary and the same monitor.
pub(crate) fn site(place: &Session, pace: f64) -> Result<Site, Failure> {
    let site = Site::new(canary(pace)?, place.target()?).monitor(monitor(place)?);
    Ok(site.observe_every(Duration::from_millis(400)).timeout(Duration::from_secs(600)))
}

/// An operator would choose minutes and the sequential judge; this pipeline has half a minute, and takes the threshold judge.
fn canary(pace: f64) -> Result<Canary, Failure> {
    let short = Duration::from_secs_f64(2.0 * pace);
    let mut canary = Canary::builder()
        .scale_down_delay(short)
        .abort_delay(short)
        .progress_deadline(Duration::from_secs(60))
        .on_inconclusive(OnInconclusive::RollBack);
    for percent in LADDER {
        canary = canary.step(Step::weight(percent).soak(Duration::from_secs_f64(4.0 * pace)).analysis(analysis(pace)?));
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

/// Reads what the proxy counts, by revision.
fn monitor(place: &Session) -> Result<ScrapeMonitor, Failure> {
    let requests = Selector::new("deploy_proxy_requests_total").is("revision", "{revision}");
    let durations = Selector::new("deploy_proxy_request_duration_seconds").is("revision", "{revision}");
    let ratio = Query::Ratio { bad: requests.clone().is("code", "5xx"), all: requests, absent_is_zero: false };
    Ok(ScrapeMonitor::new(BlockName::new("proxy")?)
        .endpoint(format!("http://{}/metrics", place.admin))
        .token(Secret::new(&place.token))
        .metric(MetricName::new("http.error_ratio")?, ratio)
        .metric(MetricName::new("http.latency_p50_s")?, Query::Quantile { q: 0.5, histogram: durations }))
}

/// Runs the program that is to be released, and has it test itself.
fn self_test(check: &CheckName) -> Result<impl Agent + use<>, Failure> {
    let program = std::env::current_exe()?;
    let card = AgentCard::new(BlockName::new("self-test")?, "has the new revision test itself").repeatable();
    let check = check.clone();
    Ok(agent_fn(card.clone(), move |task, cx| {
        let line = CommandLine::new(&program).args(["place", "self-test", task.release.revision.as_str()]);
        let program = Program::new(card.clone(), line).claims(check.clone());
        async move { at_once(program.perform(&task, &cx).await?) }
    }))
}

/// Asks users' address which revision answers. Under a card of its own: where the place listens is no part of the plan.
fn probe(place: &Session, check: &CheckName) -> Result<impl Agent + use<>, Failure> {
    let card = AgentCard::new(BlockName::new("probe-release")?, "asks which revision answers users").repeatable();
    let probe = HttpProbe::new(card.name.clone(), format!("http://{}/version", place.traffic));
    let probe = probe.every(Duration::from_millis(100)).times(5).claims(check.clone());
    Ok(agent_fn(card, move |task, cx| {
        let probe = probe.clone();
        async move { at_once(probe.perform(&task, &cx).await?) }
    }))
}

/// The report of an agent that never leaves anything running.
fn at_once(performed: Performed) -> Result<Report, AgentError> {
    match performed {
        Performed::Done(report) => Ok(report),
        Performed::Running { .. } => Err(AgentError::unknown("something was left running")),
    }
}

fn mandatory(check: CheckName) -> Verification {
    Verification { check, policy: EvidencePolicy::default() }
}

/// Reads the program's own words: the revision must be the one that is released, and no order refused.
fn self_test_passed(seen: &CheckInput<'_>) -> Verdict {
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

/// Reads the answers that a probe collected; each of them must name the revision.
fn answers_name_the_revision(seen: &CheckInput<'_>) -> Verdict {
    #[derive(serde::Deserialize)]
    struct Probed {
        answers: Vec<Answer>,
    }
    #[derive(serde::Deserialize)]
    struct Answer {
        body_begins: String,
    }
    let probed: Result<Vec<Probed>, _> = seen.evidence.iter().map(|(_, bytes)| serde_json::from_slice(bytes)).collect();
    let named = |answer: &&Answer| !answer.body_begins.contains(seen.release.revision.as_str());
    match probed {
        Ok(probed) => match probed.iter().flat_map(|p| &p.answers).find(named) {
            Some(other) => Verdict::Fail { reason: format!("an answer was {:?}", other.body_begins) },
            None => Verdict::Pass,
        },
        Err(error) => Verdict::Inconclusive { refusal: Refusal::Unparseable(error.to_string()) },
    }
}
