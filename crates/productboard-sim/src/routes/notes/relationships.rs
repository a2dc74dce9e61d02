//! `GET /v2/notes/{id}/relationships`: the only list whose pages the client may size.

use axum::Extension;
use axum::extract::Path;
use axum::http::Uri;

use super::find;
use super::resource::{Related, related};
use crate::EntityKind::{self, Company, Component, Feature, Product, Subfeature, User};
use crate::NextLink;
use crate::error::ApiError;
use crate::gate::Call;
use crate::json::{self, Body};
use crate::page::PageRequest;

const TARGETS: [EntityKind; 6] = [User, Company, Feature, Subfeature, Product, Component];

pub(in crate::routes) async fn list(
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Body, ApiError> {
    let request = PageRequest::read(&uri, &["type", "target[type]", "limit"])?;
    let limit: Option<usize> = request.parsed("limit", "a number from 1 on")?;
    if limit == Some(0) {
        return Err(ApiError::invalid_parameter("limit", "must be a number from 1 on"));
    }
    let request = request.limited_to(limit);
    let kind = request.value("type");
    if kind.is_some_and(|kind| !["customer", "link"].contains(&kind)) {
        return Err(ApiError::invalid_parameter("type", "must be customer or link"));
    }
    let target = target(&request)?;
    let mut shown = related(find(&call, &id)?);
    shown.retain(|(its_kind, it)| {
        kind.is_none_or(|kind| kind == *its_kind) && target.is_none_or(|kind| kind == it.kind)
    });
    Ok(request.answer(&call, shown.len(), NextLink::Absolute, |out, at| {
        json::write(out, &Related::of(&call, shown[at]));
    }))
}

fn target(request: &PageRequest) -> Result<Option<EntityKind>, ApiError> {
    let Some(word) = request.value("target[type]") else { return Ok(None) };
    let kind = EntityKind::parse(word).filter(|kind| TARGETS.contains(kind));
    kind.map(Some).ok_or_else(|| {
        let words = TARGETS.map(EntityKind::as_str).join(", ");
        ApiError::invalid_parameter("target[type]", format!("must be one of {words}"))
    })
}
