//! What criterion leaves under `target/criterion`.

use super::facts::{Benchmark, Latency, LatencyKind, LoadFacts, Quantity, TimeUnit};
use super::json::{Document, Node};
use super::{Doubt, DoubtKind, Problem, ReadError, Source};

/// Reads a `sample.json` or an `estimates.json` of criterion. The benchmark is called by its folder.
///
/// Prefer the samples: a median of them can be compared with another, an estimate has lost what it was estimated from.
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn read(source: &Source<'_>) -> Result<LoadFacts, ReadError> {
    let document = Document::parse(source, &[])?;
    let root = document.root();
    let mut facts = LoadFacts { tool: "criterion".to_owned(), ..LoadFacts::default() };
    let mut benchmark =
        Benchmark { name: name(source.file), unit: TimeUnit::Nanoseconds, at: root.at(), ..Benchmark::default() };
    if root.get("iters").is_some() {
        samples(&root, &mut benchmark)?;
    } else {
        estimates(&root, &mut benchmark)?;
    }
    if benchmark.samples.is_empty() && benchmark.summary.is_empty() {
        facts.doubts.push(Doubt::new(DoubtKind::NothingMeasured, root.at(), "nothing was timed"));
    }
    facts.benchmarks.push(benchmark);
    Ok(facts)
}

/// `target/criterion/group/name/new/sample.json` is `group/name`.
fn name(file: &str) -> String {
    let parts: Vec<&str> = file.split(['/', '\\']).filter(|part| !part.is_empty()).collect();
    let start = parts.iter().rposition(|part| *part == "criterion").map_or(0, |at| at + 1);
    let end = parts.len().saturating_sub(2).max(start);
    match parts.get(start..end) {
        Some(inner) if !inner.is_empty() => inner.join("/"),
        _ => file.to_owned(),
    }
}

/// Each sample is the time of so many iterations.
fn samples(root: &Node<'_>, benchmark: &mut Benchmark) -> Result<(), ReadError> {
    let (iterations, times) = (root.need("iters")?.items()?, root.need("times")?.items()?);
    if iterations.len() != times.len() {
        let reason = format!("{} times for {} numbers of iterations", times.len(), iterations.len());
        return Err(root.error(Problem::Field, reason));
    }
    for (iterations, time) in iterations.iter().zip(&times) {
        let (count, spent) = (iterations.number()?.value, time.number()?.value);
        if count < 1.0 || spent < 0.0 {
            return Err(iterations.error(Problem::Field, "at least one iteration, in a time from 0, must stand here"));
        }
        benchmark.samples.push(spent / count);
    }
    Ok(())
}

fn estimates(root: &Node<'_>, benchmark: &mut Benchmark) -> Result<(), ReadError> {
    root.need("mean")?;
    for (name, which) in [
        ("mean", LatencyKind::Mean),
        ("median", LatencyKind::PerMille(500)),
        ("std_dev", LatencyKind::StandardDeviation),
    ] {
        if let Some(estimate) = root.get(name) {
            let number = estimate.need("point_estimate")?.number()?;
            benchmark.summary.push(Latency::new(which, Quantity::new(number, TimeUnit::Nanoseconds)));
        }
    }
    Ok(())
}
