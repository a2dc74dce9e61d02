//! An answer that holds its place until it has been sent.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::{
    Status,
    body::Body,
    codegen::{Bytes, http::HeaderMap},
};

use crate::limit::Place;

/// The body of an answer, its place, and when it ends at the latest.
pub(super) struct Held {
    body: Body,
    _place: Option<Place>,
    end: Option<Pin<Box<Sleep>>>,
    is_over: bool,
}

impl Held {
    pub(super) fn new(body: Body, place: Option<Place>, until: Option<Instant>) -> Self {
        let end = until.map(|until| Box::pin(sleep_until(until)));
        Self { body, _place: place, end, is_over: false }
    }
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        let is_late = self.end.as_mut().is_some_and(|end| end.as_mut().poll(cx).is_ready());
        if frame.is_ready() || !is_late {
            return frame;
        }
        self.is_over = true;
        let mut trailers = HeaderMap::new();
        let ended = Status::unavailable("this stream has lasted long enough; begin it again");
        let _added = ended.add_header(&mut trailers);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
