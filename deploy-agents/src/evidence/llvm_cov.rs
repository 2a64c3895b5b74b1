//! The JSON export of llvm-cov.

use super::facts::{CountingRule, CoverageFacts, DeclaredCoverage, FileCoverage, Share};
use super::json::{Document, Node};
use super::lcov::{add, nothing};
use super::{Doubt, DoubtKind, Problem, ReadError, Source};

/// What is passed over: it makes most of the file, and no number comes from it.
const SKIPPED: [&str; 4] = ["segments", "expansions", "mcdc_records", "regions_list"];

/// Reads the JSON export of llvm-cov, versions 2 and 3 of the format.
///
/// What counts is the sum of the files' summaries; the totals are compared with it.
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn read(source: &Source<'_>) -> Result<CoverageFacts, ReadError> {
    let document = Document::parse(source, &SKIPPED)?;
    let root = document.root();
    let kind = root.need("type")?;
    if kind.text()? != "llvm.coverage.json.export" {
        return Err(kind.error(Problem::Version, "llvm.coverage.json.export must stand here"));
    }
    let version = root.need("version")?;
    let major = version.text()?.split('.').next().unwrap_or_default();
    if !matches!(major, "2" | "3") {
        return Err(version.error(Problem::Version, "the formats 2 and 3 are known"));
    }
    let mut facts = CoverageFacts { rule: CountingRule::LlvmSummaries, ..CoverageFacts::default() };
    for export in root.need("data")?.items()? {
        let before = facts.lines;
        for file in export.list("files")? {
            read_file(&file, &mut facts)?;
        }
        if let Some(totals) = export.get("totals") {
            let counted =
                Share { covered: facts.lines.covered - before.covered, total: facts.lines.total - before.total };
            let lines = totals.need("lines")?;
            let declared = share(&lines)?;
            facts.declared_lines = add(facts.declared_lines, Some(declared));
            facts.declared = DeclaredCoverage {
                lines_covered: lines.whole_of("covered")?,
                lines_total: lines.whole_of("count")?,
                line_rate: lines.number_of("percent")?,
                branch_rate: totals.path(&["branches", "percent"]).map(|n| n.number()).transpose()?,
            };
            // Without a list of files, the export is a summary alone and the totals are all there is.
            if export.get("files").is_none() {
                facts.lines = before.plus(declared);
                facts.functions = add(facts.functions, totals.get("functions").map(|n| share(&n)).transpose()?);
                facts.branches = add(facts.branches, totals.get("branches").map(|n| share(&n)).transpose()?);
                facts.regions = add(facts.regions, totals.get("regions").map(|n| share(&n)).transpose()?);
            } else if declared != counted {
                let text = format!(
                    "the totals say {} of {} lines, and the files add up to {} of {}",
                    declared.covered, declared.total, counted.covered, counted.total
                );
                facts.doubts.push(Doubt::new(DoubtKind::CountsDiffer, lines.at(), text));
            }
            if let (Some(percent), Some(right)) = (&facts.declared.line_rate, declared.percent())
                && (percent.value - right).abs() > 0.01
            {
                let text = format!("the totals say {} per cent, and their counts make {right:.2}", percent.value);
                facts.doubts.push(Doubt::new(DoubtKind::CountsDiffer, percent.at.clone(), text));
            }
        }
    }
    nothing(&mut facts, source);
    Ok(facts)
}

fn read_file(file: &Node<'_>, facts: &mut CoverageFacts) -> Result<(), ReadError> {
    let summary = file.need("summary")?;
    let lines_node = summary.need("lines")?;
    let lines = share(&lines_node)?;
    let part = |name: &str| summary.get(name).map(|node| share(&node)).transpose();
    let (branches, functions) = (part("branches")?, part("functions")?);
    facts.lines = facts.lines.plus(lines);
    facts.branches = add(facts.branches, branches);
    facts.functions = add(facts.functions, functions);
    facts.regions = add(facts.regions, part("regions")?);
    facts.files.push(FileCoverage {
        path: file.need("filename")?.text()?.replace('\\', "/"),
        at: file.at(),
        lines,
        branches,
        functions,
        declared: DeclaredCoverage {
            lines_covered: lines_node.whole_of("covered")?,
            lines_total: lines_node.whole_of("count")?,
            line_rate: lines_node.number_of("percent")?,
            branch_rate: None,
        },
        ..FileCoverage::default()
    });
    Ok(())
}

fn share(node: &Node<'_>) -> Result<Share, ReadError> {
    let covered = node.need("covered")?.whole()?;
    let total = node.need("count")?.whole()?.value;
    if covered.value > total {
        return Err(node.error(Problem::Field, format!("{} of {total} cannot be", covered.value)));
    }
    Ok(Share { covered: covered.value, total })
}
