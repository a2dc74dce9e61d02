//! `/v2/webhooks`: subscribe, list, read, delete. There is no update.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::SecondsFormat;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::body;
use crate::NextLink;
use crate::error::ApiError;
use crate::gate::{Api, Call};
use crate::json::{self, Body};
use crate::page::PageRequest;
use crate::webhooks::{Draft, Subscription, event_scope};

#[derive(Deserialize)]
struct Create {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    fields: Draft,
}

pub(super) async fn create(
    State(api): State<Api>,
    Extension(call): Extension<Call>,
    headers: HeaderMap,
    sent: Bytes,
) -> Result<Response, ApiError> {
    let Create { data: Data { fields: draft } } = body::fitting(body::json(&headers, &sent)?)?;
    draft.check(call.faults.local_webhooks)?;
    let scopes = draft.events.iter().filter_map(|wanted| event_scope(&wanted.event_type));
    for scope in scopes {
        if !call.access.allows(scope) {
            return Err(ApiError::missing_scope(scope, "auth.accessDenied"));
        }
    }
    let id = api.webhooks.create(&call.workspace.domain, &call.access, draft);
    let reference = json!({ "data": { "id": id, "type": "webhook", "links": { "self": link(&call, id) } } });
    Ok((StatusCode::CREATED, Json(reference)).into_response())
}

pub(super) async fn list(
    State(api): State<Api>,
    Extension(call): Extension<Call>,
    uri: Uri,
) -> Result<Body, ApiError> {
    let request = PageRequest::read(&uri, &[])?;
    let known = api.webhooks.visible(&call.workspace.domain, &call.access);
    Ok(request.answer(&call, known.len(), NextLink::Absolute, |out, at| {
        json::write(out, &resource(&call, &known[at]));
    }))
}

pub(super) async fn one(
    State(api): State<Api>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let id = read_id(&id)?;
    let known = api.webhooks.visible(&call.workspace.domain, &call.access);
    let found = known.iter().find(|known| known.id == id);
    let found = found.ok_or_else(|| ApiError::unknown_resource("The webhook"))?;
    Ok(Json(json!({ "data": resource(&call, found) })))
}

pub(super) async fn delete(
    State(api): State<Api>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let is_gone = api.webhooks.delete(&call.workspace.domain, &call.access, read_id(&id)?);
    if is_gone { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::unknown_resource("The webhook")) }
}

fn read_id(id: &str) -> Result<Uuid, ApiError> {
    id.parse().map_err(|_| ApiError::invalid("The webhook id is not a UUID"))
}

fn link(call: &Call, id: Uuid) -> String {
    format!("{}/v2/webhooks/{id}", call.origin)
}

/// Without the secret.
fn resource(call: &Call, subscription: &Subscription) -> Value {
    let Draft { name, events, notification } = &subscription.draft;
    let events: Vec<_> = events.iter().map(|wanted| json!({ "eventType": wanted.event_type })).collect();
    json!({
        "id": subscription.id,
        "type": "webhook",
        "createdAt": subscription.created_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        "fields": {
            "name": name,
            "events": events,
            "notification": { "url": notification.url, "version": notification.version },
        },
        "links": { "self": link(call, subscription.id) },
    })
}
