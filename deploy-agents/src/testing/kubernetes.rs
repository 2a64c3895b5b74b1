//! A stand-in for a Kubernetes cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Map, Value, json};

/// How many looks a pod that never becomes ready gets until its Deployment is given up.
const PATIENCE: u64 = 30;

/// The API of a Kubernetes cluster for Deployments, Services and HTTPRoutes of one namespace, with controllers that lag behind.
///
/// Time passes with each call: a controller first sees a new generation, then moves by one pod, and a pod is ready one call after it
/// was started. A gateway takes an HTTPRoute two calls after it was changed, and refuses one whose backends are not there. So a
/// client that trusts a status of an older generation is found out, and every run is the same.
///
/// Supported: `GET` of one object and of lists by one label, `POST`, `PATCH` with a JSON merge patch and, if it names one, the
/// resource version, and `DELETE`. Generations rise with `spec` alone. The shapes of objects, conditions and errors are those that a
/// control plane of version 1.36 gave.
#[derive(Debug, Clone, Default)]
pub struct KubernetesStandIn {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// By plural and name.
    objects: BTreeMap<(String, String), Value>,
    version: u64,
    broken: BTreeSet<String>,
    calls: Vec<String>,
    violations: Vec<String>,
    fault: Option<StatusCode>,
    gateways_sleep: bool,
}

impl KubernetesStandIn {
    /// An empty cluster.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same cluster with one more object. Its kind says what it is.
    #[must_use]
    pub fn with(self, object: Value) -> Self {
        let plural = match object["kind"].as_str() {
            Some("Deployment") => "deployments",
            Some("HTTPRoute") => "httproutes",
            _ => "services",
        };
        self.held().create(plural, object);
        self
    }

    /// Pods whose name of a Deployment holds this text never become ready.
    pub fn breaks(&self, text: &str) {
        self.held().broken.insert(text.to_owned());
    }

    /// Lets the gateways sleep, or wakes them: a sleeping one takes no HTTPRoute.
    pub fn gateways_sleep(&self, sleep: bool) {
        self.held().gateways_sleep = sleep;
    }

    /// Answers every further call with this status; nothing: as it should.
    pub fn fail_with(&self, status: Option<StatusCode>) {
        self.held().fault = status;
    }

    /// One object, as it stands now.
    #[must_use]
    pub fn object(&self, plural: &str, name: &str) -> Option<Value> {
        self.held().objects.get(&(plural.to_owned(), name.to_owned())).cloned()
    }

    /// Changes one object, as somebody else does.
    pub fn change(&self, plural: &str, name: &str, change: &Value) {
        self.held().patch(plural, name, change);
    }

