//! The evidence of the release: what was made before it, what is asked for live, and what its steps add.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use deploy_agents::checks::kind;
use deploy_agents::crew::{EvidenceSource, SourceError, Wanted};
use deploy_core::evidence::Collected;

use crate::workshop::shelf::Shelf;
use crate::workshop::watch::Prometheus;

/// The shelf, and who is asked live. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Bench(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shelf: Mutex<Shelf>,
    prometheus: Option<Prometheus>,
}

impl Bench {
    pub(crate) fn new(shelf: Shelf, prometheus: Option<Prometheus>) -> Self {
        Self(Arc::new(Inner { shelf: Mutex::new(shelf), prometheus }))
    }

    /// The shelf, for as long as the answer is held.
    pub(crate) fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EvidenceSource for Bench {
    async fn collect(&self, wanted: &Wanted<'_>) -> Result<Vec<Collected>, SourceError> {
        let mut pieces: Vec<Collected> = {
            let shelf = self.shelf();
            wanted.kinds.iter().flat_map(|kind| shelf.pieces(kind).cloned()).collect()
        };
        let Some(prometheus) = &self.0.prometheus else { return Ok(pieces) };
        // Monitoring is asked now: what it said a minute ago says nothing about this moment.
        for kind in [kind::PROMETHEUS_TARGETS, kind::PROMETHEUS_RULES, kind::PROMETHEUS_SERIES] {
            if !wanted.asks_for(kind) {
                continue;
            }
            let answer = match kind {
                kind::PROMETHEUS_TARGETS => prometheus.targets().await,
                kind::PROMETHEUS_RULES => prometheus.rules().await,
                _ => prometheus.series(wanted.release.revision.as_str()).await,
            };
            // No answer is missing evidence, which the check says.
            let Some(bytes) = answer else { continue };
            let piece = self.shelf().piece(kind, "prometheus", &format!("{kind}.json"), bytes);
            let unkept =
                |error: crate::Failure| SourceError::transient("an answer of Prometheus was not kept").because(error);
            pieces.push(piece.map_err(unkept)?);
        }
        Ok(pieces)
    }
}
