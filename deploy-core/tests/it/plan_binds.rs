//! A plan is bound to the blocks of the host that drives it.

use std::sync::Arc;

use deploy_core::agent::AgentCard;
use deploy_core::evidence::{Check, EvidencePolicy, Verdict, Verification};
use deploy_core::name::TargetName;
use deploy_core::pipeline::{MissingBlock, Pipeline};
use deploy_core::plan::{BlockKind, RollbackTo};

use crate::blocks::{Numbers, Place, Steps, ada, agent, block, card, check_name, gate, idle, release};

fn pipeline(worker: AgentCard, strategy: &str, place: Place, tests: bool) -> Pipeline {
    let p = Pipeline::builder("bound");
    p.rollback(RollbackTo::Previous);
    let phase = p.phase("checks").entry(gate("open", "it is open"));
    let task = phase.task("work", agent(worker)).undo(idle("undo"));
    if tests {
        p.check(Check::new(check_name("tests"), |_| Verdict::Pass));
        task.verify(Verification { check: check_name("tests"), policy: EvidencePolicy::default() }).add();
    } else {
        task.add();
    }
    phase.rollout("roll", Steps::new(strategy), place).monitor(Numbers::new("http")).add();
    p.build().expect("it builds")
}

#[test]
fn every_block_of_a_plan_is_found_by_its_name() {
    let pipeline = pipeline(card("worker"), "canary", Place::new("eu"), true);
    let plan = pipeline.plan(release(), ada()).expect("it plans");
    let bound = pipeline.blocks().bind(&plan).expect("its own blocks are there");
    assert!(bound.agent(&block("worker")).is_some() && bound.agent(&block("undo")).is_some());
    assert!(bound.gate(&block("open")).is_some() && bound.agent(&block("open")).is_none());
    assert!(bound.strategy(&block("canary")).is_some());
    assert!(bound.monitor(&block("http")).is_some());
    assert!(bound.target(&TargetName::new("eu").expect("a name")).is_some());
    assert!(bound.check(&check_name("tests")).is_some());
    assert!(Arc::ptr_eq(
        bound.agent(&block("worker")).expect("it is there"),
        pipeline.blocks().agent(&block("worker")).expect("it is there")
    ));
}

#[test]
fn another_host_names_everything_that_it_lacks() {
    let plan = pipeline(card("worker").version(2, 1), "canary", Place::new("eu"), true);
    let plan = plan.plan(release(), ada()).expect("it plans");

    let mut weak = Place::new("eu");
    weak.can.weights = false;
    let p = Pipeline::builder("bound");
    p.rollback(RollbackTo::Previous);
    let phase = p.phase("checks");
    phase.task("work", agent(card("worker").version(4, 3))).add();
    phase.gate("undo", gate("undo", "it is undone")).add();
    let needs_less = Steps { needs: deploy_core::target::Capabilities::default(), ..Steps::new("other") };
    phase.rollout("roll", needs_less, weak).add();
    let missing = p.build().expect("it builds").blocks().bind(&plan).expect_err("most is missing");
    assert_eq!(
        missing.missing,
        [
            MissingBlock::Absent { kind: BlockKind::Gate, name: block("open") },
            MissingBlock::Absent { kind: BlockKind::Strategy, name: block("canary") },
            MissingBlock::Absent { kind: BlockKind::Monitor, name: block("http") },
            MissingBlock::OtherKind { name: block("undo"), wanted: BlockKind::Agent, found: BlockKind::Gate },
            MissingBlock::OtherContract { name: block("worker"), recorded: 2, oldest: 3, newest: 4 },
            MissingBlock::NoCheck { name: check_name("tests") },
        ]
    );
    assert_eq!(
        missing.to_string(),
        "this host cannot drive the plan: gate open is not there; strategy canary is not there; monitor http is not \
         there; undo is of kind gate here, and the plan means kind agent; worker was recorded at contract version 2, and \
         this host honours 3 to 4; check tests is not registered"
    );
}

#[test]
fn an_older_host_refuses_a_newer_contract() {
    let newer = pipeline(card("worker").version(2, 1), "canary", Place::new("eu"), false);
    let older = pipeline(card("worker"), "canary", Place::new("eu"), false);
    let plan = newer.plan(release(), ada()).expect("it plans");
    assert!(older.blocks().bind(&plan).is_err());
    let plan = older.plan(release(), ada()).expect("it plans");
    assert!(newer.blocks().bind(&plan).is_ok());
}
