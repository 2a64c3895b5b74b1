//! Judges: pure functions from numbers to what they mean. No clock, no I/O, nothing that waits; their state is small and
//! serialisable.
//!
//! An [`Analysis`] says what a strategy asks of a monitor, how often, which [`Judge`] says what the answers mean, and what it
//! means that there is no answer ([`Absence`]).
//!
//! | module | when to choose it | source |
//! |---|---|---|
//! | [`threshold`] | a number must stay on one side of a limit | Argo Rollouts' analysis, with its holes closed |
//! | [`sequential`] | releases with a baseline: looks after every batch, one chance of error for the whole rollout | [`evidence`] |
//! | [`kayenta`] | releases that Kayenta judges today, class by class and score by score | Kayenta's own figures |
//! | [`burn_rate`] | promises to users: catches harm to both arms, which no comparison can | Site Reliability Workbook, chapter 5 |
//! | [`service_score`] | releases that are judged by a weighted score today | Keptn's quality gates |
//! | [`judge`] | all of them as one value, for strategies and for batches of your own | |
//!
//! What judges take in may also come from elsewhere: [`sketch`] reads histograms of other formats, [`previous`] holds a release against the
//! one before. [`error_budget`] says whether anything may be released at all. [`anomaly`] and [`change_point`] look at one series, and
//! [`error_classes`] at what errors say: for reports and warnings; they are no judges.
//!
//! Beneath them are the tests themselves: [`rank`], [`shift`], [`means`] and [`proportion`] at a fixed number of values, and
//! [`evidence`] for any number of looks. What is said of batches comes as a [`verdict`]: as text, as JSON, and as a [`page`] of Markdown or
//! HTML with a picture of the confidence sequence ([`svg`]).
//!
//! ```text
//!  Measurement ──► Batch ──► Judge::take ──► JudgeState ──► Judge::verdict ──► Verdict
//!   (monitors)     (core)     once per key     bounded         at any look       why, and what would change it
//! ```

mod absence;
pub mod anomaly;
mod asked;
pub mod burn_rate;
pub mod change_point;
mod compared;
pub mod error_budget;
pub mod error_classes;
pub mod evidence;
mod figure;
pub mod history;
pub mod judge;
pub mod kayenta;
pub mod means;
pub mod page;
pub mod previous;
pub mod proportion;
pub mod rank;
pub mod sample;
pub mod sequential;
pub mod service_score;
pub mod shift;
pub mod sketch;
mod special;
pub mod svg;
#[cfg(test)]
mod tables;
pub mod taken;
pub mod threshold;
pub mod verdict;
mod written;

pub use self::absence::Absence;
pub(crate) use self::asked::monitors_of;
pub use self::asked::{Analysis, AnalysisState, Comparand, Standing, Verdict};
pub use self::figure::FigureError;
pub use self::judge::{Judge, JudgeError, JudgeState};
