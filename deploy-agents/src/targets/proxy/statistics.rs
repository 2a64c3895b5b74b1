//! What the proxy counts, by revision, and how it shows it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use deploy_core::name::RevisionName;

/// Upper bounds of the latency histogram, in seconds: the defaults of Prometheus' clients with two finer ones before them.
pub const LATENCY_BOUNDS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Counters of one revision. They only grow as long as the proxy lives.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    /// Answers by the first digit of their status, 1 to 5.
    classes: [AtomicU64; 5],
    /// Answers by latency; the last has no upper bound.
    latency: [AtomicU64; LATENCY_BOUNDS.len() + 1],
    latency_sum_us: AtomicU64,
    /// Attempts at an instance that gave no answer: refused, broken or too slow.
    pub(crate) failed_attempts: AtomicU64,
    /// Answers that broke off after they had begun.
    pub(crate) broken_answers: AtomicU64,
    /// Requests under way.
    pub(crate) in_flight: AtomicU64,
    /// Requests that the split meant for this revision and another one answered.
    pub(crate) failed_over: AtomicU64,
    /// Copies sent to it whose answers nobody saw.
    pub(crate) mirrored: AtomicU64,
}

/// The counters of one revision at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RevisionCounts {
    /// Answers in all.
    pub requests: u64,
    /// Answers with a status of 500 or more.
    pub server_errors: u64,
    /// Attempts at an instance that gave no answer.
    pub failed_attempts: u64,
    /// Answers that broke off after they had begun.
    pub broken_answers: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// Requests that the split meant for this revision and another one answered.
    pub failed_over: u64,
    /// Copies sent to it whose answers nobody saw.
    pub mirrored: u64,
}

impl Statistics {
    pub(crate) fn answered(&self, status: http::StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.classes[class].fetch_add(1, Relaxed);
        let seconds = took.as_secs_f64();
        let bucket = LATENCY_BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(LATENCY_BOUNDS.len());
        self.latency[bucket].fetch_add(1, Relaxed);
        self.latency_sum_us.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn counts(&self) -> RevisionCounts {
        RevisionCounts {
            requests: self.classes.iter().map(|c| c.load(Relaxed)).sum(),
            server_errors: self.classes[4].load(Relaxed),
            failed_attempts: self.failed_attempts.load(Relaxed),
            broken_answers: self.broken_answers.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            failed_over: self.failed_over.load(Relaxed),
            mirrored: self.mirrored.load(Relaxed),
        }
    }
}

/// Shows all counters in the text format of Prometheus.
pub(crate) fn exposition(
    statistics: &BTreeMap<RevisionName, Arc<Statistics>>,
    weights: &BTreeMap<RevisionName, u32>,
) -> String {
    let mut text = String::new();
    let mut family =
        |name: &str, kind: &str, help: &str, lines: &dyn Fn(&str, &RevisionName, &Statistics) -> String| {
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
            for (revision, counters) in statistics {
                text.push_str(&lines(name, revision, counters));
            }
        };
    // Names of revisions hold neither quotes nor backslashes nor line feeds, so that they need no escaping.
    family("deploy_proxy_requests_total", "counter", "Answers, by class of status.", &|name, revision, s| {
        let line = |(class, count): (usize, &AtomicU64)| {
            format!("{name}{{revision=\"{revision}\",code=\"{}xx\"}} {}\n", class + 1, count.load(Relaxed))
        };
        s.classes.iter().enumerate().map(line).collect()
    });
    let latency = "Time from the request to the end of its answer.";
    family("deploy_proxy_request_duration_seconds", "histogram", latency, &|name, revision, s| {
        let (mut below, mut lines) = (0, String::new());
        for (bucket, count) in s.latency.iter().enumerate() {
            below += count.load(Relaxed);
            let le = LATENCY_BOUNDS.get(bucket).map_or_else(|| "+Inf".to_owned(), ToString::to_string);
            let _ = writeln!(lines, "{name}_bucket{{revision=\"{revision}\",le=\"{le}\"}} {below}");
        }
        let sum = Duration::from_micros(s.latency_sum_us.load(Relaxed)).as_secs_f64();
        let _ = writeln!(lines, "{name}_sum{{revision=\"{revision}\"}} {sum}");
        let _ = writeln!(lines, "{name}_count{{revision=\"{revision}\"}} {below}");
        lines
    });
    type Pick = fn(&RevisionCounts) -> u64;
    let simple: [(&str, &str, &str, Pick); 5] = [
        ("deploy_proxy_failed_attempts_total", "counter", "Attempts at an instance that gave no answer.", |c| {
            c.failed_attempts
        }),
        ("deploy_proxy_broken_answers_total", "counter", "Answers that broke off after they had begun.", |c| {
            c.broken_answers
        }),
        ("deploy_proxy_failed_over_total", "counter", "Requests that another revision answered.", |c| c.failed_over),
        ("deploy_proxy_mirrored_total", "counter", "Copies whose answers nobody saw.", |c| c.mirrored),
        ("deploy_proxy_in_flight", "gauge", "Requests under way.", |c| c.in_flight),
    ];
    for (name, kind, help, pick) in simple {
        family(name, kind, help, &|name, revision, s| {
            format!("{name}{{revision=\"{revision}\"}} {}\n", pick(&s.counts()))
        });
    }
    family("deploy_proxy_weight", "gauge", "The weight in force.", &|name, revision, _| {
        format!("{name}{{revision=\"{revision}\"}} {}\n", weights.get(revision).copied().unwrap_or(0))
    });
    text
}
