//! Documents by chance: sound ones, written as a pipeline would be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use deploy_agents::documents::{
    ApprovalDocument, Declared, FORMAT, GateDocument, KeyDocument, Length, NeedDocument, NoReturnDocument,
    PhaseDocument, PipelineDocument, RetryDocument, RolloutDocument, StepDocument, StepWork, TaskDocument,
    UndoDocument, VerifyDocument,
};
use deploy_core::journal::QueuePolicy;
use deploy_core::plan::{InFlightPolicy, OnFailure, RollbackTo};
use deploy_core::release::ReleaseKind;
use proptest::collection::{btree_set, vec};
use proptest::option::of;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::{select, subsequence};

/// A length that is nobody's default.
fn length() -> impl Strategy<Value = Length> {
    (1_001..900_000_000_u64).prop_map(|ms| Length::from(Duration::from_millis(ms * 2 + 1)))
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,12}( [a-z]{1,8}){0,3}\\?",
        Just("a: \"b\" # c, `d` *e* [f] | g < h & - x".to_owned()),
        "[ä-ü✓'%{}\\\\]{1,8}x"
    ]
}

fn retry() -> impl Strategy<Value = RetryDocument> {
    let parts = (6..50_u32, of(length()), of(201..500_u32), of(length()), of(21..90_u32));
    parts.prop_map(|(attempts, backoff, growth_percent, backoff_at_most, jitter_percent)| RetryDocument {
        attempts,
        backoff,
        growth_percent,
        backoff_at_most,
        jitter_percent,
    })
}

fn approval() -> impl Strategy<Value = ApprovalDocument> {
    let who = btree_set("[a-z]{1,8}( [a-z]{1,4})?", 0..3);
    (text(), who.clone(), who, of(2..4_u32), any::<bool>(), of(length())).prop_map(
        |(question, roles, people, quorum, self_approval, expires_after)| ApprovalDocument {
            question,
            roles,
            people,
            quorum,
            self_approval,
            expires_after,
        },
    )
}

fn verify() -> impl Strategy<Value = Vec<VerifyDocument>> {
    let one = |check: &'static str, kind: &'static str| {
        (of(select(vec![kind, "junit"])), of(length()), of(Just(true))).prop_map(
            move |(kind, max_age, self_attested)| {
                let kind = kind.map(str::to_owned);
                VerifyDocument { check: check.to_owned(), kind, max_age, self_attested }
            },
        )
    };
    // `any` is the first check's own policy, and would not be written.
    (of(one("tests", "cargo")), of(one("scan", "any"))).prop_map(|(a, b)| a.into_iter().chain(b).collect())
}

fn task() -> impl Strategy<Value = TaskDocument> {
    let undo = (select(vec!["undoer", "worker"]), of(retry()), of(length()))
        .prop_map(|(agent, retry, timeout)| UndoDocument { agent: agent.to_owned(), retry, timeout });
    let no_return = (text(), approval()).prop_map(|(reason, ask)| NoReturnDocument { reason, ask });
    let end = prop_oneof![
        Just((None, None)),
        undo.prop_map(|undo| (Some(undo), None)),
        no_return.prop_map(|no_return| (None, Some(no_return))),
    ];
    (select(vec!["builder", "tester", "worker"]), of(length()), of(retry()), end, verify()).prop_map(
        |(agent, timeout, retry, (undo, point_of_no_return), verify)| TaskDocument {
            agent: agent.to_owned(),
            timeout,
            retry,
            undo,
            verify,
            point_of_no_return,
            ..TaskDocument::default()
        },
    )
}

fn rollout() -> impl Strategy<Value = RolloutDocument> {
    let strategies = select(vec!["still", "asking", "declared"]);
    let numbers = (of(6..20_u32), of(4..20_u32));
    let times = (of(length()), of(length()), of(length()));
    (strategies, select(vec!["eu", "us"]), any::<bool>(), numbers, times).prop_map(
        |(strategy, target, more, (errors_at_most, reassert_at_most), (observe_every, timeout, undo_timeout))| {
            let monitors = if more || strategy == "asking" { &["http", "errors"][..] } else { &[] };
            RolloutDocument {
                strategy: strategy.to_owned(),
                target: target.to_owned(),
                monitors: monitors.iter().map(|name| (*name).to_owned()).collect(),
                observe_every,
                errors_at_most,
                reassert_at_most,
                timeout,
                undo_timeout,
            }
        },
    )
}

fn work() -> impl Strategy<Value = StepWork> {
    let gate = (select(vec!["open", "late", "ready"]), of(length()), of(length()), of(retry())).prop_map(
        |(name, hold_at_most, timeout, retry)| {
            StepWork::Gate(GateDocument { name: name.to_owned(), hold_at_most, timeout, retry })
        },
    );
    prop_oneof![
        4 => task().prop_map(StepWork::Task),
        1 => gate,
        1 => approval().prop_map(StepWork::Approval),
        1 => length().prop_map(StepWork::Soak),
        2 => rollout().prop_map(StepWork::Rollout),
    ]
}

/// Some of the kinds of release, never all.
fn kinds() -> impl Strategy<Value = Vec<ReleaseKind>> {
    subsequence(ReleaseKind::ALL.to_vec(), 1..6)
}

