//! What waits for what in the plans of both workflows.

use std::collections::BTreeSet;

use deploy_agents::crew::{Role, SEATS};
use deploy_agents::workflows::{Automation, WorkflowBuilder, without_exit_gate};
use deploy_core::operator::ApprovalRequest;
use deploy_core::plan::{Plan, StepId, Work};
use deploy_core::release::ReleaseKind;
use proptest::prelude::*;

use crate::parts::{eight, release_of, three};
use crate::world::person;

/// Everything that must be done before a step, at any distance.
fn before(plan: &Plan, id: StepId) -> BTreeSet<StepId> {
    let mut all = BTreeSet::new();
    let mut next = vec![id];
    while let Some(id) = next.pop() {
        for on in &plan.step(id).expect("a step").after {
            if all.insert(*on) {
                next.push(*on);
            }
        }
    }
    all
}

fn find(plan: &Plan, end: &str) -> Option<StepId> {
    let index = plan.steps.iter().position(|step| step.path.as_str().ends_with(end))?;
    Some(StepId(u32::try_from(index).expect("few steps")))
}

fn plan(builder: WorkflowBuilder, kind: ReleaseKind) -> Plan {
    builder.build().expect("it builds").pipeline.plan(release_of(kind), person("bot")).expect("a plan")
}

/// Rows: M230.
#[test]
fn monitoring_is_set_up_beside_staging_and_before_traffic() {
    for builder in [three(), eight()] {
        let plan = plan(builder, ReleaseKind::Production);
        let (monitors, staging) = (find(&plan, "deployment/resource-monitor"), find(&plan, "/staging"));
        let (monitors, staging) = (monitors.expect("a step"), staging.expect("a step"));
        let traffic = before(&plan, find(&plan, "/production").expect("a rollout"));
        assert!(traffic.contains(&monitors) && traffic.contains(&staging), "both before traffic");
        assert!(!before(&plan, monitors).contains(&staging), "monitoring does not wait for staging");
        assert!(!before(&plan, staging).contains(&monitors), "staging does not wait for monitoring");
    }
}

/// Rows: M231.
#[test]
fn documentation_is_a_branch_of_its_own_and_before_the_close() {
    for (builder, docs, beside, close) in [
        (three(), "post-deployment/spec-validator", "post-deployment/qa", "post-deployment/exit"),
        (
            eight(),
            "documentation/documentation-generator",
            "documentation/training-change-manager",
            "documentation/exit",
        ),
    ] {
        let plan = plan(builder, ReleaseKind::Production);
        let id = |path: &str| find(&plan, path).unwrap_or_else(|| panic!("no {path}"));
        assert!(before(&plan, id(close)).contains(&id(docs)));
        assert!(!before(&plan, id(docs)).contains(&id(beside)) && !before(&plan, id(beside)).contains(&id(docs)));
    }
}

/// Rows: M120, M236.
#[test]
fn manual_steps_are_counted_and_name_who_approves() {
    let none = Automation::of(&plan(three(), ReleaseKind::Production));
    assert!(none.manual.is_empty() && none.ratio() == Some(1.0), "{none}");
    let asked = ApprovalRequest::new("Ship it?").role("release-manager").quorum(2);
    let one = Automation::of(&plan(three().approval(asked), ReleaseKind::Production));
    assert_eq!((one.manual.len(), one.without_approver().count()), (1, 0));
    assert_eq!((one.automated, one.manual[0].quorum), (none.automated, 2));
    assert!(one.to_string().contains("2 of role release-manager"), "{one}");
    let anybody = Automation::of(&plan(eight().approval(ApprovalRequest::new("Ship it?")), ReleaseKind::Hotfix));
    assert_eq!(anybody.without_approver().count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is left out, a step comes after all that it waits for and all that it takes, every phase ends with a gate, and
    /// what is left waits for the same things.
    ///
    /// Rows: M26, M121, M238.
    #[test]
    fn no_step_comes_before_its_inputs(
        eight_phases in any::<bool>(),
        out in proptest::collection::btree_set(0..SEATS.len(), 0..8),
        kind in 0..ReleaseKind::ALL.len(),
    ) {
        let builder = if eight_phases { eight() } else { three() };
        let seats = builder.seats();
        let out = out.into_iter().map(|i| SEATS[i]).filter(|seat| seats.contains(seat));
        let builder = out.fold(builder, |builder, seat| builder.without(seat, "not in this test"));
        let plan = plan(builder, ReleaseKind::ALL[kind]);
        prop_assert_eq!(without_exit_gate(&plan), vec![]);
        for (index, step) in plan.steps.iter().enumerate() {
            let id = StepId(u32::try_from(index).expect("few steps"));
            let earlier = before(&plan, id);
            prop_assert!(earlier.iter().all(|on| on.0 < id.0));
            if let Work::Task { inputs, .. } = &step.work {
                prop_assert!(inputs.values().all(|from| earlier.contains(from)));
            }
            let mine = plan.phases[step.phase as usize].entry;
            prop_assert!(id == mine || earlier.contains(&mine), "{} begins before its phase", step.path);
        }
    }
}

/// Rows: M122.
#[test]
fn a_workflow_without_a_way_back_says_why_or_does_not_build() {
    use deploy_core::plan::RollbackTo;
    let none = RollbackTo::None { reason: String::new() };
    let error = three().rollback(none).build().expect_err("no reason").to_string();
    assert!(error.contains("without a reason"), "{error}");
}

#[test]
fn what_is_left_out_or_replaced_must_be_there_and_have_a_reason() {
    let stranger = Role::RiskManager.in_phase(1);
    let error = three().without(stranger, "no risks").build().expect_err("a seat of the other workflow").to_string();
    assert!(error.contains("no seat risk-manager-1"), "{error}");
    let error = eight().without(stranger, " ").build().expect_err("no reason").to_string();
    assert_eq!(error, "risk-manager-1 is left out without a reason");
    let error = eight().without_check("unicorns-fly", "none here").build().expect_err("no check").to_string();
    assert_eq!(error, "there is no check unicorns-fly");
}

/// Rows: M121, M238.
#[test]
fn a_phase_without_a_gate_at_its_end_is_found() {
    use deploy_core::pipeline::Pipeline;
    use deploy_core::plan::RollbackTo;
    let p = Pipeline::builder("bare");
    p.rollback(RollbackTo::Previous);
    p.phase("tests").soak("settle", std::time::Duration::from_secs(1)).add();
    let plan = p.build().expect("it builds").plan(release_of(ReleaseKind::Production), person("bot")).expect("a plan");
    let found: Vec<String> = without_exit_gate(&plan).iter().map(ToString::to_string).collect();
    assert_eq!(found, ["tests"]);
}
