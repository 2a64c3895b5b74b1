//! What is to be run: a program with arguments, never a line for a shell.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;

use crate::secret::Secret;

/// A program, its arguments, its environment and its working directory.
///
/// Arguments are handed over one by one; no shell reads them. The environment is empty but for `PATH` and what is set here,
/// so that a program behaves the same on every host; [`inherit_env`](Self::inherit_env) hands down all of this process's.
///
/// ```
/// use deploy_agents::process::CommandLine;
///
/// let migrate = CommandLine::new("dbmate").args(["--wait", "up"]).env("LANG", "C").secret_env("DATABASE_URL", "postgres://u:p@db");
/// assert!(!format!("{migrate:?}").contains("u:p"));
/// ```
#[derive(Debug, Clone)]
pub struct CommandLine {
    program: OsString,
    args: Vec<OsString>,
    env: BTreeMap<String, OsString>,
    secret_env: BTreeMap<String, Secret>,
    inherit: bool,
    dir: Option<PathBuf>,
}

impl CommandLine {
    /// A program by path, or by a name that is looked for in `PATH`.
    #[must_use]
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            secret_env: BTreeMap::new(),
            inherit: false,
            dir: None,
        }
    }

    /// The program, by path or by name.
    pub(crate) fn program(&self) -> &std::ffi::OsStr {
        &self.program
    }

    /// The same with one more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// The same with more arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// The same with a variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// The same with a variable whose value is never shown: not in `Debug`, not in an error, not in what the program wrote.
    #[must_use]
    pub fn secret_env(mut self, name: impl Into<String>, value: impl AsRef<str>) -> Self {
        self.secret_env.insert(name.into(), Secret::new(value));
        self
    }

    /// The same, with everything in this process's environment handed down.
    #[must_use]
    pub fn inherit_env(mut self) -> Self {
        self.inherit = true;
        self
    }

    /// The same in another working directory.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// The program's name without its directory: how evidence names the producer.
    #[must_use]
    pub fn name(&self) -> String {
        let path = std::path::Path::new(&self.program);
        path.file_name().unwrap_or(&self.program).to_string_lossy().into_owned()
    }

    /// The same with a variable, unless it is set already.
    pub(crate) fn env_default(mut self, name: &str, value: impl Into<OsString>) -> Self {
        if !self.secret_env.contains_key(name) {
            self.env.entry(name.to_owned()).or_insert_with(|| value.into());
        }
        self
    }

    /// Program and arguments.
    pub(crate) fn words(&self) -> impl Iterator<Item = &OsString> {
        std::iter::once(&self.program).chain(&self.args)
    }

    pub(crate) fn secret_names(&self) -> Vec<String> {
        self.secret_env.keys().cloned().collect()
    }

    pub(crate) fn secrets(&self) -> Vec<Secret> {
        self.secret_env.values().cloned().collect()
    }

    /// The same with `change` applied to every argument and every plain variable.
    pub(crate) fn map(mut self, change: impl Fn(&str) -> String) -> Self {
        // What is not UTF-8 holds no placeholder.
        let apply = |text: &mut OsString| {
            if let Some(plain) = text.to_str() {
                *text = change(plain).into();
            }
        };
        self.args.iter_mut().for_each(apply);
        self.env.values_mut().for_each(apply);
        self
    }

    /// Ready to be spawned: nothing to read, output piped, in a process group of its own.
    pub(crate) fn command(&self) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.program);
        command.args(&self.args);
        self.surround(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        command
    }

    /// This program in the surroundings of another, not tied to this process.
    pub(crate) fn detached(&self, surroundings: &Self) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.program);
        command.args(&self.args);
        surroundings.surround(&mut command);
        command.envs(&self.env);
        command
    }

    fn surround(&self, command: &mut tokio::process::Command) {
        if !self.inherit {
            command.env_clear();
            if let Some(path) = std::env::var_os("PATH") {
                command.env("PATH", path);
            }
        }
        command.envs(&self.env);
        command.envs(self.secret_env.iter().map(|(name, value)| (name, value.expose())));
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
    }
}
