//! A fleet behind a load balancer that is a process of its own, and the walk that each such balancer is taken on.

use std::net::SocketAddr;

use deploy_agents::targets::Balancer;
use deploy_agents::targets::processes::ProcessFleet;
use deploy_core::name::TargetName;
use deploy_core::target::{Applied, Capabilities, DesiredState, EffectContext, Target, TargetError, TargetState};

use crate::fleet::{effect, reached, want};
use crate::load::Load;
use crate::peers::free_port;

/// A loopback port that nobody listens at.
pub(crate) fn free() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

/// Starts a balancer, again if it fails: somebody may take a port between its choice and its use.
pub(crate) async fn balancer<B, E: std::fmt::Display>(start: impl AsyncFn() -> Result<B, E>) -> B {
    for _ in 0..5 {
        match start().await {
            Ok(balancer) => return balancer,
            Err(error) => println!("tried again: {error}"),
        }
    }
    panic!("the balancer never started");
}

/// A fleet behind a balancer, with the folder that both need.
#[derive(Debug)]
pub(crate) struct Fronted<B: Balancer> {
    pub(crate) fleet: ProcessFleet<B>,
    pub(crate) dir: tempfile::TempDir,
}

impl<B: Balancer> Fronted<B> {
    /// Under load at `traffic`: versions and instances come and go as they are told, and at the end v1 has two of three instances and
    /// 70 % of the traffic. The load goes on.
    pub(crate) async fn walk(&self, traffic: SocketAddr) -> Load {
        let steps = [
            want(&[("v1", 2, 100)]),
            want(&[("v1", 2, 90), ("v2", 2, 10)]),
            want(&[("v1", 2, 50), ("v2", 3, 50)]),
            want(&[("v2", 3, 100)]),
            want(&[("v1", 1, 100)]),
            want(&[("v1", 2, 70), ("v2", 1, 30)]),
        ];
        let mut load = None;
        for (seq, wanted) in (1..).zip(&steps) {
            self.apply(wanted, &effect(seq)).await.expect("taken");
            reached(self, wanted).await;
            load.get_or_insert_with(|| Load::start(8, traffic)).more(500).await;
        }
        load.expect("there are steps")
    }
}

#[async_trait::async_trait]
impl<B: Balancer> Target for Fronted<B> {
    fn name(&self) -> TargetName {
        self.fleet.name()
    }
    fn capabilities(&self) -> Capabilities {
        self.fleet.capabilities()
    }
    async fn observe(&self) -> Result<TargetState, TargetError> {
        self.fleet.observe().await
    }
    async fn apply(&self, desired: &DesiredState, cx: &EffectContext) -> Result<Applied, TargetError> {
        self.fleet.apply(desired, cx).await
    }
}
