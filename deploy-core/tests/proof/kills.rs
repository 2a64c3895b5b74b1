//! Real kills: processes that drive one run on one file die at any instant, and others go on until it ends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deploy_core::machine::Outcome;
use deploy_core::operator::Act;

use crate::judge::{Counts, breaches};
use crate::processes::{Host, options, the_run, until_records, world};
use crate::world::{Ending, ada, approval, name, pass, release, says};

/// How many processes die in all.
const KILLS: u64 = 200;
/// How many may die in one run.
const KILLS_A_RUN: u64 = 6;
/// How many runs go on side by side, each on a file of its own: most of the time is spent waiting for leases to pass.
const SIDE_BY_SIDE: u64 = 5;
const UNIT: Duration = Duration::from_millis(3);

/// A small generator of numbers: the same seed, the same kills (as far as the machine's own timing lets them be).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// One run from its start to its end, with deaths on the way. Says how many, and what came of it.
async fn killed_run(seed: u64, kills: &AtomicU64) -> (u64, Counts, Outcome) {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let folder = tempfile::tempdir().expect("a folder");
    let world = world(folder.path(), UNIT);
    let (ending, mut expected) = match seed % 3 {
        0 => (Ending::Broken, Outcome::RolledBack),
        _ => (Ending::Good, Outcome::Succeeded),
    };
    let abort_after = (seed % 3 == 1).then(|| dice.below(KILLS_A_RUN));
    let pipeline = world.reference(ending);
    // Created by a host that is gone at once; the approval waits in the inbox before anybody asks for it.
    let creator = world.engine_on(std::sync::Arc::clone(&world.journal), &pipeline, options());
    creator.start_as(the_run(), name(&pipeline), release("v2"), ada()).await.expect("it starts");
    drop(creator);
    world.journal.submit(&the_run(), &approval()).await.expect("room for it");
    let mut died = 0;
    for round in 0..KILLS_A_RUN {
        if abort_after == Some(round) && world.journal.submit(&the_run(), &says("abort", Act::Abort)).await.is_ok() {
            expected = Outcome::Aborted;
        }
        let mut host = Host::start(folder.path(), ending, true, UNIT);
        let before = world.journal.head(&the_run()).await.expect("readable").next;
        if dice.below(2) == 0 {
            // At the N-th record.
            let more = 1 + dice.below(9);
            until_records(&*world.journal, &mut host, before + more).await;
        } else {
            // At any instant after its first record.
            until_records(&*world.journal, &mut host, before + 1).await;
            pass(Duration::from_micros(dice.below(30_000))).await;
        }
        if host.has_ended() {
            break;
        }
        host.kill();
        died += 1;
        kills.fetch_add(1, Ordering::Relaxed);
    }
    let words = Host::start(folder.path(), ending, true, UNIT).last_words().await;
    let (wrong, counts) = breaches(&*world.journal, &world.ledger, &the_run(), expected).await;
    let entry = world.journal.entry(&the_run()).await.expect("readable").expect("there");
    // An abort that came when the run was on its last record, or on its way back already, changes nothing.
    let too_late = expected == Outcome::Aborted && entry.outcome.as_deref() == Some(Outcome::Succeeded.as_str());
    let (wrong, counts, expected) = if too_late {
        let (wrong, counts) = breaches(&*world.journal, &world.ledger, &the_run(), Outcome::Succeeded).await;
        (wrong, counts, Outcome::Succeeded)
    } else {
        (wrong, counts, expected)
    };
    assert!(wrong.is_empty(), "seed {seed}, after {died} kills ({words}): {wrong:#?}");
    (died, counts, expected)
}

/// D1, D2, D7, D8, D9, D10, D17, D18, D19, I4, I5, I7: real processes, really killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_killed_processes_lose_nothing() {
    let began = tokio::time::Instant::now();
    let kills = std::sync::Arc::new(AtomicU64::new(0));
    let seeds = std::sync::Arc::new(AtomicU64::new(1));
    let mut side_by_side = tokio::task::JoinSet::new();
    for _ in 0..SIDE_BY_SIDE {
        let (kills, seeds) = (std::sync::Arc::clone(&kills), std::sync::Arc::clone(&seeds));
        side_by_side.spawn(async move {
            let mut runs = Vec::new();
            while kills.load(Ordering::Relaxed) < KILLS {
                runs.push(killed_run(seeds.fetch_add(1, Ordering::Relaxed), &kills).await);
            }
            runs
        });
    }
    let runs: Vec<_> = side_by_side.join_all().await.into_iter().flatten().collect();
    let (mut died, mut all) = (0, Counts::default());
    for (kills, counts, _) in &runs {
        died += kills;
        all += *counts;
    }
    let ended = |outcome| runs.iter().filter(|(_, _, found)| *found == outcome).count();
    println!(
        "{died} processes killed in {} runs ({} succeeded, {} rolled back, {} aborted) within {:?}: {} records, {} effects, \
         {} of them repeated under the same key, {} refused for an older fence",
        runs.len(),
        ended(Outcome::Succeeded),
        ended(Outcome::RolledBack),
        ended(Outcome::Aborted),
        began.elapsed(),
        all.records,
        all.effects,
        all.repeats,
        all.refused
    );
    assert!(died >= KILLS, "{died} were killed");
}
