//! An imported strategy with its bound monitor releases, and goes back.

use std::sync::Arc;

use bytes::Bytes;
use deploy_agents::http::{HttpClient, HttpError, HttpLimits};
use deploy_agents::monitors::imported::Binder;
use deploy_core::driver::{Engine, RuntimeClock};
use deploy_core::journal::MemoryJournal;
use deploy_core::machine::Outcome;
use deploy_core::operator::Principal;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::RollbackTo;
use deploy_core::target::{DesiredState, Target as _};
use deploy_core::testing::scripted::ScriptedTarget;
use deploy_core::time::Timestamp;

use crate::argo::rollout;
use crate::server::vector;
use crate::{import, release};

/// A Prometheus without a socket, so that time may be virtual: the new revision's errors are these.
#[derive(Debug)]
struct Errors(&'static str);

#[async_trait::async_trait]
impl HttpClient for Errors {
    async fn send(&self, request: http::Request<Bytes>, _: HttpLimits) -> Result<http::Response<Bytes>, HttpError> {
        let about_v2 = request.uri().query().is_some_and(|query| query.contains("v2"));
        let body = if about_v2 { vector(&[self.0]) } else { vector(&[]) };
        Ok(http::Response::new(body.into()))
    }
}

/// How it ends, and the weight of the new revision then.
async fn released(errors: &'static str) -> (Outcome, u32) {
    let metric = "  - {name: errors, interval: 30s, count: 3, failureLimit: 1, successCondition: 'result[0] < 0.05', provider: {prometheus: {query: 'e{v=\"{{args.hash}}\"}'}}}";
    let imported = import(&rollout("{name: hash, valueFrom: {podTemplateHashValue: Latest}}", metric));
    let bound = Binder::new().prometheus("http://prometheus").over(Arc::new(Errors(errors))).bind(&imported);
    let bound = bound.unwrap_or_else(|unbound| panic!("{unbound}"));
    let v1 = DesiredState::alone("v1".try_into().expect("a name"), 4, 100);
    let place = Arc::new(ScriptedTarget::new("here".try_into().expect("a name")).holding(v1));
    let p = Pipeline::builder("release");
    p.rollback(RollbackTo::Previous);
    let rollout = p.phase("rollout").rollout("imported", imported.strategy, Arc::clone(&place));
    bound.monitors.into_iter().fold(rollout, |rollout, monitor| rollout.monitor(monitor)).add();
    let pipeline = p.build().expect("a pipeline");
    let clock = Arc::new(RuntimeClock::new(Timestamp(1_700_000_000_000)));
    let journal = Arc::new(MemoryJournal::new(Arc::<RuntimeClock>::clone(&clock)));
    let engine = Engine::builder(journal).clock(clock).pipeline(pipeline.clone()).build();
    let run = engine.start(pipeline.name(), release(), Principal::new("ada", "example.org")).await.expect("started");
    let outcome = run.wait().await.expect("an end").outcome;
    (outcome, place.observe().await.expect("a state").weight(&release().revision))
}

/// Rows: M69.
#[tokio::test(start_paused = true)]
async fn what_the_bound_monitor_says_decides() {
    assert_eq!(released("0.01").await, (Outcome::Succeeded, 100));
    assert_eq!(released("0.2").await, (Outcome::RolledBack, 0));
    assert_eq!(released("NaN").await, (Outcome::RolledBack, 0), "five errors in a row are too many for the peer, too");
}