/// One step and the numbers of what it waits for, which are cut down to those before it.
fn step() -> impl Strategy<Value = (StepWork, BTreeSet<usize>, OnFailure, Option<Vec<ReleaseKind>>)> {
    let failure = prop_oneof![
        3 => Just(OnFailure::RollBack),
        1 => text().prop_map(|reason| OnFailure::Continue { reason }),
    ];
    (work(), btree_set(0..8_usize, 0..4), failure, of(kinds()))
}

fn phase() -> impl Strategy<Value = PhaseDocument> {
    let gates = subsequence(vec!["open".to_owned(), "late".to_owned(), "ready".to_owned()], 0..3);
    let agents = (of(Just("builder".to_owned())), subsequence(vec!["tester".to_owned(), "worker".to_owned()], 0..3));
    (vec(step(), 1..8), agents, gates.clone(), gates, of(length()), of(kinds()), any::<bool>()).prop_map(
        |(steps, (lead, supporting), entry, exit, hold_at_most, only_for, promise)| {
            // The first is there for every kind of release, so that the phase as a whole is not limited by its steps.
            let mut made: Vec<StepDocument> = vec![plain("s-0", StepWork::Soak(Length::from(Duration::from_secs(7))))];
            let mut built = Vec::new();
            for (work, after, on_failure, limited) in steps {
                let number = made.len();
                let limited = limited.filter(|_| only_for.is_none());
                let mut step = plain(&format!("s-{number}"), work);
                step.after = after.into_iter().filter(|on| *on < number).map(|on| format!("s-{on}")).collect();
                step.on_failure = on_failure;
                if let StepWork::Task(task) = &mut step.work {
                    match task.agent.as_str() {
                        "builder" => {
                            task.provides.push(KeyDocument { name: "image".to_owned(), version: Some(1) });
                            built.push(step.name.clone());
                        }
                        "tester" => match built.last() {
                            Some(from) => {
                                step.after.retain(|on| on != from);
                                let from = Some(from.clone());
                                task.needs.push(NeedDocument { name: "image".to_owned(), version: Some(1), from });
                            }
                            // Nobody hands it an image.
                            None => "worker".clone_into(&mut task.agent),
                        },
                        _ => {}
                    }
                }
                let hands_over = built.last() == Some(&step.name);
                step.only_for = limited.filter(|_| !hands_over);
                made.push(step);
            }
            let promises = if promise && !built.is_empty() {
                vec![KeyDocument { name: "image".to_owned(), version: Some(1) }]
            } else {
                Vec::new()
            };
            PhaseDocument {
                lead,
                supporting,
                entry,
                exit,
                hold_at_most,
                promises,
                only_for,
                steps: made,
                ..PhaseDocument::default()
            }
        },
    )
}

fn plain(name: &str, work: StepWork) -> StepDocument {
    StepDocument {
        name: name.to_owned(),
        about: String::new(),
        work,
        after: Vec::new(),
        on_failure: OnFailure::RollBack,
        only_for: None,
    }
}

/// A sound document, written as [`PipelineDocument::of`] writes.
pub(crate) fn document() -> impl Strategy<Value = PipelineDocument> {
    let rollback = prop_oneof![
        Just(RollbackTo::Previous),
        Just(RollbackTo::Remove),
        text().prop_map(|reason| RollbackTo::None { reason }),
    ];
    let queue = select(vec![QueuePolicy::Fifo, QueuePolicy::NewestWins, QueuePolicy::Reject, QueuePolicy::Priority]);
    let in_flight = select(vec![InFlightPolicy::Finish, InFlightPolicy::Supersede]);
    (vec(phase(), 1..4), rollback, queue, in_flight, of(5..9_u32)).prop_map(
        |(mut phases, rollback, queue, in_flight, width)| {
            for (index, phase) in phases.iter_mut().enumerate() {
                phase.name = format!("phase-{index}");
            }
            let mut document = PipelineDocument {
                format: FORMAT,
                name: "random".to_owned(),
                about: String::new(),
                rollback,
                queue,
                in_flight,
                width,
                gates: BTreeMap::new(),
                strategies: BTreeMap::new(),
                phases,
                checklists: Vec::new(),
            };
            declare(&mut document);
            document
        },
    )
}

/// Declares what is used and not registered.
fn declare(document: &mut PipelineDocument) {
    let steps = || document.phases.iter().flat_map(|phase| &phase.steps);
    let gates = document.phases.iter().flat_map(|phase| phase.entry.iter().chain(&phase.exit));
    let ready = gates.map(String::as_str).chain(steps().filter_map(|step| match &step.work {
        StepWork::Gate(gate) => Some(gate.name.as_str()),
        _ => None,
    }));
    let declared = |step: &StepDocument| matches!(&step.work, StepWork::Rollout(work) if work.strategy == "declared");
    let (gate, strategy) = (ready.into_iter().any(|name| name == "ready"), steps().any(declared));
    if gate {
        let with = serde_json::json!(["tests", "scan"]);
        document.gates.insert("ready".to_owned(), Declared { kind: "go-no-go".to_owned(), with });
    }
    if strategy {
        let with = serde_json::json!({ "asks": [] });
        document.strategies.insert("declared".to_owned(), Declared { kind: "still".to_owned(), with });
    }
}
