//! What a host writes: the pipeline that every version of the service goes through.

use std::sync::Arc;
use std::time::Duration;

use deploy_agents::agents::HttpProbe;
use deploy_agents::gates::GoNoGo;
use deploy_agents::secret::Secret;
use deploy_agents::targets::place::PlaceTarget;
use deploy_core::agent::Agent;
use deploy_core::evidence::{Check, EvidencePolicy, Verification};
use deploy_core::monitor::Monitor;
use deploy_core::name::{BlockName, CheckName, NameError, TargetName};
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{RetryPolicy, RollbackTo};
use deploy_core::target::Target;
use deploy_strategies::canary::{Canary, OnInconclusive, Step};

use crate::Failure;
use crate::judged::{analysis, monitor};
use crate::said::{about, says_that_it_passed, self_test_agent};
use crate::session::PlaceFile;

/// The ladder, in percent of the users.
const LADDER: [u32; 4] = [5, 25, 50, 100];

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
            self_test: Arc::new(self_test_agent(checks.self_test.clone(), asked)?),
            place_answers: Arc::new(healthy.every(quickly).claims(checks.reachable.clone())),
            target: Arc::new(target_of(place)?),
            monitor: Arc::new(monitor(place.admin, &place.token)?),
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

fn target_of(place: &PlaceFile) -> Result<PlaceTarget, Failure> {
    Ok(PlaceTarget::new(target()?, place.admin).token(Secret::new(&place.token)))
}

/// The command line of a self-test.
fn asked(version: &str) -> Vec<String> {
    ["--role", "self-test", "--revision", version].map(str::to_owned).into()
}

fn mandatory(check: CheckName) -> Verification {
    Verification { check, policy: EvidencePolicy::default() }
}
