//! Judges: what measured numbers mean for a release. Pure functions over data; their state is small and serialisable.

mod judge;
pub mod threshold;

pub use self::judge::{Analysis, AnalysisState, Comparand, Judge, JudgeState, Standing, Verdict};
