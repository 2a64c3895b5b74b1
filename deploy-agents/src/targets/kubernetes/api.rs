//! The few calls of the Kubernetes API that a rollout needs, as JSON.

use deploy_core::target::TargetError;
use http::{Method, Request};
use serde_json::Value;

/// A namespace of a cluster.
#[derive(Clone)]
pub(super) struct Api {
    client: kube::Client,
    namespace: String,
}

/// What can be read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Deployment,
    Service,
    Route,
}

impl Kind {
    /// The kind of an object that a host wrote.
    pub(super) fn of(object: &Value) -> Option<Self> {
        match (object["apiVersion"].as_str()?, object["kind"].as_str()?) {
            ("apps/v1", "Deployment") => Some(Self::Deployment),
            ("v1", "Service") => Some(Self::Service),
            _ => None,
        }
    }

    fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Deployment => ("apis/apps/v1", "deployments"),
            Self::Service => ("api/v1", "services"),
            Self::Route => ("apis/gateway.networking.k8s.io/v1", "httproutes"),
        }
    }
}

impl Api {
    pub(super) fn new(client: kube::Client, namespace: String) -> Self {
        Self { client, namespace }
    }

    /// All objects of a kind that carry this label.
    pub(super) async fn list(&self, kind: Kind, label: &str, value: &str) -> Result<Vec<Value>, TargetError> {
        // A label's key may hold `/`, which stands for itself in a query.
        let answer = self.call(Method::GET, kind, &format!("?labelSelector={label}%3D{value}"), None).await?;
        match answer {
            Value::Object(mut list) => match list.remove("items") {
                Some(Value::Array(items)) => Ok(items),
                // An empty list may be `null`.
                _ => Ok(Vec::new()),
            },
            _ => Err(TargetError::unknown("a list of the cluster is not an object")),
        }
    }

    pub(super) async fn get(&self, kind: Kind, name: &str) -> Result<Value, TargetError> {
        self.call(Method::GET, kind, &format!("/{name}"), None).await
    }

    /// Creates an object; one that is there already is left as it is.
    pub(super) async fn create(&self, kind: Kind, object: &Value) -> Result<(), TargetError> {
        match self.try_call(Method::POST, kind, "", Some(object)).await {
            Ok(_) => Ok(()),
            Err(error) if code(&error) == Some(409) => Ok(()),
            Err(error) => Err(failed(&error, true, "created", kind)),
        }
    }

    /// Merges a change into an object (RFC 7386). With a resource version in it, it is refused if the object has changed since.
    pub(super) async fn merge(&self, kind: Kind, name: &str, change: &Value) -> Result<Value, TargetError> {
        self.call(Method::PATCH, kind, &format!("/{name}"), Some(change)).await
    }

    /// Deletes an object and what it owns; one that is gone already is gone.
    pub(super) async fn delete(&self, kind: Kind, name: &str) -> Result<(), TargetError> {
        match self.try_call(Method::DELETE, kind, &format!("/{name}?propagationPolicy=Background"), None).await {
            Ok(_) => Ok(()),
            Err(error) if code(&error) == Some(404) => Ok(()),
            Err(error) => Err(failed(&error, true, "deleted", kind)),
        }
    }

    async fn call(&self, method: Method, kind: Kind, rest: &str, body: Option<&Value>) -> Result<Value, TargetError> {
        let writes = method != Method::GET;
        let answer = self.try_call(method, kind, rest, body).await;
        answer.map_err(|error| failed(&error, writes, if writes { "changed" } else { "read" }, kind))
    }

    async fn try_call(
        &self,
        method: Method,
        kind: Kind,
        rest: &str,
        body: Option<&Value>,
    ) -> Result<Value, kube::Error> {
        let (group, plural) = kind.place();
        let content = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let request = Request::builder()
            .method(method)
            .uri(format!("/{group}/namespaces/{}/{plural}{rest}", self.namespace))
            .header(http::header::CONTENT_TYPE, content)
            .body(body.map_or_else(Vec::new, |body| body.to_string().into_bytes()))
            .map_err(|error| kube::Error::Service(error.into()))?;
        self.client.request(request).await
    }
}

/// The status that the API answered with, if it answered.
fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// How sure it is that nothing was changed.
fn failed(error: &kube::Error, writes: bool, done: &str, kind: Kind) -> TargetError {
    let (_, plural) = kind.place();
    match error {
        kube::Error::Api(status) => {
            let message = format!("{plural} could not be {done}: {} ({})", status.message, status.code);
            match status.code {
                // Somebody else changed it meanwhile, or the server is busy: nothing was done.
                409 | 429 => TargetError::transient(message),
                400..500 => TargetError::definitive(message),
                _ if writes => TargetError::unknown(message),
                _ => TargetError::transient(message),
            }
        }
        other => {
            let message = format!("{plural} could not be {done}: {}", deploy_core::report::chain(other));
            if writes { TargetError::unknown(message) } else { TargetError::transient(message) }
        }
    }
}
