//! Bodies, which note when a request's next piece is awaited and when an answer is made.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};

use super::waits::Waits;

/// A request's body.
pub(super) struct FromClient {
    body: Incoming,
    waits: Arc<Waits>,
}

impl FromClient {
    pub(super) fn new(body: Incoming, waits: Arc<Waits>) -> Self {
        Self { body, waits }
    }
}

impl HttpBody for FromClient {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        match &frame {
            Poll::Pending => self.waits.body_awaited(),
            Poll::Ready(Some(Ok(_))) => self.waits.body_came(),
            Poll::Ready(None | Some(Err(_))) => self.waits.body_ended(),
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for FromClient {
    fn drop(&mut self) {
        self.waits.body_ended();
    }
}

/// An answer's body. Hyper drops it as soon as it has all of it.
pub(super) struct ToClient {
    body: Body,
    waits: Arc<Waits>,
}

impl ToClient {
    pub(super) fn new(body: Body, waits: Arc<Waits>) -> Self {
        Self { body, waits }
    }
}

impl HttpBody for ToClient {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for ToClient {
    fn drop(&mut self) {
        self.waits.answered();
    }
}
