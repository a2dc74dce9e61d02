//! The bodies of searches: `{"data": {…}}`, whose `data` refuses keys that the vendor does not know.

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, Uri, header};
use axum::{body::Bytes, response::Response};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::error::ApiError;
use crate::page::PageRequest;
use crate::spec::fnv1a;

/// More ids than this in one filter are refused.
const MOST: usize = 100;

/// A search: what it looks for and which page of it.
pub(super) struct Search<T> {
    pub(super) data: T,
    pub(super) page: PageRequest,
}

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for Search<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        use axum::response::IntoResponse as _;
        let (uri, headers) = (request.uri().clone(), request.headers().clone());
        let body = Bytes::from_request(request, state).await.map_err(|error| error.into_response())?;
        Self::read(&uri, &headers, &body).map_err(|error| error.into_response())
    }
}

impl<T: DeserializeOwned + Default> Search<T> {
    fn read(uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        struct Envelope<T> {
            #[serde(default)]
            data: T,
        }
        let body = json(headers, body)?;
        // Keys of a `Value` are sorted: the same search in another order is the same.
        let page = PageRequest::read_search(uri, fnv1a(body.to_string().as_bytes()))?;
        let Envelope { data } = fitting(body)?;
        Ok(Self { data, page })
    }
}

/// The body of any request that has one: JSON that says so.
pub(super) fn json(headers: &HeaderMap, body: &[u8]) -> Result<Value, ApiError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().unwrap_or(kind).trim() != "application/json" {
        return Err(ApiError::malformed("The content type must be application/json"));
    }
    serde_json::from_slice(body).map_err(|error| ApiError::malformed(format!("The body is no JSON: {error}")))
}

/// JSON of the wrong form is another error than no JSON.
pub(super) fn fitting<T: DeserializeOwned>(body: Value) -> Result<T, ApiError> {
    serde_json::from_value(body).map_err(|error| ApiError::invalid(format!("The body: {error}")))
}

/// A filter's value: one or any of several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// All values, if there are not too many of them.
    pub(super) fn all(self, pointer: &'static str) -> Result<Vec<T>, ApiError> {
        match self {
            Self::One(value) => Ok(vec![value]),
            Self::Many(values) => at_most_100(values, pointer),
        }
    }
}

pub(super) fn at_most_100<T>(values: Vec<T>, pointer: &'static str) -> Result<Vec<T>, ApiError> {
    if values.len() > MOST {
        return Err(ApiError::invalid_at(pointer, format!("must not have more than {MOST} items")));
    }
    Ok(values)
}

/// All values of a filter that may be absent.
pub(super) fn all_of<T>(
    filter: Option<OneOrMany<T>>,
    pointer: &'static str,
) -> Result<Option<Vec<T>>, ApiError> {
    filter.map(|filter| filter.all(pointer)).transpose()
}

/// A text of 1 to 255 characters, in lower case.
pub(super) fn text(text: &str, pointer: &'static str) -> Result<String, ApiError> {
    if !(1..=255).contains(&text.chars().count()) {
        return Err(ApiError::invalid_at(pointer, "must be 1 to 255 characters"));
    }
    Ok(text.to_lowercase())
}

/// From when to when, both inclusive.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Range {
    pub(super) from: Option<DateTime<Utc>>,
    pub(super) to: Option<DateTime<Utc>>,
}

impl Range {
    pub(super) fn contains(&self, at: DateTime<Utc>) -> bool {
        self.from.is_none_or(|from| from <= at) && self.to.is_none_or(|to| at <= to)
    }

    pub(super) fn is_backwards(&self) -> bool {
        self.from.zip(self.to).is_some_and(|(from, to)| from > to)
    }

    pub(super) fn checked(self, pointer: &'static str) -> Result<Self, ApiError> {
        if self.is_backwards() {
            return Err(ApiError::invalid_at(pointer, "from must not be after to"));
        }
        Ok(self)
    }
}

/// Something named by its id.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ById {
    pub(super) id: Uuid,
}

/// A member named by id or mail address.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MemberRef {
    pub(super) id: Option<Uuid>,
    pub(super) email: Option<String>,
}

/// Something named by id or name, not by both.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NamedRef {
    pub(super) id: Option<Uuid>,
    pub(super) name: Option<String>,
}

/// Where the other system keeps it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SourceRef {
    pub(super) system: Option<String>,
    pub(super) record_id: Option<String>,
}

impl SourceRef {
    pub(super) fn takes(&self, source: Option<&crate::Source>) -> bool {
        let has = |wanted: &Option<String>, value: fn(&crate::Source) -> &Option<String>| {
            wanted.is_none() || source.is_some_and(|source| value(source) == wanted)
        };
        has(&self.system, |source| &source.system) && has(&self.record_id, |source| &source.record_id)
    }
}
