//! A plain client: HTTP/1.1 without TLS.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::{HttpClient, HttpError, HttpLimits};

/// HTTP/1.1 without TLS, for loopback and trusted networks. For `https` hand the block a client of your own.
///
/// Each request uses a connection of its own: a probe is to find out whether somebody accepts connections now.
#[derive(Clone)]
pub struct PlainHttp {
    client: Client<HttpConnector, Full<Bytes>>,
}

impl PlainHttp {
    /// A client.
    #[must_use]
    pub fn new() -> Self {
        Self { client: Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http() }
    }
}

impl Default for PlainHttp {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PlainHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainHttp")
    }
}

#[async_trait]
impl HttpClient for PlainHttp {
    async fn send(
        &self,
        request: http::Request<Bytes>,
        limits: HttpLimits,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let to = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        if request.uri().scheme() != Some(&http::uri::Scheme::HTTP) || to.is_empty() {
            let reason = if request.uri().scheme() == Some(&http::uri::Scheme::HTTPS) {
                "this client speaks no TLS: hand the block one that does, an `HttpClient` of your own, by its `over`"
            } else {
                "this client speaks http:// alone, and the URL must name a host"
            };
            let reason = reason.to_owned();
            return Err(HttpError::Unsupported { to, reason });
        }
        let exchange = async {
            let answer = self.client.request(request.map(Full::new)).await.map_err(|error| {
                let connecting = error.is_connect();
                let (to, source) = (to.clone(), error.into());
                if connecting { HttpError::NotSent { to, source } } else { HttpError::Broken { to, source } }
            })?;
            let (parts, body) = answer.into_parts();
            let body = Limited::new(body, limits.max_body).collect().await.map_err(|source| {
                if source.is::<LengthLimitError>() {
                    HttpError::TooLarge { to: to.clone(), limit: limits.max_body }
                } else {
                    HttpError::Broken { to: to.clone(), source }
                }
            })?;
            Ok(http::Response::from_parts(parts, body.to_bytes()))
        };
        match tokio::time::timeout(limits.timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(HttpError::TimedOut { to: to.clone(), bound: limits.timeout }),
        }
    }
}
