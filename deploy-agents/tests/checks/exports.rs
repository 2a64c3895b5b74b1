//! Runs of the engine that the checks of runs read: a rollback drill, and a release that was carried out.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use deploy_agents::checks::runs::{executed, read_export, rollback_drill};
use deploy_core::agent::{AgentCard, AgentError, Report, agent_fn};
use deploy_core::driver::{Engine, RuntimeClock};
use deploy_core::evidence::{Collected, EvidenceSubject, Refusal, Verdict};
use deploy_core::journal::{MemoryJournal, export};
use deploy_core::name::BlockName;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::RollbackTo;
use deploy_core::target::DesiredState;
use deploy_core::testing::scripted::ScriptedTarget;
use deploy_strategies::all_at_once::AllAtOnce;

use crate::sample;
use crate::world::{at, now, person, release};

/// A run of the release on a target that served v1: it goes out, and where `fails`, what comes after it fails.
async fn run(began: &str, id: &str, fails: bool) -> Vec<u8> {
    let clock = Arc::new(RuntimeClock::new(at(began)));
    let journal = Arc::new(MemoryJournal::new(Arc::<RuntimeClock>::clone(&clock)));
    let two = BTreeMap::from([("v1".try_into().expect("a name"), 2)]);
    let weights = BTreeMap::from([("v1".try_into().expect("a name"), 100)]);
    let before = DesiredState { capacity: two, weights, max_weight: 100, ..DesiredState::default() };
    let target = ScriptedTarget::new("shop".try_into().expect("a name")).holding(before);
    let p = Pipeline::builder("drill");
    p.rollback(RollbackTo::Previous);
    let two = NonZeroU32::new(2).expect("not zero");
    p.phase("out").rollout("all", AllAtOnce::new().instances(two), target).add();
    let card = AgentCard::new(BlockName::new("after").expect("a name"), "looks whether it holds").repeatable();
    let after = agent_fn(card, move |_, _| async move {
        if fails { Err(AgentError::definitive("a drill: go back")) } else { Ok(Report::new()) }
    });
    p.phase("after").task("hold", after).add();
    let pipeline = p.build().expect("a pipeline");
    let engine = Engine::builder(Arc::<MemoryJournal>::clone(&journal)).clock(clock).pipeline(pipeline.clone()).build();
    let run = engine
        .start_as(id.try_into().expect("a name"), pipeline.name(), release(), person("bot"))
        .await
        .expect("it starts");
    run.wait().await.expect("it ends");
    let mut lines = Vec::new();
    export(&*journal, run.id(), &mut lines).await.expect("it can be exported");
    lines
}

pub(crate) async fn drill() -> Vec<u8> {
    run("2026-11-20T10:00:00Z", "drill-1", true).await
}

async fn release_run() -> Vec<u8> {
    run("2026-11-23T07:00:00Z", "release-1", false).await
}

fn piece(kind: &str, bytes: &[u8]) -> Collected {
    let subject = EvidenceSubject { commit: release().change.commit, ..EvidenceSubject::default() };
    Collected::new(kind, "engine", subject, now(), bytes.to_vec())
}

/// The exports of the sample folder are what the engine writes. `WRITE_SAMPLES=1` writes them anew.
#[tokio::test(start_paused = true)]
async fn the_exports_of_the_samples_are_the_engines() {
    for (file, bytes) in [("drill.jsonl", drill().await), ("run.jsonl", release_run().await)] {
        if std::env::var("WRITE_SAMPLES").as_deref() == Ok("1") {
            std::fs::write(sample::folder().join(file), &bytes).expect("it can be written");
        }
        let (now, kept) =
            (String::from_utf8(bytes).expect("text"), String::from_utf8(sample::read(file)).expect("text"));
        let differs = now.lines().zip(kept.lines()).position(|(now, kept)| now != kept);
        assert_eq!(now.lines().count(), kept.lines().count(), "{file}");
        assert_eq!(differs, None, "{file} differs from this line on, counted from 0; WRITE_SAMPLES=1 writes it anew");
    }
}

/// Rows: M11, M142, M212.
#[tokio::test(start_paused = true)]
async fn a_drill_counts_only_if_the_engine_made_it_lately_of_this_pair_of_versions() {
    let thresholds = sample::thresholds();
    let bytes = drill().await;
    let good = piece("drill-export", &bytes);
    let facts = read_export(&good.evidence, &good.bytes).expect("an export");
    let judged = rollback_drill(&facts, &release(), now(), &thresholds);
    assert_eq!(judged.verdict, Verdict::Pass, "{judged:?}");
    assert!(judged.figures.iter().any(|f| f.name == "serves after" && f.value == "v1"), "{judged:?}");
    // Of another revision, of long ago, of the future.
    let other = deploy_core::release::Release { revision: "v3".try_into().expect("a name"), ..release() };
    assert!(!rollback_drill(&facts, &other, now(), &thresholds).verdict.is_met());
    let later = now().after(Duration::from_secs(60 * 24 * 3600));
    assert!(!rollback_drill(&facts, &release(), later, &thresholds).verdict.is_met());
    assert!(!rollback_drill(&facts, &release(), at("2026-11-19T00:00:00Z"), &thresholds).verdict.is_met());
    // Where somebody keeps what the engine's journal said, only that is taken: whoever computes a chain by hand ends elsewhere.
    let mut anchored = thresholds.clone();
    anchored.drill_heads = [facts.head.hash.to_string()].into();
    assert_eq!(rollback_drill(&facts, &release(), now(), &anchored).verdict, Verdict::Pass);
    anchored.drill_heads = [deploy_core::digest::Digest::of(b"another chain").to_string()].into();
    let refused = rollback_drill(&facts, &release(), now(), &anchored).verdict;
    let Verdict::Inconclusive { refusal: Refusal::SelfAttested(why) } = refused else { panic!("{refused:?}") };
    assert!(why.contains("never said"), "{why}");
    // A release that went well is no drill.
    let went_well = piece("drill-export", &release_run().await);
    let facts = read_export(&went_well.evidence, &went_well.bytes).expect("an export");
    assert!(!rollback_drill(&facts, &release(), now(), &thresholds).verdict.is_met());
    assert_eq!(executed(&facts, &release()).verdict, Verdict::Pass);
    assert!(!executed(&facts, &other).verdict.is_met());
}

/// Each byte of a drill is changed in turn, and none of them goes unnoticed.
///
/// Rows: M11, M195.
#[tokio::test(start_paused = true)]
async fn a_record_written_by_hand_or_changed_anywhere_is_refused() {
    let hand = br#"{"from":"v1","to":"v2","duration_s":12,"healthy":true}"#;
    let hand = piece("drill-export", hand);
    assert!(read_export(&hand.evidence, &hand.bytes).is_err());
    let bytes = drill().await;
    // Every byte would take minutes; every seventh meets each field of each line.
    let mut tried = 0;
    for at in (0..bytes.len()).step_by(7) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let changed = piece("drill-export", &changed);
        assert!(read_export(&changed.evidence, &changed.bytes).is_err(), "byte {at}");
        tried += 1;
    }
    println!("{tried} changed bytes, each refused");
    for lines in [1, 2, 5] {
        let cut: Vec<u8> = bytes.split_inclusive(|b| *b == b'\n').take(lines).flatten().copied().collect();
        let cut = piece("drill-export", &cut);
        assert!(read_export(&cut.evidence, &cut.bytes).is_err(), "cut after {lines} lines");
    }
}
