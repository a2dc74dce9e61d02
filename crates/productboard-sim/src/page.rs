//! Pages: an opaque cursor that remembers the list, its filters and the position, and the links made from it.
//!
//! A cursor belongs to the request it came from: filters sent along with it must be the same or absent.

use std::fmt::Write as _;
use std::ops::Range;

use axum::extract::Query;
use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::NextLink;
use crate::error::ApiError;
use crate::gate::Call;

#[derive(Serialize, Deserialize)]
struct Cursor {
    path: String,
    query: Vec<(String, String)>,
    position: usize,
}

#[derive(Debug, thiserror::Error)]
enum BadCursor {
    #[error("pageCursor is not a cursor of this API")]
    Garbage,
    #[error("pageCursor belongs to another list")]
    OtherList,
    #[error("pageCursor was made for other filters")]
    OtherFilters,
}

/// One request for a page of a list.
#[derive(Debug, Clone)]
pub(crate) struct PageRequest {
    path: String,
    /// Filters, sorted.
    query: Vec<(String, String)>,
    position: usize,
}

impl PageRequest {
    /// Reads filters and cursor; parameters that are not in `filters` are ignored, as the vendor does.
    pub(crate) fn read(uri: &Uri, filters: &[&str]) -> Result<Self, ApiError> {
        let Query(sent) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| ApiError::malformed("The query string cannot be decoded"))?;
        let path = uri.path().to_owned();
        let cursor = sent.iter().find(|(name, _)| name == "pageCursor").map(|(_, cursor)| cursor.clone());
        let mut query: Vec<_> =
            sent.into_iter().filter(|(name, _)| filters.contains(&name.as_str())).collect();
        query.sort();
        let request = Self { path, query, position: 0 };
        match cursor {
            None => Ok(request),
            Some(cursor) => request
                .resume(&cursor)
                .map_err(|bad| ApiError::invalid_parameter("pageCursor", bad.to_string())),
        }
    }

    fn resume(self, cursor: &str) -> Result<Self, BadCursor> {
        let json = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| BadCursor::Garbage)?;
        let cursor: Cursor = serde_json::from_slice(&json).map_err(|_| BadCursor::Garbage)?;
        if cursor.path != self.path {
            return Err(BadCursor::OtherList);
        }
        if !self.query.is_empty() && self.query != cursor.query {
            return Err(BadCursor::OtherFilters);
        }
        Ok(Self { query: cursor.query, position: cursor.position, ..self })
    }

    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn value<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.values(name).next()
    }

    /// A text filter of 1 to 255 characters, in lower case.
    pub(crate) fn text(&self, name: &'static str) -> Result<Option<String>, ApiError> {
        match self.value(name) {
            Some(text) if !(1..=255).contains(&text.chars().count()) => {
                Err(ApiError::invalid_parameter(name, "must be 1 to 255 characters"))
            }
            text => Ok(text.map(str::to_lowercase)),
        }
    }

    /// Answers with the page of a list of `total` rows; `rows` makes the ones in the range.
    pub(crate) fn answer(
        &self,
        call: &Call,
        total: usize,
        style: NextLink,
        rows: impl FnOnce(Range<usize>) -> Vec<Value>,
    ) -> Value {
        let start = self.position.min(total);
        let end = start.saturating_add(call.page_size).min(total);
        let next = match end {
            end if end < total => Some(end),
            _ if call.faults.repeat_last_cursor => Some(self.position),
            _ => None,
        };
        let next = next.map(|position| self.link(call, position, style));
        let mut answer = json!({ "data": rows(start..end), "links": { "next": next } });
        if call.faults.unknown_fields {
            add_unknown_fields(&mut answer);
        }
        answer
    }

    fn link(&self, call: &Call, position: usize, style: NextLink) -> String {
        let Self { path, query, .. } = self;
        let cursor = Cursor { path: path.clone(), query: query.clone(), position };
        let cursor = URL_SAFE_NO_PAD.encode(json!(cursor).to_string());
        let origin = call.faults.foreign_next_host.as_ref().unwrap_or(&call.origin);
        let (start, filters): (String, &[_]) = match style {
            NextLink::Absolute => (format!("{origin}{path}"), query),
            NextLink::WithoutDates => (format!("{origin}{path}"), &[]),
            NextLink::Relative => (path.strip_prefix("/v2/analytics").unwrap_or(path).to_owned(), &[]),
        };
        let mut link = start + "?";
        for (name, value) in filters {
            let _ = write!(link, "{}={}&", percent(name), percent(value));
        }
        link + "pageCursor=" + &cursor
    }
}

fn add_unknown_fields(answer: &mut Value) {
    answer["meta"] = json!({ "generation": 3 });
    answer["links"]["prev"] = Value::Null;
    for row in answer["data"].as_array_mut().into_iter().flatten() {
        row["betaSegment"] = json!({ "tier": "gold", "since": null });
        if row["fields"].is_object() {
            row["fields"]["betaLabels"] = json!(["new"]);
        }
    }
}

fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
        out
    })
}
