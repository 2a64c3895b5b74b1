//! What stands in front of the instances and shares requests out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::name::RevisionName;
use deploy_core::target::{Capabilities, DesiredState};

use super::proxy::Routing;

/// The addresses that are ready to serve each revision.
pub type Upstreams = BTreeMap<RevisionName, BTreeSet<SocketAddr>>;

/// Ends when an instance has no request under way any more, or its time is up; tells how many are left.
pub type Draining = Pin<Box<dyn Future<Output = usize> + Send>>;

/// Shares requests out between the instances of a [`ProcessFleet`](super::processes::ProcessFleet).
///
/// # Contract for implementors
///
/// - One fleet uses it, and nobody else. Its reconciler makes one change at a time; [`routing`](Self::routing) may come in
///   between.
/// - [`routing`](Self::routing) tells what *is*, read back from the balancer itself, never what was asked for. Weights read
///   back sum to the whole, or there are none.
/// - Every change is level-based: the same one again changes nothing.
/// - A change of weights or of instances loses no request: those under way finish where they are.
/// - What a balancer forgets when it is reloaded or started again, it puts back itself.
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand in front of a fleet",
    note = "use `targets::proxy::Proxy` or `targets::haproxy::Haproxy`, or implement `targets::Balancer`"
)]
pub trait Balancer: Debug + Send + Sync + 'static {
    /// What it can do with traffic: of [`Capabilities`] only `weights`, `routes`, `mirror` and `preview` are looked at.
    fn capabilities(&self) -> Capabilities;

    /// Whether it could bring this about, with every wanted instance ready; otherwise why not. Asked before anything is
    /// changed. The default says yes.
    ///
    /// # Errors
    ///
    /// A lowercase fragment that says why not.
    fn check(&self, _desired: &DesiredState) -> Result<(), String> {
        Ok(())
    }

    /// What is in force now.
    ///
    /// # Errors
    ///
    /// [`BalancerError`] if it could not be read.
    async fn routing(&self) -> Result<Routing, BalancerError>;

    /// Uses these addresses and leaves who gets how much as it is. A revision that serves may be named with no address at all:
    /// its instances died or are unwell, and hiding that helps nobody. A balancer that checks by itself may then go on with those
    /// that it has.
    ///
    /// # Errors
    ///
    /// [`BalancerError`]; some of it may be in force then.
    async fn use_upstreams(&self, upstreams: &Upstreams) -> Result<(), BalancerError>;

    /// Puts a new statement in force, and reads it back. Tells whether anything changed. One that raises traffic to a revision
    /// without an address is refused, and changes nothing.
    ///
    /// # Errors
    ///
    /// [`BalancerError`]; some of it may be in force then.
    async fn route(&self, wanted: &Routing) -> Result<bool, BalancerError>;

    /// Takes one instance out: when this returns, it gets no new request. What is returned ends when it has none under way,
    /// at most after `bound`.
    ///
    /// # Errors
    ///
    /// [`BalancerError`] if it may still get requests.
    async fn retire(
        &self,
        revision: &RevisionName,
        address: SocketAddr,
        bound: Duration,
    ) -> Result<Draining, BalancerError>;

    /// Its counters in the text format of Prometheus, where it has a page of its own. The default says that it has none.
    fn metrics(&self) -> Option<String> {
        None
    }

    /// Takes no more requests and lets those under way finish, for at most `bound`.
    async fn close(&self, bound: Duration);
}

/// A balancer that could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct BalancerError {
    /// What went wrong: a lowercase fragment without a full stop.
    pub message: String,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl BalancerError {
    /// An error that says this.
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
