//! What holds of every plan, whatever the pipeline.

use std::collections::BTreeSet;
use std::time::Duration;

use deploy_core::operator::ApprovalRequest;
use deploy_core::pipeline::{Fault, Pipeline, PipelineErrors, StepRef};
use deploy_core::plan::{Plan, RollbackTo, StepId, Work};
use deploy_core::release::ReleaseKind;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, proptest};

use crate::blocks::{ada, idle, release};

/// A pipeline by numbers: each step's phase, whether it is a point of no return, whether hotfixes go without it, and what
/// waits for what.
#[derive(Debug, Clone)]
struct Shape {
    phases: usize,
    steps: Vec<(usize, bool, bool)>,
    /// The first before the second.
    edges: Vec<(usize, usize)>,
}

/// Steps in phases, with edges that go from lower numbers to higher and never back over phases.
fn acyclic() -> impl Strategy<Value = Shape> {
    (1..4_usize, 1..12_usize).prop_flat_map(|(phases, count)| {
        let steps = proptest::collection::vec((0..phases, any::<bool>(), any::<bool>()), count);
        let edges = proptest::collection::vec((0..count, 0..count), 0..30);
        (Just(phases), steps, edges).prop_map(|(phases, mut steps, edges)| {
            steps.sort_by_key(|(phase, ..)| *phase);
            let edges = edges.into_iter().filter(|(a, b)| a < b).collect();
            Shape { phases, steps, edges }
        })
    })
}

/// Builds it with the steps added in reverse, so that the order of a plan is never the order of adding by accident.
fn build(shape: &Shape) -> Result<Pipeline, PipelineErrors> {
    let p = Pipeline::builder("random");
    p.rollback(RollbackTo::Previous);
    let phases: Vec<_> = (0..shape.phases).map(|n| p.phase(format!("phase-{n}"))).collect();
    let mut handles: Vec<(usize, StepRef)> = Vec::new();
    let agent = idle("worker");
    for (index, (phase, no_return, fast)) in shape.steps.iter().enumerate().rev() {
        let mut step = phases[*phase].task(format!("s-{index}"), std::sync::Arc::clone(&agent));
        if *no_return {
            step = step.point_of_no_return("it is gone", ApprovalRequest::new("Cross?"));
        }
        if *fast {
            step = step.only_for([ReleaseKind::Production]);
        }
        handles.push((index, step.add()));
    }
    handles.reverse();
    for (first, then) in &shape.edges {
        p.order(&handles[*first].1, &handles[*then].1);
    }
    for (index, phase) in phases.iter().enumerate() {
        if !shape.steps.iter().any(|(p, ..)| *p == index) {
            phase.soak("rest", Duration::from_secs(1)).add();
        }
    }
    p.build()
}

/// Every step that must be done before this one, over any number of steps.
fn before(plan: &Plan, id: StepId) -> BTreeSet<StepId> {
    let mut all = BTreeSet::new();
    let mut open = vec![id];
    while let Some(next) = open.pop() {
        for on in &plan.step(next).expect("ids are the plan's own").after {
            if all.insert(*on) {
                open.push(*on);
            }
        }
    }
    all
}

fn named(plan: &Plan, name: &str) -> Option<StepId> {
    let index = plan.steps.iter().position(|s| s.path.as_str().ends_with(name))?;
    u32::try_from(index).ok().map(StepId)
}

/// Asserts what the machine relies on.
fn consistent(plan: &Plan) {
    for (index, step) in (0_u32..).zip(&plan.steps) {
        let id = StepId(index);
        assert!(step.after.is_sorted() && step.dependents.is_sorted());
        assert_eq!(step.after.iter().collect::<BTreeSet<_>>().len(), step.after.len(), "no edge is there twice");
        assert!(step.after.iter().all(|on| *on < id), "{} comes after all that it waits for", step.path);
        for on in &step.after {
            assert!(plan.step(*on).expect("it is there").dependents.contains(&id), "the edges mirror each other");
        }
        for dependent in &step.dependents {
            assert!(plan.step(*dependent).expect("it is there").after.contains(&id), "the edges mirror each other");
        }
        let phase = &plan.phases[step.phase as usize];
        if id != phase.entry {
            assert!(before(plan, id).contains(&phase.entry), "{} waits for its phase to open", step.path);
        }
        if id != phase.exit {
            assert!(before(plan, phase.exit).contains(&id), "the phase does not end before {}", step.path);
        }
        if step.point_of_no_return.is_some() {
            let ask = plan.step(step.after[0]).expect("it is there");
            assert!(step.after.len() == 1 && matches!(ask.work, Work::Approval(_)), "{} is asked about", step.path);
        }
    }
    for pair in plan.phases.windows(2) {
        assert_eq!(plan.step(pair[1].entry).expect("it is there").after, [pair[0].exit], "phases are barriers");
    }
}

