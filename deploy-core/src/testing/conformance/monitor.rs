//! What every monitor must hold to.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::monitor::{Arm, MeasureContext, MeasureRequest, Measurement, Monitor, Reading, StrataError};
use crate::name::{EnvironmentName, MetricName, RevisionName, ServiceName, StratumName};
use crate::release::Release;
use crate::time::Now;

/// A question that the monitor can answer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MonitorSuite {
    /// The question, about a candidate and a baseline.
    pub request: MeasureRequest,
    /// A revision of which nothing can be known, where the monitor can tell such a one.
    pub unknown: Option<RevisionName>,
}

impl MonitorSuite {
    /// A suite around a question with a baseline.
    #[must_use]
    pub fn new(request: MeasureRequest) -> Self {
        Self { request, unknown: None }
    }

    /// The same, with a revision of which nothing can be known: asked about it, the monitor must not make up a number.
    #[must_use]
    pub fn unknown(mut self, revision: RevisionName) -> Self {
        self.unknown = Some(revision);
        self
    }

    /// Runs every check. Returns the names of the checks that were run.
    ///
    /// # Panics
    ///
    /// When a check is not met, or the question has no baseline.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the question under way.
    pub async fn run(&self, monitor: &dyn Monitor) -> Vec<&'static str> {
        let mut run = vec!["answers for both arms alike"];
        assert!(self.request.baseline.is_some(), "the suite needs a question with a baseline");
        assert_eq!(monitor.name(), monitor.name(), "the name of a monitor does not change");
        let all = ask(monitor, &self.request).await;
        let (candidate, baseline) = (quantities(&all, Arm::Candidate), quantities(&all, Arm::Baseline));
        assert!(!candidate.is_empty(), "{} measured nothing, not even that there is no data", monitor.name());
        assert_eq!(candidate, baseline, "the arms were measured differently");
        for measurement in &all {
            assert!(
                measurement.window.from <= measurement.window.to,
                "a window that ends before it begins: {measurement:?}"
            );
        }

        run.push("names each quantity once");
        assert_eq!(all.len(), candidate.len() + baseline.len(), "a quantity was measured twice: {all:?}");
        if let Err(twice @ StrataError::Overlap { .. }) = Measurement::of_all(&all) {
            panic!("{twice}");
        }

        run.push("answers what was asked");
        for (metric, _) in &candidate {
            let one = MeasureRequest { metrics: vec![metric.clone()], ..self.request.clone() };
            let answered = quantities(&ask(monitor, &one).await, Arm::Candidate);
            let wanted = candidate.iter().filter(|(other, _)| other == metric).cloned().collect();
            assert_eq!(answered, wanted, "{metric} alone was asked for");
        }

        run.push("says nothing of a baseline that was not asked about");
        let alone = MeasureRequest { baseline: None, ..self.request.clone() };
        assert!(quantities(&ask(monitor, &alone).await, Arm::Baseline).is_empty(), "nobody asked about a baseline");

        run.push("refuses a quantity that it does not have");
        let unheard = MetricName::new("conformance.unheard_of").expect("the names of the suite are names");
        let request = MeasureRequest { metrics: vec![unheard], ..self.request.clone() };
        match monitor.measure(&request, &context(&request)).await {
            Err(_) => {}
            Ok(all) => assert!(all.iter().all(|m| m.reading == Reading::NoData), "it made something up: {all:?}"),
        }

        if let Some(unknown) = &self.unknown {
            run.push("makes up no number for what it does not know");
            let request = MeasureRequest { candidate: unknown.clone(), baseline: None, ..self.request.clone() };
            if let Ok(all) = monitor.measure(&request, &context(&request)).await {
                let made_up = all.iter().find(|m| m.reading != Reading::NoData);
                assert!(made_up.is_none(), "it made something up: {made_up:?}");
            }
        }
        run
    }
}

async fn ask(monitor: &dyn Monitor, request: &MeasureRequest) -> Vec<Measurement> {
    let answer = monitor.measure(request, &context(request)).await;
    answer.unwrap_or_else(|e| panic!("{} could not answer {request:?}: {e}", monitor.name()))
}

/// What was measured of an arm, of all traffic or of a part of it.
fn quantities(all: &[Measurement], arm: Arm) -> BTreeSet<(MetricName, Option<StratumName>)> {
    all.iter().filter(|m| m.arm == arm).map(|m| (m.metric.clone(), m.stratum.clone())).collect()
}

fn context(request: &MeasureRequest) -> MeasureContext {
    let name = "the names of the suite are names";
    let service = ServiceName::new("conformance").expect(name);
    let environment = EnvironmentName::new("test").expect(name);
    MeasureContext::new(Arc::new(Release::new(service, environment, request.candidate.clone())), Now::default())
}
