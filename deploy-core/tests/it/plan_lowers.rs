//! A pipeline and a release become a plan.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::name::TargetName;
use deploy_core::operator::ApprovalRequest;
use deploy_core::pipeline::{Fault, Pipeline};
use deploy_core::plan::{BlockKind, Plan, PlanError, RetryPolicy, RollbackTo, StepId, StepPath, Work};
use deploy_core::release::ReleaseKind;
use deploy_core::target::{Applied, Capabilities, DesiredState, EffectContext, Target, TargetError, TargetState};

use crate::blocks::{IMAGE, Place, Steps, ada, agent, block, card, gate, idle, release};

const MINUTE: Duration = Duration::from_secs(60);

fn id(plan: &Plan, path: &str) -> StepId {
    plan.find(&StepPath::new(path).expect("a path")).unwrap_or_else(|| panic!("the plan has no {path}"))
}

/// The paths of the steps that a step waits for.
fn after(plan: &Plan, path: &str) -> Vec<String> {
    let step = plan.step(id(plan, path)).expect("it was found");
    step.after.iter().map(|on| plan.step(*on).expect("it is there").path.to_string()).collect()
}

fn paths(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|s| s.path.as_str()).collect()
}

#[test]
fn phases_are_barriers_with_one_step_at_each_end() {
    let p = Pipeline::builder("two-phases");
    p.rollback(RollbackTo::Previous);
    let (first, second) = (p.phase("one"), p.phase("two"));
    let late = second.soak("late", MINUTE);
    let a = first.soak("a", MINUTE).add();
    let b = first.soak("b", MINUTE).after(&a).add();
    first.soak("c", MINUTE).add();
    late.after(&b).add();
    let plan = p.build().expect("it builds").plan(release(), ada()).expect("it plans");

    assert_eq!(paths(&plan), ["one/entry", "one/a", "one/b", "one/c", "one/exit", "two/entry", "two/late", "two/exit"]);
    assert_eq!(after(&plan, "one/entry"), [""; 0]);
    assert_eq!(after(&plan, "one/a"), ["one/entry"]);
    assert_eq!(after(&plan, "one/b"), ["one/a"]);
    assert_eq!(after(&plan, "one/exit"), ["one/b", "one/c"], "only what nothing else waits for");
    assert_eq!(after(&plan, "two/entry"), ["one/exit"]);
    assert_eq!(after(&plan, "two/late"), ["two/entry"], "the barrier says it already");
    assert_eq!(plan.phases[1].entry, id(&plan, "two/entry"));
    assert_eq!(plan.phases[1].exit, id(&plan, "two/exit"));
}

#[test]
fn an_input_is_an_order_and_a_promise_reaches_over_phases() {
    let p = Pipeline::builder("inputs");
    p.rollback(RollbackTo::Previous);
    let tester = agent(card("tester").needs(IMAGE));
    let first = p.phase("build").promises(IMAGE);
    let test = first.task("test", Arc::clone(&tester));
    let build = first.task("build", agent(card("builder").provides(IMAGE))).add();
    test.input(IMAGE, &build.output(IMAGE)).add();
    p.phase("check").task("again", tester).add();
    let plan = p.build().expect("it builds").plan(release(), ada()).expect("it plans");

    assert_eq!(after(&plan, "build/test"), ["build/build"]);
    let from = id(&plan, "build/build");
    for path in ["build/test", "check/again"] {
        let Work::Task { inputs, .. } = &plan.step(id(&plan, path)).expect("it was found").work else {
            panic!("{path} is a task");
        };
        assert_eq!(*inputs, BTreeMap::from([("image".to_owned(), from)]), "{path}");
    }
    assert_eq!(plan.phases[0].promises.len(), 1);
}

#[test]
fn the_newest_promise_is_the_one_that_counts() {
    let p = Pipeline::builder("promises");
    p.rollback(RollbackTo::Previous);
    for name in ["first", "second"] {
        let builder = agent(card(&format!("{name}-builder")).provides(IMAGE));
        p.phase(name).promises(IMAGE).task("build", builder).add();
    }
    p.phase("check").task("test", agent(card("tester").needs(IMAGE))).add();
    let plan = p.build().expect("it builds").plan(release(), ada()).expect("it plans");
    let Work::Task { inputs, .. } = &plan.step(id(&plan, "check/test")).expect("it was found").work else {
        panic!("it is a task");
    };
    assert_eq!(inputs["image"], id(&plan, "second/build"));
}

