//! `spec.strategy.blueGreen`.

use super::super::Files;
use super::super::cursor::{Cursor, Findings};
use super::super::finding::FindingKind;
use super::analysis::{Analyses, Wait};
use super::canary::{abort_delay, owned};
use super::{Around, apart, built, min_ready, service};
use crate::analysis::Analysis;
use crate::blue_green::{BlueGreen, Promote};
use crate::rolling::Amount;
use crate::spec::StrategySpec;

const READ: &[&str] = &[
    "abortScaleDownDelaySeconds",
    "activeService",
    "autoPromotionEnabled",
    "autoPromotionSeconds",
    "postPromotionAnalysis",
    "prePromotionAnalysis",
    "previewReplicaCount",
    "previewService",
    "scaleDownDelaySeconds",
];

const OF_TARGET: &[&str] =
    &["activeMetadata", "antiAffinity", "maxUnavailable", "previewMetadata", "scaleDownDelayRevisionLimit"];

pub(super) fn read(
    files: &Files<'_>,
    spec: &Cursor<'_>,
    switch: &Cursor<'_>,
    around: Around,
    analyses: &mut Analyses<'_, '_>,
    found: &mut Findings,
) -> Option<StrategySpec> {
    found.only(switch, READ, OF_TARGET);
    min_ready(around, spec, found);
    let active = service(files, spec, &switch.get("activeService"), found);
    if active.is_none() {
        let at = switch.get("activeService");
        found.add(&at, FindingKind::RequiredFieldMissing, "it is not there", "the name of a service");
    }
    let preview = service(files, spec, &switch.get("previewService"), found);
    apart(active.as_ref(), preview.as_ref(), &switch.get("previewService"), found);

    let mut made = BlueGreen::builder();
    made.instances = around.instances;
    made.progress_deadline = around.deadline.unwrap_or(made.progress_deadline);
    // Zero means nothing to the peer: it is the same as none.
    made.preview = found.count(&switch.get("previewReplicaCount")).filter(|count| *count > 0).map(Amount::Count);
    made.scale_down_delay = found.seconds(&switch.get("scaleDownDelaySeconds")).unwrap_or(made.scale_down_delay);
    made.abort_delay = abort_delay(&switch.get("abortScaleDownDelaySeconds"), found).unwrap_or(made.abort_delay);
    made.before = analyses.read(&switch.get("prePromotionAnalysis"), Wait::Step, found);
    made.after = analyses.read(&switch.get("postPromotionAnalysis"), Wait::Step, found);
    let by_hand = switch.get("autoPromotionEnabled");
    let after = switch.get("autoPromotionSeconds");
    let delay = found.seconds(&after).filter(|delay| !delay.is_zero());
    made.promote = match (found.flag(&by_hand), delay) {
        (Some(false), None) => {
            found.differs(&by_hand, "the person is asked for 24 h; without an answer it goes back");
            Promote::by_person("the manifest asks for a promotion by hand; switch?")
        }
        (_, delay) => {
            let delay = delay.unwrap_or_default();
            let checks = made.before.iter().map(Analysis::at_least).max().unwrap_or_default();
            // The peer's delay begins when the checks of the preview are done, ours when the preview stands.
            Promote::after(if delay.is_zero() { delay } else { delay + checks })
        }
    };
    let whole = owned(switch);
    let (before, later) = (owned(&switch.get("prePromotionAnalysis")), owned(&switch.get("postPromotionAnalysis")));
    built(
        made.build(),
        |at| match at {
            at if at.starts_with("before") => before.clone(),
            at if at.starts_with("after") => later.clone(),
            _ => whole.clone(),
        },
        found,
    )
}
