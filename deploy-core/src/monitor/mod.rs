//! Monitors measure the subject of a rollout; judges, elsewhere, say what the numbers mean.

mod batch;
mod counts;
mod histogram;
mod judgement;
mod measurement;
mod strata;

use std::fmt::Debug;

use async_trait::async_trait;

pub use self::batch::{Batch, BatchKey, Paired, Traffic};
pub use self::counts::{Counts, CountsError};
pub use self::histogram::{Histogram, HistogramError, Threshold};
pub use self::judgement::{Advice, Comparison, Judgement, JudgementResult, MeasurementOutcome};
pub use self::measurement::{Arm, MeasureRequest, Measured, Measurement, Reading, Window};
pub use self::strata::StrataError;
use crate::identity::Identity;
use crate::name::BlockName;
use crate::release::Release;
use crate::time::Now;

/// Measures a subject over a window.
///
/// # Contract for implementors
///
/// Asked any number of times, by any host, and without effect on what it measures. An empty answer is
/// [`Reading::NoData`], never zero; a question that could not be asked is an error, never a bad number. The answer names
/// the arm (candidate or baseline) and the window that it really covers.
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a monitor",
    note = "implement `deploy_core::monitor::Monitor` (`name` and `measure`)"
)]
pub trait Monitor: Debug + Send + Sync + 'static {
    /// How plans and records name it.
    fn name(&self) -> BlockName;

    /// What did the subject measure in this window?
    ///
    /// # Errors
    ///
    /// [`MonitorError`] if the question could not be asked or answered. That is not a failure of the release.
    async fn measure(&self, request: &MeasureRequest, cx: &MeasureContext) -> Result<Vec<Measurement>, MonitorError>;

    /// Which block this is: a pipeline refuses two blocks under one name. Leave the default, which goes by the address of the
    /// value; a clone of an `Arc` is the same block.
    fn identity(&self) -> Identity {
        Identity::of(self)
    }
}

/// What a monitor is told beside the request.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MeasureContext {
    /// What is being released.
    pub release: std::sync::Arc<Release>,
    /// Both clocks.
    pub now: Now,
}

impl MeasureContext {
    /// A context for one question. The engine makes these; tests may too.
    #[must_use]
    pub fn new(release: std::sync::Arc<Release>, now: Now) -> Self {
        Self { release, now }
    }
}

/// A question that could not be asked or answered.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct MonitorError {
    /// What went wrong: a lowercase fragment without a full stop, without secrets.
    pub message: String,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl MonitorError {
    /// An error with this message.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    /// The same error with its cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// Writes the whole trait by forwarding, so that no wrapper loses a method to a default.
macro_rules! forward_monitor {
    ($($kind:ty),*) => {$(
        #[async_trait]
        impl<T: Monitor + ?Sized> Monitor for $kind {
            fn name(&self) -> BlockName {
                (**self).name()
            }
            async fn measure(&self, request: &MeasureRequest, cx: &MeasureContext) -> Result<Vec<Measurement>, MonitorError> {
                (**self).measure(request, cx).await
            }
            fn identity(&self) -> Identity {
                (**self).identity()
            }
        }
    )*};
}

forward_monitor!(std::sync::Arc<T>, Box<T>);
