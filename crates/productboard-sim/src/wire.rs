//! Answers that break on the wire. A body that fails makes the server close the connection; what was flushed by then
//! is what the client got.

use std::io;

use axum::body::Body;
use axum::response::Response;
use futures::stream;

/// Not even a head: the body fails in the same poll that wrote the head, before anything is flushed.
pub(crate) fn lost() -> Response {
    Response::new(Body::from_stream(stream::once(async { Err::<&[u8], _>(cut()) })))
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "a fault switch of the simulator cut the connection")
}
