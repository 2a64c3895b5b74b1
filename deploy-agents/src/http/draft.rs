//! A request that is put together, and sent.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, Response, request};

use super::endpoint::host;
use super::{HttpClient, HttpError, HttpLimits};
use crate::secret::Secret;

/// A longer query goes as a form: proxies cut long addresses off, often at 8 KiB.
const LONGEST_QUERY: usize = 2_000;

/// A method, a URL, headers and a body. What makes no request is said when it is sent, and never quotes a header or a body: a token
/// could stand there.
pub(crate) struct Draft {
    to: String,
    request: request::Builder,
    body: Bytes,
}

impl Draft {
    pub(crate) fn new(method: Method, url: &str) -> Self {
        Self { to: host(url), request: Request::builder().method(method).uri(url), body: Bytes::new() }
    }

    pub(crate) fn get(url: &str) -> Self {
        Self::new(Method::GET, url)
    }

    /// A question with these names and values: GET, or a form where the query would be too long.
    pub(crate) fn asking(url: &str, values: &[(&str, &str)]) -> Self {
        let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(values).finish();
        if encoded.is_empty() {
            Self::get(url)
        } else if encoded.len() <= LONGEST_QUERY {
            Self::get(&format!("{url}?{encoded}"))
        } else {
            Self::new(Method::POST, url).kind("application/x-www-form-urlencoded").body(encoded)
        }
    }

    pub(crate) fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        HeaderName: TryFrom<N>,
        <HeaderName as TryFrom<N>>::Error: Into<http::Error>,
        HeaderValue: TryFrom<V>,
        <HeaderValue as TryFrom<V>>::Error: Into<http::Error>,
    {
        self.request = self.request.header(name, value);
        self
    }

    /// What kinds of answer are understood.
    pub(crate) fn accepts(self, kinds: &str) -> Self {
        self.header(ACCEPT, kinds)
    }

    /// A header whose value no client may tell.
    pub(crate) fn secret(mut self, name: HeaderName, value: &str) -> Self {
        self.request = match HeaderValue::from_str(value) {
            Ok(mut value) => {
                value.set_sensitive(true);
                self.request.header(name, value)
            }
            // The builder keeps that it is none.
            Err(_) => self.request.header(name, value),
        };
        self
    }

    /// Shows a bearer token, if there is one.
    pub(crate) fn bearer(self, token: Option<&Secret>) -> Self {
        match token {
            Some(token) => self.secret(AUTHORIZATION, &format!("Bearer {}", token.expose())),
            None => self,
        }
    }

    /// Of what kind the body is.
    pub(crate) fn kind(self, kind: &str) -> Self {
        self.header(CONTENT_TYPE, kind)
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it, and reads the whole answer.
    ///
    /// # Errors
    ///
    /// [`HttpError`]; [`HttpError::Unsupported`] where the URL or a header makes no request.
    ///
    /// # Cancel safety
    ///
    /// As [`HttpClient::send`].
    pub(crate) async fn send(self, http: &dyn HttpClient, limits: HttpLimits) -> Result<Response<Bytes>, HttpError> {
        http.send(self.request()?, limits).await
    }

    /// The request.
    ///
    /// # Errors
    ///
    /// [`HttpError::Unsupported`] where the URL or a header makes no request.
    pub(crate) fn request(self) -> Result<Request<Bytes>, HttpError> {
        let to = self.to;
        // The builder's own reason is left out: it could quote what is secret.
        self.request.body(self.body).map_err(|_| HttpError::Unsupported {
            to,
            reason: "its URL is none, or a header cannot stand in a request".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use bytes::Bytes;
    use http::{Request, Response};

    use super::{Draft, HttpClient, HttpError, HttpLimits};
    use crate::secret::Secret;

    /// Keeps what it was sent.
    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<Request<Bytes>>>);

    #[async_trait]
    impl HttpClient for Kept {
        async fn send(&self, request: Request<Bytes>, _: HttpLimits) -> Result<Response<Bytes>, HttpError> {
            self.0.lock().expect("not poisoned").push(request);
            Ok(Response::new(Bytes::new()))
        }
    }

    #[tokio::test]
    async fn it_is_sent_as_it_was_put_together() {
        let kept = Kept::default();
        let token = Secret::new("s3cret");
        let draft = Draft::new(http::Method::PUT, "http://host/path").bearer(Some(&token)).accepts("text/plain");
        draft
            .header("x-key", "7")
            .kind("application/json")
            .body("{}")
            .send(&kept, HttpLimits::default())
            .await
            .expect("sent");
        Draft::get("http://host/").bearer(None).send(&kept, HttpLimits::default()).await.expect("sent");
        let sent = kept.0.lock().expect("not poisoned");
        let header = |name: &str| sent[0].headers()[name].to_str().expect("text");
        assert!(sent[0].headers()["authorization"].is_sensitive() && !sent[0].headers()["x-key"].is_sensitive());
        assert_eq!((sent[0].method().as_str(), sent[0].uri().path()), ("PUT", "/path"));
        assert_eq!((header("authorization"), header("accept"), header("x-key")), ("Bearer s3cret", "text/plain", "7"));
        assert_eq!((header("content-type"), &sent[0].body()[..]), ("application/json", &b"{}"[..]));
        assert!(sent[1].headers().is_empty() && sent[1].body().is_empty());
    }

    #[test]
    fn a_question_goes_in_the_address_or_as_a_form() {
        let asked = |values: &[(&str, &str)]| Draft::asking("http://host/q", values).request().expect("a request");
        let (none, few, many) = (asked(&[]), asked(&[("a", "b c")]), asked(&[("a", &"x".repeat(2_000))]));
        assert_eq!((none.method().as_str(), none.uri().to_string().as_str()), ("GET", "http://host/q"));
        assert_eq!((few.method().as_str(), few.uri().query()), ("GET", Some("a=b+c")));
        assert_eq!((many.method().as_str(), many.uri().query(), many.body().len()), ("POST", None, 2_002));
        assert_eq!(many.headers()["content-type"], "application/x-www-form-urlencoded");
    }

    #[tokio::test]
    async fn what_makes_no_request_is_said_without_what_is_secret() {
        let kept = Kept::default();
        let broken = Secret::new("s3cret\n");
        for draft in
            [Draft::get("http://user:pass word@host/s3cret?q=s3cret"), Draft::get("http://host/").bearer(Some(&broken))]
        {
            let error = draft.send(&kept, HttpLimits::default()).await.expect_err("no request");
            assert!(matches!(error, HttpError::Unsupported { .. }), "{error}");
            let said = format!("{error} {error:?}");
            assert!(said.contains("host") && !said.contains("s3cret") && !said.contains("pass"), "{said}");
        }
        assert!(kept.0.lock().expect("not poisoned").is_empty());
    }
}
