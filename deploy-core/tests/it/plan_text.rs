//! What people read of a plan before they say yes to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::digest::Digest;
use deploy_core::evidence::{Check, EvidencePolicy, Verdict, Verification};
use deploy_core::name::{RevisionName, TargetName};
use deploy_core::operator::ApprovalRequest;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::{OnFailure, RetryPolicy, RollbackTo};
use deploy_core::release::ReleaseKind;
use deploy_core::target::TargetState;

use crate::blocks::{IMAGE, Numbers, Place, Steps, ada, agent, card, check_name, gate, idle, release};
use crate::golden;

const MINUTE: Duration = Duration::from_secs(60);

/// A pipeline with one of everything.
fn pipeline(bake: Duration, back: RollbackTo) -> Pipeline {
    let p = Pipeline::builder("release-api");
    p.rollback(back);
    p.check(Check::new(check_name("coverage"), |_| Verdict::Pass));

    let pre = p.phase("pre-deployment").lead(idle("qa-lead")).supporting(idle("docs-writer")).promises(IMAGE);
    pre.entry(gate("no-freeze", "there is no freeze")).entry(gate("on-call", "somebody is on call"));
    pre.exit(gate("quality", "every mandatory check is met and no finding is critical"));
    let builder = agent(card("builder").provides(IMAGE));
    let build = pre
        .task("build", Arc::clone(&builder))
        .undo(builder)
        .timeout(20 * MINUTE)
        .retry(RetryPolicy::attempts(3).backoff(Duration::from_secs(5), MINUTE))
        .add();
    let tester = agent(card("tester").needs(IMAGE));
    let policy = EvidencePolicy { kind: Some("lcov".to_owned()), ..EvidencePolicy::default() };
    let test = pre
        .task("test", Arc::clone(&tester))
        .input(IMAGE, &build.output(IMAGE))
        .verify(Verification { check: check_name("coverage"), policy })
        .add();
    let slow = pre
        .task("performance-against-the-previous-release", idle("load-tester"))
        .after(&build)
        .on_failure(OnFailure::Continue { reason: "figures are compared by hand until there is a baseline".to_owned() })
        .only_for([ReleaseKind::Production])
        .add();
    let request = ApprovalRequest::new("Ship it?").role("release-manager").role("owner").quorum(2);
    pre.approval("sign-off", request).after_all([&test, &slow]).add();

    let execute = p.phase("execute");
    let strategy = Arc::new(Steps::new("canary").asking("http"));
    let canary = execute
        .rollout("eu", strategy, Place::new("eu-west"))
        .monitor(Numbers::new("http"))
        .observe_every(Duration::from_secs(15))
        .add();
    let bake = execute.soak("bake", bake).after(&canary).add();
    execute
        .task("contract", idle("migrator"))
        .after(&bake)
        .point_of_no_return("the old column is dropped", ApprovalRequest::new("Drop the column?").allow_self_approval())
        .add();

    p.phase("verify").task("smoke", tester).add();
    p.build().expect("nothing is wrong with it")
}

fn observed() -> BTreeMap<TargetName, TargetState> {
    let state = TargetState {
        weights: BTreeMap::from([(RevisionName::new("v1").expect("a revision"), 100)]),
        max_weight: 100,
        ..TargetState::default()
    };
    BTreeMap::from([(TargetName::new("eu-west").expect("a target"), state)])
}

#[test]
fn a_plan_reads_as_a_table_of_what_will_be_done_and_what_would_be_undone() {
    let release = release().artifact("registry/api", Digest::of(b"api"));
    let plan = pipeline(10 * MINUTE, RollbackTo::Previous).plan(release, ada()).expect("it plans");
    golden::check("plan", &plan.to_string());
}

#[test]
fn a_preview_adds_the_stages_and_the_least_time() {
    let pipeline = pipeline(10 * MINUTE, RollbackTo::Remove);
    let plan = pipeline.plan(release().kind(ReleaseKind::Hotfix), ada()).expect("it plans");
    let preview = pipeline.preview(&plan, &observed());
    assert_eq!(preview.at_least, 15 * MINUTE, "5 minutes of canary, then 10 of baking");
    golden::check("preview", &preview.to_string());

    let blind = pipeline.preview(&plan, &BTreeMap::new());
    assert_eq!(blind.at_least, 10 * MINUTE);
    assert_eq!(blind.unobserved.len(), 1);
}

#[test]
fn steps_side_by_side_take_as_long_as_the_longest() {
    let p = Pipeline::builder("wide");
    p.rollback(RollbackTo::Previous);
    let phase = p.phase("one");
    let short = phase.soak("short", MINUTE).add();
    phase.soak("long", 5 * MINUTE).add();
    phase.soak("then", 2 * MINUTE).after(&short).add();
    p.phase("two").soak("last", 10 * MINUTE).add();
    let pipeline = p.build().expect("it builds");
    let plan = pipeline.plan(release(), ada()).expect("it plans");
    assert_eq!(pipeline.preview(&plan, &BTreeMap::new()).at_least, 15 * MINUTE);
}

#[test]
fn the_difference_of_two_plans_is_told_by_field() {
    let none = RollbackTo::None { reason: "the vendor's console has no way back".to_owned() };
    let old = pipeline(10 * MINUTE, RollbackTo::Previous).plan(release(), ada()).expect("it plans");
    let hotfix = release().kind(ReleaseKind::Hotfix);
    let new = pipeline(20 * MINUTE, none).plan(hotfix, ada()).expect("it plans");
    golden::check("diff", &old.diff(&new).to_string());
    assert_eq!(old.diff(&old).to_string(), "no difference\n");
    assert_ne!(old.fingerprint(), new.fingerprint());
}

#[test]
fn a_plan_without_a_way_back_says_so() {
    let none = RollbackTo::None { reason: "the vendor's console has no way back".to_owned() };
    let plan = pipeline(MINUTE, none).plan(release(), ada()).expect("it plans");
    let text = plan.to_string();
    assert!(text.contains("way back        NONE: the vendor's console has no way back"), "{text}");
    assert!(text.contains("STAYS as it is: the vendor's console has no way back"), "{text}");
}
