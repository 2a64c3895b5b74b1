//! The engine's side of a place in another process.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use deploy_core::name::TargetName;
use deploy_core::target::{Applied, Capabilities, DesiredState, EffectContext, Target, TargetError, TargetState};
use http::{Method, Request, StatusCode, header};
use serde::de::DeserializeOwned;

use super::wire::{Problem, PutDesired, Taken};
use crate::http::{HttpClient, HttpError, HttpLimits, PlainHttp};
use crate::secret::Secret;
use crate::targets::processes::{EffectSeen, Instance};

/// How long a look at the place may take.
const LOOK: Duration = Duration::from_secs(10);

/// A place in another process, as a target. Holds no state: any number of them may speak to one place, and the place's
/// fence decides between them.
#[derive(Debug)]
pub struct PlaceTarget {
    name: TargetName,
    admin: SocketAddr,
    token: Option<Secret>,
    capabilities: Capabilities,
    http: PlainHttp,
}

impl PlaceTarget {
    /// The place whose admin interface is at `admin`. It is not called yet; the abilities are those that every place has.
    #[must_use]
    pub fn new(name: TargetName, admin: SocketAddr) -> Self {
        let capabilities = Capabilities {
            weights: true,
            capacity: true,
            routes: true,
            mirror: true,
            fence: true,
            compare_and_apply: true,
            ..Capabilities::default()
        };
        Self { name, admin, token: None, capabilities, http: PlainHttp::new() }
    }

    /// The same, showing this bearer token.
    #[must_use]
    pub fn token(mut self, token: Secret) -> Self {
        self.token = Some(token);
        self
    }

    /// The same, with the abilities that the place itself states, such as a dead-man lease.
    ///
    /// # Errors
    ///
    /// [`TargetError`] if the place could not be asked.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn with_stated_capabilities(mut self) -> Result<Self, TargetError> {
        self.capabilities = self.get("/v1/capabilities").await?;
        Ok(self)
    }

    /// Every instance of the place.
    ///
    /// # Errors
    ///
    /// [`TargetError`] if the place could not be asked.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn instances(&self) -> Result<Vec<Instance>, TargetError> {
        self.get("/v1/instances").await
    }

    /// The effects that reached the place, with how often each came.
    ///
    /// # Errors
    ///
    /// [`TargetError`] if the place could not be asked.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn effects(&self) -> Result<Vec<EffectSeen>, TargetError> {
        self.get("/v1/effects").await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, TargetError> {
        let answer = self.call(Method::GET, path, Bytes::new(), LOOK).await;
        // Looking changes nothing, whatever became of the question.
        let answer =
            answer.map_err(|e| TargetError::transient(format!("{} could not be seen", self.name)).because(e))?;
        self.read(&answer)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.admin));
        request = request.header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
        }
        // The reason is left out: it could quote the token.
        let refused = |_| HttpError::Unsupported {
            to: self.admin.to_string(),
            reason: "the token or the path cannot stand in a request".to_owned(),
        };
        let request = request.body(body).map_err(refused)?;
        self.http.send(request, HttpLimits { timeout, ..HttpLimits::default() }).await
    }

    fn read<T: DeserializeOwned>(&self, answer: &http::Response<Bytes>) -> Result<T, TargetError> {
        let (name, status) = (&self.name, answer.status());
        if status == StatusCode::OK {
            return serde_json::from_slice(answer.body())
                .map_err(|e| TargetError::unknown(format!("{name} gave an answer that cannot be read")).because(e));
        }
        Err(match serde_json::from_slice::<Problem>(answer.body()) {
            Ok(problem) => problem.into(),
            Err(_) if status == StatusCode::UNAUTHORIZED => {
                TargetError::definitive(format!("{name} does not accept the token"))
            }
            Err(_) if status.is_client_error() => TargetError::definitive(format!("{name} answered {status}")),
            Err(_) => TargetError::unknown(format!("{name} answered {status}")),
        })
    }
}

#[async_trait]
impl Target for PlaceTarget {
    fn name(&self) -> TargetName {
        self.name.clone()
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn observe(&self) -> Result<TargetState, TargetError> {
        self.get("/v1/state").await
    }

    async fn apply(&self, desired: &DesiredState, cx: &EffectContext) -> Result<Applied, TargetError> {
        let put = PutDesired {
            key: cx.key.clone(),
            fence: cx.fence,
            release: (*cx.release).clone(),
            desired: desired.clone(),
        };
        let body = serde_json::to_vec(&put)
            .map_err(|e| TargetError::definitive("the statement cannot be written as JSON").because(e))?;
        let answer = self.call(Method::PUT, "/v1/desired", body.into(), cx.timeout).await.map_err(|error| {
            let name = &self.name;
            match error.is_not_sent() {
                true => TargetError::transient(format!("{name} cannot be reached")).because(error),
                false => TargetError::unknown(format!("{name} gave no whole answer")).because(error),
            }
        })?;
        let taken: Taken = self.read(&answer)?;
        Ok(if taken.changed { Applied::changed() } else { Applied::unchanged() })
    }
}
