//! A PostgreSQL of its own, where one is installed; with `REQUIRE_SERVICES=1` it must be.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A PostgreSQL of its own, which ends with its test. It does not run as root; its user and database are `postgres`.
pub(crate) struct Cluster {
    folder: tempfile::TempDir,
    programs: PathBuf,
    root: bool,
}

impl Cluster {
    /// The newest of Debian's, in a folder of its own. It does not run yet.
    pub(crate) fn prepare() -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let programs = versions.map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").is_file()).max();
        let Some(programs) = programs else {
            let required = std::env::var("REQUIRE_SERVICES").is_ok_and(|value| value == "1");
            assert!(!required, "there is no PostgreSQL under /usr/lib/postgresql, and REQUIRE_SERVICES=1");
            writeln!(std::io::stderr(), "LEFT OUT: there is no PostgreSQL under /usr/lib/postgresql")
                .expect("standard error");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        if root {
            succeed(Command::new("chown").arg("postgres").arg(folder.path()));
        }
        Some(Self { folder, programs, root })
    }

    /// Makes its data and starts it, with these lines added to its settings. It listens on a socket in its folder alone.
    pub(crate) fn serve(&self, settings: &str) {
        let data = self.at("data");
        succeed(self.command("initdb").args(["-D", &data, "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8"]));
        let mut file = std::fs::OpenOptions::new().append(true).open(self.at("data/postgresql.conf")).expect("a file");
        let own = format!("listen_addresses=''\nunix_socket_directories='{}'\nfsync=off\n", self.at(""));
        file.write_all((own + settings).as_bytes()).expect("written");
        drop(file);
        succeed(self.command("pg_ctl").args(["-D", &data, "-l", &self.at("log"), "-w", "start"]));
    }

    /// A file of its folder, or the folder itself.
    pub(crate) fn at(&self, file: &str) -> String {
        if file.is_empty() { self.folder.path().to_owned() } else { self.folder.path().join(file) }
            .display()
            .to_string()
    }

    /// One of its programs, or another one from the path.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        let inside = self.programs.join(name);
        if inside.is_file() { inside } else { PathBuf::from(name) }
    }

    /// A program run as the user that the server runs as, in its folder.
    pub(crate) fn command(&self, program: &str) -> Command {
        let program = self.program(program);
        let mut command = if self.root { Command::new("runuser") } else { Command::new(&program) };
        if self.root {
            command.args(["-u", "postgres", "--"]).arg(&program);
        }
        command.current_dir(self.folder.path());
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.at("data");
        let _ended = self.command("pg_ctl").args(["-D", &data, "-m", "immediate", "stop"]).output();
    }
}

/// What it starts may keep a pipe open: nothing is captured.
fn succeed(command: &mut Command) {
    let status = command.stdout(Stdio::null()).status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}