    /// Every call so far: method and path.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.held().calls.clone()
    }

    /// Every moment in which users met a backend without a ready pod.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.held().violations.clone()
    }

    /// A client of this cluster. It has to be made inside of a Tokio runtime.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        let cluster = self.clone();
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let cluster = cluster.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let (status, answer) = cluster.held().answer(&head.method, &head.uri, &body);
                let mut response = Response::new(Full::new(Bytes::from(answer.to_string())));
                *response.status_mut() = status;
                Ok::<_, kube::Error>(response)
            }
        });
        kube::Client::new(service, "default")
    }

    fn held(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn answer(&mut self, method: &Method, uri: &http::Uri, body: &[u8]) -> (StatusCode, Value) {
        self.calls.push(format!("{method} {}", uri.path()));
        if let Some(status) = self.fault {
            return refusal(status, "made to fail");
        }
        self.tick();
        let parts: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
        let at = parts.iter().position(|part| *part == "namespaces");
        let Some([plural, rest @ ..]) = at.and_then(|at| parts.get(at + 2..)) else {
            return refusal(StatusCode::NOT_FOUND, "the server could not find the requested resource");
        };
        match (method, rest) {
            (&Method::GET, []) => (StatusCode::OK, self.list(plural, uri.query().unwrap_or_default())),
            (&Method::GET, [name]) => self.found(plural, name),
            (&Method::POST, []) => match serde_json::from_slice::<Value>(body) {
                Ok(object) => self.create(plural, object),
                Err(error) => refusal(StatusCode::BAD_REQUEST, &error.to_string()),
            },
            (&Method::PATCH, [name]) => match serde_json::from_slice::<Value>(body) {
                Ok(change) => self.patch(plural, name, &change),
                Err(error) => refusal(StatusCode::BAD_REQUEST, &error.to_string()),
            },
            (&Method::DELETE, [name]) => match self.objects.remove(&((*plural).to_owned(), (*name).to_owned())) {
                Some(object) => (StatusCode::OK, object),
                None => missing(plural, name),
            },
            _ => refusal(StatusCode::METHOD_NOT_ALLOWED, "the server does not allow this method"),
        }
    }

    fn found(&self, plural: &str, name: &str) -> (StatusCode, Value) {
        match self.objects.get(&(plural.to_owned(), name.to_owned())) {
            Some(object) => (StatusCode::OK, object.clone()),
            None => missing(plural, name),
        }
    }

    fn list(&self, plural: &str, query: &str) -> Value {
        let selector = query.strip_prefix("labelSelector=").map(|text| text.replace("%3D", "=").replace("%2F", "/"));
        let wanted = selector.as_deref().and_then(|text| text.split_once('='));
        let carries = |object: &&Value| wanted.is_none_or(|(key, value)| object["metadata"]["labels"][key] == value);
        let of_kind = self.objects.iter().filter(|((of, _), _)| of == plural).map(|(_, object)| object);
        let items: Vec<Value> = of_kind.filter(carries).cloned().collect();
        let items = if items.is_empty() { Value::Null } else { items.into() };
        json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": self.version.to_string()}, "items": items})
    }

    fn create(&mut self, plural: &str, mut object: Value) -> (StatusCode, Value) {
        let Some(name) = object["metadata"]["name"].as_str().map(str::to_owned) else {
            return refusal(StatusCode::UNPROCESSABLE_ENTITY, "metadata.name: Required value");
        };
        let key = (plural.to_owned(), name.clone());
        if self.objects.contains_key(&key) {
            return refusal(StatusCode::CONFLICT, &format!("{plural} {name:?} already exists"));
        }
        let labels = &object["spec"]["template"]["metadata"]["labels"];
        let selects = object["spec"]["selector"]["matchLabels"].as_object();
        if plural == "deployments" && !selects.is_some_and(|all| all.iter().all(|(key, value)| labels[key] == *value)) {
            return refusal(StatusCode::UNPROCESSABLE_ENTITY, "`selector` does not match template `labels`");
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        object["metadata"]["generation"] = 1.into();
        if plural == "httproutes" {
            object["status"] = json!({"parents": [{"controllerName": "stand-in", "conditions": conditions(1, None)}]});
        }
        self.objects.insert(key, object.clone());
        (StatusCode::CREATED, object)
    }

    fn patch(&mut self, plural: &str, name: &str, change: &Value) -> (StatusCode, Value) {
        let Some(object) = self.objects.get_mut(&(plural.to_owned(), name.to_owned())) else {
            return missing(plural, name);
        };
        let named = &change["metadata"]["resourceVersion"];
        if !named.is_null() && *named != object["metadata"]["resourceVersion"] {
            return refusal(
                StatusCode::CONFLICT,
                &format!("{plural} {name:?} has been modified; apply your changes to the latest version"),
            );
        }
        let before = object["spec"].clone();
        merge(object, change);
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        if object["spec"] != before {
            let generation = object["metadata"]["generation"].as_u64().unwrap_or(0);
            object["metadata"]["generation"] = (generation + 1).into();
        }
        (StatusCode::OK, object.clone())
    }

    /// Lets every controller take one step.
    fn tick(&mut self) {
        let services: BTreeSet<String> =
            self.objects.keys().filter(|(plural, _)| plural == "services").map(|(_, name)| name.clone()).collect();
        for ((plural, name), object) in &mut self.objects {
            match plural.as_str() {
                "deployments" => deploy(object, self.broken.iter().any(|text| name.contains(text))),
                "httproutes" if !self.gateways_sleep => take(object, &services),
                _ => {}
            }
        }
        self.watch();
    }

    /// Notes when users meet a backend without a ready pod.
    fn watch(&mut self) {
        let ready_behind = |service: &str| -> u64 {
            let Some(service) = self.objects.get(&("services".to_owned(), service.to_owned())) else { return 0 };
            let Some(selector) = service["spec"]["selector"].as_object() else { return 0 };
            let selected = |object: &&Value| {
                let labels = &object["spec"]["template"]["metadata"]["labels"];
                selector.iter().all(|(key, value)| labels[key] == *value)
            };
            let deployments = self.objects.iter().filter(|((plural, _), _)| plural == "deployments");
            deployments
                .map(|(_, object)| object)
                .filter(selected)
                .map(|o| o["status"]["readyReplicas"].as_u64().unwrap_or(0))
                .sum()
        };
        let mut found = Vec::new();
        for ((plural, name), route) in &self.objects {
            if plural != "httproutes" {
                continue;
            }
            let refs = route["status"]["inForce"].as_array().map_or(&[][..], Vec::as_slice);
            for backend in refs.iter().filter(|backend| backend["weight"].as_u64().unwrap_or(1) > 0) {
                let service = backend["name"].as_str().unwrap_or_default();
                if ready_behind(service) == 0 {
                    found.push(format!("{name} sends users to {service}, which has no ready pod"));
                }
            }
        }
        self.violations.extend(found);
    }
}

/// One step of a Deployment's controller.
fn deploy(object: &mut Value, is_broken: bool) {
    let generation = object["metadata"]["generation"].as_u64().unwrap_or(0);
    let wanted = object["spec"]["replicas"].as_u64().unwrap_or(1);
    let status = &mut object["status"];
    if status["observedGeneration"].as_u64() != Some(generation) {
        status["observedGeneration"] = generation.into();
        return;
    }
    let count = |status: &Value, field: &str| status[field].as_u64().unwrap_or(0);
    let (replicas, ready) = (count(status, "replicas"), count(status, "readyReplicas"));
    let (mut next, mut next_ready, mut terminating) = (replicas, ready, 0);
    if replicas < wanted {
        next += 1;
    } else if replicas > wanted {
        next -= 1;
        terminating = 1;
    }
    if is_broken {
        next_ready = 0;
        let waited = count(status, "waited") + 1;
        status["waited"] = waited.into();
        if waited > PATIENCE && wanted > 0 {
            status["conditions"] = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}]);
        }
    } else if ready < replicas {
        next_ready += 1;
    }
    status["replicas"] = next.into();
    status["updatedReplicas"] = next.into();
    status["readyReplicas"] = next_ready.min(next).into();
    status["terminatingReplicas"] = terminating.into();
}

