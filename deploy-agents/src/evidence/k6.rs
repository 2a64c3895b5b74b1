//! The two summaries of k6, whose thresholds mean opposite things.

use super::facts::{Latency, LatencyKind, LoadFacts, Quantity, Threshold, TimeUnit};
use super::json::{Document, LONGEST_NAME, Node, Tree, clip};
use super::{Doubt, DoubtKind, Problem, ReadError, Source};

/// Which of the two summaries of k6 an input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// What `--summary-export` writes. A threshold is a boolean there, and **`false` means that it was kept**: it answers
    /// whether the threshold was crossed, and stays so for compatibility.
    SummaryExport,
    /// What `handleSummary` is given, written as JSON. A threshold is `{"ok": true}` there, and `true` means that it was kept.
    HandleSummary,
}

/// Reads a summary of k6, in the dialect that its metrics show: only those of `handleSummary` have their numbers under
/// `values`.
///
/// An aborted run writes a summary too, and the summary does not say so: collect it only after an exit code for which
/// [`finished`] holds.
///
/// # Errors
///
/// [`ReadError`], with the place, also where thresholds of both kinds stand in one summary.
pub fn read(source: &Source<'_>) -> Result<LoadFacts, ReadError> {
    let document = Document::parse(source, &["/root_group", "/options"])?;
    let root = document.root();
    let metrics = root.need("metrics")?.entries()?;
    let dialect = if metrics.iter().any(|(_, metric)| metric.get("values").is_some()) {
        Dialect::HandleSummary
    } else {
        Dialect::SummaryExport
    };
    read_metrics(&root, dialect)
}

/// Reads a summary of k6 in a stated dialect.
///
/// # Errors
///
/// [`ReadError`], with the place, also where a threshold is of the other dialect.
pub fn read_as(source: &Source<'_>, dialect: Dialect) -> Result<LoadFacts, ReadError> {
    let document = Document::parse(source, &["/root_group", "/options"])?;
    read_metrics(&document.root(), dialect)
}

/// Whether k6 ran to its end: with 0 everything held, with 99 a threshold was crossed. All other codes are failures and
/// interruptions.
#[must_use]
pub fn finished(exit_code: i32) -> bool {
    matches!(exit_code, 0 | 99)
}

fn read_metrics(root: &Node<'_>, dialect: Dialect) -> Result<LoadFacts, ReadError> {
    let mut facts = LoadFacts { tool: "k6".to_owned(), ..LoadFacts::default() };
    for (name, metric) in root.need("metrics")?.entries()? {
        for (expression, verdict) in metric.map("thresholds")? {
            facts.thresholds.push(threshold(name, expression, &verdict, dialect)?);
        }
        let values = match dialect {
            Dialect::SummaryExport => metric,
            Dialect::HandleSummary => metric.need("values")?,
        };
        match name {
            "http_reqs" => {
                facts.requests = values.whole_of("count")?;
                facts.rate = values.number_of("rate")?;
            }
            "http_req_failed" => {
                // The metric counts failures, so a "pass" of it is a request that failed.
                facts.bad_statuses = values.whole_of("passes")?;
                facts.declared_failed = match values.number_of("value")? {
                    Some(value) => Some(value),
                    None => values.number_of("rate")?,
                };
            }
            "checks" => facts.failed_checks = values.whole_of("fails")?,
            "http_req_duration" => latencies(&values, &mut facts)?,
            _ => {}
        }
    }
    if let Some(duration) = root.path(&["state", "testRunDurationMs"]) {
        facts.duration = Some(Quantity::new(duration.number()?, TimeUnit::Milliseconds));
    }
    match &facts.requests {
        Some(requests) if requests.value > 0 => {}
        _ => {
            let text = "no request was made over HTTP";
            facts.doubts.push(Doubt::new(DoubtKind::NothingMeasured, root.at(), text));
        }
    }
    Ok(facts)
}

fn threshold(metric: &str, expression: &str, verdict: &Node<'_>, dialect: Dialect) -> Result<Threshold, ReadError> {
    let kept = match (dialect, verdict.tree) {
        (Dialect::SummaryExport, Tree::Flag(crossed)) => !crossed,
        (Dialect::HandleSummary, Tree::Object(_)) => verdict.need("ok")?.flag()?.value,
        (Dialect::SummaryExport, _) => {
            return Err(verdict.error(Problem::Version, "a boolean must stand here: this is no --summary-export"));
        }
        (Dialect::HandleSummary, _) => {
            return Err(verdict.error(Problem::Version, "an object must stand here: this is no handleSummary"));
        }
    };
    Ok(Threshold { metric: clip(metric, LONGEST_NAME), expression: expression.to_owned(), kept, at: verdict.at() })
}

fn latencies(values: &Node<'_>, facts: &mut LoadFacts) -> Result<(), ReadError> {
    for (name, value) in values.entries()? {
        let which = match name {
            "avg" => LatencyKind::Mean,
            "min" => LatencyKind::Minimum,
            "max" => LatencyKind::Maximum,
            "med" => LatencyKind::PerMille(500),
            _ => match name.strip_prefix("p(").and_then(|n| n.strip_suffix(')')).and_then(per_mille) {
                Some(per_mille) => LatencyKind::PerMille(per_mille),
                None => continue,
            },
        };
        facts.latencies.push(Latency::new(which, Quantity::new(value.number()?, TimeUnit::Milliseconds)));
    }
    Ok(())
}

/// `99.9` is 999 thousandths; finer ones are not kept.
pub(super) fn per_mille(percent: &str) -> Option<u16> {
    let thousandths = percent.parse::<f64>().ok()? * 10.0;
    let whole = super::json::whole((thousandths * 1e6).round() / 1e6)?;
    u16::try_from(whole).ok().filter(|n| *n <= 1_000)
}
