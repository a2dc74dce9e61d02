//! Answers as bytes: rows are written where they will be sent from, without a tree in between.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// The body of a JSON answer.
#[derive(Debug)]
pub(crate) struct Body(pub(crate) Vec<u8>);

impl Body {
    pub(crate) fn of(value: &impl Serialize) -> Self {
        let mut out = Vec::with_capacity(1024);
        write(&mut out, value);
        Self(out)
    }

    /// `{"data": …}`, the answer of everything that is no list.
    pub(crate) fn data(data: &impl Serialize) -> Self {
        #[derive(Serialize)]
        struct Answer<'a, T> {
            data: &'a T,
        }
        Self::of(&Answer { data })
    }
}

impl IntoResponse for Body {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/json")], self.0).into_response()
    }
}

/// Appends a value.
pub(crate) fn write(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("answers have text for keys, and a vector takes every byte");
}

/// A moment to the microsecond, as the vendor writes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Micros(pub(crate) DateTime<Utc>);

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

/// A link to one thing: everything before its id, and the id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link<'a> {
    pub(crate) origin: &'a str,
    pub(crate) path: &'static str,
    pub(crate) id: Uuid,
}

impl Serialize for Link<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { origin, path, id } = self;
        serializer.serialize_str(&[origin, path, text(*id, &mut [0; 36])].concat())
    }
}

/// An id as text, without the formatting machinery: an answer has thousands of links.
pub(crate) fn text(id: Uuid, buffer: &mut [u8; 36]) -> &str {
    id.hyphenated().encode_lower(buffer.as_mut_slice())
}

/// `{"self": …}`
#[derive(Debug, Serialize)]
pub(crate) struct SelfLink<'a> {
    #[serde(rename = "self")]
    pub(crate) link: Link<'a>,
}
