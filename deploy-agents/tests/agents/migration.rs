//! Migrations of a real PostgreSQL.

use std::sync::Arc;
use std::time::Duration;

use deploy_agents::agents::{Migration, MigrationRecord, MigrationStep, Psql};
use deploy_agents::checks::read;
use deploy_agents::process::CommandLine;
use deploy_core::agent::{Certainty, Report};
use deploy_core::testing::conformance::agent::AgentSuite;

use crate::postgres::Database;
use crate::task::{block, perform};

const TABLE: &str = "create table customer (id int primary key, name text not null)";
const EMAIL: &str = "-- a comment; with a semicolon\nalter table customer add column email text;\ninsert into customer values (2, E'it\\'s', null); -- the end";

fn base(database: &Database) -> Migration {
    Migration::new(block("migrate"), Arc::new(database.psql())).lock_timeout(Duration::from_millis(300))
}

fn first() -> MigrationStep {
    MigrationStep::expand("0001-customer", TABLE).down("drop table customer")
}

fn email() -> MigrationStep {
    MigrationStep::expand("0002-email", EMAIL).down_unless(
        "alter table customer drop column email; delete from customer where id = 2",
        "select count(*) from customer where email is not null",
    )
}

fn contract() -> MigrationStep {
    MigrationStep::contract("0003-no-name", "alter table customer drop column name")
}

fn record(report: &Report) -> MigrationRecord {
    read("migration.json", &report.evidence[0].bytes).expect("a record")
}

/// Rows: M32.
#[tokio::test]
async fn old_and_new_work_at_each_stage_until_the_contraction() {
    let Some(database) = Database::start() else { return };
    let old = "select name from customer where id = 1";
    let new = "select coalesce(email, name) from customer where id = 1";
    perform(&base(&database).step(first()), "first", false).await.expect("done");
    database.ask("insert into customer values (1, 'ada')").expect("written");
    assert!(database.ask(old).is_ok() && database.ask(new).is_err());

    let expand = base(&database).step(first()).step(email());
    let tried = perform(&expand.clone().rehearsal(block("rehearse")), "second", false).await.expect("tried");
    assert!(record(&tried).rehearsal && !record(&tried).steps[1].is_applied);
    assert!(database.ask(new).is_err(), "a rehearsal changes nothing");
    let report = perform(&expand, "second", false).await.expect("done");
    let steps = record(&report).steps;
    assert_eq!([steps[0].was_applied, steps[1].was_applied, steps[1].is_applied], [true, false, true]);
    assert!(database.ask(old).is_ok() && database.ask(new).is_ok(), "both versions work between the two releases");
    perform(&expand, "second", false).await.expect("again, nothing is left to do");
    assert_eq!(database.ask("select count(*) from customer").as_deref(), Ok("2"));

    let last = base(&database).step(first()).step(email()).step(contract());
    let report = perform(&last, "third", false).await.expect("done");
    assert!(!record(&report).steps[2].reversible);
    assert!(database.ask(old).is_err(), "the old version is gone");
    let kept = perform(&last, "third", true).await.expect("nothing can be taken back");
    assert!(format!("{:?}", kept.findings).contains("0003-no-name has no way back"), "{:?}", kept.findings);
    assert_eq!(database.ask("select count(*) from deploy_migrations").as_deref(), Ok("3"));
}

/// Rows: M32.
#[tokio::test]
async fn a_held_lock_is_waited_for_only_so_long() {
    let Some(database) = Database::start() else { return };
    perform(&base(&database).step(first()), "first", false).await.expect("done");
    let holder = database.hold("customer").await;
    let expand = base(&database).step(first()).step(email());
    let error = perform(&expand, "second", false).await.expect_err("the table is in use");
    assert_eq!(error.certainty, Certainty::Transient, "{}", error.message);
    assert!(error.message.contains("a lock was not had in time"), "{}", error.message);
    let tried = perform(&expand.clone().rehearsal(block("rehearse")), "second", false).await;
    assert_eq!(tried.expect_err("the table is in use").certainty, Certainty::Transient);
    assert_eq!(database.ask("select count(*) from deploy_migrations").as_deref(), Ok("1"));
    assert!(database.ask("select id from customer").is_ok(), "nobody waits behind it");
    database.let_go(holder, "customer").await;
    perform(&expand, "second", false).await.expect("done when the lock is free");
}

