//! Stories of strategies out of the manifests of other systems: what they ask, what is answered, and what comes of it.

mod argo;
mod flagger;
mod released;
mod server;
mod unbound;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deploy_agents::monitors::imported::{Binder, Bound};
use deploy_core::monitor::{MeasureContext, MeasureRequest, Monitor, MonitorError};
use deploy_core::release::Release;
use deploy_core::report::chain;
use deploy_core::time::Now;
use deploy_strategies::import::{Imported, Manifests};

pub(crate) fn release() -> Release {
    Release::new(
        "shop".try_into().expect("a name"),
        "test".try_into().expect("a name"),
        "v2".try_into().expect("a name"),
    )
}

pub(crate) fn import(text: &str) -> Imported {
    let mut manifests = Manifests::new();
    manifests.add("shop.yaml", text);
    let mut all = manifests.strategies().unwrap_or_else(|refused| panic!("{refused}"));
    assert_eq!(all.len(), 1);
    all.remove(0)
}

pub(crate) fn bind(binder: Binder, text: &str) -> Bound {
    binder.bind(&import(text)).unwrap_or_else(|unbound| panic!("{unbound}"))
}

/// What the one monitor says of all of its metrics.
pub(crate) async fn measured(bound: &Bound) -> Result<BTreeMap<String, f64>, MonitorError> {
    let [monitor] = bound.monitors.as_slice() else { panic!("{:?}", bound.monitors) };
    let release = release();
    let request = MeasureRequest {
        monitor: monitor.name(),
        metrics: Vec::new(),
        candidate: release.revision.clone(),
        baseline: None,
        lookback: Duration::from_secs(60),
    };
    let answers = monitor.measure(&request, &MeasureContext::new(Arc::new(release), Now::default())).await?;
    let number = |reading: &deploy_core::monitor::Reading| reading.number().expect("a number");
    Ok(answers.iter().map(|one| (one.metric.to_string(), number(&one.reading))).collect())
}

/// Why there is no answer, with every cause.
pub(crate) async fn refused(bound: &Bound) -> String {
    chain(&measured(bound).await.expect_err("no number"))
}
