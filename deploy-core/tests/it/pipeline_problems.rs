//! A pipeline that would not run does not build, and says everything that is wrong with it.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::evidence::{Check, EvidencePolicy, Verdict, Verification};
use deploy_core::gate::{AllOf, AnyOf, Gate, Not, Quorum};
use deploy_core::operator::ApprovalRequest;
use deploy_core::pipeline::{Fault, Phase, Pipeline, PipelineBuilder, PipelineErrors};
use deploy_core::plan::{OnFailure, RetryPolicy, RollbackTo};
use deploy_core::release::ReleaseKind;
use deploy_core::target::Capabilities;

use crate::blocks::{IMAGE, IMAGE2, Numbers, Place, Steps, agent, block, card, check_name, gate, idle};
use crate::golden;

const MINUTE: Duration = Duration::from_secs(60);

fn well(name: &str) -> PipelineBuilder {
    let p = Pipeline::builder(name);
    p.rollback(RollbackTo::Previous);
    p
}

fn refused(p: PipelineBuilder) -> PipelineErrors {
    p.build().expect_err("it must not build")
}

/// What is wrong with a phase, as text, one problem a line.
fn faults(say: impl FnOnce(Phase<'_>)) -> Vec<String> {
    let p = well("release-api");
    say(p.phase("checks"));
    refused(p).problems.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn only(faults: &[String], begins: &str) {
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert!(faults[0].starts_with(begins), "{:?} does not begin with {begins:?}", faults[0]);
}

#[test]
fn everything_that_is_wrong_is_said_at_once_in_the_order_of_the_pipeline() {
    let other = well("other");
    let foreign = other.phase("far").task("away", idle("away")).add();

    let p = Pipeline::builder("release api");
    p.width(0);
    p.check(Check::new(check_name("tests"), |_| Verdict::Pass));
    p.check(Check::new(check_name("tests"), |_| Verdict::Pass));

    let first = p.phase("pre").entry(gate("blank", "  ")).promises(IMAGE).hold_at_most(Duration::ZERO);
    let mute = ApprovalRequest::new(" ").quorum(0).role(" ").expires_after(Duration::ZERO);
    let verify = |name| Verification { check: check_name(name), policy: EvidencePolicy::default() };
    let needs = agent(card("tester").needs(IMAGE));
    let test = first
        .task("test", Arc::clone(&needs))
        .after(&foreign)
        .retry(RetryPolicy::attempts(0))
        .timeout(Duration::ZERO)
        .verify(verify("tests"))
        .verify(verify("tests"))
        .verify(verify("never-registered"))
        .undo(idle("untester"))
        .point_of_no_return("", mute.clone())
        .add();
    let last = first.task("la st", idle("tester")).retry(RetryPolicy::attempts(u32::MAX)).add();
    p.order(&test, &last).order(&last, &test);
    first.task("test", needs).on_failure(OnFailure::Continue { reason: " ".to_owned() }).add();
    first.approval("entry", mute).add();

    let second = p.phase("roll/out");
    let place = Place { can: Capabilities { weights: true, ..Capabilities::default() }, ..Place::new("eu") };
    let rollout = second
        .rollout("canary", Steps::new("canary-a").asking("http"), place)
        .observe_every(Duration::ZERO)
        .undo_timeout(Duration::ZERO)
        .add();
    second.soak("bake", Duration::ZERO).only_for([]).add();
    first.gate("late", gate("late", "it is late")).hold_at_most(Duration::MAX).after(&rollout).add();
    p.phase("pre");

    golden::check("pipeline_problems", &format!("{}\n", refused(p)));
}

#[test]
fn builders_and_pipelines_go_from_thread_to_thread() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Pipeline>();
    is_shared::<PipelineBuilder>();
    is_shared::<Phase<'_>>();
}

#[test]
fn a_pipeline_without_phases_or_way_back_does_not_build() {
    let errors = refused(Pipeline::builder("empty"));
    let faults: Vec<_> = errors.problems.iter().map(|p| p.fault.clone()).collect();
    assert_eq!(faults, [Fault::EmptyPipeline, Fault::NoWayBack]);

    let p = Pipeline::builder("empty");
    p.rollback(RollbackTo::None { reason: String::new() });
    p.phase("bare");
    let faults: Vec<_> = refused(p).problems.into_iter().map(|p| p.fault).collect();
    assert_eq!(faults, [Fault::NoReason { what: "`RollbackTo::None`" }, Fault::EmptyPhase]);
}

#[test]
fn a_cycle_is_named_by_the_steps_on_it_and_nobody_else_is_blamed() {
    let p = well("round");
    let phase = p.phase("checks");
    let steps: Vec<_> = ["a", "b", "c", "d", "e", "f"].map(|n| phase.soak(n, MINUTE).add()).into();
    // a waits for c, c for b, b for a; d merely waits for a; e waits for itself.
    p.order(&steps[2], &steps[0]).order(&steps[1], &steps[2]).order(&steps[0], &steps[1]);
    p.order(&steps[0], &steps[3]).order(&steps[4], &steps[4]).order(&steps[3], &steps[5]);
    let faults: Vec<_> = refused(p).problems.into_iter().map(|p| p.fault).collect();
    let through = |names: &[&str]| names.iter().map(|n| format!("checks/{n}")).collect();
    let expected = [&["a", "c", "b", "a"][..], &["e", "e"]].map(|names| Fault::Cycle { through: through(names) });
    assert_eq!(faults, expected);

    let p = well("entered-from-outside");
    let phase = p.phase("checks");
    let steps: Vec<_> = ["a", "b", "c"].map(|n| phase.soak(n, MINUTE).add()).into();
    p.order(&steps[2], &steps[0]).order(&steps[1], &steps[2]).order(&steps[2], &steps[1]);
    let faults: Vec<_> = refused(p).problems.into_iter().map(|p| p.fault).collect();
    assert_eq!(faults, [Fault::Cycle { through: through(&["b", "c", "b"]) }], "told from the step added first");
}

#[test]
fn a_need_is_met_by_an_input_of_the_same_version_from_a_step_that_provides_it() {
    let tester = || agent(card("tester").needs(IMAGE));
    let builder = || agent(card("builder").provides(IMAGE));

    only(
        &faults(|c| _ = c.task("test", tester()).add()),
        "step checks/test: agent tester needs image version 1, which nobody",
    );
    only(
        &faults(|c| {
            let build = c.task("build", idle("builder")).add();
            c.task("test", tester()).input(IMAGE, &build.output(IMAGE)).add();
        }),
        "step checks/test: it takes image from checks/build, which does not provide it",
    );
    only(
        &faults(|c| {
            let build = c.task("build", agent(card("builder").provides(IMAGE2))).add();
            c.task("test", tester()).input(IMAGE, &build.output(IMAGE)).add();
        }),
        "step checks/test: it reads image version 1, and checks/build hands over version 2",
    );
    only(
        &faults(|c| {
            let build = c.task("build", agent(card("builder").provides(IMAGE2))).add();
            c.task("test", tester()).input(IMAGE2, &build.output(IMAGE2)).add();
        }),
        "step checks/test: it reads image version 1, and checks/build hands over version 2",
    );
    only(
        &faults(|c| {
            let build = c.task("build", builder()).add();
            c.task("lint", idle("linter")).input(IMAGE, &build.output(IMAGE)).add();
        }),
        "step checks/lint: it is given image, which agent linter does not list under its needs",
    );
    only(
        &faults(|c| {
            let build = c.task("build", builder()).add();
            let image = build.output(IMAGE);
            c.task("test", tester()).input(IMAGE, &image).input(IMAGE, &image).add();
        }),
        "step checks/test: input image is there twice",
    );
    only(
        &faults(|c| {
            let build = c.task("build", builder()).only_for([ReleaseKind::Production]).add();
            c.task("test", tester()).input(IMAGE, &build.output(IMAGE)).add();
        }),
        "step checks/test: it takes image from checks/build, which is left out of hotfix releases",
    );
}

#[test]
fn a_promise_must_be_kept_by_one_step() {
    let tester = agent(card("tester").needs(IMAGE));
    let builder = agent(card("builder").provides(IMAGE));
    let story = |say: &dyn Fn(Phase<'_>)| {
        let p = well("release-api");
        let first = p.phase("build").promises(IMAGE);
        say(first);
        p.phase("check").task("test", Arc::clone(&tester)).add();
        p.build().map_err(|e| e.problems.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert!(story(&|first| _ = first.task("build", Arc::clone(&builder)).add()).is_ok());
    only(
        &story(&|first| _ = first.task("idle", idle("idle")).add()).unwrap_err(),
        "phase build: it promises image version 1, which no step of it hands over",
    );
    let twice = story(&|first| {
        first.task("one", Arc::clone(&builder)).add();
        first.task("two", Arc::clone(&builder)).add();
    });
    only(
        &twice.unwrap_err(),
        "step check/test: image is promised by phase build, where build/one and build/two hand it over",
    );
}

#[test]
fn what_the_undo_needs_must_be_there_too() {
    let undo = agent(card("unbuilder").needs(IMAGE));
    only(
        &faults(|c| _ = c.task("build", idle("builder")).undo(undo).add()),
        "step checks/build: agent unbuilder needs image version 1, which nobody",
    );
}

#[test]
fn one_block_may_be_used_twice_but_two_blocks_may_not_share_a_name() {
    let p = well("shared");
    let phase = p.phase("checks");
    let tester =
        Arc::new(deploy_core::agent::agent_fn(card("tester"), |_, _| async { Ok(deploy_core::agent::Report::new()) }));
    phase.lead(Arc::clone(&tester));
    phase.task("one", Arc::clone(&tester)).undo(Arc::clone(&tester)).add();
    phase.task("two", tester as Arc<dyn deploy_core::agent::Agent>).add();
    assert!(p.build().is_ok(), "every clone of an Arc is the same block");

    let twice = faults(|c| {
        c.task("one", idle("tester")).add();
        c.task("two", idle("tester")).add();
    });
    only(&twice, "step checks/two: two different blocks are called tester");
    let mixed = faults(|c| {
        c.task("one", idle("tester")).add();
        c.gate("two", gate("tester", "it is tested")).add();
    });
    only(&mixed, "step checks/two: two different blocks are called tester");
    let targets = faults(|c| {
        let strategy = Arc::new(Steps::new("canary"));
        c.rollout("one", Arc::clone(&strategy), Place::new("eu")).add();
        c.rollout("two", strategy, Place::new("eu")).add();
    });
    only(&targets, "step checks/two: two different targets are called eu");
}

#[test]
fn a_rollout_is_refused_what_its_target_cannot_do_and_what_it_cannot_measure() {
    let mut strategy = Steps::new("canary").asking("http");
    strategy.needs.mirror = true;
    strategy.needs.routes = true;
    let strategy = Arc::new(strategy);
    let lacking = faults(|c| {
        c.rollout("canary", Arc::clone(&strategy), Place::new("eu")).monitor(Numbers::new("http")).add();
    });
    only(&lacking, "step checks/canary: strategy canary needs routes, mirror of target eu, which cannot do that");
    let unmeasured = faults(|c| {
        let strategy = Steps::new("canary").asking("http");
        c.rollout("canary", strategy, Place::new("eu")).monitor(Numbers::new("other")).add();
    });
    only(&unmeasured, "step checks/canary: strategy canary asks monitor http, which the rollout is not given");
}

#[test]
fn each_of_several_phase_gates_needs_its_own_criterion() {
    let silent = faults(|c| {
        c.exit(gate("loud", "all is well")).exit(gate("silent", "")).soak("bake", MINUTE).add();
    });
    only(&silent, "phase checks: gate silent does not say what must be so");
}

#[test]
fn a_gate_that_could_never_open_or_never_shut_does_not_build() {
    let quorum = |needed| {
        let gates = vec![gate("one", "one is so"), gate("two", "two is so")];
        faults(|c| _ = c.gate("ask", Quorum::new(block("some"), needed, gates)).add())
    };
    only(&quorum(0), "step checks/ask: gate some is flawed: it needs none of its gates, so that it could never shut");
    only(&quorum(3), "step checks/ask: gate some is flawed: it needs 3 of 2 gates, so that it could never open");
    let empty: Arc<dyn Gate> = Arc::new(AllOf::new(block("all"), Vec::new()));
    let outer = Not::new(block("not"), Arc::clone(&empty));
    only(
        &faults(|c| _ = c.gate("ask", outer).add()),
        "step checks/ask: gate not is flawed: in all, there is no gate in it",
    );
    let hidden = AnyOf::new(block("any"), vec![gate("loud", "all is well"), gate("silent", " ")]);
    only(
        &faults(|c| _ = c.gate("ask", hidden).add()),
        "step checks/ask: gate any is flawed: silent in it has no criterion",
    );
    let sound = well("sound");
    let gates = vec![gate("one", "one is so"), gate("two", "two is so")];
    sound.phase("checks").gate("ask", Quorum::new(block("some"), 2, gates)).add();
    assert!(sound.build().is_ok());
}

#[test]
fn every_fault_says_how_to_mend_it() {
    let fault = Fault::NoMonitor { strategy: block("canary"), monitor: block("http") };
    assert_eq!(fault.mend(), "give it with `monitor`, under the name http");
}
