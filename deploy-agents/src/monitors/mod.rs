//! Monitors: what a revision measured.

pub mod exposition;
mod probe;
pub mod prometheus;
mod quantile;
mod scrape;
mod series;

pub use self::probe::ProbeMonitor;
pub use self::scrape::{Query, ScrapeMonitor};
pub use self::series::Selector;

use std::fmt;
use std::sync::Arc;

use deploy_core::name::RevisionName;

/// A count that was added up as a float.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "growth is finite and not negative; a cast saturates"
)]
fn whole(count: f64) -> u64 {
    count.round() as u64
}

/// Where a revision is asked: a template in which `{revision}` is replaced, or a closure.
#[derive(Clone)]
struct Urls(Arc<OfRevision>);

type OfRevision = dyn Fn(&RevisionName) -> Vec<String> + Send + Sync;

impl Urls {
    fn template(template: impl Into<String>) -> Self {
        let template = template.into();
        Self(Arc::new(move |revision| vec![template.replace("{revision}", revision.as_str())]))
    }

    fn of(&self, revision: &RevisionName) -> Vec<String> {
        (self.0)(revision)
    }
}

impl fmt::Debug for Urls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Urls")
    }
}
