//! The page.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::cite::Cite;

/// What cites each row: tests, and the rest.
fn by_row<'c>(titles: &BTreeMap<u16, &str>, cites: &'c [Cite]) -> BTreeMap<u16, (Vec<&'c Cite>, Vec<&'c Cite>)> {
    let mut rows: BTreeMap<u16, (Vec<&Cite>, Vec<&Cite>)> =
        titles.keys().map(|row| (*row, (Vec::new(), Vec::new()))).collect();
    for cite in cites {
        for row in &cite.rows {
            if let Some((tests, others)) = rows.get_mut(row) {
                if cite.test { tests.push(cite) } else { others.push(cite) }
            }
        }
    }
    rows
}

/// How many rows are shown.
pub(crate) fn summary(titles: &BTreeMap<u16, &str>, cites: &[Cite]) -> String {
    let rows = by_row(titles, cites);
    let shown = rows.values().filter(|(tests, _)| !tests.is_empty()).count();
    let cited = rows.values().filter(|(tests, others)| tests.is_empty() && !others.is_empty()).count();
    let nothing = rows.len() - shown - cited;
    format!("{} rows: {shown} shown by a test, {cited} cited and not tested, {nothing} by nothing", rows.len())
}

/// The whole page.
pub(crate) fn page(titles: &BTreeMap<u16, &str>, cites: &[Cite]) -> String {
    let rows = by_row(titles, cites);
    let mut page = String::from(
        "# Which row of the workflows is shown by what\n\n\
         Made from the `Rows:` lines in the source by `UPDATE_COVERAGE=1 cargo test -p deploy-agents --test coverage`, and compared \
         with it by the same test without the variable. Only a test shows a row; what a type or function cites and no test does is \
         marked **no test**.\n\n",
    );
    // Writing to a text cannot fail.
    let _ = writeln!(page, "{}.\n", summary(titles, cites));
    let _ = writeln!(page, "| row | item | types and functions | tests |\n|---|---|---|---|");
    for (row, (tests, others)) in &rows {
        let title = titles.get(row).copied().unwrap_or_default();
        let tested = match (tests.is_empty(), others.is_empty()) {
            (false, _) => list(tests),
            (true, false) => "**no test**".to_owned(),
            (true, true) => String::new(),
        };
        let _ = writeln!(page, "| M{row} | {title} | {} | {tested} |", list(others));
    }
    let nothing: Vec<String> = rows
        .iter()
        .filter(|(_, (tests, others))| tests.is_empty() && others.is_empty())
        .map(|(row, _)| format!("- M{row}: {}", titles.get(row).copied().unwrap_or_default()))
        .collect();
    if !nothing.is_empty() {
        let _ = writeln!(page, "\n## Rows that nothing cites\n\n{}", nothing.join("\n"));
    }
    page
}

/// Items by the folder of their crate and their module, each once.
fn list(cites: &[&Cite]) -> String {
    let shown = |cite: &&Cite| format!("`{}` ({})", cite.name, cite.file.trim_end_matches(".rs"));
    cites.iter().map(shown).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("<br>")
}
