//! Traces that go on over calls, as a W3C `traceparent` in the metadata. What a trace is, this crate does not know: a
//! process that makes some says how the present span is written, and how a span follows one that was read.

use std::sync::OnceLock;

use tracing::Span;

/// The header.
pub(crate) const TRACEPARENT: &str = "traceparent";

/// How spans are written and read.
#[derive(Debug, Clone, Copy)]
pub struct Hooks {
    /// The present span as a `traceparent`.
    pub current: fn() -> Option<String>,
    /// Makes a span, which nobody has entered yet, part of the trace of a `traceparent`.
    pub follow: fn(&Span, &str),
}

static HOOKS: OnceLock<Hooks> = OnceLock::new();

/// Has all calls of this process carry traces from now on. Without, they cost nothing. A second call changes nothing.
pub fn carry(hooks: Hooks) {
    let _ = HOOKS.set(hooks);
}

pub(crate) fn current() -> Option<String> {
    HOOKS.get().and_then(|hooks| (hooks.current)())
}

pub(crate) fn follow(span: &Span, headers: &tonic::codegen::http::HeaderMap) {
    if let Some(hooks) = HOOKS.get()
        && let Some(traceparent) = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok())
    {
        (hooks.follow)(span, traceparent);
    }
}
