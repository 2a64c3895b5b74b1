//! Planning a rolling update of a million instances: what a decision costs against writing and reading its own record, whether that
//! depends on how many instances there are, and the memory of an instance.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use deploy_benches::{line, middle, release, spent};
use deploy_core::name::RevisionName;
use deploy_core::release::Release;
use deploy_core::strategy::{Decision, Next, Situation, Strategy};
use deploy_core::target::{RevisionState, TargetState};
use deploy_core::time::RunTime;
use deploy_strategies::rolling::{Amount, Rolling};

const MANY: u32 = 1_000_000;
const FEW: u32 = 1_000;
/// So many at a time that both take equally many looks.
const PART: u32 = 1_000;
const LOOK: Duration = Duration::from_secs(10);
const PASSES: usize = 5;
/// Rollouts held at once to see their memory.
const HELD: usize = 10_000;
/// As many places are looked at every 10 s by one core at a hundredth of its time.
const DECISIONS: f64 = 10_000.0;

fn old() -> RevisionName {
    RevisionName::new("v1").expect("a name")
}

fn rolling(instances: u32) -> Rolling {
    let builder = Rolling::builder().surge(Amount::Count(instances / PART)).unavailable(Amount::Count(0));
    builder.min_healthy(Duration::ZERO).build().expect("a rolling update")
}

fn serving(instances: u32) -> TargetState {
    let state = RevisionState { desired: instances, ready: instances, terminating: 0 };
    TargetState { revisions: BTreeMap::from([(old(), state)]), ..TargetState::default() }
}

/// The same place once it has taken the statement, every instance ready.
fn taken(decision: &Decision) -> TargetState {
    let ready = |(name, count): (&RevisionName, &u32)| {
        (name.clone(), RevisionState { desired: *count, ready: *count, terminating: 0 })
    };
    TargetState { revisions: decision.want.capacity.iter().map(ready).collect(), ..TargetState::default() }
}

/// Every decision of one update, to its end.
fn update(strategy: &Rolling, release: &Release, instances: u32) -> Vec<Decision> {
    let from = serving(instances);
    let mut observed = from.clone();
    let mut decisions: Vec<Decision> = Vec::new();
    loop {
        let now = RunTime(u64::try_from(decisions.len()).unwrap_or(u64::MAX) * 10_000);
        let first = Situation::first(release, &observed).from(&from).observe_every(LOOK);
        let decision = match decisions.last() {
            None => strategy.decide(&first),
            Some(last) => strategy.decide(&first.later(&observed, last, now, Duration::from_millis(now.0))),
        };
        observed = taken(&decision);
        let over = decision.next == Next::Complete;
        assert!(decision.next != Next::RollBack, "{}", decision.reason);
        decisions.push(decision);
        if over {
            return decisions;
        }
    }
}

/// Resident memory of this process, in bytes; zero where the system does not tell.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = statm.split_whitespace().nth(1).and_then(|p| p.parse().ok()).unwrap_or(0);
    pages * 4_096
}

/// How many bytes an update in its midst takes: what is there, and the last decision.
fn held(instances: u32) -> f64 {
    let (strategy, release) = (rolling(instances), release(0));
    let decisions = update(&strategy, &release, instances);
    let midst = &decisions[decisions.len() / 2];
    let before = resident();
    let all: Vec<(TargetState, Decision)> = (0..HELD).map(|_| (taken(midst), midst.clone())).collect();
    let each = resident().saturating_sub(before) as f64 / HELD as f64;
    drop(black_box(all));
    each
}

fn main() {
    let release = release(0);
    let (many, few) = (rolling(MANY), rolling(FEW));
    let (mut of_many, mut of_few, mut of_record) = (Vec::new(), Vec::new(), Vec::new());
    let mut looks = (0, 0);
    for _ in 0..PASSES {
        let (span, decisions) = spent(|| update(&many, &release, MANY));
        of_many.push(span);
        let (span, others) = spent(|| update(&few, &release, FEW));
        of_few.push(span);
        looks = (decisions.len(), others.len());
        let (span, ()) = spent(|| {
            for decision in &decisions {
                let text = serde_json::to_string(decision).expect("JSON");
                black_box(serde_json::from_str::<Decision>(&text).expect("the same"));
            }
        });
        of_record.push(span);
    }
    let each = |spans: Vec<Duration>, looks: usize| middle(spans).as_secs_f64() / looks as f64;
    let (many, few, record) = (each(of_many, looks.0), each(of_few, looks.1), each(of_record, looks.0));
    println!("A rolling update of {MANY} instances, {} at a time: {} decisions\n", MANY / PART, looks.0);
    println!("{:<66} {:>9.2} ms", "planning all of it", many * looks.0 as f64 * 1e3);
    let ratio = many / few;
    line("a decision, of 1,000,000 instances against 1,000", ratio, "≤ 1.5", ratio <= 1.5);
    let ratio = many / record;
    line("a decision against writing and reading its own record", ratio, "≤ 3", ratio <= 3.0);
    line("decisions a second and core", 1.0 / many, "≥ 10000", 1.0 / many >= DECISIONS);
    // The larger one second: what the first has freed would otherwise be counted as room for it.
    let (small, large) = (held(FEW), held(MANY));
    let ratio = large / small;
    line("memory of an update, of 1,000,000 instances against 1,000", ratio, "≤ 1.2", ratio <= 1.2);
    let bytes = large / f64::from(MANY);
    line("bytes of memory for each of 1,000,000 instances", bytes, "≤ 0.01", bytes <= 0.01);
}
