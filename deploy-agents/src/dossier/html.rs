//! A dossier as one HTML page for a person: no scripts, nothing from elsewhere, every text escaped.

use std::fmt::Write as _;

use super::Dossier;
use super::markdown::about;

/// The page asks for nothing and runs nothing, whatever stands in it.
const HEAD: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";

const STYLE: &str = "<style>\nbody{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b1b1b;background:#fff}\n\
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}\nth,td{border:1px solid #ccc;padding:.3rem .5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}\n\
th{background:#f2f2f2}\ncode{font-family:ui-monospace,monospace;font-size:.9em}\n.verified{color:#0a5c2b}.waived{color:#7a4b00}.claimed,.missing{color:#a00000;font-weight:600}\n\
@media (prefers-color-scheme:dark){body{color:#e6e6e6;background:#161616}th{background:#262626}th,td{border-color:#444}.verified{color:#7bd89a}.waived{color:#f0c070}.claimed,.missing{color:#ff8a8a}}\n</style>\n";

impl Dossier {
    /// The dossier as one HTML page.
    #[must_use]
    pub fn to_html(&self) -> String {
        let mut out = String::from(HEAD);
        // Writing to a string cannot fail.
        let _ = self.write_html(&mut out);
        out
    }

    fn write_html(&self, out: &mut String) -> std::fmt::Result {
        let run = escape(self.run.as_str());
        writeln!(out, "<title>Dossier of run {run}</title>\n{STYLE}</head>\n<body>\n<h1>Dossier of run {run}</h1>")?;
        writeln!(out, "<p>{}</p>", escape(&self.plan.release.to_string()))?;
        match self.outcome() {
            Some((outcome, because)) => writeln!(out, "<p>Ended <strong>{outcome}</strong>: {}</p>", escape(because))?,
            None => writeln!(out, "<p>It has not ended.</p>")?,
        }
        let (plan, head) = (self.plan.fingerprint(), &self.head);
        writeln!(out, "<p>Plan <code>{plan}</code><br>{} records, head <code>{}</code></p>", head.next, head.hash)?;
        let [verified, waived, claimed, missing] = self.counts();
        writeln!(
            out,
            "<p>Checks: <span class=\"verified\">{verified} verified</span>, <span class=\"waived\">{waived} waived</span>, \
             <span class=\"claimed\">{claimed} claimed and not verified</span>, <span class=\"missing\">{missing} missing</span>.</p>"
        )?;
        for step in self.steps() {
            writeln!(out, "<h2>Step {}</h2>", escape(step.path.as_str()))?;
            if step.refused_reports > 0 {
                writeln!(out, "<p class=\"claimed\">{} of its reports were not believed.</p>", step.refused_reports)?;
            }
            if !step.checks.is_empty() {
                writeln!(out, "<table>\n<tr><th>check</th><th>asked for</th><th>standing</th><th>read</th></tr>")?;
                for line in &step.checks {
                    let read: Vec<String> = line.read.iter().map(|d| format!("<code>{}</code>", d.short())).collect();
                    let asked = if line.mandatory { "yes" } else { "no" };
                    let (check, word) = (escape(line.check.as_str()), line.standing.word());
                    let standing = escape(&line.standing.to_string());
                    let read = read.join(" ");
                    writeln!(
                        out,
                        "<tr><td>{check}</td><td>{asked}</td><td class=\"{word}\">{standing}</td><td>{read}</td></tr>"
                    )?;
                }
                writeln!(out, "</table>")?;
            }
            if !step.evidence.is_empty() {
                let head = "<th>evidence</th><th>kind</th><th>by</th><th>observed</th><th>about</th><th>bytes</th>";
                writeln!(out, "<table>\n<tr>{head}</tr>")?;
                for line in &step.evidence {
                    let e = &line.evidence;
                    let bytes = line.bytes.map_or_else(|| "gone".to_owned(), |bytes| bytes.to_string());
                    let (kind, by, about) = (escape(&e.kind), escape(&e.producer.name), escape(&about(e)));
                    let (digest, at) = (e.digest.short(), e.observed_at);
                    writeln!(
                        out,
                        "<tr><td><code>{digest}</code></td><td>{kind}</td><td>{by}</td><td>{at}</td><td>{about}</td><td>{bytes}</td></tr>"
                    )?;
                }
                writeln!(out, "</table>")?;
            }
            if !step.findings.is_empty() {
                writeln!(out, "<ul>")?;
                for finding in &step.findings {
                    writeln!(out, "<li>{:?}: {}</li>", finding.severity, escape(&finding.text))?;
                }
                writeln!(out, "</ul>")?;
            }
        }
        let head = "<th>record</th><th>when</th><th>step</th><th>decision</th><th>why</th>";
        writeln!(out, "<h2>Decisions</h2>\n<table>\n<tr>{head}</tr>")?;
        for line in self.decisions() {
            let step = escape(line.step.as_ref().map_or("", |path| path.as_str()));
            let (position, at, what, why) = (line.position, line.at.wall, line.what, escape(&line.why));
            writeln!(out, "<tr><td>{position}</td><td>{at}</td><td>{step}</td><td>{what}</td><td>{why}</td></tr>")?;
        }
        writeln!(out, "</table>\n</body>\n</html>")
    }
}

/// Text that shows as it is, in elements and in quoted attributes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}
