//! Every role holds to the contract of agents, and hands over what its card promises.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deploy_agents::crew::{Member, Role, SEATS, duty};
use deploy_agents::workflows::{Backfills, Prerequisite};
use deploy_core::agent::{Agent as _, Task};
use deploy_core::plan::{StepPath, Work};
use deploy_core::release::ReleaseKind;
use deploy_core::testing::conformance::agent::AgentSuite;

use crate::parts::{crew, eight, release_of, three};
use crate::world::{person, release};

fn task(step: &str) -> Task {
    Task::new(StepPath::new(step).expect("a path"), false, Arc::new(release()), BTreeMap::new())
}

/// Rows: M2, M3, M4, M5, M6, M7, M214, M215, M216, M217, M218, M219, M220, M221, M222, M223, M224, M225, M226, M227.
#[tokio::test]
async fn every_seat_of_every_role_conforms() {
    let mut roles = BTreeSet::new();
    for seat in SEATS {
        let member = Member::new(duty(seat).expect("a duty"), &crew());
        let card = member.card();
        assert_eq!(card.name.as_str(), seat.to_string());
        assert_eq!(card.responsibility, seat.role.responsibility());
        assert_eq!(member.verifications().len(), 4, "{seat}");
        let ran = AgentSuite::new().task(task(&format!("crew/{seat}"))).run(&member).await;
        assert!(ran.contains(&"is repeatable, as its card says"), "{seat}: {ran:?}");
        roles.insert(seat.role);
    }
    assert_eq!(roles, BTreeSet::from(Role::ALL), "every role has a seat");
}

/// What a workflow adds beside its seats: who shows what a kind of release must be, what came before it, and what was waived.
#[tokio::test]
async fn every_other_agent_of_a_workflow_conforms() {
    let none = Backfills::new(|| async { Ok(Vec::new()) });
    for builder in [three(), eight()] {
        let builder = builder.backfills(none.clone()).prerequisite(Prerequisite::workflow("tests"));
        let workflow = builder.build().expect("it builds");
        let mut seen = BTreeSet::new();
        for kind in ReleaseKind::ALL {
            let plan = workflow.pipeline.plan(release_of(kind), person("bot")).expect("a plan");
            for step in &plan.steps {
                let Work::Task { agent, .. } = &step.work else { continue };
                let sits = SEATS.into_iter().any(|seat| seat.to_string() == agent.as_str());
                if sits || !seen.insert(agent.to_string()) {
                    continue;
                }
                let block = workflow.pipeline.blocks().agent(agent).expect("it is bound");
                AgentSuite::new().task(task(step.path.as_str())).run(&**block).await;
            }
        }
        let seen: Vec<&str> = seen.iter().map(String::as_str).collect();
        assert_eq!(seen, ["apply", "back-fill", "hotfix-small", "prerequisite-tests", "same-digest"]);
    }
}
