//! A step that never joins its phase is noticed.

#![deny(unused_must_use)]

use std::time::Duration;

use deploy_core::pipeline::Phase;

fn wire(phase: Phase<'_>) {
    phase.soak("bake", Duration::from_secs(60));
}

fn main() {}
