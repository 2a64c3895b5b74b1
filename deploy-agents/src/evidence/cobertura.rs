//! Cobertura XML, as coverage.py, gcovr, coverlet and cargo-llvm-cov write it.

use std::collections::BTreeMap;

use super::facts::{CountingRule, CoverageFacts, DeclaredCoverage, FileCoverage, Share};
use super::lcov::{add, nothing};
use super::xml::{Element, Next, Xml};
use super::{Doubt, DoubtKind, Pointer, Problem, ReadError, Source};

/// How far a rate may be from the recount: writers round to two to four digits.
const ROUNDING: f64 = 0.01;

/// Reads a Cobertura report.
///
/// What counts are the distinct lines of each file. Lines stand under the classes and, many of them again, under their
/// methods; several classes may name one file. A line that stands twice has the larger of its hits.
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn read(source: &Source<'_>) -> Result<CoverageFacts, ReadError> {
    let mut xml = Xml::new(source)?;
    let mut reading = Reading::default();
    loop {
        match xml.next()? {
            Next::Open(element) => reading.open(&element)?,
            Next::Text(text) if reading.path.last().is_some_and(|name| name == "source") => {
                if let Some(root) = reading.roots.last_mut() {
                    root.push_str(&text);
                }
            }
            Next::Text(_) => {}
            Next::Close(_) => reading.close(),
            Next::End => break,
        }
    }
    Ok(reading.finish(source))
}

#[derive(Default)]
struct Reading {
    facts: CoverageFacts,
    path: Vec<String>,
    roots: Vec<String>,
    /// The file of the open class.
    file: Option<String>,
    files: BTreeMap<String, File>,
    root: Pointer,
}

#[derive(Default)]
struct File {
    at: Pointer,
    lines: BTreeMap<u64, (u64, Option<Share>)>,
    declared: DeclaredCoverage,
    classes: u64,
}

impl Reading {
    fn open(&mut self, element: &Element) -> Result<(), ReadError> {
        if self.path.is_empty() {
            if element.name != "coverage" {
                let reason = format!("a Cobertura report begins with coverage, not {}", element.name);
                return Err(ReadError::new(Problem::Version, element.at(), reason));
            }
            self.root = element.at();
            self.facts.declared = declared(element)?;
        }
        match element.name.as_str() {
            "source" => self.roots.push(String::new()),
            "class" => {
                let path = element.need("filename")?.replace('\\', "/");
                let file = self.files.entry(path.clone()).or_default();
                file.classes += 1;
                if file.classes == 1 {
                    file.at = element.at();
                    file.declared = declared(element)?;
                } else {
                    file.declared = DeclaredCoverage::default();
                }
                self.file = Some(path);
            }
            "line" => self.line(element)?,
            _ => {}
        }
        self.path.push(element.name.clone());
        Ok(())
    }

    fn line(&mut self, element: &Element) -> Result<(), ReadError> {
        let Some(file) = self.file.as_ref().and_then(|path| self.files.get_mut(path)) else {
            return Err(ReadError::new(Problem::Syntax, element.at(), "a line outside of any class"));
        };
        let missing = |name: &str| {
            ReadError::new(Problem::Field, element.at(), format!("the attribute {name:?} is missing here"))
        };
        let number = element.whole("number")?.ok_or_else(|| missing("number"))?.value;
        let hits = element.whole("hits")?.ok_or_else(|| missing("hits"))?.value;
        let branches = element.parsed("condition-coverage", "a share such as 50% (1/2)", conditions)?;
        let line = file.lines.entry(number).or_default();
        line.0 = line.0.max(hits);
        if let Some(new) = branches.map(|b| b.value)
            && line.1.is_none_or(|old| new.covered > old.covered)
        {
            line.1 = Some(new);
        }
        Ok(())
    }

    fn close(&mut self) {
        if self.path.pop().is_some_and(|name| name == "class") {
            self.file = None;
        }
    }

    fn finish(self, source: &Source<'_>) -> CoverageFacts {
        let mut facts = self.facts;
        facts.rule = CountingRule::CoberturaLines;
        let roots: Vec<&str> = self.roots.iter().map(|r| r.trim()).filter(|r| !r.is_empty()).collect();
        for (path, file) in self.files {
            let ran = |hits: u64| Share { covered: u64::from(hits > 0), total: 1 };
            let lines = file.lines.values().fold(Share::default(), |sum, line| sum.plus(ran(line.0)));
            let branches = file.lines.values().fold(None, |sum, line| add(sum, line.1));
            facts.lines = facts.lines.plus(lines);
            facts.branches = add(facts.branches, branches);
            let full = match roots.as_slice() {
                [root] if !path.starts_with('/') && *root != "." => {
                    format!("{}/{path}", root.replace('\\', "/").trim_end_matches('/'))
                }
                _ => path,
            };
            facts.files.push(FileCoverage {
                path: full,
                at: file.at,
                lines,
                hits: file.lines.into_iter().map(|(line, (hits, _))| (line, hits)).collect(),
                branches,
                functions: None,
                declared: file.declared,
            });
        }
        let declared = &facts.declared;
        let mut doubts = Vec::new();
        let counted = facts.lines.percent().unwrap_or(0.0) / 100.0;
        if let Some(rate) = declared.line_rate.as_ref().filter(|rate| (rate.value - counted).abs() > ROUNDING) {
            let text =
                format!("the report declares a line rate of {}, and its lines add up to {counted:.4}", rate.value);
            doubts.push(Doubt::new(DoubtKind::CountsDiffer, rate.at.clone(), text));
        }
        if let (Some(covered), Some(total)) = (&declared.lines_covered, &declared.lines_total) {
            let share = Share { covered: covered.value, total: total.value };
            facts.declared_lines = Some(share);
            let far = (share.percent().unwrap_or(0.0) / 100.0 - counted).abs() > ROUNDING;
            if far || covered.value > total.value {
                let text = format!(
                    "the report declares {} of {} lines, and {} of {} stand there",
                    covered.value, total.value, facts.lines.covered, facts.lines.total
                );
                doubts.push(Doubt::new(DoubtKind::CountsDiffer, covered.at.clone(), text));
            }
        }
        if roots.len() > 1 {
            let text = format!("{} roots of sources: which of them a path belongs to is not said", roots.len());
            doubts.push(Doubt::new(DoubtKind::NoSubject, self.root, text));
        }
        facts.doubts = doubts;
        nothing(&mut facts, source);
        facts
    }
}

fn declared(element: &Element) -> Result<DeclaredCoverage, ReadError> {
    Ok(DeclaredCoverage {
        lines_covered: element.whole("lines-covered")?,
        lines_total: element.whole("lines-valid")?,
        // Some writers put NaN where there is nothing to divide by.
        line_rate: rate(element, "line-rate")?,
        branch_rate: rate(element, "branch-rate")?,
    })
}

fn rate(element: &Element, name: &str) -> Result<Option<super::Sourced<f64>>, ReadError> {
    match element.attribute(name) {
        Some(text) if text.trim().eq_ignore_ascii_case("nan") => Ok(None),
        _ => element.number(name),
    }
}

/// `50% (1/2)`.
fn conditions(text: &str) -> Option<Share> {
    let (_, inner) = text.split_once('(')?;
    let (covered, total) = inner.trim_end().strip_suffix(')')?.split_once('/')?;
    let share = Share { covered: covered.trim().parse().ok()?, total: total.trim().parse().ok()? };
    (share.covered <= share.total).then_some(share)
}