#[test]
fn a_plan_is_the_same_after_it_was_written_and_read_whatever_the_lengths() {
    let odd = Duration::from_nanos(1_500_001);
    let p = Pipeline::builder("odd");
    p.rollback(RollbackTo::Previous);
    let retry = RetryPolicy::attempts(2).backoff(odd, odd * 2);
    let phase = p.phase("checks").hold_at_most(odd);
    phase
        .task("a", idle("a"))
        .undo(idle("b"))
        .timeout(odd)
        .retry(retry.clone())
        .undo_retry(retry)
        .undo_timeout(odd)
        .add();
    phase.gate("c", gate("c", "c is so")).hold_at_most(odd).timeout(odd).add();
    phase.approval("d", ApprovalRequest::new("d?").expires_after(odd)).add();
    phase.soak("e", odd).add();
    phase.rollout("f", Steps::new("f"), Place::new("f")).observe_every(odd).undo_timeout(odd).timeout(odd).add();
    let plan = p.build().expect("it builds").plan(release(), ada()).expect("it plans");
    let written = serde_json::to_string(&plan).expect("plans serialise");
    let read: Plan = serde_json::from_str(&written).expect("and read back");
    assert_eq!(read, plan);
    assert!(plan.steps.iter().any(|s| s.work == Work::Soak { span: Duration::from_millis(2) }), "never shorter");
}

#[test]
fn a_point_of_no_return_is_asked_about_before_it_is_crossed() {
    let p = Pipeline::builder("migrate");
    p.rollback(RollbackTo::Previous);
    let phase = p.phase("execute");
    let soak = phase.soak("soak", MINUTE).add();
    let ask = ApprovalRequest::new("Drop the column?").quorum(2);
    let drop = phase.task("drop", idle("migrator")).after(&soak).point_of_no_return("data is gone", ask.clone()).add();
    phase.soak("rest", MINUTE).after(&drop).add();
    let plan = p.build().expect("it builds").plan(release(), ada()).expect("it plans");

    assert_eq!(after(&plan, "execute/drop/ask"), ["execute/soak"]);
    assert_eq!(after(&plan, "execute/drop"), ["execute/drop/ask"]);
    assert_eq!(after(&plan, "execute/rest"), ["execute/drop"]);
    assert_eq!(after(&plan, "execute/exit"), ["execute/rest"]);
    assert_eq!(plan.step(id(&plan, "execute/drop/ask")).map(|s| s.work.clone()), Some(Work::Approval(ask)));
    let crossed = plan.step(id(&plan, "execute/drop")).and_then(|s| s.point_of_no_return.clone());
    assert_eq!(crossed.as_deref(), Some("data is gone"));
}

#[test]
fn a_kind_of_release_goes_without_what_is_limited_to_others_and_keeps_every_gate() {
    let p = Pipeline::builder("kinds");
    p.rollback(RollbackTo::Previous);
    let phase = p.phase("checks");
    let a = phase.soak("a", MINUTE).add();
    let slow = phase.soak("slow", MINUTE).after(&a).only_for([ReleaseKind::Production]).add();
    phase.soak("b", MINUTE).after(&slow).add();
    p.phase("plain").soak("only", MINUTE).only_for([ReleaseKind::Production]).add();
    p.phase("gated").exit(gate("quality", "it is good")).soak("only", MINUTE).only_for([ReleaseKind::Production]).add();
    p.phase("limited").exit(gate("other", "x is so")).only_for([ReleaseKind::Production]).soak("only", MINUTE).add();
    let pipeline = p.build().expect("it builds");

    let full = pipeline.plan(release(), ada()).expect("it plans");
    assert_eq!(full.phases.len(), 4);
    assert_eq!(after(&full, "checks/b"), ["checks/slow"]);

    let fast = pipeline.plan(release().kind(ReleaseKind::Hotfix), ada()).expect("it plans");
    assert_eq!(
        paths(&fast),
        ["checks/entry", "checks/a", "checks/b", "checks/exit", "gated/entry", "gated/exit"],
        "a gate that the host did not limit stays"
    );
    assert_eq!(
        after(&fast, "checks/b"),
        ["checks/a"],
        "what waited for a step left out waits for what that waited for"
    );
    assert_eq!(after(&fast, "gated/exit"), ["gated/entry"]);
    assert!(fast.blocks.contains_key(&block("quality")) && !fast.blocks.contains_key(&block("other")));
    let left_out: Vec<_> = pipeline.left_out(ReleaseKind::Hotfix).iter().map(ToString::to_string).collect();
    assert_eq!(left_out, ["checks/slow", "plain/only", "gated/only", "limited/only"]);
}

#[test]
fn a_release_for_which_there_is_nothing_to_do_is_refused() {
    let p = Pipeline::builder("kinds");
    p.rollback(RollbackTo::Previous);
    p.phase("checks").soak("a", MINUTE).only_for([ReleaseKind::Production]).add();
    let pipeline = p.build().expect("it builds");
    let refused = pipeline.plan(release().kind(ReleaseKind::Hotfix), ada()).expect_err("there is nothing to do");
    assert!(matches!(refused, PlanError::Nothing { kind: ReleaseKind::Hotfix, .. }), "{refused}");
}

