//! One strategy under load: out and back, again and again, until enough requests were answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::driver::Engine;
use deploy_core::effect::{EffectKey, Fence};
use deploy_core::journal::MemoryJournal;
use deploy_core::machine::Outcome;
use deploy_core::name::{EnvironmentName, FlagName, RevisionName, RunId, ServiceName, TargetName};
use deploy_core::operator::Principal;
use deploy_core::plan::StepPath;
use deploy_core::real::Real;
use deploy_core::release::Release;
use deploy_core::target::{DesiredState, EffectContext, Target};
use deploy_core::time::{Clock as _, SystemClock};

use crate::Failure;
use crate::args::Args;
use crate::flag::{self, FLAG};
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
        let flags = if way == Way::Flags { Some(flag::begin()?) } else { None };
        let mut places = Vec::new();
        for n in 1..=count {
            let name = TargetName::new(format!("{}-{n}", way.name()))?;
            places.push(Place::start(args.front, name, &begin, flags.as_deref()).await?);
        }
        let addresses: Vec<_> = places.iter().map(|place| place.users_come_to).collect();
        let users = Users::start(args.users, &addresses);
        let clock = SystemClock::new();
        let targets: Vec<Arc<dyn Target>> = match &flags {
            Some(file) => vec![Arc::new(flag::target(file)?)],
            None => places.iter().map(Place::target).collect(),
        };
        let tried = Self::release(way, args.requests, &targets, &users).await;
        let tally = users.stop().await;
        let seconds = clock.monotonic().as_secs_f64();
        for place in places {
            place.close().await;
        }
        if let Some(file) = flags {
            // What is left in a folder for temporary files hurts nobody.
            let _ = std::fs::remove_file(file);
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
                if way == Way::Flags {
                    // Every release begins with nobody: there is nothing to raise otherwise.
                    let nobody = DesiredState {
                        flags: BTreeMap::from([(FlagName::new(FLAG)?, Real::ZERO)]),
                        ..DesiredState::default()
                    };
                    targets.first().ok_or("there is no place")?.apply(&nobody, &by_hand(number)?).await?;
                }
                let before = users.tally();
                let service = ServiceName::new("shop")?;
                let release = Release::new(service, EnvironmentName::new("local")?, RevisionName::new(&revision)?);
                let run = engine.start(pipeline.name(), release, Principal::new("example", "local")).await?;
                let end = run.wait().await?;
                if end.outcome != due {
                    wrong.push(format!("{revision} {}: {}", end.outcome, end.because));
                } else if !(users.tally().has_met(&revision) || users.tally().with_flag > before.with_flag) {
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

/// A change beside every run, as a person makes it.
fn by_hand(number: u32) -> Result<EffectContext, Failure> {
    let (run, step) = (RunId::new(format!("by-hand-{number}"))?, StepPath::new("by/hand")?);
    let key = EffectKey { run, step, undo: false, iteration: 0, attempt: 1 };
    let release = Release::new(ServiceName::new("shop")?, EnvironmentName::new("local")?, RevisionName::new("none")?);
    Ok(EffectContext::new(key, Fence::default(), Arc::new(release), Duration::from_secs(10)))
}
