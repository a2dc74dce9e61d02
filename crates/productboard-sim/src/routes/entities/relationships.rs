//! `GET /v2/entities/{id}/relationships`: all of one entity's, page by page.

use axum::Extension;
use axum::extract::Path;
use axum::http::Uri;

use super::filter::RelationshipFilter;
use super::find;
use super::resource::Related;
use crate::error::ApiError;
use crate::gate::Call;
use crate::json::{self, Body};
use crate::page::PageRequest;
use crate::{NextLink, Relationship};

pub(in crate::routes) async fn list(
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Body, ApiError> {
    let request = PageRequest::read(&uri, &["type", "target[type]", "target[id]"])?;
    let filter = RelationshipFilter::read(&request)?;
    let all = find(&call, &id)?.relationships.iter();
    let shown: Vec<&Relationship> = all.filter(|relationship| filter.takes(relationship)).collect();
    Ok(request.answer(&call, shown.len(), NextLink::Absolute, |out, at| {
        json::write(out, &Related::of(&call, shown[at]));
    }))
}
