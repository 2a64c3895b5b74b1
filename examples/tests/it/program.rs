//! Builds examples and runs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The built program of an example. `cargo test` builds examples only when nobody names a target, so it is asked here.
pub(crate) fn program(example: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", env!("CARGO_PKG_NAME"), "--examples"])
            .status()
            .expect("cargo runs");
        assert!(built.success(), "the examples build");
    });
    let this = std::env::current_exe().expect("this program has a path");
    let profile = this.ancestors().nth(2).expect("tests lie in deps, in the folder of their profile");
    profile.join("examples").join(example)
}

/// What a process wrote to standard output.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("examples write UTF-8")
}

/// The main job in a state folder of its own. Whatever place is alive in it is ended when this is dropped.
pub(crate) struct Job {
    state: tempfile::TempDir,
}

impl Job {
    pub(crate) fn new() -> Self {
        Self { state: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn state(&self) -> &Path {
        self.state.path()
    }

    /// The command line, quick enough for a test.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("release"));
        command.args(["--pace", "0.25", "--state"]).arg(self.state()).args(args);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the example starts")
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // A test that has failed must not leave a place behind either.
        let _ = self.run(&["--stop"]);
    }
}
