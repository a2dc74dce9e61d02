//! Pages: an opaque cursor that remembers the list, its filters and the position, and the links made from it.
//!
//! A cursor belongs to the request it came from: filters sent along with it must be the same or absent, the body of a
//! search must be the same.

use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::Query;
use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::gate::Call;
use crate::json::{self, Body};
use crate::taken::Asked;
use crate::{NextLink, OddRow, Route};

#[derive(Serialize, Deserialize)]
struct Cursor {
    path: String,
    query: Vec<(String, String)>,
    position: usize,
    /// The fingerprint of a search's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<u64>,
}

#[derive(Debug, thiserror::Error)]
enum BadCursor {
    #[error("pageCursor is not a cursor of this API")]
    Garbage,
    #[error("pageCursor belongs to another list")]
    OtherList,
    #[error("pageCursor was made for other filters")]
    OtherFilters,
    #[error("pageCursor was made for another body")]
    OtherBody,
}

/// One request for a page of a list.
#[derive(Debug, Clone)]
pub(crate) struct PageRequest {
    path: String,
    /// Filters, sorted.
    query: Vec<(String, String)>,
    position: usize,
    body: Option<u64>,
    /// Rows per page, where the client may say.
    limit: Option<usize>,
}

impl PageRequest {
    /// The first page of a list, as a client would ask for it.
    pub(crate) fn first(path: String, query: Vec<(String, String)>) -> Self {
        Self { path, query, position: 0, body: None, limit: None }
    }

    /// Reads filters and cursor; parameters that are not in `filters` are ignored, as the vendor does.
    pub(crate) fn read(uri: &Uri, filters: &[&str]) -> Result<Self, ApiError> {
        Self::read_sent(uri, filters, &[], None)
    }

