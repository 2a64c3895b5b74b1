//! The steps as they stand before anything happens.

use deploy_core::release::Release;
use deploy_core::strategy::{Outline, OutlineStage, Situation};
use deploy_core::target::TargetState;

use super::build::CanaryBuilder;
use crate::analysis::Analysis;
use crate::field::Field;
use crate::share::part_up;

pub(super) fn outline(spec: &CanaryBuilder, release: &Release, from: &TargetState) -> Outline {
    let situation = Situation::first(release, from);
    let field = Field::of(&situation, spec.instances.map(std::num::NonZeroU32::get));
    let mut stages = Vec::new();
    if field.stable.is_some() {
        for step in &spec.steps {
            let instances = step.instances(spec.capacity, spec.weights_of, field.size, spec.min_instances);
            let mut waits = vec![format!("{instances} ready instances of {}", release.revision)];
            waits.extend(step.analysis.iter().map(|analysis| format!("good measurements of {}", names(analysis))));
            waits.extend(step.approval.iter().map(|request| format!("a person: {}", request.question)));
            let measured = step.analysis.iter().map(Analysis::at_least).max().unwrap_or_default();
            stages.push(OutlineStage {
                name: step.title(spec.weights_of),
                percent: Some(part_up(step.weight, 100, spec.weights_of)),
                at_least: step.soak.max(measured),
                waits_for: waits.join("; "),
            });
        }
    }
    let delay = if field.stable.is_some() { spec.scale_down_delay } else { std::time::Duration::ZERO };
    stages.push(OutlineStage {
        name: "all traffic".to_owned(),
        percent: Some(100),
        at_least: delay,
        waits_for: format!("{} ready instances of {}", field.size, release.revision),
    });
    let basis = if field.stable.is_some() {
        "the longer of soak and analysis in each step, and the delay before the old instances go; starting instances and people take as long as they take"
    } else {
        "nothing serves here but this revision, so there are no steps; starting instances takes as long as it takes"
    };
    Outline { stages, basis: basis.to_owned() }
}

fn names(analysis: &Analysis) -> String {
    let names: Vec<String> = analysis.metrics().iter().map(ToString::to_string).collect();
    format!("{} by {}", names.join(", "), analysis.monitor)
}
