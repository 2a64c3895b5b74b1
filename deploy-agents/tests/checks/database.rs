//! A database under a release, as a monitor sees it.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use deploy_agents::monitors::ProgramMonitor;
use deploy_agents::process::CommandLine;
use deploy_core::monitor::{Arm, MeasureContext, Monitor as _, Reading};
use deploy_core::name::MetricName;
use deploy_core::time::Now;

use crate::cluster::Cluster;
use crate::watches::{block, measure, question, reading};
use crate::world::release;

async fn waiting(monitor: &ProgramMonitor) -> Option<f64> {
    reading(&measure(monitor).await, "database.waiting", Arm::Candidate).number()
}

/// A session that holds a lock makes another wait, which a monitor that asks the database sees, and no longer sees once it is let go.
///
/// Rows: M82.
#[tokio::test]
async fn a_lock_in_a_real_database_is_seen_while_it_is_held() {
    const QUERY: &str = "SELECT json_build_object(\
        'database.waiting', (SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'), \
        'database.connections', (SELECT json_build_object('events', setting::int, 'bad', \
            (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')) \
            FROM pg_settings WHERE name = 'max_connections'))";
    let Some(cluster) = Cluster::prepare() else { return };
    cluster.serve("");
    let (program, here) = (cluster.program("psql"), cluster.at(""));
    let connection = ["-h", &here, "-U", "postgres", "-d", "postgres", "-qAtX", "-v", "ON_ERROR_STOP=1"];
    let session = || {
        let mut command = Command::new(&program);
        command.args(connection);
        command
    };
    let mut table = session();
    assert!(table.args(["-c", "CREATE TABLE orders (id int)"]).status().expect("it runs").success());
    let line = CommandLine::new(&program).args(connection).args(["-c", QUERY]).inherit_env();
    let metrics = ["database.waiting", "database.connections"].map(|name| MetricName::new(name).expect("a name"));
    let monitor = ProgramMonitor::new(block("database"), line, metrics);
    assert_eq!(waiting(&monitor).await, Some(0.0));
    // It holds the lock until its input ends.
    let mut holder = session().stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    let mut input = holder.stdin.take().expect("its input");
    input.write_all(b"BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE;\n").expect("written");
    let bound = Duration::from_secs(60);
    let soon = Duration::from_millis(50);
    let held =
        "SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'orders'::regclass AND granted";
    let locked = deploy_agents::wait::until(bound, soon, || async {
        let out = session().args(["-c", held]).output().ok()?;
        (!out.stdout.is_empty()).then_some(())
    });
    locked.await.expect("the lock is taken");
    let mut waiter = session().args(["-c", "INSERT INTO orders VALUES (1)"]).spawn().expect("it starts");
    let seen =
        deploy_agents::wait::until(bound, soon, || async { (waiting(&monitor).await == Some(1.0)).then_some(()) });
    seen.await.expect("the monitor sees who waits");
    let Reading::Counts(connections) = reading(&measure(&monitor).await, "database.connections", Arm::Candidate) else {
        panic!("connections are counts")
    };
    assert!(connections.bad() >= 3 && connections.events() >= 10, "{connections:?}");
    drop(input);
    assert!(waiter.wait().expect("it ends").success(), "the lock was let go");
    let _ended = holder.wait();
    let over =
        deploy_agents::wait::until(bound, soon, || async { (waiting(&monitor).await == Some(0.0)).then_some(()) });
    over.await.expect("nobody waits any more");
    // A database that is gone is an error, never zero who wait.
    drop(cluster);
    assert!(monitor.measure(&question(), &MeasureContext::new(Arc::new(release()), Now::default())).await.is_err());
}
