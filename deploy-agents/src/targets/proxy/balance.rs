//! The proxy in front of a fleet.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::name::RevisionName;
use deploy_core::target::Capabilities;

use super::{Proxy, Routing};
use crate::targets::balancer::{Balancer, BalancerError, Draining, Upstreams};

#[async_trait]
impl Balancer for Proxy {
    fn capabilities(&self) -> Capabilities {
        let preview = self.preview_address().is_some();
        Capabilities { weights: true, routes: true, mirror: true, preview, ..Capabilities::default() }
    }

    async fn routing(&self) -> Result<Routing, BalancerError> {
        Ok(Self::routing(self))
    }

    async fn use_upstreams(&self, upstreams: &Upstreams) -> Result<(), BalancerError> {
        for revision in Self::routing(self).upstreams.keys().filter(|revision| !upstreams.contains_key(*revision)) {
            self.set_upstreams(revision, BTreeSet::new());
        }
        for (revision, addresses) in upstreams {
            self.set_upstreams(revision, addresses.clone());
        }
        Ok(())
    }

    async fn route(&self, wanted: &Routing) -> Result<bool, BalancerError> {
        Self::route(self, wanted.clone())
            .map_err(|error| BalancerError::new("the proxy refused a statement").because(error))
    }

    async fn retire(
        &self,
        revision: &RevisionName,
        address: SocketAddr,
        bound: Duration,
    ) -> Result<Draining, BalancerError> {
        let retired = Self::retire(self, revision, address);
        Ok(Box::pin(async move { retired.drained(bound).await }))
    }

    fn metrics(&self) -> Option<String> {
        Some(Self::metrics(self))
    }

    async fn close(&self, bound: Duration) {
        self.shutdown(bound).await;
    }
}
