//! Clocks that jump and clocks that differ decide nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use deploy_core::driver::RuntimeClock;
use deploy_core::journal::{Journal as _, MemoryJournal};
use deploy_core::machine::Outcome;
use deploy_core::pipeline::Pipeline;
use deploy_core::plan::RollbackTo;
use deploy_core::time::{Clock, Timestamp};

use crate::judge::{breaches, records};
use crate::ledger::Ledger;
use crate::world::{Ending, UNIT, World, ada, approval, name, pass, release, run_id};

const HOUR: i64 = 3_600_000;

/// A clock whose wall can be moved.
#[derive(Debug)]
struct Jumpy {
    steady: RuntimeClock,
    off_by: AtomicI64,
}

impl Jumpy {
    fn new(off_by: i64) -> Arc<Self> {
        let steady = RuntimeClock::new(Timestamp(1_795_334_400_000));
        Arc::new(Self { steady, off_by: AtomicI64::new(off_by) })
    }
}

impl Clock for Jumpy {
    fn wall(&self) -> Timestamp {
        Timestamp(self.steady.wall().0 + self.off_by.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.steady.monotonic()
    }
}

fn world(host: &Arc<Jumpy>, store: &Arc<Jumpy>) -> World {
    let journal = Arc::new(MemoryJournal::new(Arc::clone(store) as _));
    World::new(Ledger::in_memory(), journal, Arc::clone(host) as _, UNIT)
}

/// The kinds of the records of a run under jumps of the wall clock, each so long after the one before.
async fn kinds_under_jumps(ending: Ending, jumps: &[(u64, i64)]) -> Vec<&'static str> {
    let clock = Jumpy::new(0);
    let world = world(&clock, &clock);
    let pipeline = world.reference(ending);
    let engine = world.engine(&pipeline);
    let run = run_id("jumpy");
    let handle = engine.start_as(run.clone(), name(&pipeline), release("v2"), ada()).await.expect("it starts");
    world.journal.submit(&run, &approval()).await.expect("room for it");
    for (after, to) in jumps {
        pass(Duration::from_millis(*after)).await;
        clock.off_by.store(*to, Ordering::SeqCst);
    }
    let expected = if ending == Ending::Good { Outcome::Succeeded } else { Outcome::RolledBack };
    assert_eq!(handle.wait().await.expect("it ends").outcome, expected);
    let (wrong, _) = breaches(&*world.journal, &world.ledger, &run, expected).await;
    assert!(wrong.is_empty(), "{jumps:?}: {wrong:#?}");
    records(&*world.journal, &run).await.iter().map(|record| record.event.kind()).collect()
}

/// D27: jumps of the wall clock by an hour, forwards and backwards, change no record but its time.
#[tokio::test(start_paused = true)]
async fn jumps_of_the_wall_clock_change_nothing() {
    for ending in [Ending::Good, Ending::Broken] {
        let steady = kinds_under_jumps(ending, &[]).await;
        for jumps in [
            &[(500, HOUR)][..],
            &[(500, -HOUR)],
            &[(1_500, HOUR), (1_000, 0), (1_000, -HOUR), (1_000, 0)],
            &[(2_500, -HOUR), (1, HOUR), (1, 0)],
            &[(5_500, -HOUR), (500, HOUR)],
        ] {
            assert_eq!(kinds_under_jumps(ending, jumps).await, steady, "{jumps:?}");
        }
    }
}

/// D28: a host whose clock differs from the store's by an hour neither ends a soak early nor late when it takes a run up.
#[tokio::test(start_paused = true)]
async fn a_host_whose_clock_is_wrong_soaks_as_long_as_any_other() {
    for off_by in [0, HOUR, -HOUR] {
        let (host, store) = (Jumpy::new(off_by), Jumpy::new(0));
        let world = world(&host, &store);
        let p = Pipeline::builder("soaking");
        p.rollback(RollbackTo::Previous);
        p.phase("only").soak("bake", Duration::from_secs(30 * 60)).add();
        let pipeline = p.build().expect("valid");
        let run = run_id("soaks");
        let began = tokio::time::Instant::now();
        let one = world.engine(&pipeline);
        one.start_as(run, name(&pipeline), release("v2"), ada()).await.expect("it starts");
        pass(Duration::from_secs(5 * 60)).await;
        drop(one);
        pass(Duration::from_secs(60)).await;
        let two = world.engine(&pipeline);
        let handle = two.resume_all().await.expect("readable").pop().expect("free");
        assert_eq!(handle.wait().await.expect("it ends").outcome, Outcome::Succeeded);
        let took = began.elapsed();
        assert!(took >= Duration::from_secs(30 * 60), "off by {off_by} ms: over after {took:?}, which is too early");
        assert!(took <= Duration::from_secs(40 * 60), "off by {off_by} ms: over after {took:?}, which is too late");
    }
}
