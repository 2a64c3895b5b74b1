//! The table and the picture.

use std::fmt::Write as _;

/// One scenario under every rule.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// Whether there is harm.
    pub(crate) harm: bool,
    /// By rule: rolled back, in percent; and mean minutes until then, never counting as the whole.
    pub(crate) rules: Vec<(f64, f64)>,
}

/// Both tables, as Markdown.
pub(crate) fn markdown(rules: &[&str], rows: &[Row], basis: &str) -> String {
    let mut text = format!("{basis}\n");
    for (harm, title) in [
        (false, "Rolled back where there is no harm, in percent (less is better):"),
        (
            true,
            "Minutes until the rollback where there is harm, never counting as 40 (less is better); in brackets the share found, where below 99.5 %:",
        ),
    ] {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.harm == harm).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = write!(text, "\n{title}\n\n| |");
        rows.iter().for_each(|row| {
            let _ = write!(text, " {} |", row.name);
        });
        let _ = writeln!(text, "\n|---|{}", "---|".repeat(rows.len()));
        for (at, rule) in rules.iter().enumerate() {
            let _ = write!(text, "| {rule} |");
            for row in &rows {
                let (aborted, minutes) = row.rules[at];
                let _ = match (harm, aborted < 99.5) {
                    (false, _) => write!(text, " {aborted:.1} |"),
                    (true, false) => write!(text, " {minutes:.1} |"),
                    (true, true) => write!(text, " {minutes:.1} ({aborted:.0} %) |"),
                };
            }
            text.push('\n');
        }
        text.push('\n');
        rows.iter().for_each(|row| {
            let _ = writeln!(text, "- {}: {}", row.name, row.what);
        });
    }
    text
}

/// Bars: above, how often each rule takes good releases back; below, how long it takes over bad ones.
pub(crate) fn picture(rules: &[&str], rows: &[Row]) -> String {
    let (left, bar, wide) = (250.0, 15.0, 90.0);
    let width = left + wide * rows.iter().filter(|row| row.harm).count().max(6) as f64 + 10.0;
    let block = bar * rules.len() as f64;
    let height = 2.0 * (block + 70.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"sans-serif\" \
         font-size=\"11\"><title>How often each rule is wrong, and how soon it is right</title>\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>"
    );
    let parts =
        [(false, "good releases taken back, %", 100.0), (true, "minutes until harm is found (40: never)", 40.0)];
    for (part, (harm, title, most)) in parts.into_iter().enumerate() {
        let top = 20.0 + part as f64 * (block + 70.0);
        let _ = write!(svg, "<text x=\"6\" y=\"{top}\" font-weight=\"bold\">{title}</text>");
        for (column, row) in rows.iter().filter(|row| row.harm == harm).enumerate() {
            let x = left + wide * column as f64;
            let _ = write!(svg, "<text x=\"{x}\" y=\"{top}\" font-weight=\"bold\">{}</text>", row.name);
            for (at, (aborted, minutes)) in row.rules.iter().enumerate() {
                let value = if harm { *minutes } else { *aborted };
                let y = top + 8.0 + bar * at as f64;
                let length = (wide - 38.0) * value / most;
                let ours = at >= rules.len() - 3;
                let colour = if ours { "#048" } else { "#aaa" };
                let _ = write!(
                    svg,
                    "<rect x=\"{x}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>\
                     <text x=\"{:.1}\" y=\"{:.1}\">{value:.1}</text>",
                    bar - 3.0,
                    x + length + 3.0,
                    y + 10.0
                );
            }
        }
        for (at, rule) in rules.iter().enumerate() {
            let y = top + 18.0 + bar * at as f64;
            let _ = write!(svg, "<text x=\"6\" y=\"{y:.1}\">{rule}</text>");
        }
    }
    svg.push_str("</svg>\n");
    svg
}
