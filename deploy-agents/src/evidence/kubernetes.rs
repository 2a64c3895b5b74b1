//! Objects of Kubernetes in JSON, as `kubectl get -o json` writes them.

use super::facts::{Condition, Container, Endpoints, KubernetesFacts, Pod, Workload};
use super::json::{Document, LONGEST_NAME, Node, clip};
use super::{Doubt, DoubtKind, Problem, ReadError, Source, Sourced};

/// Reads one object or a list of objects: deployments, stateful sets, daemon sets, pods, endpoint slices. Other kinds are
/// passed over.
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn read(source: &Source<'_>) -> Result<KubernetesFacts, ReadError> {
    let document = Document::parse(source, &["managedFields"])?;
    let root = document.root();
    let kind = root.need("kind")?;
    let objects = if kind.text()?.ends_with("List") { root.need("items")?.items()? } else { vec![root.clone()] };
    let mut facts = KubernetesFacts::default();
    for object in &objects {
        // Items of a typed list leave their kind out.
        let kind = match object.text_of("kind")? {
            Some(own) => own,
            None => kind.text()?.trim_end_matches("List"),
        };
        match kind {
            "Deployment" | "StatefulSet" | "DaemonSet" => {
                facts.workloads.push(workload(kind, object, &mut facts.doubts)?)
            }
            "Pod" => facts.pods.push(pod(object)?),
            "EndpointSlice" => facts.endpoints.push(endpoints(object)?),
            _ => {}
        }
    }
    if facts.workloads.is_empty() && facts.pods.is_empty() && facts.endpoints.is_empty() {
        let text = "there is no workload, no pod and no endpoint slice";
        facts.doubts.push(Doubt::new(DoubtKind::NothingMeasured, root.at(), text));
    }
    Ok(facts)
}

fn workload(kind: &str, object: &Node<'_>, doubts: &mut Vec<Doubt>) -> Result<Workload, ReadError> {
    let (metadata, spec) = (object.need("metadata")?, object.need("spec")?);
    let status = object.get("status");
    let of = |name: &str| status.as_ref().map_or(Ok(None), |status| status.whole_of(name));
    let daemon = kind == "DaemonSet";
    let mut workload = Workload {
        kind: kind.to_owned(),
        namespace: metadata.short_of("namespace")?,
        name: clip(metadata.need("name")?.text()?, LONGEST_NAME),
        generation: metadata.whole_of("generation")?,
        observed_generation: of("observedGeneration")?,
        desired: if daemon { of("desiredNumberScheduled")? } else { spec.whole_of("replicas")? },
        total: if daemon { of("currentNumberScheduled")? } else { of("replicas")? },
        updated: if daemon { of("updatedNumberScheduled")? } else { of("updatedReplicas")? },
        ready: if daemon { of("numberReady")? } else { of("readyReplicas")? },
        available: if daemon { of("numberAvailable")? } else { of("availableReplicas")? },
        unavailable: if daemon { of("numberUnavailable")? } else { of("unavailableReplicas")? },
        paused: spec.flag_of("paused")?.is_some_and(|paused| paused.value),
        at: object.at(),
        ..Workload::default()
    };
    if let Some(status) = &status {
        for condition in status.list("conditions")? {
            workload.conditions.push(Condition {
                kind: condition.need("type")?.text()?.to_owned(),
                status: condition.need("status")?.text()?.to_owned(),
                reason: condition.text_or_empty("reason")?,
                message: clip(condition.text_of("message")?.unwrap_or_default(), 1_000),
            });
        }
    }
    if let Some(pod) = spec.path(&["template", "spec"]) {
        for container in pod.list("containers")? {
            let image = container.need("image")?.sourced_text()?;
            if !image.value.contains("@sha256:") {
                let text = format!("{} names an image by a tag, which can be moved", workload.name);
                doubts.push(Doubt::new(DoubtKind::Movable, image.at.clone(), text));
            }
            workload.images.push(image);
        }
    }
    Ok(workload)
}

fn pod(object: &Node<'_>) -> Result<Pod, ReadError> {
    let metadata = object.need("metadata")?;
    let mut pod = Pod {
        namespace: metadata.text_or_empty("namespace")?,
        name: metadata.need("name")?.text()?.to_owned(),
        terminating: metadata.get("deletionTimestamp").is_some(),
        at: object.at(),
        ..Pod::default()
    };
    let Some(status) = object.get("status") else { return Ok(pod) };
    pod.phase = status.text_or_empty("phase")?;
    for condition in status.list("conditions")? {
        if condition.text_of("type")? == Some("Ready") {
            pod.ready = condition.text_of("status")? == Some("True");
        }
    }
    for node in status.list("containerStatuses")? {
        let mut container = Container {
            name: node.need("name")?.text()?.to_owned(),
            image: node.text_or_empty("image")?,
            ready: node.flag_of("ready")?.is_some_and(|ready| ready.value),
            restarts: node.whole_of("restartCount")?,
            ..Container::default()
        };
        if let Some(id) = node.get("imageID") {
            // Without a repository before it, the digest is of the configuration and not of the manifest.
            if let Some((_, digest)) = id.text()?.rsplit_once("@sha256:") {
                if digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(id.error(Problem::Field, "64 hexadecimal digits must follow @sha256:"));
                }
                container.digest = Some(Sourced::new(format!("sha256:{digest}"), id.at()));
            }
        }
        for state in ["waiting", "terminated"] {
            if let Some(state) = node.path(&["state", state]) {
                container.reason = state.text_or_empty("reason")?;
            }
        }
        pod.containers.push(container);
    }
    Ok(pod)
}

fn endpoints(object: &Node<'_>) -> Result<Endpoints, ReadError> {
    let metadata = object.need("metadata")?;
    let mut endpoints = Endpoints {
        namespace: metadata.text_or_empty("namespace")?,
        service: metadata
            .path(&["labels", "kubernetes.io/service-name"])
            .map(|n| n.text())
            .transpose()?
            .unwrap_or_default()
            .to_owned(),
        at: object.at(),
        ..Endpoints::default()
    };
    for endpoint in object.list("endpoints")? {
        let conditions = endpoint.get("conditions");
        let says = |name: &str| match &conditions {
            Some(conditions) => Ok(conditions.flag_of(name)?.map(|flag| flag.value)),
            None => Ok(None),
        };
        match (says("terminating")?, says("ready")?) {
            (Some(true), _) => endpoints.terminating += 1,
            (_, Some(false)) => endpoints.not_ready += 1,
            (_, Some(true) | None) => endpoints.ready += 1,
        }
    }
    Ok(endpoints)
}
