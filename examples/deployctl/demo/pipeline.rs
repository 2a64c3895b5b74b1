//! What a host writes: the pipeline that every revision of the service goes through.

use std::sync::Arc;
use std::time::Duration;

use deploy_agents::agents::HttpProbe;
use deploy_agents::gates::GoNoGo;
use deploy_agents::workflows::Site;
use deploy_core::agent::{Agent, AgentCard, agent_fn};
use deploy_core::evidence::{Check, EvidencePolicy, Verification};
use deploy_core::name::{BlockName, CheckName};
use deploy_core::operator::ApprovalRequest;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{OnFailure, RollbackTo};
use deploy_strategies::canary::{Canary, OnInconclusive, Step};

use super::session::Session;
use crate::Failure;
use crate::judged::{analysis, monitor};
use crate::said::{about, at_once, says_that_it_passed, self_test_agent};

/// The ladder, in percent of the users.
const LADDER: [u32; 3] = [20, 50, 100];

/// The pipeline, for this place: check, ask if wanted, release by a canary that is judged, check again.
pub(crate) fn pipeline(place: &Session, ask: bool, pace: f64) -> Result<Pipeline, Failure> {
    let (tested, serves) = (CheckName::new("self-test-passes")?, CheckName::new("release-serves")?);
    let p = Pipeline::builder("orders");
    p.rollback(RollbackTo::Previous);
    p.check(Check::new(tested.clone(), says_that_it_passed));
    p.check(Check::new(serves.clone(), |seen| about(seen, |answer| answer.contains(seen.release.revision.as_str()))));

    let before = p.phase("pre-deployment");
    before.exit(GoNoGo::new(BlockName::new("go-no-go")?, [tested.clone()]));
    let found = before
        .task("self-test", self_test_agent(tested.clone(), asked)?)
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
        .monitor(monitor(place.admin, &place.token)?)
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
    let site = Site::new(canary(pace)?, place.target()?).monitor(monitor(place.admin, &place.token)?);
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

/// The command line of a self-test.
fn asked(revision: &str) -> Vec<String> {
    ["place", "self-test", revision].map(str::to_owned).into()
}

fn mandatory(check: CheckName) -> Verification {
    Verification { check, policy: EvidencePolicy::default() }
}
