//! Where a series changed, and what was done just before.

use std::time::Duration;

use deploy_core::name::RevisionName;
use deploy_core::time::Timestamp;
use deploy_strategies::analysis::change_point::{ChangePoint, change_point};
use deploy_strategies::analysis::sample::SampleError;
use serde::Serialize;

/// Something that was done, and may be why a series changed: a step that began, a weight that was raised, a flag that was turned on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Action {
    /// When.
    pub at: Timestamp,
    /// What: the path of the step, and what it did.
    pub what: String,
}

impl Action {
    /// Something that was done then.
    #[must_use]
    pub fn new(at: Timestamp, what: impl Into<String>) -> Self {
        Self { at, what: what.into() }
    }
}

/// A change of level in a series, and the action that it came with.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Suspect {
    /// The change: where, from what to what, and how sure.
    pub change: ChangePoint,
    /// The first sample of the new level.
    pub onset: Timestamp,
    /// The newest action that was not after the onset; nothing: nobody did anything before it.
    pub action: Option<Action>,
    /// How long after that action the level changed. A long time speaks against the suspicion.
    pub lag: Option<Duration>,
}

/// When the level of a series changed, and what was done last before that: a place to look at, never a verdict.
///
/// One change is looked for, by ranks alone; it is reported where so clear a change has a chance of at most `alpha` in a series without
/// one. Samples may be unsorted; the series must not have a trend or a season, which are found as changes too. An action at the very
/// time of the onset counts as before it.
///
/// ```
/// use deploy_agents::monitors::{Action, suspect};
/// use deploy_core::time::Timestamp;
///
/// let level = |minute: i64| if minute < 12 { 100.0 } else { 140.0 } + (minute % 3) as f64;
/// let latency: Vec<_> = (0..24).map(|minute| (Timestamp(minute * 60_000), level(minute))).collect();
/// let actions = [
///     Action::new(Timestamp(2 * 60_000), "rollout/shop to 5 %"),
///     Action::new(Timestamp(11 * 60_000 + 30_000), "rollout/shop to 50 %"),
///     Action::new(Timestamp(20 * 60_000), "notify/all"),
/// ];
/// let found = suspect(&latency, &actions, 0.01)?.expect("a change");
/// assert_eq!(found.onset, Timestamp(12 * 60_000));
/// assert_eq!(found.action.expect("something was done").what, "rollout/shop to 50 %");
/// # Ok::<(), deploy_strategies::analysis::sample::SampleError>(())
/// ```
///
/// # Errors
///
/// [`SampleError`] if a value is not a number.
///
/// Rows: M188.
pub fn suspect(series: &[(Timestamp, f64)], actions: &[Action], alpha: f64) -> Result<Option<Suspect>, SampleError> {
    let mut series = series.to_vec();
    series.sort_by_key(|(at, _)| *at);
    let values: Vec<f64> = series.iter().map(|(_, value)| *value).collect();
    let Some(change) = change_point(&values)?.filter(|change| change.p_value <= alpha) else { return Ok(None) };
    let Some((onset, _)) = series.get(change.at).copied() else { return Ok(None) };
    let action = actions.iter().filter(|action| action.at <= onset).max_by_key(|action| action.at).cloned();
    let lag = action.as_ref().map(|action| onset.since(action.at));
    Ok(Some(Suspect { change, onset, action, lag }))
}

/// The release with which a figure of releases changed its level: from one release to the next, not within one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ReleaseChange {
    /// The first release of the new level.
    pub revision: RevisionName,
    /// The change.
    pub change: ChangePoint,
}

/// The release since which a figure (its error rate, its latency, how long it took) is on another level, if there is one. One figure for each
/// release, the oldest first.
///
/// With few releases nothing can be found: twelve are about the fewest at an `alpha` of 0.05.
///
/// # Errors
///
/// [`SampleError`] if a value is not a number.
///
/// Rows: M126.
pub fn changed_since(releases: &[(RevisionName, f64)], alpha: f64) -> Result<Option<ReleaseChange>, SampleError> {
    let values: Vec<f64> = releases.iter().map(|(_, value)| *value).collect();
    let change = change_point(&values)?.filter(|change| change.p_value <= alpha);
    Ok(change.and_then(|change| Some(ReleaseChange { revision: releases.get(change.at)?.0.clone(), change })))
}
