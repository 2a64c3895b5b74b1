//! Asks a program.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use deploy_core::monitor::{
    Arm, Counts, CountsError, MeasureContext, MeasureRequest, Measurement, Monitor, MonitorError, Reading, Window,
};
use deploy_core::name::{BlockName, MetricName, RevisionName};
use deploy_core::real::Real;
use deploy_core::time::{Clock, Spell, SystemClock};
use deploy_strategies::analysis::sketch::{self, SketchError};
use serde::Deserialize;

use crate::process::{Capture, CommandLine, Group};

/// How long a program may take by default.
const WITHIN: Duration = Duration::from_secs(30);
/// How long it has between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// How much it may write, in bytes.
const MOST: usize = 256 * 1024;

/// Runs a program once for each arm, and reads what it prints.
///
/// It is told `DEPLOY_REVISION`, `DEPLOY_ARM` (`candidate` or `baseline`) and `DEPLOY_LOOKBACK_MS`; `{revision}` in its arguments is
/// replaced. It prints one JSON object: for each metric
///
/// | what | printed as |
/// |---|---|
/// | one number | `0.25` |
/// | events, and the bad ones among them | `{"events": 120, "bad": 3}` |
/// | sizes, one by one | `{"samples": [1.5, 2]}` |
/// | sizes, counted: pairs of the size that stands for a bin, and how many | `{"bins": [[5, 90], [10, 9]]}` |
/// | a DDSketch in protocol buffers, in base 64 | `{"ddsketch": "Cgk…", "unit": 1000}` |
/// | an HdrHistogram as it stands in logs (feature `hdr`) | `{"hdr": "HISTFAAAA…", "unit": 0.001}` |
/// | that nothing was there to be measured | `null` |
///
/// `unit` is how much one of the sketch's units is in the metric's: here seconds, and microseconds, of a metric in milliseconds. It is 1
/// where it is not given; [`sketch`](deploy_strategies::analysis::sketch) says how exact each of them is. A metric that was declared and is not printed is an error, and so are an exit code
/// other than 0, a program that takes too long, and output that is anything else: never a number.
///
/// ```
/// use deploy_agents::monitors::ProgramMonitor;
/// use deploy_agents::process::CommandLine;
/// use deploy_core::name::{BlockName, MetricName};
///
/// let line = CommandLine::new("/opt/shop/queue-depth").args(["--revision", "{revision}"]);
/// let monitor = ProgramMonitor::new(BlockName::new("queue")?, line, [MetricName::new("queue.depth")?]);
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ProgramMonitor {
    name: BlockName,
    line: CommandLine,
    metrics: Vec<MetricName>,
    within: Duration,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Printed {
    Number(Real),
    Events {
        events: u64,
        bad: u64,
    },
    Samples {
        samples: Vec<Real>,
    },
    Bins {
        bins: Vec<(f64, u64)>,
    },
    DdSketch {
        ddsketch: String,
        #[serde(default = "one")]
        unit: f64,
    },
    Hdr {
        hdr: String,
        #[serde(default = "one")]
        unit: f64,
    },
}

fn one() -> f64 {
    1.0
}

/// What was printed cannot be measured by.
#[derive(Debug, thiserror::Error)]
enum Senseless {
    #[error(transparent)]
    Counts(#[from] CountsError),
    #[error(transparent)]
    Sketch(#[from] SketchError),
    #[error("a sketch is not in base 64")]
    Text(#[from] base64::DecodeError),
    #[error("a unit is {0}, where a number above 0 is needed")]
    Unit(f64),
    #[cfg(not(feature = "hdr"))]
    #[error("an HdrHistogram of {0} characters, which this build cannot read: build it with the feature hdr")]
    NoHdr(usize),
}

impl Printed {
    fn reading(self) -> Result<Reading, Senseless> {
        let right = |unit: f64| if unit.is_finite() && unit > 0.0 { Ok(unit) } else { Err(Senseless::Unit(unit)) };
        Ok(match self {
            Self::Number(number) => Reading::Value(number),
            Self::Samples { samples } => Reading::Samples(samples),
            Self::Events { events, bad } => Reading::Counts(Counts::new(events, bad)?),
            Self::Bins { bins } => Reading::Histogram(sketch::of_bins(bins)?),
            Self::DdSketch { ddsketch, unit } => {
                let bytes = STANDARD.decode(ddsketch.trim())?;
                Reading::Histogram(sketch::ddsketch::read(&bytes, right(unit)?)?)
            }
            #[cfg(feature = "hdr")]
            Self::Hdr { hdr, unit } => Reading::Histogram(sketch::hdr::read_base64(&hdr, right(unit)?)?),
            #[cfg(not(feature = "hdr"))]
            Self::Hdr { hdr, unit } => return right(unit).and(Err(Senseless::NoHdr(hdr.len()))),
        })
    }
}

impl ProgramMonitor {
    /// A program that measures these metrics, in at most 30 s.
    pub fn new(name: BlockName, line: CommandLine, metrics: impl IntoIterator<Item = MetricName>) -> Self {
        let metrics = metrics.into_iter().collect();
        Self { name, line, metrics, within: WITHIN, clock: Arc::new(SystemClock::new()) }
    }

    /// The same with another limit for one run of it.
    #[must_use]
    pub fn within(mut self, bound: Duration) -> Self {
        self.within = bound;
        self
    }

    /// The same with another clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    async fn run(&self, arm: Arm, revision: &RevisionName, lookback: Duration) -> Result<Vec<u8>, MonitorError> {
        let name = self.line.name();
        let failed = |why: String| MonitorError::new(format!("{name} of {}: {why}", self.name));
        let line = self
            .line
            .clone()
            .map(|word| word.replace("{revision}", revision.as_str()))
            .env("DEPLOY_REVISION", revision.as_str())
            .env("DEPLOY_ARM", if arm == Arm::Candidate { "candidate" } else { "baseline" })
            .env("DEPLOY_LOOKBACK_MS", deploy_core::time::millis(lookback).to_string());
        let mut child =
            line.command().spawn().map_err(|error| failed("it could not be started".to_owned()).because(error))?;
        // From here on, dropping this future kills the whole group.
        let mut group =
            Group::led_by(&child).ok_or_else(|| failed("it ended before it could be watched".to_owned()))?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = (Capture::new(MOST, 0), Capture::new(MOST, 0));
        let secrets = line.secrets();
        let reading = async {
            let read = async |stream, capture: &Capture| {
                if let Some(stream) = stream {
                    capture.read(stream).await;
                }
            };
            let read_err = async {
                if let Some(stream) = err {
                    stderr.read(stream).await;
                }
            };
            tokio::join!(read(out, &stdout), read_err, child.wait()).2
        };
        let ended = tokio::time::timeout(self.within, reading).await;
        let status = match ended {
            Ok(Ok(status)) => {
                group.kill(&mut child).await;
                status
            }
            Ok(Err(error)) => return Err(failed("it could not be watched".to_owned()).because(error)),
            Err(_) => {
                group.end(&mut child, GRACE).await;
                return Err(failed(format!("it took longer than {}", Spell(self.within))));
            }
        };
        let (stdout, stderr) = (stdout.collected(&secrets), stderr.collected(&secrets));
        if !status.success() {
            let last = stderr.last_line();
            return Err(failed(format!(
                "it ended with {status}{}",
                if last.is_empty() { last } else { format!(": {last}") }
            )));
        }
        if stdout.cut > 0 {
            return Err(failed(format!("it printed more than {MOST} bytes")));
        }
        Ok(stdout.to_bytes())
    }

    fn read(&self, printed: &[u8]) -> Result<BTreeMap<MetricName, Option<Printed>>, MonitorError> {
        serde_json::from_slice(printed).map_err(|error| {
            MonitorError::new(format!("{} does not print measurements", self.line.name())).because(error)
        })
    }
}

#[async_trait]
impl Monitor for ProgramMonitor {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    async fn measure(&self, request: &MeasureRequest, _cx: &MeasureContext) -> Result<Vec<Measurement>, MonitorError> {
        if let Some(unknown) = request.metrics.iter().find(|metric| !self.metrics.contains(metric)) {
            return Err(MonitorError::new(format!("{} has no metric {unknown}", self.name)));
        }
        let arms = [(Arm::Candidate, Some(&request.candidate)), (Arm::Baseline, request.baseline.as_ref())];
        let mut all = Vec::new();
        for (arm, revision) in arms.into_iter().filter_map(|(arm, revision)| Some((arm, revision?))) {
            let window = Window::ending(self.clock.wall(), request.lookback);
            let mut printed = self.read(&self.run(arm, revision, request.lookback).await?)?;
            let asked = |metric: &&MetricName| request.metrics.is_empty() || request.metrics.contains(metric);
            for metric in self.metrics.iter().filter(asked) {
                let error = || MonitorError::new(format!("{} printed no {metric} of {revision}", self.line.name()));
                let reading = match printed.remove(metric).ok_or_else(error)? {
                    None => Reading::NoData,
                    Some(printed) => printed.reading().map_err(|error| {
                        MonitorError::new(format!("{metric} of {revision} makes no sense")).because(error)
                    })?,
                };
                all.push(Measurement::new(metric.clone(), arm, window, reading));
            }
        }
        Ok(all)
    }
}
