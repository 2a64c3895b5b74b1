//! Our own figures, for whoever scrapes them or is sent them.

mod otlp;
mod page;

use std::collections::BTreeMap;

use deploy_core::journal::{Journal, JournalError, RunEntry, Which};
use deploy_core::time::Timestamp;

pub use self::otlp::{OtlpError, OtlpExporter, OtlpPush};
pub use self::page::{RunMetricsPage, run_metrics};

/// How many runs are read at a time.
const PAGE: usize = 500;
/// The most runs that are counted for one page; `deploy_runs_left_out` says whether there are more.
const MOST: usize = 50_000;
/// The most runs that have series of their own: those that have not ended.
const MOST_EACH: usize = 1_000;

/// A figure of a run at a time.
type Figure = fn(&RunEntry, Timestamp) -> f64;

/// The labels of one point.
type Labels = Vec<(&'static str, String)>;

/// The state of a journal's runs in numbers, all of them gauges.
///
/// | series | what |
/// |---|---|
/// | `deploy_runs{service,environment,outcome}` | runs by how they ended; `outcome="unfinished"`: those that have not |
/// | `deploy_run_records{run,service,environment}` | how many records a run that has not ended has: one that stands still does nothing |
/// | `deploy_run_age_seconds{run,service,environment}` | how long ago it was created |
/// | `deploy_run_owned{run,service,environment}` | 1 while a host drives it, 0 where nobody does |
/// | `deploy_run_holds_lock{run,service,environment}` | 1 while it keeps others of its service and environment out |
/// | `deploy_runs_left_out` | 1 if there were more runs than are counted |
///
/// Names of runs are labels only while they have not ended, at most a thousand of them: series do not pile up.
///
/// As text it is a page in the text format of Prometheus; an [`OtlpExporter`] sends it to a collector.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFigures {
    at: Timestamp,
    families: Vec<Family>,
}

/// One figure, of everything that has it.
#[derive(Debug, Clone, PartialEq)]
struct Family {
    name: &'static str,
    help: &'static str,
    /// As UCUM has it, which is what OTLP wants.
    unit: &'static str,
    points: Vec<(Labels, f64)>,
}

impl RunFigures {
    /// The figures of a journal's runs as they are now, by the store's own clock.
    ///
    /// # Errors
    ///
    /// [`JournalError`] if the store could not be read. Half of them are never shown.
    ///
    /// # Cancel safety
    ///
    /// It only reads.
    pub async fn of(journal: &dyn Journal) -> Result<Self, JournalError> {
        // Ages and leases are by the store's clock, which wrote them.
        let now = journal.now().await?;
        let mut counts: BTreeMap<(String, String, String), u32> = BTreeMap::new();
        let mut unfinished: Vec<RunEntry> = Vec::new();
        let (mut after, mut counted, mut left_out) = (None, 0, false);
        loop {
            let page = journal.list(Which::All, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.run.clone());
            let whole = page.len() == PAGE;
            for run in page {
                counted += 1;
                let outcome = run.outcome.clone().unwrap_or_else(|| "unfinished".to_owned());
                *counts.entry((run.service.to_string(), run.environment.to_string(), outcome)).or_default() += 1;
                if run.outcome.is_none() {
                    if unfinished.len() < MOST_EACH { unfinished.push(run) } else { left_out = true }
                }
            }
            if !whole {
                break;
            }
            if counted >= MOST {
                left_out = true;
                break;
            }
        }
        let runs = counts.into_iter().map(|((service, environment, outcome), count)| {
            (vec![("service", service), ("environment", environment), ("outcome", outcome)], f64::from(count))
        });
        let runs = runs.collect();
        let mut families =
            vec![Family { name: "deploy_runs", help: "Runs by how they ended.", unit: "{run}", points: runs }];
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
        let each: [(&str, &str, &str, Figure); 4] = [
            ("deploy_run_records", "Records of a run that has not ended.", "{record}", |run, _| run.records as f64),
            ("deploy_run_age_seconds", "How long ago it was created.", "s", |run, now| {
                now.since(run.created).as_secs_f64()
            }),
            ("deploy_run_owned", "Whether a host drives it.", "1", |run, now| {
                f64::from(u8::from(run.owner.is_some() && run.owned_until.is_none_or(|until| until >= now)))
            }),
            ("deploy_run_holds_lock", "Whether it keeps others of its service and environment out.", "1", |run, _| {
                f64::from(u8::from(run.holds_lock))
            }),
        ];
        for (name, help, unit, value) in each {
            let point = |run: &RunEntry| {
                let labels = vec![
                    ("run", run.run.to_string()),
                    ("service", run.service.to_string()),
                    ("environment", run.environment.to_string()),
                ];
                (labels, value(run, now))
            };
            families.push(Family { name, help, unit, points: unfinished.iter().map(point).collect() });
        }
        let help = "Whether there were more runs than are counted.";
        let points = vec![(Vec::new(), f64::from(u8::from(left_out)))];
        families.push(Family { name: "deploy_runs_left_out", help, unit: "1", points });
        Ok(Self { at: now, families })
    }

    /// How many points there are.
    #[must_use]
    pub fn points(&self) -> usize {
        self.families.iter().map(|family| family.points.len()).sum()
    }
}