/// One step of a gateway's controller.
fn take(object: &mut Value, services: &BTreeSet<String>) {
    let generation = object["metadata"]["generation"].as_u64().unwrap_or(0);
    let refs = object["spec"]["rules"][0]["backendRefs"].clone();
    let status = &mut object["status"];
    let seen = status["parents"][0]["conditions"][0]["observedGeneration"].as_u64();
    if seen == Some(generation) {
        status["inForce"] = if status["parents"][0]["conditions"][1]["status"] == "True" { refs } else { Value::Null };
        return;
    }
    // The first step is spent on noticing that there is something to do.
    if status["noticed"].as_u64() != Some(generation) {
        status["noticed"] = generation.into();
        return;
    }
    let names = refs.as_array().into_iter().flatten().filter_map(|backend| backend["name"].as_str());
    let absent = names.into_iter().find(|name| !services.contains(*name)).map(str::to_owned);
    status["parents"] =
        json!([{"controllerName": "stand-in", "conditions": conditions(generation, absent.as_deref())}]);
}

/// What a gateway says of a generation, and of a backend that is not there.
fn conditions(generation: u64, absent: Option<&str>) -> Value {
    let resolved = match absent {
        None => {
            json!({"type": "ResolvedRefs", "status": "True", "reason": "ResolvedRefs", "message": "", "observedGeneration": generation})
        }
        Some(name) => json!({
            "type": "ResolvedRefs",
            "status": "False",
            "reason": "BackendNotFound",
            "message": format!("service {name:?} not found"),
            "observedGeneration": generation,
        }),
    };
    json!([
        {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "observedGeneration": generation},
        resolved,
    ])
}

/// A JSON merge patch (RFC 7386).
fn merge(into: &mut Value, change: &Value) {
    let Value::Object(change) = change else {
        *into = change.clone();
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    for (key, value) in change {
        if value.is_null() {
            if let Some(object) = into.as_object_mut() {
                object.remove(key);
            }
        } else {
            merge(&mut into[key], value);
        }
    }
}

fn missing(plural: &str, name: &str) -> (StatusCode, Value) {
    refusal(StatusCode::NOT_FOUND, &format!("{plural} {name:?} not found"))
}

fn refusal(status: StatusCode, message: &str) -> (StatusCode, Value) {
    let reason = status.canonical_reason().unwrap_or_default().replace(' ', "");
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": status.as_u16(),
    });
    (status, body)
}
