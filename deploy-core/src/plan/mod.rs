//! The plan: data that fixes every step, block and limit of a run before it begins.

mod path;

pub use self::path::{StepId, StepPath, StepPathError};
