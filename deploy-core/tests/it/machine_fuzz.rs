//! Records that do not belong to a run: taking one in never panics, and always does the same.

use std::sync::Arc;

use deploy_core::journal::Envelope;
use deploy_core::machine::{Machine, Record};
use deploy_core::name::{BlockName, RunId};
use deploy_core::plan::Plan;
use deploy_core::simulation::{Faults, Random, Simulation};
use deploy_core::testing::explore::{Judged, ScriptedStrategy};
use deploy_core::testing::plans;

fn records(plan: &Arc<Plan>, seed: u64) -> Vec<Record> {
    let name = BlockName::new("roll").expect("a name");
    let straight_on = ScriptedStrategy::new(name, Judged::Promote);
    let target = deploy_core::name::TargetName::new("roll").expect("a name");
    let run = Simulation::new(Arc::clone(plan), seed)
        .target(target, plans::before().expect("fixed names"))
        .faults(Faults::of_every_kind())
        .run(&straight_on)
        .expect("it ends");
    let open = |bytes: &Vec<u8>| Record::open(&Envelope::parse(bytes).expect("an envelope")).expect("a record");
    run.records.iter().map(open).collect()
}

#[test]
fn any_record_can_be_taken_into_any_state() {
    let plans = plans::small().expect("fixed names").into_iter().chain(plans::larger().expect("fixed names"));
    let plans: Vec<Arc<Plan>> = plans.map(|(_, plan)| plan).collect();
    // Records of every plan, so that some name steps that the run does not have.
    let pool: Vec<Record> = plans.iter().flat_map(|plan| (0..6).flat_map(|seed| records(plan, seed))).collect();
    let mut random = Random::new(1);
    let mut pick = |of: usize| usize::try_from(random.below(of as u64)).expect("it is below a usize");
    let run = RunId::new("fuzzed").expect("a name");
    for _ in 0..400 {
        let plan = &plans[pick(plans.len())];
        let mut machine = Machine::new(Arc::clone(plan), &run);
        for _ in 0..60 {
            let mut record = pool[pick(pool.len())].clone();
            record.position = machine.state().position;
            let mut again = machine.clone();
            machine.apply(&record);
            again.apply(&record);
            assert_eq!(machine, again, "the same record gave two states");
            // What a driver would ask next does not panic either, and the state still goes into a snapshot.
            let _ = (machine.commands(), machine.wake_at(), machine.settle(record.at));
            let text = serde_json::to_string(machine.state()).expect("a state serialises");
            let back = serde_json::from_str(&text).expect("and reads back");
            assert_eq!(machine.state(), &back);
        }
    }
}
