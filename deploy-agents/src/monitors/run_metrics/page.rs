//! Our own figures as a page.

use std::net::SocketAddr;
use std::sync::Arc;

use deploy_core::journal::{Journal, JournalError};
use http::StatusCode;
use tokio::sync::watch;

use super::RunFigures;
use crate::targets::AdminAccess;
use crate::targets::admin::{listen, metrics, problem};

/// The state of a journal's runs as a page in the text format of Prometheus: [`RunFigures`] as they are now.
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
    Ok(RunFigures::of(journal).await?.to_string())
}

impl std::fmt::Display for RunFigures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for family in &self.families {
            let name = family.name;
            writeln!(f, "# HELP {name} {}\n# TYPE {name} gauge", family.help)?;
            for (labels, value) in &family.points {
                f.write_str(name)?;
                let mut between = '{';
                for (label, text) in labels {
                    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                    write!(f, "{between}{label}=\"{text}\"")?;
                    between = ',';
                }
                writeln!(f, "{} {value}", if labels.is_empty() { "" } else { "}" })?;
            }
        }
        Ok(())
    }
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
