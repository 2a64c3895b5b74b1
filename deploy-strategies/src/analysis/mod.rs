//! Judges: pure functions from numbers to what they mean. No clock, no I/O, nothing that waits.
//!
//! | module | when to choose it | source |
//! |---|---|---|
//! | [`sequential`] | releases with a baseline: looks after every batch, one chance of error for the whole rollout. The default | [`evidence`] |
//! | [`kayenta`] | releases that Kayenta judges today, class by class and score by score | Kayenta's own figures |
//! | [`burn_rate`] | promises to users: catches harm to both arms, which no comparison can | Site Reliability Workbook, chapter 5 |
//! | [`service_score`] | releases that are judged by a weighted score today | Keptn's quality gates |
//! | [`judge`] | all of them as one value in a plan | |
//!
//! Beneath them are the tests themselves: [`rank`], [`shift`], [`means`] and [`proportion`] at a fixed number of values, and
//! [`evidence`] for any number of looks. What is said comes as a [`verdict`], as text, JSON and, for a
//! confidence sequence, as a picture ([`svg`]).
//!
//! ```text
//!  Measurement ──► Batch ──► Judge::take ──► JudgeState ──► Judge::verdict ──► Verdict ──► Judgement
//!   (monitors)     (core)      once per key    (Memory)        at any look       why, and what    (journal)
//!                                                                                would change it
//! ```

pub mod burn_rate;
pub mod evidence;
pub mod judge;
pub mod kayenta;
pub mod means;
pub mod proportion;
pub mod rank;
pub mod sample;
pub mod sequential;
pub mod service_score;
pub mod shift;
mod special;
pub mod svg;
#[cfg(test)]
mod tables;
pub mod taken;
pub mod verdict;
