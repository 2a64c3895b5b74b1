//! Bodies on their way through the proxy.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::forward::Ending;

/// The body of an answer.
pub(crate) type AnswerBody = UnsyncBoxBody<Bytes, hyper::Error>;

pub(crate) fn full(bytes: impl Into<Bytes>) -> AnswerBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A request's body that can be lent to one attempt after another, as long as none has read from it.
#[derive(Debug, Clone)]
pub(crate) struct Untouched {
    body: Arc<Mutex<Option<Incoming>>>,
    hint: SizeHint,
    empty: bool,
}

impl Untouched {
    pub(crate) fn new(body: Incoming) -> Self {
        let (hint, empty) = (body.size_hint(), body.is_end_stream());
        Self { body: Arc::new(Mutex::new(Some(body))), hint, empty }
    }

    /// Whether there is nothing in it, so that every attempt may send all of it.
    pub(crate) fn is_empty(&self) -> bool {
        self.empty
    }

    /// Whether no attempt has read from it.
    pub(crate) fn is_whole(&self) -> bool {
        self.empty || self.body.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The body, for one attempt.
    pub(crate) fn lend(&self) -> RequestBody {
        if self.empty {
            RequestBody::Empty(Empty::new())
        } else {
            RequestBody::Lent { from: self.clone(), taken: None }
        }
    }
}

/// The body that one attempt sends.
#[derive(Debug)]
pub(crate) enum RequestBody {
    Empty(Empty<Bytes>),
    Lent { from: Untouched, taken: Option<Incoming> },
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Empty(_) => Poll::Ready(None),
            Self::Lent { from, taken } => {
                if taken.is_none() {
                    *taken = from.body.lock().unwrap_or_else(PoisonError::into_inner).take();
                }
                match taken {
                    Some(body) => Pin::new(body).poll_frame(cx),
                    None => Poll::Ready(None),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty(_) => true,
            Self::Lent { taken, .. } => taken.as_ref().is_some_and(Body::is_end_stream),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty(empty) => empty.size_hint(),
            Self::Lent { from, taken } => taken.as_ref().map_or_else(|| from.hint, Body::size_hint),
        }
    }
}

/// The body of an answer that is passed on as it comes. The request counts as under way until this is dropped.
#[derive(Debug)]
pub(crate) struct Streamed {
    pub(crate) body: Incoming,
    pub(crate) ending: Ending,
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if let Poll::Ready(Some(Err(_))) = &polled {
            this.ending.broke_off();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
