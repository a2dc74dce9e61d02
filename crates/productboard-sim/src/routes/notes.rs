//! Notes: newest first.

use axum::Extension;
use axum::extract::Path;
use axum::http::Uri;
use uuid::Uuid;

use self::filter::Filter;
use self::resource::{FIELDS, Resource};
use super::body::Range;
use super::selection::Selection;
use crate::error::ApiError;
use crate::gate::Call;
use crate::json::{self, Body};
use crate::page::PageRequest;
use crate::{Note, NoteKind, Route};

pub(super) mod configuration;
mod filter;
pub(super) mod relationships;
mod resource;
pub(super) mod search;

pub(super) async fn list(Extension(call): Extension<Call>, uri: Uri) -> Result<Body, ApiError> {
    let request = PageRequest::read_strictly(&uri, &filter::PARAMETERS, &["type"])?;
    let mut filter = Filter::read(&request, &call)?;
    if call.faults.updated_filter_ignored {
        filter.updated = Range::default();
    }
    let selection = selection(&call, &request)?;
    Ok(answer(&call, &request, &filter, &selection))
}

/// `GET /v2/notes/{id}`
pub(super) async fn one(
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Body, ApiError> {
    let selection = selection(&call, &PageRequest::read(&uri, &["fields[]", "fields"])?)?;
    Ok(Body::data(&Resource::of(&call, find(&call, &id)?, &selection)))
}

/// The vendor's schema of notes writes `fields` where its text writes `fields[]`; either is taken.
fn selection(call: &Call, request: &PageRequest) -> Result<Selection, ApiError> {
    let is_search = call.route == Route::NotesSearch;
    let is_plain = call.faults.plain_note_fields && !is_search || request.value("fields").is_some();
    Selection::of_query(request.values(if is_plain { "fields" } else { "fields[]" }), is_field)
}

fn is_field(id: &str) -> bool {
    FIELDS.contains(&id)
}

fn answer(call: &Call, request: &PageRequest, filter: &Filter, selection: &Selection) -> Body {
    let notes = &call.workspace.notes;
    let rows = call.workspace.rendered_notes.of(call, selection, notes.len());
    let takes = |at: usize| filter.takes(&notes[at]);
    request.answer_taken(call, notes.len(), takes, |out, at| {
        rows.write(out, at, |out| json::write(out, &Resource::of(call, &notes[at], selection)));
    })
}

fn find<'a>(call: &'a Call, id: &str) -> Result<&'a Note, ApiError> {
    let id: Uuid = id.parse().map_err(|_| ApiError::invalid("The note id is not a UUID"))?;
    call.workspace.note(id).ok_or_else(|| ApiError::unknown_resource("The note"))
}

/// Reads the words for types, old aliases included.
fn kinds<'a>(words: impl Iterator<Item = &'a str>) -> Result<Vec<NoteKind>, String> {
    let kinds: Option<Vec<NoteKind>> = words.map(NoteKind::parse).collect();
    kinds.ok_or_else(|| format!("must be one of {}", NoteKind::ALL.map(NoteKind::as_str).join(", ")))
}
