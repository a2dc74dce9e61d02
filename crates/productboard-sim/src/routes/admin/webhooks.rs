//! Events to the subscribers of a workspace, and what became of them.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

use super::read;
use crate::error::ApiError;
use crate::gate::Api;
use crate::webhooks::{Delivery, WebhookEvent, WebhookState};

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/admin/workspaces/{domain}/events", post(deliver))
        .route("/admin/workspaces/{domain}/deliveries", get(deliveries))
        .route("/admin/workspaces/{domain}/webhooks", get(states))
}

async fn deliver(
    State(api): State<Api>,
    Path(domain): Path<String>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let event: WebhookEvent = read(&body)?;
    let subscribers = api.deliver(&domain, &event);
    let subscribers = subscribers.ok_or_else(|| ApiError::unknown_resource("The workspace"))?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "subscribers": subscribers }))).into_response())
}

async fn states(State(api): State<Api>, Path(domain): Path<String>) -> Json<Vec<WebhookState>> {
    Json(api.webhooks.states(&domain))
}

async fn deliveries(State(api): State<Api>, Path(domain): Path<String>) -> Json<Vec<Delivery>> {
    Json(api.webhooks.deliveries(&domain))
}
