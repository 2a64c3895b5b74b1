//! Our own figures, for whoever scrapes them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use deploy_core::journal::{Journal, JournalError, RunEntry, Which};
use deploy_core::time::Timestamp;
use http::StatusCode;
use tokio::sync::watch;

use crate::targets::AdminAccess;
use crate::targets::admin::{listen, metrics, problem};

/// How many runs are read at a time.
const PAGE: usize = 500;
/// The most runs that are counted for one page; `deploy_runs_left_out` says whether there are more.
const MOST: usize = 50_000;
/// The most runs that have series of their own: those that have not ended.
const MOST_EACH: usize = 1_000;

/// A figure of a run at a time.
type Figure = fn(&RunEntry, Timestamp) -> f64;

/// The state of a journal's runs as a page in the text format of Prometheus.
///
/// | series | type | what |
/// |---|---|---|
/// | `deploy_runs{service,environment,outcome}` | gauge | runs by how they ended; `outcome="unfinished"`: those that have not |
/// | `deploy_run_records{run,service,environment}` | gauge | how many records a run that has not ended has: one that stands still does nothing |
/// | `deploy_run_age_seconds{run,service,environment}` | gauge | how long ago it was created |
/// | `deploy_run_owned{run,service,environment}` | gauge | 1 while a host drives it, 0 where nobody does |
/// | `deploy_run_holds_lock{run,service,environment}` | gauge | 1 while it keeps others of its service and environment out |
/// | `deploy_runs_left_out` | gauge | 1 if there were more runs than are counted |
///
/// Names of runs are labels only while they have not ended, at most a thousand of them: series do not pile up.
///
/// # Errors
///
/// [`JournalError`] if the store could not be read. Half a page is never shown.
///
/// # Cancel safety
///
/// It only reads.
///
/// Rows: M235.
pub async fn run_metrics(journal: &dyn Journal) -> Result<String, JournalError> {
    // Ages and leases are by the store's clock, which wrote them.
    let now = journal.now().await?;
    let mut counts: BTreeMap<(String, String, String), u64> = BTreeMap::new();
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
    let mut page = String::new();
    family(&mut page, "deploy_runs", "Runs by how they ended.");
    for ((service, environment, outcome), count) in counts {
        let labels = [("service", service), ("environment", environment), ("outcome", outcome)];
        line(&mut page, "deploy_runs", &labels, &count);
    }
    #[expect(clippy::cast_precision_loss, reason = "counts and ages stay far below 2^52")]
    let each: [(&str, &str, Figure); 4] = [
        ("deploy_run_records", "Records of a run that has not ended.", |run, _| run.records as f64),
        ("deploy_run_age_seconds", "How long ago it was created.", |run, now| now.since(run.created).as_secs_f64()),
        ("deploy_run_owned", "Whether a host drives it.", |run, now| {
            f64::from(u8::from(run.owner.is_some() && run.owned_until.is_none_or(|until| until >= now)))
        }),
        ("deploy_run_holds_lock", "Whether it keeps others of its service and environment out.", |run, _| {
            f64::from(u8::from(run.holds_lock))
        }),
    ];
    for (name, help, value) in each {
        family(&mut page, name, help);
        for run in &unfinished {
            let labels = [
                ("run", run.run.to_string()),
                ("service", run.service.to_string()),
                ("environment", run.environment.to_string()),
            ];
            line(&mut page, name, &labels, &value(run, now));
        }
    }
    family(&mut page, "deploy_runs_left_out", "Whether there were more runs than are counted.");
    line(&mut page, "deploy_runs_left_out", &[], &u8::from(left_out));
    Ok(page)
}

fn family(page: &mut String, name: &str, help: &str) {
    // Writing to a text cannot fail.
    let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} gauge");
}

fn line(page: &mut String, name: &str, labels: &[(&str, String)], value: &dyn std::fmt::Display) {
    page.push_str(name);
    let mut between = '{';
    for (label, text) in labels {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(page, "{between}{label}=\"{text}\"");
        between = ',';
    }
    let end = if labels.is_empty() { "" } else { "}" };
    let _ = writeln!(page, "{end} {value}");
}

/// Serves [`run_metrics`] of a journal at `/metrics`. Dropping it stops it.
#[derive(Debug)]
pub struct RunMetricsPage {
    address: SocketAddr,
    _stop: watch::Sender<bool>,
}

impl RunMetricsPage {
    /// Listens at `address`. Each scrape reads the journal; an unreadable one is answered with 503, so that the scraper's `up` shows it.
    ///
    /// # Errors
    ///
    /// The address could not be listened at, or is not a loopback address and `access` does not allow others.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the listener.
    pub async fn bind(address: SocketAddr, access: AdminAccess, journal: Arc<dyn Journal>) -> std::io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let address = listen(address, access, stopped, move |call| {
            let journal = Arc::clone(&journal);
            async move {
                match call.route() {
                    ("GET", "/metrics") => match run_metrics(&*journal).await {
                        Ok(page) => metrics(page),
                        Err(error) => problem(StatusCode::SERVICE_UNAVAILABLE, deploy_core::report::chain(&error)),
                    },
                    _ => problem(StatusCode::NOT_FOUND, "GET /metrics"),
                }
            }
        });
        Ok(Self { address: address.await?, _stop: stop })
    }

    /// The URL that a scraper is to be given.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/metrics", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
