//! What came of it, for people and as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use deploy_agents::checks::{Catalogue, ChecklistReading, ItemState};
use deploy_agents::dossier::{Dossier, Standing};
use deploy_core::machine::Outcome;
use deploy_core::release::Release;
use serde::Serialize;

use crate::Failure;
use crate::workshop::args::{Args, Fault};
use crate::workshop::shelf::Shelf;

/// Exit code where a gate said no.
const NO_GO: u8 = 3;

/// Prints a line while the work goes on, unless JSON is wanted.
#[expect(clippy::print_stdout, reason = "an example shows what came of it")]
pub(crate) fn say(args: &Args, text: &str) {
    if !args.json {
        println!("{text}");
    }
}

/// What is summed up.
#[derive(Debug)]
pub(crate) struct Facts<'f> {
    pub(crate) workflow: &'f str,
    pub(crate) fault: Option<Fault>,
    pub(crate) release: &'f Release,
    pub(crate) outcome: Outcome,
    pub(crate) because: &'f str,
    pub(crate) dossier: &'f Dossier,
    pub(crate) checklist: &'f ChecklistReading,
    pub(crate) catalogue: &'f Catalogue,
    pub(crate) making: Duration,
    pub(crate) releasing: Duration,
    pub(crate) folder: &'f Path,
}

/// The summary.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    workflow: String,
    release: String,
    commit: Option<String>,
    outcome: Outcome,
    because: String,
    /// The gate that said no, and what it named.
    no_go: Option<NoGo>,
    fault: Option<&'static str>,
    /// Whether the planted fault is named by the gate; absent without one.
    fault_named: Option<bool>,
    checks: Vec<CheckFacts>,
    checklist: Vec<ItemFacts>,
    reports: BTreeMap<String, String>,
    making_seconds: f64,
    releasing_seconds: f64,
    folder: String,
    as_it_should_be: bool,
}

#[derive(Debug, Serialize)]
struct NoGo {
    gate: String,
    why: String,
}

/// How one check ended, over all steps that asked for it.
#[derive(Debug, Serialize)]
struct CheckFacts {
    check: String,
    /// `met`, `not applicable`, `waived`, `open`, or `not asked` where the run ended before.
    standing: &'static str,
    why: String,
    rows: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ItemFacts {
    item: String,
    row: Option<u16>,
    standing: &'static str,
    why: String,
}

impl Summary {
    pub(crate) fn new(facts: &Facts<'_>, shelf: &Shelf) -> Self {
        let checks = checks(facts);
        let no_go = facts.dossier.decisions().into_iter().find_map(|line| {
            let why = line.why.strip_prefix("no-go: ").filter(|_| line.what == "step failed")?.to_owned();
            Some(NoGo { gate: line.step.map(|path| path.to_string()).unwrap_or_default(), why })
        });
        let named = facts.fault.map(|fault| no_go.as_ref().is_some_and(|no| no.why.contains(fault.found_by())));
        let all_met = !checks.is_empty()
            && checks.iter().all(|check| matches!(check.standing, "met" | "not applicable" | "waived"));
        let as_it_should_be = match named {
            Some(named) => named && facts.outcome != Outcome::Succeeded,
            None => facts.outcome == Outcome::Succeeded && all_met,
        };
        let items = facts.checklist.items.iter().map(|(item, state)| {
            let (standing, why) = match state {
                ItemState::Computed => ("so", String::new()),
                ItemState::Waived(by) => ("waived", by.join("; ")),
                ItemState::Attested(by) => ("by hand", by.note.clone()),
                ItemState::Open(why) => ("open", why.join("; ")),
                _ => ("unknown", String::new()),
            };
            ItemFacts { item: item.text.clone(), row: item.row, standing, why }
        });
        Self {
            workflow: facts.workflow.to_owned(),
            release: facts.release.to_string(),
            commit: facts.release.change.commit.clone(),
            outcome: facts.outcome,
            because: facts.because.to_owned(),
            no_go,
            fault: facts.fault.map(Fault::found_by),
            fault_named: named,
            checks,
            checklist: items.collect(),
            reports: shelf.producers().clone(),
            making_seconds: tenths(facts.making),
            releasing_seconds: tenths(facts.releasing),
            folder: facts.folder.display().to_string(),
            as_it_should_be,
        }
    }

    /// 0 as it should be and out, 3 a gate said no, 1 anything else.
    pub(crate) fn exit_code(&self) -> u8 {
        match (&self.no_go, self.as_it_should_be) {
            (None, true) => 0,
            (Some(_), _) if self.fault_named != Some(false) => NO_GO,
            _ => 1,
        }
    }

    /// Prints it.
    #[expect(clippy::print_stdout, reason = "an example shows what came of it")]
    pub(crate) fn show(&self, args: &Args) -> Result<(), Failure> {
        if args.json {
            println!("{}", serde_json::to_string(self)?);
        } else {
            println!("{}", self.text());
        }
        Ok(())
    }

