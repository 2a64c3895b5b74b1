//! What each kind of release goes through, before anything runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use deploy_agents::workflows::{Workflow, profile, without_exit_gate};
use deploy_core::machine::Strategies;
use deploy_core::name::BlockName;
use deploy_core::pipeline::Bound;
use deploy_core::plan::{Plan, StepPath};
use deploy_core::release::ReleaseKind;
use deploy_core::simulation::Simulation;
use deploy_core::strategy::Strategy;

use crate::parts::{before, eight, release_of, target, three};
use crate::world::person;

/// The strategies of a plan.
struct Bounded(Bound);

impl Strategies for Bounded {
    fn strategy(&self, name: &BlockName) -> Option<&dyn Strategy> {
        self.0.strategy(name).map(|strategy| &**strategy)
    }
}

fn both() -> [(&'static str, Workflow); 2] {
    [("three", three().build().expect("it builds")), ("eight", eight().build().expect("it builds"))]
}

fn plan(workflow: &Workflow, kind: ReleaseKind) -> Plan {
    workflow.pipeline.plan(release_of(kind), person("bot")).expect("a plan")
}

/// The page of a plan is kept beside the test. `BLESS=1` writes it anew.
///
/// Rows: M132, M133, M134, M135, M136, M137.
#[test]
fn the_preview_of_each_kind_is_known() {
    let mut differ = Vec::new();
    for (shape, workflow) in both() {
        for kind in ReleaseKind::ALL {
            let plan = plan(&workflow, kind);
            let there = ["production", "staging", "flags", "settings"].map(|name| (target(name), before()));
            let page = workflow.pipeline.preview(&plan, &BTreeMap::from(there)).to_string();
            let file = format!("tests/crew/previews/{shape}-{}.txt", kind.to_string().replace(' ', "-"));
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&file);
            if std::env::var_os("BLESS").is_some() {
                std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                std::fs::write(&path, &page).expect("written");
            }
            let kept = std::fs::read_to_string(&path).unwrap_or_default();
            if kept != page {
                differ.push(file);
            }
        }
    }
    assert!(differ.is_empty(), "these previews differ; look, and write them anew with BLESS=1: {differ:?}");
}

/// Rows: M26, M110, M121, M238.
#[test]
fn both_workflows_run_in_simulation_and_every_phase_has_an_exit_gate() {
    for (shape, workflow) in both() {
        for kind in ReleaseKind::ALL {
            let plan = plan(&workflow, kind);
            assert_eq!(without_exit_gate(&plan), [], "{shape} {kind}");
            let bound = Bounded(workflow.pipeline.blocks().bind(&plan).expect("all blocks are there"));
            let mut simulation = Simulation::new(Arc::new(plan), 7);
            for name in ["production", "staging", "flags", "settings"] {
                simulation = simulation.target(target(name), before());
            }
            let end = simulation.run(&bound).expect("it runs");
            assert_eq!(end.outcome.map(|o| o.as_str()), Some("succeeded"), "{shape} {kind}");
        }
    }
}

/// The driver stops after a record and another one goes on: the release ends as it would have, with the same effects.
///
/// Rows: M26.
#[test]
fn a_stop_after_a_record_changes_nothing() {
    for (shape, workflow) in both() {
        let plan = Arc::new(plan(&workflow, ReleaseKind::Production));
        let bound = Bounded(workflow.pipeline.blocks().bind(&plan).expect("all blocks are there"));
        let simulation = || {
            let simulation = Simulation::new(Arc::clone(&plan), 11);
            ["production", "staging"].iter().fold(simulation, |s, name| s.target(target(name), before()))
        };
        let whole = simulation().run(&bound).expect("it runs");
        assert_eq!(whole.outcome.map(|o| o.as_str()), Some("succeeded"), "{shape}");
        for record in (1..whole.records.len() as u64).step_by(9) {
            let resumed = simulation().stop_after(record).run(&bound).expect("it runs");
            assert_eq!(resumed.stops, 1, "{shape}: it stopped after record {record}");
            assert_eq!(resumed.outcome, whole.outcome, "{shape}: after record {record}");
            assert_eq!(resumed.effect_keys(), whole.effect_keys(), "{shape}: after record {record}");
        }
    }
}

/// The checks that the seats of a plan verify, by the names of their lines and the checks themselves.
fn asked(workflow: &Workflow, plan: &Plan) -> BTreeSet<&'static str> {
    let there: BTreeSet<&StepPath> = plan.steps.iter().map(|step| &step.path).collect();
    let seats = workflow.seats.iter().filter(|(_, path)| there.contains(path));
    let duties = seats.filter_map(|(seat, _)| deploy_agents::crew::duty(*seat));
    duties.flat_map(|duty| duty.step().checks.iter().copied()).collect()
}

/// Rows: M133.
#[test]
fn the_fast_profile_keeps_every_veto() {
    for (shape, workflow) in both() {
        let full = asked(&workflow, &plan(&workflow, ReleaseKind::Production));
        for kind in [ReleaseKind::Production, ReleaseKind::Hotfix, ReleaseKind::EmergencyPatch] {
            let asked = asked(&workflow, &plan(&workflow, kind));
            for veto in profile::VETOES {
                assert!(asked.contains(veto), "{shape}: a {kind} release is not asked for {veto}");
            }
            if kind == ReleaseKind::EmergencyPatch {
                assert_eq!(asked, full, "an emergency is asked for everything");
            }
        }
    }
}