#[test]
fn a_target_that_lost_an_ability_is_refused_when_a_run_is_planned_or_bound() {
    let place = Arc::new(Fading { there: Place::new("eu"), faded: AtomicBool::new(false) });
    let p = Pipeline::builder("fading");
    p.rollback(RollbackTo::Previous);
    p.phase("execute").rollout("canary", Steps::new("canary"), Arc::clone(&place)).add();
    let pipeline = p.build().expect("it builds");
    let plan = pipeline.plan(release(), ada()).expect("it plans");
    assert!(plan.targets.values().all(|can| can.weights));

    place.faded.store(true, Ordering::Relaxed);
    let refused = pipeline.plan(release(), ada()).expect_err("it cannot split traffic any more");
    assert!(matches!(&refused, PlanError::Lacks { missing, .. } if *missing == ["weights"]), "{refused}");
    let missing = pipeline.blocks().bind(&plan).expect_err("nor for a plan that was made before");
    assert_eq!(missing.to_string(), "this host cannot drive the plan: target eu cannot do weights any more");
}

/// A place that loses an ability.
#[derive(Debug)]
struct Fading {
    there: Place,
    faded: AtomicBool,
}

#[async_trait]
impl Target for Fading {
    fn name(&self) -> TargetName {
        self.there.name()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { weights: !self.faded.load(Ordering::Relaxed), ..self.there.capabilities() }
    }

    async fn observe(&self) -> Result<TargetState, TargetError> {
        self.there.observe().await
    }

    async fn apply(&self, desired: &DesiredState, cx: &EffectContext) -> Result<Applied, TargetError> {
        self.there.apply(desired, cx).await
    }
}

#[test]
fn several_gates_of_a_phase_are_one_block_and_all_blocks_are_pinned() {
    let p = Pipeline::builder("gates");
    p.rollback(RollbackTo::Previous);
    let phase = p.phase("checks").lead(idle("lead")).supporting(idle("helper"));
    phase.entry(gate("one", "the sun shines")).entry(gate("two", "the wind blows"));
    phase.task("do", agent(card("doer").version(3, 2))).undo(idle("undoer")).add();
    let pipeline = p.build().expect("it builds");
    let plan = pipeline.plan(release(), ada()).expect("it plans");

    let names: Vec<_> = plan.blocks.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["checks:entry", "doer", "helper", "lead", "undoer"]);
    let whole = &plan.blocks[&block("checks:entry")];
    assert_eq!((whole.kind, whole.responsibility.as_str()), (BlockKind::Gate, "the sun shines, and the wind blows"));
    assert_eq!(plan.blocks[&block("doer")].version, 3);
    assert!(pipeline.blocks().gate(&block("checks:entry")).is_some());
}

#[test]
fn a_step_may_be_named_by_a_path() {
    let p = Pipeline::builder("waves");
    p.rollback(RollbackTo::Previous);
    let phase = p.phase("execute");
    let canary = phase.soak("wave-1/eu/bake", MINUTE).add();
    phase.soak("wave-2/us/bake", MINUTE).after(&canary).add();
    let plan = p.build().expect("it builds").plan(release(), ada()).expect("it plans");
    assert_eq!(after(&plan, "execute/wave-2/us/bake"), ["execute/wave-1/eu/bake"]);
}

#[test]
fn what_is_said_by_key_is_what_is_said_by_type() {
    let pipeline = |by_key: bool| {
        let p = Pipeline::builder("release-api");
        p.rollback(RollbackTo::Previous);
        let first = p.phase("build");
        let use_it = |name: &str| first.task(name, agent(card("user").needs(IMAGE)));
        let build = || first.task("build", agent(card("builder").provides(IMAGE))).add();
        if by_key {
            let (using, built) = (use_it("use").add(), build());
            first.promises_key(IMAGE.key());
            p.supply(&using, IMAGE.key(), &built);
        } else {
            let built = build();
            use_it("use").input(IMAGE, &built.output(IMAGE)).add();
            first.promises(IMAGE);
        }
        p.build().expect("sound")
    };
    let plan = |by_key| pipeline(by_key).plan(release(), ada()).expect("a plan");
    assert_eq!(plan(true), plan(false));

    let named = pipeline(true);
    let phases = named.phases();
    assert_eq!(phases[0].promises, [&IMAGE.key()]);
    let using = &phases[0].steps[1];
    assert_eq!(
        using.inputs.iter().map(|(name, from)| (*name, from.as_str())).collect::<Vec<_>>(),
        [("image", "build/build")]
    );
    assert_eq!(using.after.len(), 1);

    let p = Pipeline::builder("release-api");
    p.rollback(RollbackTo::Previous);
    let phase = p.phase("build");
    let built = phase.task("build", agent(card("builder").provides(IMAGE))).add();
    let soak = phase.soak("soak", Duration::from_secs(1)).add();
    p.supply(&soak, IMAGE.key(), &built);
    let faults: Vec<_> = p.build().expect_err("refused").problems.into_iter().map(|p| p.fault).collect();
    assert_eq!(faults, [Fault::ReadsNothing { name: "image".to_owned() }]);
}
