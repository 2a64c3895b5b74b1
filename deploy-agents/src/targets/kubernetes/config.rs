//! What a place in a cluster is made of.

use std::time::Duration;

use deploy_core::name::{RevisionName, TargetName};
use serde_json::Value;

use super::api::Kind;
use super::read::{REVISION, TARGET};

/// How users reach the instances.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KubernetesTraffic {
    /// By the number of pods: a Service selects all of them, and nobody splits by weight.
    Replicas,
    /// By this Service, whose selector names one revision. It gives all of the traffic to one revision, never a part.
    Selector {
        /// The Service.
        service: String,
    },
    /// By a rule of this HTTPRoute (Gateway API), with a weight for each revision's own Service.
    Route {
        /// The HTTPRoute.
        route: String,
        /// Which of its rules, from 0.
        rule: usize,
        /// How a revision's Service is named, with `{revision}` in it.
        backend: String,
        /// The port of those Services.
        port: u16,
    },
}

impl KubernetesTraffic {
    /// By the first rule of an HTTPRoute.
    #[must_use]
    pub fn route(route: impl Into<String>, backend: impl Into<String>, port: u16) -> Self {
        Self::Route { route: route.into(), rule: 0, backend: backend.into(), port }
    }

    /// By a Service's selector.
    #[must_use]
    pub fn selector(service: impl Into<String>) -> Self {
        Self::Selector { service: service.into() }
    }
}

/// What a place in a cluster is made of.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KubernetesConfig {
    /// How plans and records name the place. Also the value of the label `deploy-agents/target` on everything in it.
    pub name: TargetName,
    /// Where it is.
    pub namespace: String,
    /// A Deployment, with `{revision}` in its name, its image and wherever else it belongs.
    pub deployment: Value,
    /// Further objects of each revision, with `{revision}` in their names: its Service, as a rule.
    pub beside: Vec<Value>,
    /// How users reach the instances.
    pub traffic: KubernetesTraffic,
    /// A Service whose selector shows a revision before it serves. Default: none.
    pub preview: Option<String>,
    /// How often the cluster is looked at while something is to be done. Default 1 s.
    pub look_every: Duration,
}

impl KubernetesConfig {
    /// A place in this namespace, whose revisions run in Deployments like this one.
    #[must_use]
    pub fn new(name: TargetName, namespace: impl Into<String>, deployment: Value, traffic: KubernetesTraffic) -> Self {
        let look_every = Duration::from_secs(1);
        Self { name, namespace: namespace.into(), deployment, beside: Vec::new(), traffic, preview: None, look_every }
    }

    /// The same with one more object for each revision.
    #[must_use]
    pub fn beside(mut self, object: Value) -> Self {
        self.beside.push(object);
        self
    }

    /// The same with a Service for previews.
    #[must_use]
    pub fn preview(mut self, service: impl Into<String>) -> Self {
        self.preview = Some(service.into());
        self
    }

    /// The same, looked at this often.
    #[must_use]
    pub fn look_every(mut self, every: Duration) -> Self {
        self.look_every = every;
        self
    }

    /// Why this cannot work, if it cannot.
    pub(super) fn problem(&self) -> Option<String> {
        if Kind::of(&self.deployment) != Some(Kind::Deployment) {
            return Some("the template is not a Deployment of apps/v1".to_owned());
        }
        for object in self.beside.iter().chain([&self.deployment]) {
            if Kind::of(object).is_none() {
                let kind = &object["kind"];
                return Some(format!(
                    "an object beside the deployment is a {kind}; only Services of v1 may stand there"
                ));
            }
            if !object["metadata"]["name"].as_str().is_some_and(|name| name.contains("{revision}")) {
                return Some(format!("a {} has no {{revision}} in its name, so that two would be one", object["kind"]));
            }
        }
        match &self.traffic {
            KubernetesTraffic::Route { backend, .. } if !backend.contains("{revision}") => {
                Some(format!("the backend {backend:?} has no {{revision}} in its name"))
            }
            _ => None,
        }
    }

    /// The Deployment of a revision.
    pub(super) fn deployment_of(&self, revision: &RevisionName, replicas: u32) -> Value {
        let mut object = filled(&self.deployment, revision);
        self.mark(&mut object["metadata"]["labels"], revision);
        self.mark(&mut object["spec"]["selector"]["matchLabels"], revision);
        self.mark(&mut object["spec"]["template"]["metadata"]["labels"], revision);
        object["spec"]["replicas"] = replicas.into();
        object
    }

    /// The other objects of a revision.
    pub(super) fn beside_of(&self, revision: &RevisionName) -> Vec<(Kind, Value)> {
        let object = |template: &Value| {
            let mut object = filled(template, revision);
            self.mark(&mut object["metadata"]["labels"], revision);
            let kind = Kind::of(&object)?;
            if kind == Kind::Service {
                object["spec"]["selector"][REVISION] = revision.as_str().into();
            }
            Some((kind, object))
        };
        self.beside.iter().filter_map(object).collect()
    }

    fn mark(&self, labels: &mut Value, revision: &RevisionName) {
        labels[TARGET] = self.name.as_str().into();
        labels[REVISION] = revision.as_str().into();
    }
}

/// Whether a revision's name may stand in a label.
pub(super) fn is_label(revision: &RevisionName) -> bool {
    let text = revision.as_str();
    text.len() <= 63
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// An object with `{revision}` replaced in all its texts.
fn filled(template: &Value, revision: &RevisionName) -> Value {
    match template {
        Value::String(text) => Value::String(text.replace("{revision}", revision.as_str())),
        Value::Array(list) => list.iter().map(|value| filled(value, revision)).collect(),
        Value::Object(object) => {
            let field = |(key, value): (&String, &Value)| (key.clone(), filled(value, revision));
            Value::Object(object.iter().map(field).collect())
        }
        other => other.clone(),
    }
}
