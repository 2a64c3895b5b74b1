//! Strategies decide how a release spreads. They are pure: everything known in, one decision out.

mod decision;
mod exposure;
mod memory;
mod outline;
mod situation;

use std::fmt::Debug;

pub use self::decision::{Decision, Next, Reason, ReasonCode, Stage};
pub use self::exposure::Exposure;
pub use self::memory::{Memory, MemoryError};
pub use self::outline::{Outline, OutlineStage};
pub use self::situation::{Promotion, Situation};
use crate::identity::Identity;
use crate::name::BlockName;
use crate::release::Release;
use crate::target::{Capabilities, TargetState};
use crate::time::Timestamp;

/// Decides how a release spreads over a target.
///
/// # Contract for implementors
///
/// - Pure and synchronous: no clock, no I/O, no randomness. The same [`Situation`] gives the same [`Decision`].
/// - A decision is a full statement: what should be there, what to measure meanwhile, when to be asked again. It is
///   recorded and never computed again, so changed code cannot break a run in flight.
/// - What it must remember it returns as [`Memory`], at most [`Memory::LONGEST`] bytes, and is handed it back.
/// - It is asked after each look at the target: one follows every change of ours, and then one at least every
///   `observe_every`.
/// - It never raises traffic to a revision with no ready instance, and its weights sum to the whole; the engine refuses a
///   decision that breaks this and fails the step.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a strategy",
    note = "implement `deploy_core::strategy::Strategy` (`name`, `needs`, `outline` and `decide`); it is synchronous and pure"
)]
pub trait Strategy: Debug + Send + Sync + 'static {
    /// How plans and records name it.
    fn name(&self) -> BlockName;

    /// What it needs of a target.
    fn needs(&self) -> Capabilities;

    /// The monitors that it will ask. A rollout that is not given them is refused when the pipeline is built. The default:
    /// none.
    fn monitors(&self) -> Vec<BlockName> {
        Vec::new()
    }

    /// Why it cannot begin at this time, if it cannot: a lowercase fragment without a full stop that says what to do. A run is
    /// then refused before anything is recorded. The default: nothing.
    fn objection(&self, _release: &Release, _wall: Timestamp) -> Option<String> {
        None
    }

    /// The stages as they stand before anything happens: for the plan preview and the progress bar.
    fn outline(&self, release: &Release, from: &TargetState) -> Outline;

    /// Given what is there, what should be there next?
    fn decide(&self, situation: &Situation<'_>) -> Decision;

    /// The way back, asked again and again until it answers [`Next::Complete`]. The default restores what was there before
    /// in one statement, and is complete when that is observed.
    fn revert(&self, situation: &Situation<'_>) -> Decision {
        situation.restore()
    }

    /// Which block this is: a pipeline refuses two blocks under one name. Leave the default, which goes by the address of the
    /// value; a clone of an `Arc` is the same block.
    fn identity(&self) -> Identity {
        Identity::of(self)
    }
}

/// Writes the whole trait by forwarding, so that no wrapper loses a method to a default.
macro_rules! forward_strategy {
    ($($kind:ty),*) => {$(
        impl<T: Strategy + ?Sized> Strategy for $kind {
            fn name(&self) -> BlockName {
                (**self).name()
            }
            fn needs(&self) -> Capabilities {
                (**self).needs()
            }
            fn monitors(&self) -> Vec<BlockName> {
                (**self).monitors()
            }
            fn objection(&self, release: &Release, wall: Timestamp) -> Option<String> {
                (**self).objection(release, wall)
            }
            fn outline(&self, release: &Release, from: &TargetState) -> Outline {
                (**self).outline(release, from)
            }
            fn decide(&self, situation: &Situation<'_>) -> Decision {
                (**self).decide(situation)
            }
            fn revert(&self, situation: &Situation<'_>) -> Decision {
                (**self).revert(situation)
            }
            fn identity(&self) -> Identity {
                (**self).identity()
            }
        }
    )*};
}

forward_strategy!(std::sync::Arc<T>, Box<T>);
