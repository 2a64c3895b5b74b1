//! Recordings of conversations: what was asked and answered, replayed byte for byte.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use deploy_core::digest::Digest;
use serde::{Deserialize, Serialize};

use super::{ModelAnswer, ModelClient, ModelError, ModelRequest};

/// A recording: requests by their digest, with model, parameters and answers. Plain JSON, to be kept with tests or with a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Cassette {
    /// What was asked and answered.
    pub takes: BTreeMap<Digest, Take>,
}

/// One request and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Take {
    /// What was asked.
    pub request: ModelRequest,
    /// What was answered.
    pub answer: ModelAnswer,
}

/// Answers from a recording, and from nothing else.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use deploy_agents::model::{Cassette, ModelClient, ModelError, ModelRequest, Replay};
///
/// let request = ModelRequest {
///     model: "m".to_owned(), system: String::new(), messages: vec![], tools: vec![], max_tokens: 10,
/// };
/// let nothing = Replay::new(Cassette::default());
/// assert_eq!(nothing.complete(&request).await, Err(ModelError::NotRecorded(request.digest())));
/// # });
/// ```
#[derive(Debug)]
pub struct Replay(Cassette);

impl Replay {
    /// A client over a recording.
    #[must_use]
    pub fn new(cassette: Cassette) -> Self {
        Self(cassette)
    }
}

#[async_trait]
impl ModelClient for Replay {
    async fn complete(&self, request: &ModelRequest) -> Result<ModelAnswer, ModelError> {
        let digest = request.digest();
        self.0.takes.get(&digest).map(|take| take.answer.clone()).ok_or(ModelError::NotRecorded(digest))
    }
}

/// Asks another client, and keeps every answer. What was answered once is not asked again, so that a step that is performed again
/// after a crash neither pays twice nor hears something else.
#[derive(Debug)]
pub struct Recorder<C> {
    client: C,
    cassette: Mutex<Cassette>,
}

impl<C: ModelClient> Recorder<C> {
    /// A recorder that begins with what is recorded already.
    pub fn new(client: C, cassette: Cassette) -> Self {
        Self { client, cassette: Mutex::new(cassette) }
    }

    /// What was recorded so far.
    pub fn cassette(&self) -> Cassette {
        self.cassette.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl<C: ModelClient> ModelClient for Recorder<C> {
    async fn complete(&self, request: &ModelRequest) -> Result<ModelAnswer, ModelError> {
        let digest = request.digest();
        if let Some(take) = self.cassette().takes.get(&digest) {
            return Ok(take.answer.clone());
        }
        let answer = self.client.complete(request).await?;
        let take = Take { request: request.clone(), answer: answer.clone() };
        self.cassette.lock().unwrap_or_else(PoisonError::into_inner).takes.insert(digest, take);
        Ok(answer)
    }
}
