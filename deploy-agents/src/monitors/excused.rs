//! Does not blame a release for what somebody else broke.

use async_trait::async_trait;
use deploy_core::monitor::{
    Arm, Comparison, MeasureContext, MeasureRequest, Measurement, Monitor, MonitorError, Reading,
};
use deploy_core::name::{BlockName, MetricName};

use super::of_all_traffic;

/// A monitor whose measurements count only while a dependency is well.
///
/// The dependency is asked first, about the same window. While its number is on the wrong side of the limit, or it cannot be told
/// how it is, every reading becomes [`Reading::NoData`]: neither bad, for the release is not to blame, nor good, for nothing
/// was shown. What that means stands in the analysis; a hold is what fits.
///
/// ```
/// use deploy_agents::monitors::{Excused, Meter};
/// use deploy_core::monitor::Comparison;
/// use deploy_core::name::{BlockName, MetricName};
///
/// let ours = Meter::new(BlockName::new("checkout")?);
/// let payments = Meter::new(BlockName::new("payments")?);
/// let errors = MetricName::new("payments.errors")?;
/// let monitor = Excused::new(ours, payments, errors, Comparison::AtMost, 0.01);
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
///
/// Rows: M83.
#[derive(Debug)]
pub struct Excused<M, D> {
    ours: M,
    dependency: D,
    metric: MetricName,
    well: Comparison,
    limit: f64,
}

impl<M: Monitor, D: Monitor> Excused<M, D> {
    /// `ours` counts while `metric` of `dependency`, as one number (of counts the share of bad ones), compares so with the
    /// limit.
    pub fn new(ours: M, dependency: D, metric: MetricName, well: Comparison, limit: f64) -> Self {
        Self { ours, dependency, metric, well, limit }
    }
}

#[async_trait]
impl<M: Monitor, D: Monitor> Monitor for Excused<M, D> {
    fn name(&self) -> BlockName {
        self.ours.name()
    }

    async fn measure(&self, request: &MeasureRequest, cx: &MeasureContext) -> Result<Vec<Measurement>, MonitorError> {
        let question =
            MeasureRequest { monitor: self.dependency.name(), metrics: vec![self.metric.clone()], ..request.clone() };
        let mut all = self.ours.measure(request, cx).await?;
        let is_well = match of_all_traffic(&self.dependency, &question, cx).await {
            // It serves both arms alike: the worse of the two counts.
            Ok(answers) => [Arm::Candidate, Arm::Baseline].into_iter().all(|arm| {
                let mut of_arm = answers.iter().filter(|m| m.arm == arm && m.metric == self.metric);
                let asked = arm == Arm::Candidate || request.baseline.is_some();
                !asked || of_arm.next().and_then(|m| m.reading.number()).is_some_and(|n| self.well.holds(n, self.limit))
            }),
            Err(error) => {
                tracing::warn!(dependency = %self.dependency.name(), error = deploy_core::report::chain(&error), "cannot tell how a dependency is");
                false
            }
        };
        if !is_well {
            all.iter_mut().for_each(|measurement| measurement.reading = Reading::NoData);
        }
        Ok(all)
    }
}
