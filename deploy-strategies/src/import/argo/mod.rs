//! Rollouts of Argo Rollouts (`argoproj.io/v1alpha1`).

mod analysis;
mod arguments;
mod blue_green;
mod canary;
mod template;

use std::num::NonZeroU32;
use std::time::Duration;

use self::analysis::Analyses;
use super::cursor::{Cursor, Findings, spell};
use super::finding::FindingKind;
use super::{Files, Imported};
use crate::document::Value;
use crate::refusal::Refused;
use crate::rolling::Amount;
use crate::share::Percent;
use crate::spec::StrategySpec;
use crate::way_back::RollbackWindow;

/// What stands beside the strategy and is carried into it.
#[derive(Debug, Clone, Copy)]
struct Around {
    instances: Option<NonZeroU32>,
    deadline: Option<Duration>,
    min_ready: Duration,
}

pub(super) fn rollout(files: &Files<'_>, root: &Cursor<'_>, found: &mut Findings) -> Option<Imported> {
    found.only(root, &["apiVersion", "kind", "metadata", "spec", "status"], &[]);
    let spec = root.get("spec");
    let read = [
        "minReadySeconds",
        "paused",
        "progressDeadlineAbort",
        "progressDeadlineSeconds",
        "replicas",
        "rollbackWindow",
        "selector",
        "strategy",
        "template",
    ];
    found.only(&spec, &read, &["analysis", "restartAt", "revisionHistoryLimit", "workloadRef"]);
    if !spec.get("workloadRef").is_there() {
        for field in ["selector", "template"] {
            let at = spec.get(field);
            if !at.is_there() {
                found.add(&at, FindingKind::RequiredFieldMissing, "it is not there", "what names the instances");
            }
        }
    }
    let instances = found.count(&spec.get("replicas")).and_then(NonZeroU32::new);
    let deadline = spec.get("progressDeadlineSeconds");
    let min_ready = spec.get("minReadySeconds");
    let around = Around {
        instances,
        deadline: found.seconds(&deadline),
        min_ready: found.seconds(&min_ready).unwrap_or_default(),
    };
    if found.flag(&spec.get("progressDeadlineAbort")) != Some(true) {
        let patience = spell(around.deadline.unwrap_or(Duration::from_secs(600)));
        found.differs(&deadline, format!("when nothing has moved for {patience} it goes back; without progressDeadlineAbort the peer only says so"));
    }
    if found.flag(&spec.get("paused")) == Some(true) {
        found.differs(
            &spec.get("paused"),
            "a pause by hand belongs to a run, not to the strategy: it is not carried over",
        );
    }
    let window = spec.at("rollbackWindow.revisions");
    let rollback_window = found.count(&window).map(RollbackWindow::new);
    if rollback_window.is_some() {
        found.differs(&window, "counted as the documentation says; the peer's code lets one revision more in");
    }
    let strategy = spec.get("strategy");
    found.only(&strategy, &["canary", "blueGreen"], &[]);
    let (canary, switch) = (strategy.get("canary"), strategy.get("blueGreen"));
    let mut analyses = Analyses::new(files, root);
    let strategy = match (canary.is_there(), switch.is_there()) {
        (true, false) => canary::read(files, &spec, &canary, around, &mut analyses, found),
        (false, true) => blue_green::read(files, &spec, &switch, around, &mut analyses, found),
        (true, true) => {
            found.invalid(&strategy, "both canary and blueGreen are given", "one of them");
            None
        }
        (false, false) => {
            found.add(&strategy, FindingKind::RequiredFieldMissing, "there is no strategy", "canary or blueGreen");
            None
        }
    };
    Some(Imported {
        kind: "Rollout",
        name: root.at("metadata.name").str().unwrap_or_default().to_owned(),
        namespace: root.at("metadata.namespace").str().unwrap_or_default().to_owned(),
        file: root.file.to_string(),
        place: root.place,
        strategy: strategy?,
        questions: analyses.questions,
        hooks: Vec::new(),
        rollback_window,
        notes: Vec::new(),
    })
}

/// A count, or a text that ends in `%`; a quarter where nothing is given, as the peer has it.
fn amount(at: &Cursor<'_>, found: &mut Findings) -> Amount {
    let percent = |n: u32| Percent::new(n).ok().map(Amount::Percent);
    let amount = match &at.node.value {
        Value::Null => percent(25),
        Value::Text(text) => text.strip_suffix('%').and_then(|n| n.parse().ok()).and_then(percent),
        Value::Whole(number) => u32::try_from(*number).ok().map(Amount::Count),
        _ => None,
    };
    if amount.is_none() {
        found.invalid(at, "it is neither a count nor a percentage", "5 or \"25%\"; percentages up to 100%");
    }
    amount.unwrap_or(Amount::Count(1))
}

/// Both limits at zero: refused, as the peer does. (Shares that only come to nothing let one instance be missing.)
fn limits(strategy: &Cursor<'_>, found: &mut Findings) -> (Amount, Amount) {
    let (surge_at, missing_at) = (strategy.get("maxSurge"), strategy.get("maxUnavailable"));
    let (surge, missing) = (amount(&surge_at, found), amount(&missing_at, found));
    if surge.is_zero() && missing.is_zero() {
        let wrong = "maxSurge and maxUnavailable are both zero, so nothing could move";
        found.add(&surge_at, FindingKind::LimitsBothZero, wrong, "one of them above zero");
    }
    (surge, missing)
}

/// A service that a strategy names selects the instances, where it stands in one of the files.
fn service(files: &Files<'_>, spec: &Cursor<'_>, at: &Cursor<'_>, found: &mut Findings) -> Option<String> {
    let name = found.text(at).filter(|name| !name.is_empty())?;
    found.for_target(at);
    let labels = spec.at("template.metadata.labels");
    if let Some(service) = files.find("Service", &name).filter(|_| labels.is_there()) {
        let selector = service.at("spec.selector");
        let own = "rollouts-pod-template-hash";
        let mut wanted = selector.entries().iter().filter(|entry| entry.key != own);
        let other = wanted.find(|entry| labels.get(&entry.key).node.value != entry.node.value);
        if let Some(other) = other {
            let wrong = format!("service {name} selects by label {}, which the instances do not have so", other.key);
            let kind = FindingKind::ServiceSelectorDoesNotMatchPodLabels;
            found.add(at, kind, wrong, "a service that selects labels of the pod template");
        }
    }
    Some(name)
}

/// Two services that must be two.
fn apart(first: Option<&String>, second: Option<&String>, at: &Cursor<'_>, found: &mut Findings) {
    if first.is_some() && first == second {
        found.invalid(at, "it is the same service as the other one", "two services");
    }
}

/// An instance's least time of readiness, where the strategy has none.
fn min_ready(around: Around, spec: &Cursor<'_>, found: &mut Findings) {
    if !around.min_ready.is_zero() {
        let wrong = "what counts as ready is the target's word: have it wait so long";
        found.differs(&spec.get("minReadySeconds"), wrong);
    }
}

/// What the builder refuses, at the places that its paths come from.
fn built<T: Into<StrategySpec>>(
    built: Result<T, Refused>,
    at: impl Fn(&str) -> Cursor<'static>,
    found: &mut Findings,
) -> Option<StrategySpec> {
    match built {
        Ok(strategy) => Some(strategy.into()),
        Err(refused) => {
            for problem in refused.problems() {
                found.none(&at(&problem.at), format!("{}: {}", problem.at, problem.wrong), problem.allowed.clone());
            }
            None
        }
    }
}