proptest! {
    #[test]
    fn a_random_pipeline_lowers_to_a_consistent_plan(shape in acyclic()) {
        let pipeline = build(&shape).expect("there is no cycle in it");
        let plan = pipeline.plan(release(), ada()).expect("there is something to do");
        consistent(&plan);
        for (first, then) in &shape.edges {
            let ids = [first, then].map(|n| named(&plan, &format!("/s-{n}")).expect("nothing is left out"));
            prop_assert!(before(&plan, ids[1]).contains(&ids[0]));
        }
        let read_back: Plan = serde_json::from_str(&serde_json::to_string(&plan).expect("plans serialise")).expect("and read back");
        prop_assert_eq!(&read_back, &plan);
        prop_assert_eq!(read_back.fingerprint(), plan.fingerprint());
        prop_assert!(plan.diff(&read_back).is_empty());
        prop_assert!(plan.to_string().lines().all(|line| line.chars().count() < 100));
    }

    #[test]
    fn a_plan_without_some_steps_is_consistent_and_keeps_the_order_of_the_rest(shape in acyclic()) {
        let pipeline = build(&shape).expect("there is no cycle in it");
        let full = pipeline.plan(release(), ada()).expect("there is something to do");
        let Ok(fast) = pipeline.plan(release().kind(ReleaseKind::Hotfix), ada()) else {
            prop_assert!(shape.steps.iter().all(|(.., fast)| *fast));
            return Ok(());
        };
        consistent(&fast);
        for (index, step) in (0_u32..).zip(&fast.steps) {
            let there = full.find(&step.path).expect("the full plan has every step");
            let of = |plan: &Plan, ids: BTreeSet<StepId>| -> BTreeSet<String> {
                ids.iter().filter_map(|id| plan.step(*id)).map(|s| s.path.to_string()).collect()
            };
            let kept: BTreeSet<_> = fast.steps.iter().map(|s| s.path.to_string()).collect();
            let mut wanted = of(&full, before(&full, there));
            wanted.retain(|path| kept.contains(path));
            prop_assert!(wanted.is_subset(&of(&fast, before(&fast, StepId(index)))), "{}", step.path);
        }
        prop_assert_eq!(full.diff(&fast).is_empty(), full == fast);
    }

    #[test]
    fn a_random_cycle_is_refused_and_named(shape in acyclic(), length in 1..6_usize) {
        let ring: Vec<_> = (0..shape.steps.len()).filter(|s| shape.steps[*s].0 == shape.steps[0].0).take(length).collect();
        let mut round = shape.clone();
        let closing = ring.iter().zip(ring.iter().cycle().skip(1)).map(|(a, b)| (*a, *b));
        round.edges = shape.edges.iter().copied().chain(closing).collect();
        let refused = build(&round).expect_err("there is a cycle in it");
        prop_assert!(!refused.problems.is_empty());
        for problem in refused.problems {
            let Fault::Cycle { through } = problem.fault else { panic!("{problem} is not a cycle") };
            prop_assert_eq!(through.first(), through.last());
            let number = |path: &String| -> usize {
                path.rsplit_once("s-").and_then(|(_, n)| n.parse().ok()).expect("every step has a number")
            };
            for pair in through.windows(2) {
                prop_assert!(round.edges.contains(&(number(&pair[1]), number(&pair[0]))), "each waits for the next");
            }
        }
    }
}
