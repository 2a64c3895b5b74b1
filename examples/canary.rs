//! How do I unit-test a rollout, without a cluster, without waiting and without async?
//!
//! A strategy is a function from a situation to a decision. Hand it situations, and look at what it decides.
#![expect(clippy::print_stdout, reason = "an example shows what came of it")]

use std::time::Duration;

use deploy_core::name::RevisionName;
use deploy_core::release::Release;
use deploy_core::strategy::{Next, Promotion, Situation, Strategy as _};
use deploy_core::target::{DesiredState, RevisionState, TargetState};
use deploy_core::time::RunTime;
use deploy_strategies::canary::{Canary, Step};

/// The place right after it has taken a statement: every wanted instance is ready, unless its revision never starts.
fn taken(want: &DesiredState, broken: Option<&RevisionName>) -> TargetState {
    let state = |(name, wanted): (&RevisionName, &u32)| {
        let ready = if Some(name) == broken { 0 } else { *wanted };
        (name.clone(), RevisionState { desired: *wanted, ready, terminating: 0 })
    };
    TargetState {
        revisions: want.capacity.iter().map(state).collect(),
        weights: want.weights.clone(),
        max_weight: want.max_weight,
        ..TargetState::default()
    }
}

/// Lets a canary release v2 over v1, and tells the story.
fn story(canary: &Canary, broken: bool) -> Result<TargetState, Box<dyn std::error::Error>> {
    let (v1, v2) = (RevisionName::new("v1")?, RevisionName::new("v2")?);
    let release = Release::new("shop".try_into()?, "production".try_into()?, v2.clone());
    let before = taken(&DesiredState::alone(v1, 4, 100), None);
    let first = Situation::first(&release, &before);

    let mut decision = canary.decide(&first);
    let (mut now, mut stage_began) = (RunTime::START, RunTime::START);
    let mut observed = before.clone();
    loop {
        let weight = observed.weight(&v2);
        println!("{:>8}  {weight:>3} %  {}: {}", now.to_string(), decision.stage.name, decision.reason.code);
        let promotion = match &decision.next {
            Next::Complete | Next::RollBack => return Ok(observed),
            Next::WakeAt(at) => {
                now = *at;
                Promotion::None
            }
            // A person says yes a minute later.
            Next::Await(_) => {
                now = now + Duration::from_secs(60);
                Promotion::Skip
            }
        };
        observed = taken(&decision.want, broken.then_some(&v2));
        let stage = decision.stage.index;
        let seen = first.later(&observed, &decision, now, now.since(stage_began)).promotion(promotion);
        decision = canary.decide(&seen);
        if decision.stage.index != stage {
            stage_began = now;
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let canary = Canary::builder()
        .step(Step::weight(5).soak(Duration::from_secs(600)))
        .step(Step::weight(50).approval("Half of the users next. Go on?"))
        .progress_deadline(Duration::from_secs(30))
        .build()?;
    println!("a version that starts");
    let after = story(&canary, false)?;
    assert_eq!(after, taken(&DesiredState::alone("v2".try_into()?, 4, 100), None));

    println!("a version that never starts");
    let after = story(&canary, true)?;
    assert_eq!(after.weight(&"v2".try_into()?), 0, "no user ever met it");
    Ok(())
}
