//! The history of a git repository, read with the `git` program.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use self::commit::parse_commit;
use self::diff::{changed_lines, numstat};
use super::facts::{Commit, GitFacts};
use super::json::clip;
use super::{Doubt, DoubtKind, Limits, Place, Pointer, Problem, ReadError};

mod commit;
mod diff;

/// A repository that is read and never changed.
///
/// `git` is run with an empty environment, without the configuration of the user or the system, and with everything switched
/// off by which a repository's own configuration could start a program: hooks, pagers, monitors, external diffs and converters,
/// signature programs, transports. Replaced and grafted commits are not followed. Commits are read as the bytes that are
/// hashed, so no format of a log stands between.
#[derive(Debug, Clone)]
pub struct Repository {
    folder: PathBuf,
    program: OsString,
    limits: Limits,
    timeout: Duration,
    lines: bool,
}

impl Repository {
    /// The repository in a folder.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            program: "git".into(),
            limits: Limits::default(),
            timeout: Duration::from_secs(60),
            lines: false,
        }
    }

    /// The same, read with another `git`.
    #[must_use]
    pub fn program(mut self, program: impl Into<OsString>) -> Self {
        self.program = program.into();
        self
    }

    /// The same with other limits: `bytes` for each answer of git, `things` for commits and changed files.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same with another time for each question. Default 60 s: a history of 100,000 commits takes a few.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same, with the changed lines of each file, for the coverage of a change.
    #[must_use]
    pub fn with_lines(mut self) -> Self {
        self.lines = true;
        self
    }

    /// Reads the commits that lead to `to` and not to `from`, and what they changed together.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: [`Problem::Producer`] where git cannot be run or answers with an error, [`Problem::Field`] for a name that
    /// is no commit. The repository stands in the place of the file.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the git that runs; nothing is left behind.
    pub async fn read(&self, from: Option<&str>, to: &str) -> Result<GitFacts, ReadError> {
        // Whether there is a repository, and one that git reads for this user.
        self.run(&["rev-parse", "--git-dir"], &[]).await?;
        let to = self.resolve(to).await?;
        let from = match from {
            Some(from) => Some(self.resolve(from).await?),
            None => None,
        };
        let shallow = self.text(&["rev-parse", "--is-shallow-repository"]).await?.trim() == "true";
        let linear = match &from {
            Some(from) => self.asks(&["merge-base", "--is-ancestor", from, &to]).await?,
            None => true,
        };
        let points_at = format!("--points-at={to}");
        let tags = self.text(&["for-each-ref", &points_at, "--format=%(refname:strip=2)", "refs/tags"]).await?;
        let mut facts = GitFacts {
            commits: self.commits(from.as_deref(), &to).await?,
            tags: tags.lines().map(str::to_owned).collect(),
            shallow,
            linear,
            ..GitFacts::default()
        };
        let base = match &from {
            Some(from) => from.clone(),
            // The name of the empty tree depends on the hash that the repository uses.
            None => self.text(&["hash-object", "-t", "tree", "--stdin"]).await?.trim().to_owned(),
        };
        let quiet = ["--no-renames", "--no-ext-diff", "--no-textconv", "--no-color"];
        let stat = [&["diff-tree", "-r", "-z", "--numstat"], &quiet[..], &[&base, &to]].concat();
        facts.changed =
            numstat(&self.run(&stat, &[]).await?, self.limits.things).map_err(|reason| self.error(reason))?;
        if self.lines {
            let diff =
                [&["diff-tree", "-r", "-p", "-U0", "--src-prefix=a/", "--dst-prefix=b/"], &quiet[..], &[&base, &to]];
            let lines = changed_lines(&self.run(&diff.concat(), &[]).await?).map_err(|reason| self.error(reason))?;
            for file in &mut facts.changed {
                file.lines = lines.get(&file.path).cloned().unwrap_or_default();
            }
        }
        self.doubt(&mut facts, from.is_some());
        (facts.from, facts.to) = (from, to);
        Ok(facts)
    }

    fn doubt(&self, facts: &mut GitFacts, bounded: bool) {
        let here = || self.place();
        if facts.shallow {
            let text = "history is cut off: commits may be missing (git fetch --unshallow)";
            facts.doubts.push(Doubt::new(DoubtKind::Incomplete, here(), text));
        }
        if !facts.linear {
            let text = "the one commit does not lead to the other: something was rewritten or taken back";
            facts.doubts.push(Doubt::new(DoubtKind::Contradiction, here(), text));
        }
        if facts.commits.is_empty() {
            let text = if bounded { "there is no commit between the two" } else { "there is no commit" };
            facts.doubts.push(Doubt::new(DoubtKind::NothingMeasured, here(), text));
        }
        let committed: std::collections::BTreeMap<&str, _> =
            facts.commits.iter().map(|c| (c.id.as_str(), c.committed)).collect();
        let mut doubts = Vec::new();
        for commit in &facts.commits {
            let short = commit.id.get(..12).unwrap_or(&commit.id);
            let newer =
                commit.parents.iter().any(|p| committed.get(p.as_str()).is_some_and(|at| *at > commit.committed));
            if newer {
                let text = format!("commit {short} says that it is older than its parent");
                doubts.push(Doubt::new(DoubtKind::Times, here(), text));
            }
            if commit.authored > commit.committed {
                let text = format!("commit {short} says that it was committed before it was written");
                doubts.push(Doubt::new(DoubtKind::Times, here(), text));
            }
        }
        facts.doubts.append(&mut doubts);
    }

    /// The full name of a commit.
    async fn resolve(&self, name: &str) -> Result<String, ReadError> {
        let wrong = |reason: String| ReadError::new(Problem::Field, self.place(), reason);
        if name.is_empty() || name.starts_with('-') || name.contains(['\0', '\n']) {
            return Err(wrong(format!("{:?} is no name of a commit", clip(name, 80))));
        }
        let commit = format!("{name}^{{commit}}");
        let question = ["rev-parse", "--verify", "--quiet", "--end-of-options", &commit];
        let (code, id, _) = self.answer(&question, &[]).await?;
        if code != Some(0) {
            return Err(wrong(format!("{:?} is no commit of this repository", clip(name, 80))));
        }
        let id = String::from_utf8_lossy(&id);
        // Older versions of git print the option itself.
        let id = id.lines().last().unwrap_or_default().trim().to_owned();
        if is_id(&id) { Ok(id) } else { Err(wrong(format!("{:?} is no commit of this repository", clip(name, 80)))) }
    }

    async fn commits(&self, from: Option<&str>, to: &str) -> Result<Vec<Commit>, ReadError> {
        let most = format!("--max-count={}", self.limits.things.saturating_add(1));
        let excluded = from.map(|from| format!("^{from}"));
        let mut question = vec!["rev-list", "--date-order", &most, to];
        question.extend(excluded.as_deref());
        question.push("--");
        let ids = self.run(&question, &[]).await?;
        let count = ids.iter().filter(|byte| **byte == b'\n').count();
        if count > self.limits.things {
            let reason = format!("more than {} commits are not read", self.limits.things);
            return Err(ReadError::new(Problem::TooLarge, self.place(), reason));
        }
        let objects = self.run(&["cat-file", "--batch"], &ids).await?;
        let mut commits = Vec::with_capacity(count);
        let mut rest = objects.as_slice();
        while !rest.is_empty() {
            let (commit, after) =
                parse_commit(rest).ok_or_else(|| self.error("git answered with no commit".to_owned()))?;
            commits.push(commit);
            rest = after;
        }
        if commits.len() == count { Ok(commits) } else { Err(self.error("git left commits out".to_owned())) }
    }

    fn place(&self) -> Pointer {
        Pointer::new(self.folder.to_string_lossy().as_ref(), Place::Whole)
    }

    fn error(&self, reason: String) -> ReadError {
        ReadError::new(Problem::Producer, self.place(), reason)
    }

    async fn text(&self, question: &[&str]) -> Result<String, ReadError> {
        Ok(String::from_utf8_lossy(&self.run(question, &[]).await?).into_owned())
    }

    /// Whether git answers yes: 0 is yes, 1 is no, everything else is neither.
    async fn asks(&self, question: &[&str]) -> Result<bool, ReadError> {
        match self.answer(question, &[]).await? {
            (Some(0), ..) => Ok(true),
            (Some(1), ..) => Ok(false),
            (_, _, said) => Err(self.error(said)),
        }
    }

    async fn run(&self, question: &[&str], input: &[u8]) -> Result<Vec<u8>, ReadError> {
        match self.answer(question, input).await? {
            (Some(0), answer, _) => Ok(answer),
            (_, _, said) => Err(self.error(format!("git {} failed: {said}", question.first().unwrap_or(&"")))),
        }
    }

    /// Exit code, answer, and the last words on the error stream.
    async fn answer(&self, question: &[&str], input: &[u8]) -> Result<(Option<i32>, Vec<u8>, String), ReadError> {
        let mut child = self.command(question).spawn().map_err(|error| {
            let program = Path::new(&self.program).display();
            self.error(format!("{program} could not be started: {error}"))
        })?;
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(self.error("git has no streams".to_owned()));
        };
        let most = self.limits.bytes as u64 + 1;
        let (mut answer, mut said) = (Vec::new(), Vec::new());
        let work = async {
            let write = async {
                // An error shows in how git ends.
                let _written = stdin.write_all(input).await;
                drop(stdin);
            };
            let mut bounded = stdout.take(most);
            let mut last_words = stderr.take(64 * 1024);
            let read = bounded.read_to_end(&mut answer);
            let listen = last_words.read_to_end(&mut said);
            let ((), read, _listened) = tokio::join!(write, read, listen);
            read
        };
        let read = tokio::time::timeout(self.timeout, work).await;
        let late = || self.error(format!("git did not answer in {:?}", self.timeout));
        read.map_err(|_| late())?.map_err(|error| self.error(error.to_string()))?;
        if answer.len() as u64 == most {
            let reason = format!("git answered with more than {} bytes", self.limits.bytes);
            return Err(ReadError::new(Problem::TooLarge, self.place(), reason));
        }
        let status = tokio::time::timeout(self.timeout, child.wait()).await;
        let status = status.map_err(|_| late())?.map_err(|error| self.error(error.to_string()))?;
        let said = String::from_utf8_lossy(&said);
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
        Ok((status.code(), answer, clip(last.trim(), 300)))
    }

    fn command(&self, question: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("-C").arg(&self.folder).args(["--no-pager", "--no-replace-objects", "--literal-pathspecs"]);
        for setting in LOCKED {
            command.args(["-c", setting]);
        }
        command.args(question);
        command.env_clear().envs(ENVIRONMENT.iter().copied());
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }
}

