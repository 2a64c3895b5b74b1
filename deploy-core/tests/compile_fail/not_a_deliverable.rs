//! Only deliverables go from step to step.

use deploy_core::deliverable::Slot;
use deploy_core::pipeline::StepRef;

fn take(step: &StepRef) {
    let _ = step.output(Slot::<String>::new());
}

fn main() {}
