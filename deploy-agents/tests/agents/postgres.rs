//! A PostgreSQL of its own, where one is installed; with `REQUIRE_SERVICES=1` it must be.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use deploy_agents::agents::Psql;
use deploy_agents::process::CommandLine;

use crate::task::BOUND;

/// A PostgreSQL of its own, which ends with its test. It does not run as root.
pub(crate) struct Cluster {
    folder: tempfile::TempDir,
    programs: PathBuf,
    root: bool,
}

impl Cluster {
    /// The newest of Debian's, in a folder of its own, with a socket there.
    pub(crate) fn start() -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let programs = versions.map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").is_file()).max();
        let Some(programs) = programs else {
            let required = std::env::var("REQUIRE_SERVICES").is_ok_and(|value| value == "1");
            assert!(!required, "there is no PostgreSQL under /usr/lib/postgresql, and REQUIRE_SERVICES=1");
            println!("LEFT OUT: there is no PostgreSQL under /usr/lib/postgresql");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        let cluster = Self { folder, programs, root };
        if root {
            succeed(Command::new("chown").arg("postgres").arg(cluster.folder.path()));
        }
        let (data, here) = (cluster.at("data"), cluster.folder.path().display().to_string());
        succeed(cluster.command("initdb").args(["-D", &data, "-A", "trust", "-U", "app", "--no-sync", "-E", "UTF8"]));
        let settings = format!("-c listen_addresses= -c unix_socket_directories={here} -c fsync=off");
        succeed(cluster.command("pg_ctl").args([
            "-D",
            &data,
            "-l",
            &cluster.at("log"),
            "-w",
            "-o",
            &settings,
            "start",
        ]));
        Some(cluster)
    }

    fn at(&self, file: &str) -> String {
        self.folder.path().join(file).display().to_string()
    }

    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = if self.root { Command::new("runuser") } else { Command::new(&program) };
        if self.root {
            command.args(["-u", "postgres", "--"]).arg(&program);
        }
        command.current_dir(self.folder.path());
        command
    }

    fn line(&self) -> CommandLine {
        CommandLine::new(self.programs.join("psql"))
            .env("PGHOST", self.folder.path())
            .env("PGUSER", "app")
            .env("PGDATABASE", "postgres")
    }

    pub(crate) fn psql(&self) -> Psql {
        Psql::new("orders", self.line())
    }

    fn client(&self) -> Command {
        let mut command = Command::new(self.programs.join("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
        command.env("PGHOST", self.folder.path()).env("PGUSER", "app").env("PGDATABASE", "postgres");
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

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.at("data");
        let _ended = self.command("pg_ctl").args(["-D", &data, "-m", "immediate", "stop"]).output();
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

fn succeed(command: &mut Command) {
    let said = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{command:?}: {out}{err}");
}
