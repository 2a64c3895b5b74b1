//! Flags as Unleash evaluates them, by its public client specification.

mod constraint;
mod context;
mod feature;
mod state;
mod strategy;
mod variant;

pub use self::constraint::{Constraint, Operator};
pub use self::context::Context;
pub use self::feature::{Dependency, Feature, Override, Payload, Segment, ToggleStrategy, Variant};
pub use self::state::{Change, State};
pub use self::strategy::normalised;
pub use self::variant::ChosenVariant;
