//! What must be so before a run is asked for.

use deploy_agents::gates::{Preflight, Prerequisite};
use deploy_core::agent::{AgentCard, Report, agent_fn};
use deploy_core::evidence::{Refusal, Verdict};
use deploy_core::gate::GateDecision;
use deploy_core::name::BlockName;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{Plan, RollbackOf, RollbackTo};

use crate::world::{person, release};

fn pipeline(rollback: RollbackTo, agent: &str, repeatable: bool, undo: bool) -> Pipeline {
    let p = Pipeline::builder("release-shop");
    p.rollback(rollback);
    let work = |name: &str| {
        let card = AgentCard::new(BlockName::new(name).expect("a name"), "works");
        let card = if repeatable { card.repeatable() } else { card };
        agent_fn(card, |_, _| async { Ok(Report::new()) })
    };
    let phase = p.phase("ship");
    let step = phase.task("work", work(agent));
    let step = if undo { step.undo(work("undo")) } else { step };
    step.add();
    p.build().expect("a pipeline")
}

fn plan(pipeline: &Pipeline) -> Plan {
    pipeline.plan(release(), person("bot")).expect("a plan")
}

fn others(preflight: Preflight) -> Preflight {
    [Prerequisite::Pipeline, Prerequisite::Environments, Prerequisite::Monitoring]
        .into_iter()
        .fold(preflight, |preflight, of| preflight.verdict(of, Verdict::Pass))
}

fn vetoes(preflight: &Preflight) -> Vec<String> {
    match preflight.decision() {
        GateDecision::NoGo { vetoes } => vetoes.into_iter().map(|v| v.by).collect(),
        _ => Vec::new(),
    }
}

/// Rows: M138, M139, M140, M141, M142.
#[test]
fn all_five_must_be_answered_and_each_can_object() {
    let pipeline = pipeline(RollbackTo::Previous, "worker", true, false);
    let plan = plan(&pipeline);
    let asked = Preflight::of(&plan, pipeline.blocks());
    assert_eq!(vetoes(&asked), ["pipeline", "environments", "monitoring"], "nobody has looked");
    assert_eq!(others(asked.clone()).decision(), GateDecision::Go);
    for of in Prerequisite::ALL {
        let fail = others(asked.clone()).verdict(of, Verdict::Fail { reason: "broken".to_owned() });
        assert_eq!(vetoes(&fail), [of.name()]);
        let refusal = Refusal::Missing("nothing".to_owned());
        let refused = others(asked.clone()).verdict(of, Verdict::Inconclusive { refusal });
        assert_eq!(vetoes(&refused), [of.name()]);
    }
    assert!(asked.to_string().contains("monitoring    nobody has looked\n"), "{asked}");
}

/// Rows: M138.
#[test]
fn a_plan_whose_agent_is_not_here_is_refused() {
    let here = pipeline(RollbackTo::Previous, "other", true, false);
    let elsewhere = plan(&pipeline(RollbackTo::Previous, "worker", true, false));
    let asked = others(Preflight::of(&elsewhere, here.blocks()));
    assert_eq!(vetoes(&asked), ["agents"]);
    assert!(asked.to_string().contains("worker is not there"), "{asked}");
}

/// Rows: M122, M142.
#[test]
fn a_plan_without_a_way_back_is_refused() {
    let none = pipeline(RollbackTo::None { reason: "we never needed one".to_owned() }, "worker", true, false);
    assert_eq!(vetoes(&others(Preflight::of(&plan(&none), none.blocks()))), ["rollback"]);
    let stays = pipeline(RollbackTo::Previous, "worker", false, false);
    let asked = others(Preflight::of(&plan(&stays), stays.blocks()));
    assert_eq!(vetoes(&asked), ["rollback"]);
    assert!(asked.to_string().contains("nothing undoes it: ship/work"), "{asked}");
    let undone = pipeline(RollbackTo::Previous, "worker", false, true);
    assert_eq!(others(Preflight::of(&plan(&undone), undone.blocks())).decision(), GateDecision::Go);

    // A run that takes back another needs none: it is the way back.
    let ordinary = plan(&undone);
    let of = RollbackOf { run: "bad".try_into().expect("a valid name"), why: "orders are lost".to_owned() };
    let back = undone.plan_rollback(ordinary.release, ordinary.started_by, of).expect("a plan");
    assert_eq!(others(Preflight::of(&back, undone.blocks())).decision(), GateDecision::Go);
}
