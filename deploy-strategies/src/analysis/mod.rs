//! Judges: what measured numbers mean for a release. Pure functions over data; their state is small and serialisable.

mod asked;
pub mod threshold;

pub(crate) use self::asked::monitors_of;
pub use self::asked::{Analysis, AnalysisState, Comparand, Judge, JudgeState, Standing, Verdict};
