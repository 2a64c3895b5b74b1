//! A judgement on one page, for a person with half a minute.

use std::fmt::Write as _;

use deploy_core::monitor::{Advice, JudgementResult};
use deploy_core::real::Real;

use super::sequential::PowerReport;
use super::svg::escaped;
use super::verdict::{Explanation, Verdict, advice, short};

/// One judgement, ready to be shown: what to do, why, what would change it, and metric by metric what it rests on.
///
/// ```
/// # use deploy_core::monitor::{Advice, JudgementResult};
/// # use deploy_strategies::analysis::verdict::{Cause, Verdict};
/// use deploy_strategies::analysis::page::Page;
/// # let verdict = Verdict {
/// #     result: JudgementResult::Fail, advice: Advice::RollBack, cause: Cause::Harm,
/// #     because: "the candidate is worse".to_owned(), otherwise: "less evidence".to_owned(), explanations: Vec::new(),
/// # };
/// let page = Page::new("shop v2", &verdict);
/// assert!(page.markdown().starts_with("# Roll back: shop v2\n\n**Why:** the candidate is worse."));
/// assert!(page.html().starts_with("<!doctype html>"));
/// ```
#[derive(Debug, Clone)]
pub struct Page<'a> {
    title: String,
    verdict: &'a Verdict,
    pictures: Vec<String>,
    power: Vec<PowerReport>,
}

impl<'a> Page<'a> {
    /// A page about this, for example `shop v2`.
    #[must_use]
    pub fn new(title: impl Into<String>, verdict: &'a Verdict) -> Self {
        Self { title: title.into(), verdict, pictures: Vec::new(), power: Vec::new() }
    }

    /// The same page with a picture of [`confidence_sequence`](super::svg::confidence_sequence). Pictures are shown as they are: hand over
    /// no others. Markdown leaves them out, since most readers of it show no SVG in the text.
    #[must_use]
    pub fn picture(mut self, svg: String) -> Self {
        self.pictures.push(svg);
        self
    }

    /// The same page with what could have been seen by now.
    #[must_use]
    pub fn power(mut self, power: Vec<PowerReport>) -> Self {
        self.power = power;
        self
    }

    /// The page as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let Verdict { because, otherwise, .. } = self.verdict;
        let mut page = format!("# {}: {}\n\n**Why:** {}.\n", headline(self.verdict), cell(&self.title), cell(because));
        if !otherwise.is_empty() {
            let _ = write!(page, "\n**What would change it:** {}.\n", cell(otherwise));
        }
        let rows: Vec<Row> = self.verdict.explanations.iter().map(Row::of).collect();
        if !rows.is_empty() {
            page.push_str("\n| metric | says | estimate | limit | decided | why |\n|---|---|---|---|---|---|\n");
        }
        for row in &rows {
            let cells = [&row.metric, row.says, &row.estimate, &row.limit, &row.decided, &row.why].map(cell);
            let _ = writeln!(page, "| {} |", cells.join(" | "));
        }
        if !self.power.is_empty() {
            page.push_str("\n## What could have been seen by now\n\n");
        }
        for power in &self.power {
            let _ = writeln!(page, "- {}", cell(power.to_string()));
        }
        page
    }

    /// The page as one HTML document without scripts and without references to anything outside.
    #[must_use]
    pub fn html(&self) -> String {
        let Verdict { because, otherwise, .. } = self.verdict;
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
             <title>{0}: {1}</title><style>{STYLE}</style>\n<h1 class=\"{2}\"><b>{0}</b> {1}</h1>\n<p><b>Why:</b> {3}.</p>\n",
            headline(self.verdict),
            escaped(&self.title),
            class(self.verdict),
            escaped(because)
        );
        if !otherwise.is_empty() {
            let _ = writeln!(page, "<p><b>What would change it:</b> {}.</p>", escaped(otherwise));
        }
        let rows: Vec<Row> = self.verdict.explanations.iter().map(Row::of).collect();
        if !rows.is_empty() {
            page.push_str("<table><tr><th>metric<th>says<th>estimate<th>limit<th>decided<th>why</tr>\n");
        }
        for row in &rows {
            let cells = [&row.metric, row.says, &row.estimate, &row.limit, &row.decided, &row.why];
            let cells: String = cells.iter().map(|text| format!("<td>{}", escaped(text))).collect();
            let _ = writeln!(page, "<tr class=\"{}\">{cells}</tr>", row.says);
        }
        page.push_str(if rows.is_empty() { "" } else { "</table>\n" });
        self.pictures.iter().for_each(|picture| {
            let _ = writeln!(page, "<figure>{picture}</figure>");
        });
        if !self.power.is_empty() {
            page.push_str("<h2>What could have been seen by now</h2>\n<ul>\n");
            for power in &self.power {
                let _ = writeln!(page, "<li>{}</li>", escaped(&power.to_string()));
            }
            page.push_str("</ul>\n");
        }
        page.push_str("</html>\n");
        page
    }
}

/// Readable in light and dark, on paper and on a telephone.
const STYLE: &str = ":root{color-scheme:light dark}body{font:16px/1.45 sans-serif;max-width:60rem;margin:1rem auto;padding:0 1rem}\
h1{font-size:1.4rem;border-left:.5rem solid;padding-left:.6rem}h1.fail{border-color:#c00}h1.pass{border-color:#070}\
h1.open{border-color:#a60}table{border-collapse:collapse}th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #8886;\
vertical-align:top}tr.bad td:nth-child(2){color:#c00;font-weight:bold}figure{margin:1rem 0;max-width:40rem}";