    /// Reads a list whose array parameters are refused without their brackets, unless a cursor comes with them.
    pub(crate) fn read_strictly(
        uri: &Uri,
        filters: &[&str],
        scalars: &[&'static str],
    ) -> Result<Self, ApiError> {
        Self::read_sent(uri, filters, scalars, None)
    }

    /// Reads the query of a search with the fingerprint of its body. The search of notes still knows `fields[]`.
    pub(crate) fn read_search(uri: &Uri, fingerprint: u64) -> Result<Self, ApiError> {
        Self::read_sent(uri, &["fields[]"], &[], Some(fingerprint))
    }

    fn read_sent(
        uri: &Uri,
        filters: &[&str],
        scalars: &[&'static str],
        body: Option<u64>,
    ) -> Result<Self, ApiError> {
        let Query(sent) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| ApiError::malformed("The query string cannot be decoded"))?;
        let cursor = sent.iter().find(|(name, _)| name == "pageCursor").map(|(_, cursor)| cursor.clone());
        let scalar = scalars.iter().find(|scalar| sent.iter().any(|(name, _)| name == *scalar));
        if let (None, Some(scalar)) = (&cursor, scalar) {
            return Err(ApiError::invalid_parameter(scalar, format!("must be sent as {scalar}[]")));
        }
        let mut query: Vec<_> =
            sent.into_iter().filter(|(name, _)| filters.contains(&name.as_str())).collect();
        query.sort();
        let request = Self { body, ..Self::first(uri.path().to_owned(), query) };
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
        if self.body != cursor.body {
            return Err(BadCursor::OtherBody);
        }
        Ok(Self { query: cursor.query, position: cursor.position, ..self })
    }

    /// Answers this many rows per page.
    pub(crate) fn limited_to(self, limit: Option<usize>) -> Self {
        Self { limit, ..self }
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

    /// True or false.
    pub(crate) fn flag(&self, name: &'static str) -> Result<Option<bool>, ApiError> {
        match self.value(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(ApiError::invalid_parameter(name, "must be true or false")),
        }
    }

    /// A value that has a form, for example a UUID.
    pub(crate) fn parsed<T: FromStr>(&self, name: &'static str, form: &str) -> Result<Option<T>, ApiError> {
        let value = self.value(name).map(str::parse);
        value.transpose().map_err(|_| ApiError::invalid_parameter(name, format!("must be {form}")))
    }

    /// Whether more than the fields was asked for; a search counts as such whatever its body.
    fn is_filtered(&self) -> bool {
        self.body.is_some() || self.query.iter().any(|(name, _)| !name.starts_with("fields"))
    }

    /// Answers with the page of those of `total` rows that the filters take; without filters nobody asks for each.
    pub(crate) fn answer_taken(
        &self,
        call: &Call,
        total: usize,
        takes: impl Fn(usize) -> bool,
        row: impl Fn(&mut Vec<u8>, usize),
    ) -> Body {
        if !self.is_filtered() {
            return self.answer(call, total, NextLink::Absolute, row);
        }
        let asked = Asked {
            path: self.path.clone(),
            query: self.query.clone(),
            body: self.body,
            faults: Arc::clone(&call.faults),
        };
        let places = || (0..total).filter(|at| takes(*at)).filter_map(|at| u32::try_from(at).ok()).collect();
        let taken = call.workspace.taken.of(asked, places);
        self.answer(call, taken.len(), NextLink::Absolute, |out, at| row(out, taken[at] as usize))
    }

    /// Answers with the page of a list of `total` rows; `row` appends one of them.
    pub(crate) fn answer(
        &self,
        call: &Call,
        total: usize,
        style: NextLink,
        mut row: impl FnMut(&mut Vec<u8>, usize),
    ) -> Body {
        let size = self.limit.or(call.faults.page_rows).unwrap_or(call.page_size).max(1);
        let total = call.faults.left(call.route, total, self.position, size);
        let repeats = call.faults.same_page_again.contains(&call.route);
        let start = match self.position.saturating_sub(self.drift(call)).min(total) {
            start if repeats && start == total => total.saturating_sub(1) / size * size,
            start => start,
        };
        let end = start.saturating_add(size).min(total);
        let next = match end {
            end if end < total => Some(end),
            _ if call.faults.repeat_last_cursor => Some(self.position),
            _ if repeats || call.faults.endless_empty_pages.contains(&call.route) => {
                Some(self.position.max(total) + 1)
            }
            _ if let Some(page) = call.faults.last_page_links_to => Some(page.saturating_mul(size)),
            _ => None,
        };
        let mut out = Vec::with_capacity(2048);
        out.extend_from_slice(br#"{"data":["#);
        for index in start..end {
            if index > start {
                out.push(b',');
            }
            row(&mut out, index);
            nest(&mut out, call.faults.deep_field);
            if index == start {
                // The others are about as long.
                out.reserve(out.len() * (end - start));
            }
        }
        out.extend_from_slice(br#"],"links":{"next":"#);
        json::write(&mut out, &next.map(|position| self.link(call, position, style)));
        out.extend_from_slice(b"}}");
        let odd: Vec<_> = call.faults.odd_rows.iter().filter(|odd| odd.route == call.route).collect();
        let out = if odd.is_empty() { Body(out) } else { with_odd_rows(out, &odd) };
        if call.faults.unknown_fields { with_unknown_fields(out.0) } else { out }
    }

    /// How far a cursor has slipped since it was given.
    fn drift(&self, call: &Call) -> usize {
        usize::from(call.faults.cursors_drift && self.position > 0 && call.number.is_multiple_of(2))
    }

    /// The address of the page that begins at a position.
    pub(crate) fn link(&self, call: &Call, position: usize, style: NextLink) -> String {
        let Self { path, query, body, .. } = self;
        let cursor = Cursor { path: path.clone(), query: query.clone(), position, body: *body };
        let cursor = URL_SAFE_NO_PAD.encode(Body::of(&cursor).0);
        let origin = call.faults.foreign_next_host.as_ref().unwrap_or(&call.origin);
        let (start, filters): (String, &[_]) = match style {
            NextLink::Absolute => (format!("{origin}{path}"), query),
            NextLink::WithoutDates => (format!("{origin}{path}"), &[]),
            NextLink::Relative => (path.strip_prefix("/v2/analytics").unwrap_or(path).to_owned(), &[]),
        };
        let mut link = start + "?";
        let scalar = call.faults.scalar_type_in_next && call.route == Route::Entities;
        for (name, value) in filters {
            let name = if scalar && name == "type[]" { "type" } else { name };
            let _ = write!(link, "{}={}&", percent(name), percent(value));
        }
        link + "pageCursor=" + &cursor
    }
}

/// Adds an unknown field that is nested so deep to the object that was written last.
fn nest(out: &mut Vec<u8>, depth: usize) {
    if depth > 0 && out.last() == Some(&b'}') {
        out.pop();
        out.extend_from_slice(br#","deep":"#);
        out.extend(std::iter::repeat_n(b'[', depth));
        out.extend(std::iter::repeat_n(b']', depth));
        out.push(b'}');
    }
}

fn with_odd_rows(answer: Vec<u8>, odd: &[&OddRow]) -> Body {
    let Ok(mut answer) = serde_json::from_slice::<Value>(&answer) else { return Body(answer) };
    for row in answer["data"].as_array_mut().into_iter().flatten() {
        odd.iter().for_each(|odd| odd.put(row));
    }
    Body::of(&answer)
}

fn with_unknown_fields(answer: Vec<u8>) -> Body {
    let Ok(mut answer) = serde_json::from_slice::<Value>(&answer) else { return Body(answer) };
    answer["meta"] = json!({ "generation": 3 });
    answer["links"]["prev"] = Value::Null;
    for row in answer["data"].as_array_mut().into_iter().flatten() {
        row["betaSegment"] = json!({ "tier": "gold", "since": null });
        if row["fields"].is_object() {
            row["fields"]["betaLabels"] = json!(["new"]);
        }
    }
    Body::of(&answer)
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