/// Rows: M32.
#[tokio::test]
async fn what_was_changed_left_out_or_is_wrong_is_refused() {
    let Some(database) = Database::start() else { return };
    let both = base(&database).step(first()).step(email());
    perform(&both, "first", false).await.expect("done");
    let refused = [
        (
            base(&database).step(MigrationStep::expand("0001-customer", "create table customer ()")).step(email()),
            "changed",
        ),
        (base(&database).step(MigrationStep::expand("0000-new", "select 1")).step(first()), "comes before"),
        (both.clone().step(MigrationStep::expand("0003-bad", "alter table nobody add column x int")), "nobody"),
        (
            both.clone().step(MigrationStep::expand("0003-ends", "insert into customer values (9, 'x', null); commit")),
            "transaction",
        ),
        (both.clone().step(MigrationStep::expand("0003-runs", "\\! touch /tmp/no-such-thing-happens")), "syntax error"),
    ];
    for (migration, why) in refused {
        let error = perform(&migration, "second", false).await.expect_err(why);
        assert_eq!(error.certainty, Certainty::Definitive, "{}", error.message);
        assert!(error.message.contains(why), "{}", error.message);
    }
    assert!(!std::path::Path::new("/tmp/no-such-thing-happens").exists());
    assert_eq!(database.ask("select count(*) from deploy_migrations").as_deref(), Ok("2"));
    assert_eq!(database.ask("select count(*) from customer where id = 9").as_deref(), Ok("0"));
    let shorter = perform(&base(&database).step(first()), "third", false).await.expect("nothing to do");
    assert!(format!("{:?}", shorter.findings).contains("does not know"), "{:?}", shorter.findings);
    let nobody = Psql::new("orders", CommandLine::new("psql").env("PGHOST", "/no/such/folder"));
    let error = perform(&Migration::new(block("migrate"), Arc::new(nobody)), "fourth", false).await;
    assert_eq!(error.expect_err("nobody answers").certainty, Certainty::Transient);
}

/// Rows: M32.
#[tokio::test]
async fn taking_back_loses_no_row() {
    let Some(database) = Database::start() else { return };
    perform(&base(&database).step(first()), "first", false).await.expect("done");
    let expand = base(&database).step(first()).step(email());
    perform(&expand, "second", false).await.expect("done");
    database.ask("insert into customer values (7, 'grace', 'grace@example.org')").expect("written");
    let error = perform(&expand, "second", true).await.expect_err("an address would be lost");
    assert!(error.message.contains("0002-email would lose 1 rows"), "{}", error.message);
    assert!(database.ask("select email from customer").is_ok());
    database.ask("update customer set email = null").expect("written");
    perform(&expand, "second", true).await.expect("taken back");
    assert!(database.ask("select email from customer").is_err());
    assert_eq!(database.ask("select name from deploy_migrations").as_deref(), Ok("0001-customer"), "of another run");
    perform(&expand, "second", true).await.expect("taken back already");
}

#[tokio::test]
async fn a_migration_conforms() {
    let Some(database) = Database::start() else { return };
    let count = || {
        let rows = database.ask("select count(*) from deploy_migrations");
        rows.ok().and_then(|rows| rows.parse().ok()).unwrap_or(0)
    };
    let migration = base(&database).step(first()).step(email());
    AgentSuite::new().effects(&count).run(&migration.clone().rehearsal(block("rehearse"))).await;
    assert_eq!(count(), 0);
    AgentSuite::new().effects(&count).run(&migration).await;
    assert_eq!(count(), 2);
}