    fn text(&self) -> String {
        let mut text = String::from("\n");
        let _ = writeln!(text, "{}: {} {}", self.workflow, self.release, self.outcome);
        let _ = writeln!(text, "  because {}", self.because);
        if let Some(no) = &self.no_go {
            let _ = writeln!(text, "  NO GO at {}:", no.gate);
            for veto in no.why.split("; ") {
                let _ = writeln!(text, "    {veto}");
            }
        }
        if let (Some(fault), Some(named)) = (self.fault, self.fault_named) {
            let found = if named { "was found, and is named above" } else { "WAS NOT FOUND" };
            let _ = writeln!(text, "  the planted fault ({fault}) {found}");
        }
        for (standing, title) in [
            ("met", "met, on evidence that was read"),
            ("not applicable", "not applicable on this machine"),
            ("waived", "waived by a named person"),
            ("open", "open"),
            ("not asked", "not asked any more"),
        ] {
            let mine: Vec<&CheckFacts> = self.checks.iter().filter(|check| check.standing == standing).collect();
            if mine.is_empty() {
                continue;
            }
            let _ = writeln!(text, "\n  {} checks {title}", mine.len());
            for check in mine {
                let why = if check.why.is_empty() { String::new() } else { format!(": {}", check.why) };
                let _ = writeln!(text, "    {:26} {}{why}", check.check, check.rows.join(" "));
            }
        }
        let so = self.checklist.iter().filter(|item| item.standing == "so").count();
        let _ = writeln!(text, "\n  Checklist, computed now: {so} of {} items are so", self.checklist.len());
        for item in self.checklist.iter().filter(|item| item.standing != "so") {
            let _ = writeln!(text, "    {:26} {}: {}", item.item, item.standing, item.why);
        }
        let makers: BTreeSet<&String> = self.reports.values().collect();
        let _ = writeln!(text, "\n  {} reports, made by", self.reports.len());
        for maker in makers {
            let files: Vec<&str> =
                self.reports.iter().filter(|(_, by)| *by == maker).map(|(file, _)| file.as_str()).collect();
            let _ = writeln!(text, "    {maker}: {}", files.join(", "));
        }
        let _ = writeln!(
            text,
            "\n  {:.0} s for the reports, {:.0} s for the release; dossier, journal and reports lie in {}",
            self.making_seconds, self.releasing_seconds, self.folder
        );
        let _ = write!(
            text,
            "{}",
            if self.as_it_should_be { "  all of it as it should be" } else { "  NOT as it should be" }
        );
        text
    }
}

fn tenths(span: Duration) -> f64 {
    (span.as_secs_f64() * 10.0).round() / 10.0
}

/// How every check of the catalogue that a step asked for stands. Of several steps the one in which it is worst counts.
fn checks(facts: &Facts<'_>) -> Vec<CheckFacts> {
    let mut all: BTreeMap<String, (u8, &'static str, String)> = BTreeMap::new();
    for step in facts.dossier.steps() {
        for line in &step.checks {
            // The four lines of a step speak of its checks, which stand here themselves.
            let name = line.check.as_str();
            if facts.catalogue.check(name).is_none() {
                continue;
            }
            let (rank, standing, why) = match &line.standing {
                Standing::Verified(remarks) => {
                    match remarks.iter().find_map(|remark| remark.strip_prefix("does not apply: ")) {
                        Some(reason) => (1, "not applicable", reason.to_owned()),
                        None => (0, "met", remarks.join("; ")),
                    }
                }
                Standing::Waived(waiver) => (2, "waived", format!("{}: {}", waiver.person, waiver.reason)),
                Standing::Claimed(why) => (4, "open", why.clone().unwrap_or_default()),
                Standing::Missing => (3, "not asked", String::new()),
                _ => (4, "open", String::new()),
            };
            let there = all.entry(name.to_owned()).or_insert_with(|| (rank, standing, why.clone()));
            if rank > there.0 {
                *there = (rank, standing, why);
            }
        }
    }
    // A waiver stands at the gate; the step beneath it still says what it could not show.
    for step in facts.dossier.steps() {
        for line in &step.checks {
            if let (Standing::Waived(waiver), Some(there)) = (&line.standing, all.get_mut(line.check.as_str())) {
                *there = (2, "waived", format!("{}: {}", waiver.person, waiver.reason));
            }
        }
    }
    let rows = |name: &str| {
        let served = facts.catalogue.check(name).map(|check| check.served().to_vec()).unwrap_or_default();
        served.iter().map(|row| format!("M{row}")).collect()
    };
    let facts =
        all.into_iter().map(|(check, (_, standing, why))| CheckFacts { rows: rows(&check), check, standing, why });
    facts.collect()
}
