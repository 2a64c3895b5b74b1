//! The text that wrk prints.

use super::facts::{Latency, LatencyKind, LoadFacts, Quantity, TimeUnit};
use super::json::clip;
use super::k6::per_mille;
use super::{Doubt, DoubtKind, Place, Pointer, Problem, ReadError, Source, Sourced};

/// Reads what wrk prints, with `--latency` or without.
///
/// wrk counts a fast `503` as a request like any other; those outside 200 to 399 stand in a line of their own, which is left out
/// where there are none. Requests that got no answer are in no count at all but in `Socket errors`.
///
/// # Errors
///
/// [`ReadError`], with the line: [`Problem::Truncated`] without the last lines, which wrk prints only when it ends by itself.
pub fn read(source: &Source<'_>) -> Result<LoadFacts, ReadError> {
    let text = source.text()?;
    let mut facts = LoadFacts { tool: "wrk".to_owned(), ..LoadFacts::default() };
    let mut lines = 0;
    let mut running = false;
    for (index, line) in text.lines().enumerate().take(source.limits.things) {
        lines = index + 1;
        let here = Line { source, number: lines as u64, text: line };
        let words = here.words();
        match words.as_slice() {
            [(_, "Running"), _, (_, "test"), ..] => running = true,
            [(_, "Latency"), mean, deviation, max, ..] if mean.1 != "Distribution" => {
                let all = [
                    (LatencyKind::Mean, mean),
                    (LatencyKind::StandardDeviation, deviation),
                    (LatencyKind::Maximum, max),
                ];
                for (which, word) in all {
                    facts.latencies.push(Latency::new(which, here.time(word)?));
                }
            }
            [(_, percent), word] if percent.ends_with('%') => {
                let Some(per_mille) = per_mille(percent.trim_end_matches('%')) else { continue };
                facts.latencies.push(Latency::new(LatencyKind::PerMille(per_mille), here.time(word)?));
            }
            [count, (_, "requests"), (_, "in"), duration, ..] => {
                facts.requests = Some(here.count(count)?);
                facts.duration = Some(here.time(&(duration.0, duration.1.trim_end_matches(',')))?);
            }
            [(_, "Socket"), (_, "errors:"), rest @ ..] => {
                for pair in rest.chunks_exact(2) {
                    let [name, count] = pair else { continue };
                    let count = here.count(&(count.0, count.1.trim_end_matches(',')))?;
                    facts.errors.insert(name.1.to_owned(), count);
                }
            }
            [(_, "Non-2xx"), (_, "or"), (_, "3xx"), (_, "responses:"), count] => {
                facts.bad_statuses = Some(here.count(count)?);
            }
            [(_, "Requests/sec:"), rate] => facts.rate = Some(here.number(rate, rate.1)?),
            _ => {}
        }
    }
    let end = |problem, reason: &str| {
        ReadError::new(problem, source.at(Place::Text { line: lines as u64, column: 1 }), reason)
    };
    if !running {
        return Err(end(Problem::Version, "the text of wrk begins with: Running … test"));
    }
    let Some(requests) = &facts.requests else {
        return Err(end(Problem::Truncated, "the line with the number of requests is missing"));
    };
    if facts.rate.is_none() {
        return Err(end(Problem::Truncated, "the line Requests/sec is missing"));
    }
    if requests.value == 0 {
        let doubt = Doubt::new(DoubtKind::NothingMeasured, requests.at.clone(), "no request was answered");
        facts.doubts.push(doubt);
    }
    if let Some(bad) = facts.bad_statuses.as_ref().filter(|bad| bad.value > requests.value) {
        let text = format!("{} bad answers of {} requests cannot be", bad.value, requests.value);
        facts.doubts.push(Doubt::new(DoubtKind::Contradiction, bad.at.clone(), text));
    }
    Ok(facts)
}

/// A line and where it stands.
struct Line<'a> {
    source: &'a Source<'a>,
    number: u64,
    text: &'a str,
}

impl<'a> Line<'a> {
    /// The words, each with its column.
    fn words(&self) -> Vec<(usize, &'a str)> {
        let start = |word: &str| word.as_ptr() as usize - self.text.as_ptr() as usize + 1;
        self.text.split_ascii_whitespace().take(64).map(|word| (start(word), word)).collect()
    }

    fn at(&self, column: usize) -> Pointer {
        self.source.at(Place::Text { line: self.number, column: column as u64 })
    }

    fn error(&self, word: &(usize, &str), wanted: &str) -> ReadError {
        let reason = format!("{:?} is not {wanted}", clip(word.1, 40));
        ReadError::new(Problem::Field, self.at(word.0), reason)
    }

    fn count(&self, word: &(usize, &str)) -> Result<Sourced<u64>, ReadError> {
        let digits = word.1.bytes().all(|b| b.is_ascii_digit());
        let number = digits.then(|| word.1.parse().ok()).flatten();
        number.map(|number| Sourced::new(number, self.at(word.0))).ok_or_else(|| self.error(word, "a count"))
    }

    fn number(&self, word: &(usize, &str), digits: &str) -> Result<Sourced<f64>, ReadError> {
        let shape = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let number = shape.then(|| digits.parse().ok()).flatten();
        number.map(|number| Sourced::new(number, self.at(word.0))).ok_or_else(|| self.error(word, "a number"))
    }

    /// `1.23ms`.
    fn time(&self, word: &(usize, &str)) -> Result<Quantity, ReadError> {
        let digits = word.1.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match &word.1[digits.len()..] {
            "us" => TimeUnit::Microseconds,
            "ms" => TimeUnit::Milliseconds,
            "s" => TimeUnit::Seconds,
            "m" => TimeUnit::Minutes,
            "h" => TimeUnit::Hours,
            _ => return Err(self.error(word, "a time such as 1.23ms")),
        };
        Ok(Quantity::new(self.number(word, digits)?, unit))
    }
}