/// What stands above everything: what to do.
fn headline(verdict: &Verdict) -> String {
    let text = advice(verdict.advice);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn class(verdict: &Verdict) -> &'static str {
    match (verdict.advice, verdict.result) {
        (Advice::RollBack, _) | (_, JudgementResult::Fail) => "fail",
        (Advice::Promote, _) => "pass",
        (Advice::Continue | Advice::Warn, _) => "open",
    }
}

/// One metric, as text.
struct Row {
    metric: String,
    says: &'static str,
    estimate: String,
    limit: String,
    decided: String,
    why: String,
}

impl Row {
    fn of(explanation: &Explanation) -> Self {
        let mut metric = explanation.metric.to_string();
        if !explanation.subject.is_empty() {
            let _ = write!(metric, ", {}", explanation.subject);
        }
        if !explanation.decides {
            metric.push_str(" (does not decide)");
        }
        let says = match explanation.result {
            JudgementResult::Pass => "good",
            JudgementResult::Inconclusive => "open",
            JudgementResult::Error => "error",
            JudgementResult::Fail => "bad",
        };
        let estimate = explanation.estimate.as_ref().map_or_else(String::new, |estimate| {
            let mut text = format!("{} {}", estimate.name, short(estimate.value.get()));
            if estimate.low.is_some() || estimate.high.is_some() {
                let end = |end: Option<Real>| end.map_or_else(|| "?".to_owned(), |end| short(end.get()));
                let sure = short(100.0 * estimate.confidence.get());
                let _ = write!(text, " [{}, {}], {sure} % sure", end(estimate.low), end(estimate.high));
            }
            text
        });
        let limit = explanation
            .limit
            .as_ref()
            .map_or_else(String::new, |limit| format!("{} {}", limit.comparison, short(limit.value.get())));
        // The question that is nearest to its end says how far it is.
        let nearest = explanation.evidence.iter().map(|so_far| {
            let part = libm::log(so_far.factor.get().max(1.0)) / libm::log(so_far.needed.get());
            (part.min(1.0), so_far)
        });
        let nearest = nearest.max_by(|(a, _), (b, _)| a.total_cmp(b));
        let decided = nearest
            .map_or_else(String::new, |(part, so_far)| format!("{:.0} % of “{}”", 100.0 * part, so_far.question));
        Self { metric, says, estimate, limit, decided, why: explanation.because.clone() }
    }
}

/// Text that cannot break out of a line or a cell of a table.
fn cell(text: impl AsRef<str>) -> String {
    text.as_ref().replace('|', "\\|").replace('<', "&lt;").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use deploy_core::monitor::{Advice, Batch, BatchKey, Counts, JudgementResult, Paired, Window};
    use deploy_core::name::MetricName;
    use deploy_core::time::Timestamp;

    use super::Page;
    use crate::analysis::sequential::{Look, Sequential, Watch, Watched};
    use crate::analysis::svg::confidence_sequence;
    use crate::analysis::verdict::{Cause, Verdict};

    fn page_of(bad: u64) -> (String, String) {
        let errors = MetricName::new("errors").expect("a name");
        let judge = Sequential::new(1, vec![Watched::required(errors.clone(), Watch::errors())]);
        let batches: Vec<Batch> = (0..12_u64)
            .map(|number| {
                let end = Timestamp(60_000 * i64::try_from(number + 1).expect("few"));
                let counts = |events, bad| Counts::new(events, bad).expect("fewer than all");
                let paired = Paired::Counts { candidate: counts(600, bad), baseline: counts(5_400, 54) };
                Batch::new(BatchKey::new(0, number), Window::ending(end, Duration::from_secs(60)))
                    .metric(errors.clone(), paired)
            })
            .collect();
        let mut state = judge.begin().expect("figures that make sense");
        batches.iter().for_each(|batch| {
            judge.take(&mut state, batch).expect("a batch that fits");
        });
        let observed_for = Duration::from_secs(720);
        let verdict = judge.verdict(&state, &Look { stage: 0, observed_for }).expect("its own");
        let trace = judge.trace(&batches).expect("batches that fit");
        let picture = confidence_sequence(&trace.lines[0], 1.2, trace.decided);
        let power = judge.power(&state, 1.5, observed_for).expect("its own");
        let page = Page::new("shop v2", &verdict).picture(picture).power(power);
        (page.markdown(), page.html())
    }

    /// Rows: M51.
    #[test]
    fn a_page_says_what_to_do_first_then_why_and_what_would_change_it() {
        let (bad, html) = page_of(24);
        assert!(bad.starts_with("# Roll back: shop v2\n\n**Why:** the candidate is worse beyond its margin"), "{bad}");
        assert!(bad.contains("**What would change it:** at an evidence below 100"), "{bad}");
        assert!(bad.contains("| errors | bad | odds ratio 4."), "{bad}");
        assert!(bad.contains("| ≤ 1.20 | 100 % of “"), "{bad}");
        assert!(bad.contains("## What could have been seen by now"), "{bad}");
        // Half a minute: some 250 words at the most.
        assert!(bad.split_whitespace().count() < 150, "{bad}");
        assert!(html.contains("<svg ") && html.contains(">roll back</text>"), "{html}");
        let (good, _) = page_of(6);
        assert!(good.starts_with("# Promote: shop v2") || good.starts_with("# Continue: shop v2"), "{good}");
    }

    #[test]
    fn nothing_breaks_out_of_the_page() {
        let verdict = Verdict {
            result: JudgementResult::Error,
            advice: Advice::Warn,
            cause: Cause::Error,
            because: "a | b <script>\nc".to_owned(),
            otherwise: String::new(),
            explanations: Vec::new(),
        };
        let page = Page::new("<b>", &verdict);
        assert!(page.markdown().contains("# Hold and tell somebody: &lt;b>\n\n**Why:** a \\| b &lt;script> c."));
        assert!(!page.html().contains("<script>") && page.html().contains("&lt;script&gt;"));
    }
}
