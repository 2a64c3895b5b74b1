//! The JSON export of hyperfine.

use super::facts::{Benchmark, Latency, LatencyKind, LoadFacts, Quantity, TimeUnit};
use super::json::{Document, Node, clip};
use super::{Doubt, DoubtKind, Problem, ReadError, Source};

/// Reads what `hyperfine --export-json` writes.
///
/// The single times are the facts; the mean is compared with them. A command that ended badly, which hyperfine only passes over if
/// it is told to, is a blocking doubt: how fast something fails says nothing.
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn read(source: &Source<'_>) -> Result<LoadFacts, ReadError> {
    let document = Document::parse(source, &["memory_usage_byte"])?;
    let root = document.root();
    let mut facts = LoadFacts { tool: "hyperfine".to_owned(), ..LoadFacts::default() };
    for node in root.need("results")?.items()? {
        let benchmark = benchmark(&node)?;
        let name = clip(&benchmark.name, 200);
        let bad = benchmark.exit_codes.iter().filter(|code| **code != Some(0)).count();
        if bad > 0 {
            let text = format!("{bad} of {} executions of {name:?} ended badly", benchmark.exit_codes.len());
            facts.doubts.push(Doubt::new(DoubtKind::Unfinished, node.at(), text));
        }
        if benchmark.samples.is_empty() {
            let text = format!("{name:?} has no times");
            facts.doubts.push(Doubt::new(DoubtKind::NothingMeasured, node.at(), text));
        } else if let Some(mean) = benchmark.summary.iter().find(|l| l.which == LatencyKind::Mean) {
            let counted = mean_of(&benchmark.samples);
            if (mean.value.number.value - counted).abs() > counted.abs() * 1e-6 {
                let text =
                    format!("the mean of {name:?} is {counted}, and the report says {}", mean.value.number.value);
                facts.doubts.push(Doubt::new(DoubtKind::CountsDiffer, mean.value.number.at.clone(), text));
            }
        }
        facts.benchmarks.push(benchmark);
    }
    if facts.benchmarks.is_empty() {
        facts.doubts.push(Doubt::new(DoubtKind::NothingMeasured, root.at(), "nothing was timed"));
    }
    Ok(facts)
}

#[expect(clippy::cast_precision_loss, reason = "numbers of samples stay far below 2^52")]
fn mean_of(samples: &[f64]) -> f64 {
    samples.iter().sum::<f64>() / samples.len() as f64
}

fn benchmark(node: &Node<'_>) -> Result<Benchmark, ReadError> {
    let mut benchmark = Benchmark {
        name: node.need("command")?.text()?.to_owned(),
        unit: TimeUnit::Seconds,
        at: node.at(),
        ..Benchmark::default()
    };
    for (name, which) in [
        ("mean", LatencyKind::Mean),
        ("stddev", LatencyKind::StandardDeviation),
        ("median", LatencyKind::PerMille(500)),
        ("min", LatencyKind::Minimum),
        ("max", LatencyKind::Maximum),
    ] {
        // One execution has no deviation.
        if let Some(number) = node.number_of(name)? {
            benchmark.summary.push(Latency::new(which, Quantity::new(number, TimeUnit::Seconds)));
        }
    }
    for time in node.list("times")? {
        let number = time.number()?.value;
        if number < 0.0 {
            return Err(time.error(Problem::Field, "a time from 0 must stand here"));
        }
        benchmark.samples.push(number);
    }
    for code in node.list("exit_codes")? {
        benchmark.exit_codes.push(code.integer().ok().map(|code| code.value));
    }
    Ok(benchmark)
}
