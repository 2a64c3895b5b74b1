//! One strategy under load: out and back, again and again, until enough requests were answered.

use std::sync::Arc;

use deploy_core::driver::Engine;
use deploy_core::journal::MemoryJournal;
use deploy_core::machine::Outcome;
use deploy_core::name::{EnvironmentName, RevisionName, ServiceName, TargetName};
use deploy_core::operator::Principal;
use deploy_core::release::Release;
use deploy_core::target::{DesiredState, Target};
use deploy_core::time::{Clock as _, SystemClock};

use crate::Failure;
use crate::args::Args;
use crate::place::Place;
use crate::strategies::{REFUSED, Way};
use crate::users::{Tally, Users};

/// What came of one strategy.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) way: Way,
    /// How many releases went out.
    pub(crate) out: u32,
    /// How many came back.
    pub(crate) back: u32,
    pub(crate) tally: Tally,
    pub(crate) seconds: f64,
    /// What was not as it should be.
    pub(crate) wrong: Vec<String>,
}

impl Trial {
    pub(crate) async fn run(way: Way, args: &Args) -> Result<Self, Failure> {
        let (count, instances) = way.places();
        let begin = DesiredState::alone(RevisionName::new("v1")?, instances, 100);
        let mut places = Vec::new();
        for n in 1..=count {
            places.push(Place::start(args.front, TargetName::new(format!("{}-{n}", way.name()))?, &begin).await?);
        }
        let addresses: Vec<_> = places.iter().map(|place| place.users_come_to).collect();
        let users = Users::start(args.users, &addresses);
        let clock = SystemClock::new();
        let targets: Vec<Arc<dyn Target>> = places.iter().map(Place::target).collect();
        let tried = Self::release(way, args.requests, &targets, &users).await;
        let tally = users.stop().await;
        let seconds = clock.monotonic().as_secs_f64();
        for place in places {
            place.close().await;
        }
        let (out, back, mut wrong) = tried?;
        if tally.failed > 0 {
            wrong.push(format!("{} requests failed: {:?}", tally.failed, tally.reasons));
        }
        Ok(Self { way, out, back, tally, seconds, wrong })
    }

    /// One revision out, the next one out and back, and so on.
    async fn release(
        way: Way,
        requests: u64,
        targets: &[Arc<dyn Target>],
        users: &Users,
    ) -> Result<(u32, u32, Vec<String>), Failure> {
        let pipeline = way.pipeline(targets)?;
        let journal = MemoryJournal::new(Arc::new(SystemClock::new()));
        let engine = Engine::builder(Arc::new(journal)).pipeline(pipeline.clone()).build();
        let (mut out, mut back, mut wrong) = (0, 0, Vec::new());
        while wrong.is_empty() && (back == 0 || users.tally().answered < requests) {
            let number = out + back + 2;
            for (revision, due) in
                [(format!("v{number}"), Outcome::Succeeded), (format!("v{}{REFUSED}", number + 1), Outcome::RolledBack)]
            {
                let service = ServiceName::new("shop")?;
                let release = Release::new(service, EnvironmentName::new("local")?, RevisionName::new(&revision)?);
                let run = engine.start(pipeline.name(), release, Principal::new("example", "local")).await?;
                let end = run.wait().await?;
                if end.outcome != due {
                    wrong.push(format!("{revision} {}: {}", end.outcome, end.because));
                } else if !users.tally().has_met(&revision) {
                    wrong.push(format!("nobody has met {revision}, so that nothing was shown"));
                }
                match due {
                    Outcome::Succeeded => out += 1,
                    _ => back += 1,
                }
            }
        }
        Ok((out, back, wrong))
    }
}
