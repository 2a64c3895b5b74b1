//! Asks a program.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::monitor::{
    Arm, Counts, MeasureContext, MeasureRequest, Measurement, Monitor, MonitorError, Reading, Window,
};
use deploy_core::name::{BlockName, MetricName, RevisionName};
use deploy_core::real::Real;
use deploy_core::time::{Clock, Spell, SystemClock};
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
/// replaced. It prints one JSON object: for each metric a number, `{"events": 120, "bad": 3}`, `{"samples": [1.5, 2]}`, or `null`
/// where nothing was there to be measured. A metric that was declared and is not printed is an error, and so are an exit code
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
    Events { events: u64, bad: u64 },
    Samples { samples: Vec<Real> },
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
                    Some(Printed::Number(number)) => Reading::Value(number),
                    Some(Printed::Samples { samples }) => Reading::Samples(samples),
                    Some(Printed::Events { events, bad }) => {
                        Reading::Counts(Counts::new(events, bad).map_err(|e| {
                            MonitorError::new(format!("{metric} of {revision} makes no sense")).because(e)
                        })?)
                    }
                };
                all.push(Measurement::new(metric.clone(), arm, window, reading));
            }
        }
        Ok(all)
    }
}
