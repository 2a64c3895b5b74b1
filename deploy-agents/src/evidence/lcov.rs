//! LCOV tracefiles.

use std::collections::BTreeMap;

use super::facts::{CountingRule, CoverageFacts, DeclaredCoverage, FileCoverage, Share};
use super::json::clip;
use super::{Doubt, DoubtKind, Place, Pointer, Problem, ReadError, Source, Sourced};

/// Reads an LCOV tracefile.
///
/// What counts are the distinct `DA` lines of each file, over all records that speak of it: records of several test programs
/// stand in one file, and each names the same sources. What `LF` and `LH` declare is added up beside it, over the files that
/// have one record each; of the others, the recount is taken.
///
/// # Errors
///
/// [`ReadError`], with the line.
pub fn read(source: &Source<'_>) -> Result<CoverageFacts, ReadError> {
    let text = source.text()?;
    let mut reading = Reading { source, facts: CoverageFacts::default(), files: BTreeMap::new(), open: None };
    for (index, line) in text.lines().enumerate() {
        if index >= source.limits.things {
            let reason = format!("more than {} lines are not read", source.limits.things);
            return Err(reading.error(index, 1, Problem::TooLarge, reason));
        }
        reading.line(index, line.trim_end())?;
    }
    if reading.open.is_some() {
        let reason = "the text ends without end_of_record: it was cut short";
        return Err(reading.error(text.lines().count().saturating_sub(1), 1, Problem::Truncated, reason));
    }
    Ok(reading.finish())
}

struct Reading<'a> {
    source: &'a Source<'a>,
    facts: CoverageFacts,
    files: BTreeMap<String, File>,
    open: Option<Record>,
}

/// What all records say about a file.
#[derive(Default)]
struct File {
    at: Pointer,
    records: u64,
    hits: BTreeMap<u64, u64>,
    branches: BTreeMap<(u64, String, String), u64>,
    functions: BTreeMap<String, u64>,
    declared: DeclaredCoverage,
}

#[derive(Default)]
struct Record {
    path: String,
    at: Pointer,
    hits: BTreeMap<u64, u64>,
    branches: BTreeMap<(u64, String, String), u64>,
    functions: BTreeMap<String, u64>,
    declared: DeclaredCoverage,
}