/// What a repository's own configuration must not decide. What stands on the command line counts before it.
const LOCKED: [&str; 20] = [
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.pager=cat",
    "core.attributesFile=/dev/null",
    "core.alternateRefsCommand=false",
    "core.sshCommand=false",
    "core.askPass=false",
    "core.editor=false",
    "core.gitProxy=false",
    "core.useReplaceRefs=false",
    "core.quotePath=false",
    "credential.helper=",
    "diff.external=",
    "diff.ignoreSubmodules=all",
    "diff.submodule=short",
    "gpg.program=false",
    "log.showSignature=false",
    "protocol.allow=never",
    "uploadpack.packObjectsHook=",
    "gc.auto=0",
];

/// The whole environment beside `PATH`.
const ENVIRONMENT: [(&str, &str); 14] = [
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_SYSTEM", "/dev/null"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_GRAFT_FILE", "/dev/null"),
    ("GIT_ALLOW_PROTOCOL", "none"),
    ("GIT_ADVICE", "0"),
    ("HOME", "/nonexistent"),
    ("LC_ALL", "C"),
    ("TZ", "UTC"),
];

/// A full name, of SHA-1 or SHA-256.
fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Names of commits, without doubles.
fn unique(ids: impl Iterator<Item = String>) -> Vec<String> {
    ids.collect::<BTreeSet<_>>().into_iter().collect()
}
