//! An output of one type is not an input of another.

use deploy_core::agent::Agent;
use deploy_core::deliverable::{Deliverable, Slot};
use deploy_core::pipeline::Phase;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Image;
impl Deliverable for Image {
    const NAME: &'static str = "image";
    const VERSION: u32 = 1;
}

#[derive(Serialize, Deserialize)]
struct Chart;
impl Deliverable for Chart {
    const NAME: &'static str = "chart";
    const VERSION: u32 = 1;
}

const IMAGE: Slot<Image> = Slot::new();
const CHART: Slot<Chart> = Slot::new();

fn wire(phase: Phase<'_>, agent: impl Agent + Clone) {
    let build = phase.task("build", agent.clone()).add();
    phase.task("test", agent).input(CHART, &build.output(IMAGE)).add();
}

fn main() {}