impl Reading<'_> {
    fn place(&self, index: usize, column: usize) -> Pointer {
        self.source.at(Place::Text { line: index as u64 + 1, column: column as u64 })
    }

    fn error(&self, index: usize, column: usize, problem: Problem, reason: impl Into<String>) -> ReadError {
        ReadError::new(problem, self.place(index, column), reason)
    }

    fn line(&mut self, index: usize, line: &str) -> Result<(), ReadError> {
        if line.trim().is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if line == "end_of_record" {
            let Some(record) = self.open.take() else {
                return Err(self.error(index, 1, Problem::Syntax, "end_of_record without SF before it"));
            };
            self.close(record);
            return Ok(());
        }
        let Some((key, value)) = line.split_once(':') else {
            return Err(self.error(index, 1, Problem::Syntax, format!("{:?} has no colon", clip(line, 40))));
        };
        match key {
            "TN" | "VER" | "FNL" | "FNA" => return Ok(()),
            "SF" => return self.begin(index, value),
            _ => {}
        }
        let Some(mut record) = self.open.take() else {
            return Err(self.error(index, 1, Problem::Syntax, format!("{:?} before any SF", clip(key, 40))));
        };
        let done = self.entry(index, key, value, &mut record);
        self.open = Some(record);
        done
    }

    fn begin(&mut self, index: usize, path: &str) -> Result<(), ReadError> {
        if self.open.is_some() {
            return Err(self.error(index, 1, Problem::Syntax, "SF before the end_of_record of the file before it"));
        }
        if path.trim().is_empty() {
            return Err(self.error(index, 4, Problem::Field, "a path must stand here"));
        }
        let at = self.place(index, 4);
        self.open = Some(Record { path: path.replace('\\', "/"), at, ..Record::default() });
        Ok(())
    }

    fn entry(&self, index: usize, key: &str, value: &str, record: &mut Record) -> Result<(), ReadError> {
        let column = key.len() + 2;
        let count = |text: &str| {
            // Some writers give -1 or a number with a fraction for what was not measured.
            let whole = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
            whole.ok_or_else(|| {
                self.error(index, column, Problem::Field, format!("{:?} is not a count", clip(text, 40)))
            })
        };
        let parts: Vec<&str> = value.splitn(4, ',').collect();
        match (key, parts.as_slice()) {
            ("DA", [line, hits, ..]) => {
                let line = count(line)?;
                if line == 0 {
                    return Err(self.error(index, column, Problem::Field, "lines count from 1"));
                }
                let hits = count(hits)?;
                let all = record.hits.entry(line).or_default();
                *all = all.saturating_add(hits);
            }
            ("FN", [line, _, ..]) => {
                count(line)?;
                // Names may hold commas; since version 2 of the format, the last line may stand before the name.
                let rest = value.split_once(',').map_or("", |(_, rest)| rest);
                let name = match rest.split_once(',') {
                    Some((last, name)) if !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()) => name,
                    _ => rest,
                };
                record.functions.entry(name.to_owned()).or_default();
            }
            ("FNDA", [hits, _, ..]) => {
                let name = value.split_once(',').map_or("", |(_, name)| name);
                let all = record.functions.entry(name.to_owned()).or_default();
                *all = all.saturating_add(count(hits)?);
            }
            ("BRDA", [line, block, branch, taken]) => {
                // A dash: the line of the branch never ran.
                let taken = if *taken == "-" { 0 } else { count(taken)? };
                let name = (count(line)?, (*block).to_owned(), (*branch).to_owned());
                let all = record.branches.entry(name).or_default();
                *all = all.saturating_add(taken);
            }
            ("LF", [number]) => {
                record.declared.lines_total = Some(Sourced::new(count(number)?, self.place(index, column)));
            }
            ("LH", [number]) => {
                record.declared.lines_covered = Some(Sourced::new(count(number)?, self.place(index, column)));
            }
            ("FNF" | "FNH" | "BRF" | "BRH", [number]) => {
                count(number)?;
            }
            ("DA" | "FN" | "FNDA" | "BRDA" | "LF" | "LH" | "FNF" | "FNH" | "BRF" | "BRH", _) => {
                return Err(self.error(index, column, Problem::Syntax, format!("{key} has too few or too many parts")));
            }
            // A tracefile may hold entries of a newer version.
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, record: Record) {
        let file = self.files.entry(record.path).or_default();
        file.records += 1;
        if file.records == 1 {
            file.at = record.at;
            file.declared = record.declared;
        } else {
            file.declared = DeclaredCoverage::default();
        }
        let into = |all: &mut u64, more: u64| *all = all.saturating_add(more);
        record.hits.into_iter().for_each(|(line, hits)| into(file.hits.entry(line).or_default(), hits));
        record.branches.into_iter().for_each(|(name, taken)| into(file.branches.entry(name).or_default(), taken));
        record.functions.into_iter().for_each(|(name, hits)| into(file.functions.entry(name).or_default(), hits));
    }

    fn finish(self) -> CoverageFacts {
        let mut facts = self.facts;
        facts.rule = CountingRule::LcovLines;
        for (path, file) in self.files {
            let lines = share(file.hits.values());
            let branches = (!file.branches.is_empty()).then(|| share(file.branches.values()));
            let functions = (!file.functions.is_empty()).then(|| share(file.functions.values()));
            facts.lines = facts.lines.plus(lines);
            facts.branches = add(facts.branches, branches);
            facts.functions = add(facts.functions, functions);
            if let (Some(total), Some(covered)) = (&file.declared.lines_total, &file.declared.lines_covered) {
                let declared = Share { covered: covered.value, total: total.value };
                facts.declared_lines = add(facts.declared_lines, Some(declared));
                if covered.value > total.value {
                    let text = format!("{path} declares that {} of {} lines ran", covered.value, total.value);
                    facts.doubts.push(Doubt::new(DoubtKind::Contradiction, covered.at.clone(), text));
                } else if declared != lines {
                    let (a, b) = (declared, lines);
                    let text = format!(
                        "{path} declares {} of {} lines, and {} of {} stand there",
                        a.covered, a.total, b.covered, b.total
                    );
                    facts.doubts.push(Doubt::new(DoubtKind::RulesDiffer, total.at.clone(), text));
                }
            } else {
                facts.declared_lines = add(facts.declared_lines, Some(lines));
            }
            facts.files.push(FileCoverage {
                path,
                at: file.at,
                lines,
                hits: file.hits,
                branches,
                functions,
                declared: file.declared,
            });
        }
        nothing(&mut facts, self.source);
        facts
    }
}

fn share<'a>(hits: impl Iterator<Item = &'a u64>) -> Share {
    hits.fold(Share::default(), |sum, hits| sum.plus(Share { covered: u64::from(*hits > 0), total: 1 }))
}

pub(super) fn add(a: Option<Share>, b: Option<Share>) -> Option<Share> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.plus(b)),
        (a, b) => a.or(b),
    }
}

/// A report without a line says nothing.
pub(super) fn nothing(facts: &mut CoverageFacts, source: &Source<'_>) {
    if facts.lines.total == 0 {
        let text = "there is no line in the report that can run";
        facts.doubts.push(Doubt::new(DoubtKind::NothingMeasured, source.at(Place::Whole), text));
    }
}
