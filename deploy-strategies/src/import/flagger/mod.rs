//! Canaries of Flagger (`flagger.app/v1beta1`).

mod metric;
mod steps;

use std::time::Duration;

use super::cursor::{Cursor, Findings, spell};
use super::finding::FindingKind;
use super::{Files, Hook, HookWhen, Imported};
use crate::all_at_once::AllAtOnce;
use crate::document::Value;
use crate::spec::StrategySpec;

const READ: &[&str] = &[
    "analysis",
    "canaryAnalysis",
    "progressDeadlineSeconds",
    "provider",
    "service",
    "skipAnalysis",
    "suspend",
    "targetRef",
];

const OF_TARGET: &[&str] =
    &["autoscalerRef", "ingressRef", "metricsServer", "revertOnDeletion", "routeRef", "upstreamRef"];

const OF_ANALYSIS: &[&str] = &[
    "canaryReadyThreshold",
    "interval",
    "iterations",
    "match",
    "maxWeight",
    "metrics",
    "mirror",
    "mirrorWeight",
    "primaryReadyThreshold",
    "sessionAffinity",
    "stepWeight",
    "stepWeightPromotion",
    "stepWeights",
    "threshold",
    "webhooks",
];

/// How often it is checked, and how often at least.
const EVERY: Duration = Duration::from_secs(60);
const SOONEST: Duration = Duration::from_secs(10);

pub(super) fn canary(files: &Files<'_>, root: &Cursor<'_>, found: &mut Findings) -> Option<Imported> {
    found.only(root, &["apiVersion", "kind", "metadata", "spec", "status"], &[]);
    let spec = root.get("spec");
    found.only(&spec, READ, OF_TARGET);
    found.needed(&spec.at("targetRef.name"));
    for field in ["provider", "service"].map(|field| spec.get(field)).iter().filter(|field| field.is_there()) {
        found.for_target(field);
    }
    let suspend = spec.get("suspend");
    if found.flag(&suspend) == Some(true) {
        found.differs(&suspend, "a stop by hand belongs to a run, not to the strategy: it is not carried over");
    }
    let (own, old) = (spec.get("analysis"), spec.get("canaryAnalysis"));
    if own.is_there() && old.is_there() {
        found.invalid(&old, "both analysis and canaryAnalysis are given", "one of them");
    }
    let analysis = if own.is_there() { own } else { old };
    found.only(&analysis, OF_ANALYSIS, &["alerts"]);
    let deadline = found.seconds(&spec.get("progressDeadlineSeconds")).unwrap_or(Duration::from_secs(600));
    let skip = spec.get("skipAnalysis");
    let mut questions = Vec::new();
    let strategy = if found.flag(&skip) == Some(true) {
        found.differs(&skip, "without analysis everything changes at once");
        Some(StrategySpec::from(AllAtOnce::new().progress_deadline(deadline)))
    } else if analysis.is_there() {
        let checks = metric::read(files, root, &analysis, found);
        let strategy = steps::read(&spec, &analysis, deadline, &checks, found);
        questions = checks.questions;
        strategy
    } else {
        found.add(&analysis, FindingKind::RequiredFieldMissing, "it is not there", "an analysis, or skipAnalysis");
        None
    };
    let hooks = hooks(&analysis, found);
    Some(Imported {
        kind: "Canary",
        name: root.at("metadata.name").str().unwrap_or_default().to_owned(),
        namespace: root.at("metadata.namespace").str().unwrap_or_default().to_owned(),
        file: root.file.to_string(),
        place: root.place,
        strategy: strategy?,
        questions,
        hooks,
        rollback_window: None,
        notes: Vec::new(),
    })
}

/// How often it is checked.
fn interval(analysis: &Cursor<'_>, found: &mut Findings) -> Duration {
    let at = analysis.get("interval");
    let every = found.duration(&at, false).unwrap_or(EVERY);
    if every < SOONEST {
        found.differs(&at, format!("it is checked every {}, as the peer does for anything shorter", spell(SOONEST)));
    }
    every.max(SOONEST)
}

/// How many failed checks are too many.
fn threshold(analysis: &Cursor<'_>, found: &mut Findings) -> u32 {
    let threshold = found.whole(&analysis.get("threshold")).unwrap_or(1);
    u32::try_from(threshold).unwrap_or(1).max(1)
}

fn hooks(analysis: &Cursor<'_>, found: &mut Findings) -> Vec<Hook> {
    let webhooks = found.list(&analysis.get("webhooks"));
    webhooks.iter().filter_map(|at| hook(at, found)).collect()
}

fn hook(at: &Cursor<'_>, found: &mut Findings) -> Option<Hook> {
    found.only(at, &["metadata", "name", "timeout", "type", "url"], &["disableTLS", "muteAlert", "retries"]);
    let kind = at.get("type");
    let when = match found.text(&kind).as_deref() {
        Some("confirm-rollout") => HookWhen::ConfirmRollout,
        Some("pre-rollout") => HookWhen::PreRollout,
        // Without a type it is called with every check, as the peer has it.
        None if !kind.is_there() => HookWhen::Rollout,
        Some("rollout" | "") => HookWhen::Rollout,
        Some("confirm-traffic-increase") => HookWhen::ConfirmTrafficIncrease,
        Some("confirm-promotion") => HookWhen::ConfirmPromotion,
        Some("post-rollout") => HookWhen::PostRollout,
        Some("rollback") => HookWhen::Rollback,
        Some("event") => HookWhen::Event,
        _ => {
            let allowed = "confirm-rollout, pre-rollout, rollout, confirm-traffic-increase, confirm-promotion, post-rollout, rollback or event";
            found.invalid(&kind, "it is none of the kinds of webhook", allowed);
            return None;
        }
    };
    let metadata_at = at.get("metadata");
    let mut metadata = Vec::new();
    for entry in metadata_at.entries() {
        let value = metadata_at.get(&entry.key);
        metadata.push((entry.key.clone(), found.text(&value).unwrap_or_default()));
    }
    let url = found.needed(&at.get("url"));
    found.differs(at, "a webhook is bound by the host, as a gate or a notifier");
    Some(Hook {
        name: found.needed(&at.get("name"))?,
        when,
        url: url?,
        timeout: found.text(&at.get("timeout")).unwrap_or_default(),
        metadata,
        line: at.place.map(|place| place.line),
    })
}

/// Whether something other than nothing stands there.
fn given(at: &Cursor<'_>) -> bool {
    match &at.node.value {
        Value::Null | Value::Bool(false) | Value::Whole(0) => false,
        Value::List(list) => !list.is_empty(),
        _ => true,
    }
}
