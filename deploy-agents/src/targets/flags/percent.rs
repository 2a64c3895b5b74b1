//! Percentages, and the statements that a flag target can take.

use std::collections::BTreeMap;

use deploy_core::name::FlagName;
use deploy_core::real::Real;
use deploy_core::target::{DesiredState, TargetError, TargetState};

/// What each flag is to be, in percent; one that is not mentioned is to be at 0.
pub(super) fn wanted<'a>(
    desired: &DesiredState,
    flags: impl IntoIterator<Item = &'a FlagName>,
) -> Result<BTreeMap<FlagName, Real>, TargetError> {
    let refuse =
        |what: &str| Err(TargetError::definitive(format!("this place holds feature flags alone, and no {what}")));
    let others = [
        (!desired.capacity.is_empty(), "instances"),
        (!desired.weights.is_empty(), "weights"),
        (!desired.routes.is_empty(), "routes"),
        (desired.mirror.is_some(), "mirror"),
        (desired.experiment.is_some(), "experiments"),
        (desired.preview.is_some(), "second address"),
    ];
    if let Some((_, what)) = others.into_iter().find(|(asked, _)| *asked) {
        return refuse(what);
    }
    let mut wanted: BTreeMap<FlagName, Real> = flags.into_iter().map(|flag| (flag.clone(), Real::ZERO)).collect();
    for (flag, percent) in &desired.flags {
        if !(0.0..=100.0).contains(&percent.get()) {
            return Err(TargetError::definitive(format!("{flag} is to be at {percent} %; allowed are 0 to 100")));
        }
        match wanted.get_mut(flag) {
            Some(wanted) => *wanted = *percent,
            None => {
                return Err(TargetError::definitive(format!(
                    "this place was not told of a flag {flag}; add it to the target"
                )));
            }
        }
    }
    Ok(wanted)
}

/// A place that has these flags and nothing else.
pub(super) fn state(flags: BTreeMap<FlagName, Real>, version: Option<u64>) -> TargetState {
    TargetState { flags, version, ..TargetState::default() }
}
