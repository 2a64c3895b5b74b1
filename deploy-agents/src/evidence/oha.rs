//! The JSON report of oha.

use super::facts::{Latency, LatencyKind, LoadFacts, Quantity, TimeUnit};
use super::json::{Document, Node};
use super::k6::per_mille;
use super::{Doubt, DoubtKind, Problem, ReadError, Source};

/// What oha calls a request that was in flight when the time was up.
const CUT_OFF: &str = "aborted due to deadline";

/// Reads the report that `oha --output-format json` writes.
///
/// `successRate` is the share of requests that were *answered*, with whatever status; what counts as failed here is
/// [`LoadFacts::failed`].
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn read(source: &Source<'_>) -> Result<LoadFacts, ReadError> {
    let document = Document::parse(source, &["responseTimeHistogram", "responseTimeHistogramSuccessful", "rps"])?;
    let root = document.root();
    let summary = root.need("summary")?;
    let mut facts = LoadFacts { tool: "oha".to_owned(), ..LoadFacts::default() };
    let seconds = |node: Node<'_>| node.number().map(|n| Quantity::new(n, TimeUnit::Seconds));
    facts.duration = summary.get("total").map(seconds).transpose()?;
    facts.rate = summary.number_of("requestsPerSec")?;
    let three = [("average", LatencyKind::Mean), ("fastest", LatencyKind::Minimum), ("slowest", LatencyKind::Maximum)];
    for (name, which) in three {
        if let Some(value) = summary.get(name).map(seconds).transpose()? {
            facts.latencies.push(Latency::new(which, value));
        }
    }
    for (name, value) in root.map("latencyPercentiles")? {
        let (Some(per_mille), true) = (name.strip_prefix('p').and_then(per_mille), value.number().is_ok()) else {
            continue;
        };
        facts.latencies.push(Latency::new(LatencyKind::PerMille(per_mille), seconds(value)?));
    }
    for (name, count) in root.need("statusCodeDistribution")?.entries()? {
        let status = name.parse::<u16>().ok().filter(|status| (100..1_000).contains(status));
        let status = status.ok_or_else(|| count.error(Problem::Field, "an HTTP status must be the name here"))?;
        facts.statuses.insert(status, count.whole()?);
    }
    for (name, count) in root.map("errorDistribution")? {
        if name == CUT_OFF {
            facts.cut_off = Some(count.whole()?);
        } else {
            facts.errors.insert(name.to_owned(), count.whole()?);
        }
    }
    if facts.statuses.values().all(|count| count.value == 0) {
        let text = "no request was answered";
        facts.doubts.push(Doubt::new(DoubtKind::NothingMeasured, summary.at(), text));
    }
    Ok(facts)
}
