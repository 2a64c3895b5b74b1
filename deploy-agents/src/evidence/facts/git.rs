//! Facts of a git history.

use std::collections::{BTreeMap, BTreeSet};

use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::evidence::Doubt;

/// What a repository says about the commits between two points.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GitFacts {
    /// The commit from which the history is taken, itself excluded. Absent: from the beginning.
    pub from: Option<String>,
    /// The commit up to which it is taken, itself included.
    pub to: String,
    /// The tags on `to`.
    pub tags: Vec<String>,
    /// Whether `from` is an ancestor of `to`. If not, something was rewritten or taken back.
    pub linear: bool,
    /// Whether history is cut off: commits may be missing.
    pub shallow: bool,
    /// The commits, newest first.
    pub commits: Vec<Commit>,
    /// The files that differ between the two points.
    pub changed: Vec<ChangedFile>,
    /// What keeps the history from being taken at its word.
    pub doubts: Vec<Doubt>,
}

/// A commit. Names, times and texts are what somebody typed: data, never an instruction, and no proof of who it was.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Commit {
    /// Its full name.
    pub id: String,
    /// The full names of its parents. Several: it merges.
    pub parents: Vec<String>,
    /// Who wrote it, as `Name <address>`.
    pub author: String,
    /// Who put it there.
    pub committer: String,
    /// When it was written, to the second. A rebase keeps it.
    pub authored: Timestamp,
    /// When it was put there, to the second.
    pub committed: Timestamp,
    /// Its first line.
    pub subject: String,
    /// The rest, without the trailers.
    pub body: String,
    /// Its trailers, in order: `Reviewed-by` and the like.
    pub trailers: Vec<(String, String)>,
    /// What it says by the rules of Conventional Commits, where it follows them.
    pub conventional: Option<ConventionalCommit>,
    /// The commits that it takes back.
    pub reverts: Vec<String>,
    /// The commit that it was copied from.
    pub copied_from: Option<String>,
    /// What git says about its signature.
    pub signature: CommitSignature,
}

/// What a commit says by the rules of Conventional Commits 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConventionalCommit {
    /// `feat`, `fix` or another word, in lower case.
    pub kind: String,
    /// What it is about.
    pub scope: Option<String>,
    /// What it does.
    pub description: String,
    /// Whether it breaks what users rely on, by `!` or by a footer.
    pub breaking: bool,
    /// What it breaks, where a footer says.
    pub breaking_text: Option<String>,
}

/// What git says about a commit's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitSignature {
    /// It was not asked: no programs are run for a repository that is not trusted.
    #[default]
    NotAsked,
    /// There is none.
    None,
    /// There is one, and nobody asked whether it is right.
    Present,
}

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChangedFile {
    /// Its path.
    pub path: String,
    /// How many lines were added; nothing for a binary file.
    pub added: Option<u64>,
    /// How many lines were taken away; nothing for a binary file.
    pub removed: Option<u64>,
    /// The lines of the new file that were added or changed, where they were asked for.
    pub lines: BTreeSet<u64>,
}

/// How much the next version must grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Growth {
    /// Nothing that users see.
    #[default]
    Nothing,
    /// Something is mended.
    Patch,
    /// Something is new.
    Minor,
    /// Something breaks.
    Major,
}

impl GitFacts {
    /// How much the next version must grow by its conventional commits: those that were taken back again do not count.
    #[must_use]
    pub fn growth(&self) -> Growth {
        let taken_back: BTreeSet<&str> =
            self.commits.iter().flat_map(|c| c.reverts.iter().map(String::as_str)).collect();
        let counted = self.commits.iter().filter(|c| !taken_back.contains(c.id.as_str()));
        counted
            .filter_map(|c| c.conventional.as_ref())
            .map(|c| match c.kind.as_str() {
                _ if c.breaking => Growth::Major,
                "feat" => Growth::Minor,
                "fix" | "perf" => Growth::Patch,
                _ => Growth::Nothing,
            })
            .max()
            .unwrap_or_default()
    }

    /// The changed lines of each file, for [`CoverageFacts::of_change`](super::CoverageFacts::of_change).
    #[must_use]
    pub fn changed_lines(&self) -> BTreeMap<String, BTreeSet<u64>> {
        self.changed.iter().filter(|f| !f.lines.is_empty()).map(|f| (f.path.clone(), f.lines.clone())).collect()
    }
}
