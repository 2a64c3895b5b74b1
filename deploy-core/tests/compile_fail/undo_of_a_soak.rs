//! Only a task has an undo.

use std::time::Duration;

use deploy_core::agent::Agent;
use deploy_core::pipeline::Phase;

fn wire(phase: Phase<'_>, agent: impl Agent) {
    phase.soak("bake", Duration::from_secs(60)).undo(agent).add();
}

fn main() {}
