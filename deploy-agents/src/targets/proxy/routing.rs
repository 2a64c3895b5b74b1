//! Where requests go: the whole statement, and how a request is matched against it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use deploy_core::name::RevisionName;
use deploy_core::target::{Mirror, Route, RouteMatch};
use serde::{Deserialize, Serialize};

/// Where the requests go: a full statement.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Routing {
    /// The addresses that serve each revision; they take turns.
    pub upstreams: BTreeMap<RevisionName, BTreeSet<SocketAddr>>,
    /// Who gets how many of every `max_weight` requests; sums to it, or is empty where nothing is routed.
    pub weights: BTreeMap<RevisionName, u32>,
    /// The whole that the weights are parts of.
    pub max_weight: u32,
    /// Header and cookie routes, first match first; they go before the weights.
    pub routes: Vec<Route>,
    /// Where requests are copied to.
    pub mirror: Option<Mirror>,
    /// The revision that answers at the second address.
    pub preview: Option<RevisionName>,
}

/// A statement that the proxy does not take. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoutingError {
    /// The weights do not sum to the whole: mend them.
    #[error("the weights sum to {sum}, and the whole is {max_weight}")]
    NotWhole {
        /// What they sum to.
        sum: u64,
        /// What they must sum to.
        max_weight: u32,
    },
    /// Traffic would rise on a revision that nothing serves: start an instance first.
    #[error("{revision} has no instance that is ready, so that no traffic may be raised to it")]
    NobodyServes {
        /// The revision.
        revision: RevisionName,
    },
    /// A share of more than 100 percent.
    #[error("a mirror of {percent} percent; at most 100 are there")]
    MirrorShare {
        /// The share.
        percent: u32,
    },
}

impl Routing {
    /// Whether this statement may follow `before`.
    pub(crate) fn check(&self, before: &Self) -> Result<(), RoutingError> {
        let sum = self.weights.values().map(|w| u64::from(*w)).sum::<u64>();
        if !self.weights.is_empty() && sum != u64::from(self.max_weight) {
            return Err(RoutingError::NotWhole { sum, max_weight: self.max_weight });
        }
        if let Some(Mirror { percent, .. }) = &self.mirror
            && *percent > 100
        {
            return Err(RoutingError::MirrorShare { percent: *percent });
        }
        match self.raised(before).into_iter().find(|revision| self.nobody_serves(revision)) {
            Some(revision) => Err(RoutingError::NobodyServes { revision: revision.clone() }),
            None => Ok(()),
        }
    }

    fn nobody_serves(&self, revision: &RevisionName) -> bool {
        self.upstreams.get(revision).is_none_or(BTreeSet::is_empty)
    }

    /// The revisions that would get more traffic than `before`: by weight, by a route, as a mirror or in the preview.
    pub(crate) fn raised<'a>(&'a self, before: &Self) -> BTreeSet<&'a RevisionName> {
        let share = |routing: &Self, revision: &RevisionName| {
            let weight = routing.weights.get(revision).copied().unwrap_or(0);
            (u64::from(weight), u64::from(routing.max_weight.max(1)))
        };
        let heavier = self.weights.keys().filter(|revision| {
            let ((weight, whole), (weight_before, whole_before)) = (share(self, revision), share(before, revision));
            weight * whole_before > weight_before * whole
        });
        let routed = self.routes.iter().filter(|route| !before.routes.contains(route)).map(|route| &route.to);
        let mirrored = self.mirror.iter().filter(|_| self.mirror != before.mirror).map(|mirror| &mirror.to);
        let shown = self.preview.iter().filter(|_| self.preview != before.preview);
        heavier.chain(routed).chain(mirrored).chain(shown).collect()
    }

    /// The revisions that answer users: by weight or by a route.
    pub(crate) fn serving(&self) -> BTreeSet<&RevisionName> {
        let weighted = self.weights.iter().filter(|(_, weight)| **weight > 0).map(|(revision, _)| revision);
        weighted.chain(self.routes.iter().map(|route| &route.to)).collect()
    }
}

/// Whether a request carries everything that a route asks for.
pub(crate) fn carries(headers: &http::HeaderMap, matches: &[RouteMatch]) -> bool {
    matches.iter().all(|wanted| match wanted {
        RouteMatch::Header { name, value } => headers.get_all(name).iter().any(|v| v.as_bytes() == value.as_bytes()),
        RouteMatch::Cookie { name, value } => cookies(headers).any(|(n, v)| n == name && v == value),
    })
}

fn cookies(headers: &http::HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(http::header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='))
}
