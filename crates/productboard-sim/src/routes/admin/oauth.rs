//! The OAuth server: applications, consents, switches of the token endpoint, and the use of refresh tokens.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{found, read};
use crate::error::ApiError;
use crate::gate::Api;
use crate::oauth::{App, Consent, OAuthFaults, RefreshUse};

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/admin/oauth/apps", post(register))
        .route("/admin/oauth/apps/{client_id}/faults", put(faults))
        .route("/admin/oauth/apps/{client_id}/refreshes", get(refreshes))
        .route("/admin/oauth/consent", post(consent))
}

async fn register(State(api): State<Api>, body: Bytes) -> Result<StatusCode, ApiError> {
    let app: App = read(&body)?;
    api.oauth.register(app);
    Ok(StatusCode::CREATED)
}

async fn consent(State(api): State<Api>, body: Bytes) -> Result<Json<Value>, ApiError> {
    let consent: Consent = read(&body)?;
    let code = api.oauth.consent(&consent, api.clock.now());
    let code =
        code.ok_or_else(|| ApiError::unknown_resource("The application, workspace, redirect URI or scope"))?;
    Ok(Json(json!({ "code": code })))
}

async fn faults(
    State(api): State<Api>,
    Path(client_id): Path<String>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let faults: OAuthFaults = read(&body)?;
    if !faults.are_answerable() {
        return Err(ApiError::invalid("Forced statuses must be 400 to 599"));
    }
    found(api.oauth.change_faults(&client_id, |now| *now = faults), "The application")
        .map(|()| StatusCode::NO_CONTENT)
}

async fn refreshes(
    State(api): State<Api>,
    Path(client_id): Path<String>,
) -> Result<Json<Vec<RefreshUse>>, ApiError> {
    let uses = api.oauth.refresh_uses(&client_id);
    uses.map(Json).ok_or_else(|| ApiError::unknown_resource("The application"))
}
