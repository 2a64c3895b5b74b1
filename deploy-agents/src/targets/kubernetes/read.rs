//! What the cluster says, read rightly: a status speaks of the generation that it names, and of no later one.

use std::collections::BTreeMap;

use deploy_core::name::RevisionName;
use deploy_core::target::RevisionState;
use serde_json::Value;

/// Says to which target an object belongs.
pub(super) const TARGET: &str = "deploy-agents/target";
/// Says which revision an object runs or selects.
pub(super) const REVISION: &str = "deploy-agents/revision";
/// The newest fence that an object has seen.
pub(super) const FENCE: &str = "deploy-agents/fence";

/// One revision's Deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) revision: RevisionName,
    pub(super) name: String,
    pub(super) state: RevisionState,
    /// The cluster has given up waiting for it (`ProgressDeadlineExceeded`).
    pub(super) given_up: bool,
    /// Whether the status speaks of the newest generation.
    pub(super) is_fresh: bool,
}

/// Reads a Deployment.
pub(super) fn deployment(object: &Value) -> Result<Found, String> {
    let name = object["metadata"]["name"].as_str().ok_or("a deployment has no name")?.to_owned();
    let revision = object["metadata"]["labels"][REVISION].as_str();
    let revision = revision.and_then(|text| RevisionName::new(text).ok());
    let revision = revision.ok_or_else(|| format!("the deployment {name} does not say which revision it runs"))?;
    let status = &object["status"];
    let is_fresh = is_fresh(object, status);
    // A Deployment that does not say has one.
    let desired = object["spec"]["replicas"].as_u64().map_or(1, small);
    let count = |field: &str| status[field].as_u64().map_or(0, small);
    let (replicas, ready, updated) = (count("replicas"), count("readyReplicas"), count("updatedReplicas"));
    // More than are wanted are on their way out, whether or not the controller has seen that yet. Those that it has told to end are
    // counted apart, by clusters that do count them (1.33 and later).
    let terminating = replicas.saturating_sub(desired) + count("terminatingReplicas");
    // Pods of an older template are ready, and not of what is wanted.
    let ready = ready.min(updated).min(desired);
    let conditions = status["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    let given_up = is_fresh
        && conditions.iter().any(|condition| {
            condition["type"] == "Progressing"
                && condition["status"] == "False"
                && condition["reason"] == "ProgressDeadlineExceeded"
        });
    Ok(Found { revision, name, state: RevisionState { desired, ready, terminating }, given_up, is_fresh })
}

/// Whether a status speaks of the newest generation of its object.
fn is_fresh(object: &Value, status: &Value) -> bool {
    let generation = object["metadata"]["generation"].as_u64().unwrap_or(0);
    status["observedGeneration"].as_u64().is_some_and(|observed| observed >= generation)
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Whether a route is in force as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RouteStanding {
    /// Every gateway has taken it.
    InForce,
    /// A gateway has not looked at it yet: what was in force before still is.
    Pending,
    /// A gateway refuses it, and says why.
    Refused(String),
}

/// Reads the conditions of an HTTPRoute.
pub(super) fn standing(route: &Value) -> RouteStanding {
    let generation = route["metadata"]["generation"].as_u64().unwrap_or(0);
    let parents = route["status"]["parents"].as_array().map_or(&[][..], Vec::as_slice);
    if parents.is_empty() {
        return RouteStanding::Pending;
    }
    let mut pending = false;
    for parent in parents {
        let conditions = parent["conditions"].as_array().map_or(&[][..], Vec::as_slice);
        for kind in ["Accepted", "ResolvedRefs"] {
            let condition = conditions.iter().find(|condition| condition["type"] == kind);
            let current = condition.filter(|c| c["observedGeneration"].as_u64().is_some_and(|seen| seen >= generation));
            match current.map(|condition| (condition["status"].as_str().unwrap_or_default(), condition)) {
                Some(("True", _)) => {}
                Some(("False", condition)) => {
                    let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
                    return RouteStanding::Refused(format!("{kind} is false: {}: {}", text("reason"), text("message")));
                }
                _ => pending = true,
            }
        }
    }
    if pending { RouteStanding::Pending } else { RouteStanding::InForce }
}

/// The weights of a rule of an HTTPRoute, by the names of its backends. One without a weight has 1.
pub(super) fn backends(route: &Value, rule: usize) -> BTreeMap<String, u64> {
    let refs = route["spec"]["rules"][rule]["backendRefs"].as_array().map_or(&[][..], Vec::as_slice);
    let one = |backend: &Value| Some((backend["name"].as_str()?.to_owned(), backend["weight"].as_u64().unwrap_or(1)));
    refs.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use deploy_core::target::RevisionState;
    use serde_json::{Value, json};

    use super::{REVISION, RouteStanding, backends, deployment, standing};

    fn shop(generation: u64, replicas: u32, status: Value) -> Value {
        json!({
            "metadata": {"name": "shop-v2", "labels": {REVISION: "v2"}, "generation": generation},
            "spec": {"replicas": replicas},
            "status": status,
        })
    }

    fn state(desired: u32, ready: u32, terminating: u32) -> RevisionState {
        RevisionState { desired, ready, terminating }
    }

    /// Rows: conditions as a 1.36 control plane writes them.
    #[test]
    fn a_status_is_read_for_the_generation_that_it_speaks_of() {
        let failed = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
        for (generation, replicas, status, seen, given_up) in [
            (1, 3, json!({}), state(3, 0, 0), false),
            (
                1,
                3,
                json!({"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 2}),
                state(3, 2, 0),
                false,
            ),
            // Scaled down a moment ago: the status still counts four.
            (
                2,
                2,
                json!({"observedGeneration": 1, "replicas": 4, "updatedReplicas": 4, "readyReplicas": 4}),
                state(2, 2, 2),
                false,
            ),
            (
                2,
                2,
                json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "terminatingReplicas": 2}),
                state(2, 2, 2),
                false,
            ),
            // Somebody has changed the template: three of the old one are ready, one of the new one.
            (
                2,
                3,
                json!({"observedGeneration": 2, "replicas": 4, "updatedReplicas": 1, "readyReplicas": 4}),
                state(3, 1, 1),
                false,
            ),
            (
                1,
                3,
                json!({"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "conditions": failed}),
                state(3, 0, 0),
                true,
            ),
            // The failure was one of the generation before.
            (
                2,
                3,
                json!({"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "conditions": failed}),
                state(3, 0, 0),
                false,
            ),
        ] {
            let found = deployment(&shop(generation, replicas, status.clone())).expect("a deployment");
            assert_eq!((found.state, found.given_up), (seen, given_up), "{status}");
        }
        assert!(deployment(&json!({"metadata": {"name": "x"}})).is_err());
    }

    #[test]
    fn a_route_is_in_force_when_every_gateway_has_taken_this_generation() {
        let condition = |kind: &str, status: &str, seen: u64| json!({"type": kind, "status": status, "observedGeneration": seen, "reason": "R", "message": "m"});
        let parent = |accepted: (&str, u64), resolved: (&str, u64)| json!({"conditions": [condition("Accepted", accepted.0, accepted.1), condition("ResolvedRefs", resolved.0, resolved.1)]});
        let route = |parents: Value| json!({"metadata": {"generation": 2}, "status": {"parents": parents}});
        let good = parent(("True", 2), ("True", 2));
        let refused = |kind: &str| RouteStanding::Refused(format!("{kind} is false: R: m"));
        for (parents, is) in [
            (json!(null), RouteStanding::Pending),
            (json!([]), RouteStanding::Pending),
            (json!([good]), RouteStanding::InForce),
            (json!([good, parent(("True", 1), ("True", 2))]), RouteStanding::Pending),
            (json!([good, {"conditions": null}]), RouteStanding::Pending),
            (json!([good, parent(("True", 2), ("False", 2))]), refused("ResolvedRefs")),
            // The refusal was one of the generation before.
            (json!([parent(("False", 1), ("True", 1))]), RouteStanding::Pending),
            (json!([parent(("False", 2), ("True", 2))]), refused("Accepted")),
        ] {
            assert_eq!(standing(&route(parents.clone())), is, "{parents}");
        }
    }

    #[test]
    fn a_backend_without_a_weight_has_one() {
        let route = json!({"spec": {"rules": [{"backendRefs": [{"name": "a"}, {"name": "b", "weight": 0}]}]}});
        assert_eq!(backends(&route, 0), [("a".to_owned(), 1), ("b".to_owned(), 0)].into());
        assert_eq!(backends(&route, 1), [].into());
        assert_eq!(backends(&json!({}), 0), [].into());
    }
}
