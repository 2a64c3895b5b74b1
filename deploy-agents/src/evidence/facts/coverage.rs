//! Facts of coverage reports: LCOV, Cobertura XML, llvm-cov JSON.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::evidence::{Doubt, Pointer, Sourced};

/// What a coverage report says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CoverageFacts {
    /// How the numbers in `lines` were come by. Different tools count the same run differently, so cite it with the number.
    pub rule: CountingRule,
    /// Lines that ran, of those that can: what the entries of the report add up to.
    pub lines: Share,
    /// The same by what the report declares, where it declares counts: see [`strictest_lines`](Self::strictest_lines).
    pub declared_lines: Option<Share>,
    /// Branches that were taken.
    pub branches: Option<Share>,
    /// Functions that ran.
    pub functions: Option<Share>,
    /// Regions of code that ran.
    pub regions: Option<Share>,
    /// What the report declares about itself as a whole.
    pub declared: DeclaredCoverage,
    /// The files, by path.
    pub files: Vec<FileCoverage>,
    /// What keeps the report from being taken at its word.
    pub doubts: Vec<Doubt>,
}

/// How the numbers were come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CountingRule {
    /// The distinct `DA` lines of LCOV; a line that stands twice has the sum of its hits.
    #[default]
    LcovLines,
    /// The distinct lines of each file of Cobertura; a line that stands twice has the larger of its hits.
    CoberturaLines,
    /// The sums over the files' summaries of llvm-cov, which counts lines that any instance of a generic function covers.
    LlvmSummaries,
}

/// A part of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Share {
    /// The part.
    pub covered: u64,
    /// The whole.
    pub total: u64,
}

impl Share {
    /// The part in per cent; nothing where the whole is nothing, since nothing was measured then.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of lines stay far below 2^52")]
    pub fn percent(self) -> Option<f64> {
        (self.total > 0).then(|| self.covered as f64 * 100.0 / self.total as f64)
    }

    /// Whether the part is more than `percent` per cent of the whole. 90.0 is not more than 90.
    #[must_use]
    pub fn exceeds(self, percent: f64) -> bool {
        self.percent().is_some_and(|mine| mine > percent)
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { covered: self.covered.saturating_add(other.covered), total: self.total.saturating_add(other.total) }
    }
}

/// What a report, or a file in it, declares about itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeclaredCoverage {
    /// How many lines ran.
    pub lines_covered: Option<Sourced<u64>>,
    /// How many lines can run.
    pub lines_total: Option<Sourced<u64>>,
    /// The share of lines, as it stands: LCOV has none, Cobertura a number from 0 to 1, llvm-cov one from 0 to 100.
    pub line_rate: Option<Sourced<f64>>,
    /// The share of branches, as it stands.
    pub branch_rate: Option<Sourced<f64>>,
}

/// What a report says of one file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FileCoverage {
    /// Its path as it stands in the report, with `/` between the parts, and after the root of the sources where the report
    /// names exactly one.
    pub path: String,
    /// Where it stands.
    pub at: Pointer,
    /// Lines that ran, of those that can.
    pub lines: Share,
    /// How often each line ran, where the report says so for each line.
    pub hits: BTreeMap<u64, u64>,
    /// Branches that were taken.
    pub branches: Option<Share>,
    /// Functions that ran.
    pub functions: Option<Share>,
    /// What the report declares about it.
    pub declared: DeclaredCoverage,
}

/// How much of a change ran.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DiffCoverage {
    /// Changed lines that ran, of those that can.
    pub lines: Share,
    /// Changed files of which the report says nothing: never run, excluded, or not code.
    pub not_in_report: Vec<String>,
    /// Changed files of which the report has numbers, but none for each line.
    pub without_lines: Vec<String>,
}

impl CoverageFacts {
    /// The lower of the recount and of what the report declares. Producers count one run by several rules: of the same
    /// run, LLVM's tracefile lists two lines that both ran and declares three of four.
    #[must_use]
    pub fn strictest_lines(&self) -> Share {
        let percent = |share: Share| share.percent().unwrap_or(0.0);
        match self.declared_lines {
            Some(declared) if percent(declared) < percent(self.lines) => declared,
            _ => self.lines,
        }
    }

    /// How much of a change ran. `changed` holds the changed lines of each file, by its path in the repository.
    ///
    /// A file of the report is the changed one if its path is the same or ends in it after a `/`. Where several do,
    /// the shortest path is taken, since it has the least in front.
    #[must_use]
    pub fn of_change(&self, changed: &BTreeMap<String, BTreeSet<u64>>) -> DiffCoverage {
        let mut diff = DiffCoverage::default();
        for (path, lines) in changed {
            let ours = |file: &&FileCoverage| {
                file.path == *path || file.path.strip_suffix(path.as_str()).is_some_and(|front| front.ends_with('/'))
            };
            let Some(file) = self.files.iter().filter(ours).min_by_key(|file| file.path.len()) else {
                diff.not_in_report.push(path.clone());
                continue;
            };
            if file.hits.is_empty() && file.lines.total > 0 {
                diff.without_lines.push(path.clone());
                continue;
            }
            for hits in lines.iter().filter_map(|line| file.hits.get(line)) {
                diff.lines.total += 1;
                diff.lines.covered += u64::from(*hits > 0);
            }
        }
        diff
    }
}
