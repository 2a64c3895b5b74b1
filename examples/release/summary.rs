//! The closing summary.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use deploy_core::machine::Outcome;
use deploy_core::time::Spell;
use serde::Serialize;

use crate::facts::RunFacts;
use crate::tally::Counts;

/// Everything that came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// Whether version 2 is out, version 3 was rolled back by itself, and no request was lost.
    pub(crate) as_told: bool,
    duration_ms: u64,
    runs: Vec<RunFacts>,
    users: Counts,
    failed_by_the_release_machinery: u64,
    users_exposed_to_the_bad_version: u64,
    journal: PathBuf,
}

impl Summary {
    /// Puts it together from the journal and the users' tally.
    pub(crate) fn new(runs: Vec<RunFacts>, users: Counts, journal: PathBuf) -> Self {
        let outcomes: Vec<_> = runs.iter().map(|run| (run.version.as_str(), run.outcome)).collect();
        let told = [("v2", Some(Outcome::Succeeded)), ("v3", Some(Outcome::RolledBack))];
        let detected = runs.iter().any(|run| run.version == "v3" && run.detected.is_some());
        Self {
            as_told: outcomes == told && detected && users.lost == 0,
            duration_ms: runs.iter().map(|run| run.duration_ms).sum(),
            failed_by_the_release_machinery: users.lost,
            users_exposed_to_the_bad_version: users.versions.get("v3").map_or(0, |v3| v3.users),
            runs,
            users,
            journal,
        }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from("\nSummary\n");
        for run in &self.runs {
            let outcome = run.outcome.map_or("not ended", Outcome::as_str);
            let _ = write!(text, "  {} {outcome} in {}, {} records", run.version, spell(run.duration_ms), run.records);
            if run.taken_up > 0 {
                let _ = write!(text, ", taken up again {} times", run.taken_up);
            }
            let _ = writeln!(text, "\n     because {}", run.because);
            if let Some(detected) = &run.detected {
                let _ = writeln!(
                    text,
                    "     detected at {1} of the traffic, {2} after it got its first share of it; reason {0}",
                    detected.code,
                    detected.stage,
                    spell(detected.after_ms)
                );
                for fact in &detected.measured {
                    let measured = fact.measured.map_or_else(|| "no number".to_owned(), |n| format!("{n:.3}"));
                    let broken = if fact.broken { "broken" } else { "kept" };
                    let _ = writeln!(text, "     {} was {measured}, limit {}: {broken}", fact.metric, fact.limit);
                }
                let _ = writeln!(text, "     {}", detected.otherwise);
            }
        }
        let _ = writeln!(text, "  duration of both releases: {}", spell(self.duration_ms));
        let by_version = self.users.versions.iter().map(|(version, c)| format!("{version} {}", c.requests));
        let _ = writeln!(
            text,
            "  requests served: {} ({})",
            self.users.requests.saturating_sub(self.users.lost),
            by_version.collect::<Vec<_>>().join(", ")
        );
        let _ = writeln!(text, "  requests failed by the release machinery: {}", self.failed_by_the_release_machinery);
        for reason in &self.users.reasons {
            let _ = writeln!(text, "     {reason}");
        }
        if let Some(v3) = self.users.versions.get("v3") {
            let _ = writeln!(
                text,
                "  users exposed to v3: {} of {}; it refused {} of its {} requests, and {} users met a refusal",
                v3.users, self.users.users, v3.refused, v3.requests, v3.users_refused
            );
        }
        let _ = writeln!(text, "  journal: {}", self.journal.display());
        let _ = write!(text, "{}", if self.as_told { "  all of it as it should be" } else { "  NOT as it should be" });
        text
    }
}

fn spell(ms: u64) -> String {
    Spell(Duration::from_millis(ms)).to_string()
}
