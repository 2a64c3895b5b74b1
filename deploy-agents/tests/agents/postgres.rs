//! A PostgreSQL that agents change, and people who stand in their way.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use deploy_agents::agents::Psql;
use deploy_agents::process::CommandLine;

use crate::cluster::Cluster;
use crate::task::BOUND;

/// A PostgreSQL that runs, which ends with its test.
pub(crate) struct Database(Cluster);

impl Database {
    pub(crate) fn start() -> Option<Self> {
        let cluster = Cluster::prepare()?;
        cluster.serve("");
        Some(Self(cluster))
    }

    fn line(&self) -> CommandLine {
        CommandLine::new(self.0.program("psql"))
            .env("PGHOST", self.0.at(""))
            .env("PGUSER", "postgres")
            .env("PGDATABASE", "postgres")
    }

    pub(crate) fn psql(&self) -> Psql {
        Psql::new("orders", self.line())
    }

    fn client(&self) -> Command {
        let mut command = Command::new(self.0.program("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
        command.env("PGHOST", self.0.at("")).env("PGUSER", "postgres").env("PGDATABASE", "postgres");
        command
    }

    /// What a statement answers, or what the server says against it.
    pub(crate) fn ask(&self, sql: &str) -> Result<String, String> {
        let said = self.client().args(["-c", sql]).output().expect("psql starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if said.status.success() { Ok(text(&said.stdout)) } else { Err(text(&said.stderr)) }
    }

    /// Somebody who holds a table locked until they are dropped.
    pub(crate) async fn hold(&self, table: &str) -> Holder {
        let sql = format!("begin; lock table {table} in access share mode; select pg_sleep(3600);");
        let mut command = self.client();
        command.args(["-c", &sql]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let holder = Holder(command.spawn().expect("psql starts"));
        let held = format!(
            "select count(*) from pg_locks where relation = '{table}'::regclass and granted and mode = 'AccessShareLock'"
        );
        let there = || async { (self.ask(&held).as_deref() == Ok("1")).then_some(()) };
        deploy_agents::wait::until(BOUND, Duration::from_millis(20), there).await.expect("the lock is held");
        holder
    }

    /// Ends every other connection, as a server that restarts does.
    pub(crate) async fn let_go(&self, holder: Holder, table: &str) {
        drop(holder);
        let free = format!("select count(*) from pg_locks where relation = '{table}'::regclass");
        self.ask("select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()")
            .expect("ended");
        let there = || async { (self.ask(&free).as_deref() == Ok("0")).then_some(()) };
        deploy_agents::wait::until(BOUND, Duration::from_millis(20), there).await.expect("the lock is free");
    }
}

/// A client that ends with its test.
pub(crate) struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}
