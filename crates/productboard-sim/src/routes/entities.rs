//! Entities: oldest first.

use axum::Extension;
use axum::extract::Path;
use axum::http::Uri;
use uuid::Uuid;

use self::filter::Filter;
use self::resource::Resource;
use super::selection::Selection;
use crate::error::ApiError;
use crate::field::Field;
use crate::gate::Call;
use crate::json::{self, Body};
use crate::page::PageRequest;
use crate::{Entity, EntityKind, Workspace};

pub(super) mod configuration;
mod custom;
mod filter;
pub(super) mod relationships;
mod resource;
pub(super) mod search;
mod value;
pub(super) mod values;

// Notes show the same things.
pub(super) use self::filter::owners;
pub(super) use self::resource::{Inline, Metadata};
pub(super) use self::value::Member as MemberValue;

/// Lists take these with brackets only.
const ARRAYS: [&str; 2] = ["type", "fields"];

pub(super) async fn list(Extension(call): Extension<Call>, uri: Uri) -> Result<Body, ApiError> {
    let request = PageRequest::read_strictly(&uri, &filter::PARAMETERS, &ARRAYS)?;
    let filter = Filter::read(&request, &call)?;
    let selection = Selection::of_query(request.values("fields[]"), |id| is_field(&call.workspace, id))?;
    Ok(answer(&call, &request, &filter, &selection))
}

/// `GET /v2/entities/{id}`
pub(super) async fn one(
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Body, ApiError> {
    let request = PageRequest::read_strictly(&uri, &["fields[]"], &["fields"])?;
    let selection = Selection::of_query(request.values("fields[]"), |id| is_field(&call.workspace, id))?;
    Ok(Body::data(&Resource::of(&call, find(&call, &id)?, &selection)))
}

fn answer(call: &Call, request: &PageRequest, filter: &Filter, selection: &Selection) -> Body {
    let entities = &call.workspace.entities;
    let rows = call.workspace.rendered_entities.of(call, selection, entities.len());
    let takes = |at: usize| filter.takes(&entities[at]);
    request.answer_taken(call, entities.len(), takes, |out, at| {
        rows.write(out, at, |out| json::write(out, &Resource::of(call, &entities[at], selection)));
    })
}

fn find<'a>(call: &'a Call, id: &str) -> Result<&'a Entity, ApiError> {
    let id: Uuid = id.parse().map_err(|_| ApiError::invalid("The entity id is not a UUID"))?;
    call.workspace.entity(id).ok_or_else(|| ApiError::unknown_resource("The entity"))
}

/// Whether any type has the field.
fn is_field(workspace: &Workspace, id: &str) -> bool {
    EntityKind::ALL
        .into_iter()
        .any(|kind| Field::of(kind, &workspace.custom_fields).any(|field| field.id() == id))
}

/// The types that a query names in `name`.
fn kinds(request: &PageRequest, name: &'static str) -> Result<Vec<EntityKind>, ApiError> {
    let kinds: Option<Vec<EntityKind>> = request.values(name).map(EntityKind::parse).collect();
    kinds.ok_or_else(|| ApiError::invalid_parameter(name, unknown_kind()))
}

fn unknown_kind() -> String {
    format!("must be one of {}", EntityKind::ALL.map(EntityKind::as_str).join(", "))
}
