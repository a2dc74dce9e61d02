//! Tokens: issued, revoked, counted, and their switches.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{found, read, read_faults};
use crate::error::ApiError;
use crate::gate::Api;
use crate::{Access, Ledger, TokenKind, TokenUse};

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/admin/tokens", post(issue))
        .route("/admin/tokens/revoke", post(revoke))
        .route("/admin/tokens/{token}/requests", get(requests))
        .route("/admin/tokens/{token}/ledger", get(ledger))
        .route("/admin/tokens/{token}/faults", put(faults))
        .route("/admin/ledgers", get(ledgers))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Issue {
    domain: String,
    token: String,
    #[serde(default)]
    kind: TokenKind,
    #[serde(default)]
    scopes: BTreeSet<String>,
    expires_in_secs: Option<u64>,
    app: Option<String>,
}

async fn issue(State(api): State<Api>, body: Bytes) -> Result<StatusCode, ApiError> {
    let Issue { domain, token, kind, scopes, expires_in_secs, app } = read(&body)?;
    let defaults = match kind {
        TokenKind::ApiKey => Access { scopes, ..Access::api_key() },
        TokenKind::Oauth => Access::oauth(scopes),
        TokenKind::JwtBearer => Access::jwt_bearer(scopes),
    };
    let expires_in = expires_in_secs.map(Duration::from_secs).or(defaults.expires_in);
    let access = Access { expires_in, app, ..defaults };
    found(api.tenants.issue(&domain, token, access, api.clock.now()), "The workspace")
        .map(|()| StatusCode::CREATED)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    token: String,
}

async fn revoke(State(api): State<Api>, body: Bytes) -> Result<StatusCode, ApiError> {
    let Revoke { token } = read(&body)?;
    found(api.tenants.revoke(&token), "The token").map(|()| StatusCode::NO_CONTENT)
}

async fn requests(State(api): State<Api>, Path(token): Path<String>) -> Result<Json<Value>, ApiError> {
    let requests = api.tenants.requests(&token).ok_or_else(|| ApiError::unknown_resource("The token"))?;
    Ok(Json(json!({ "requests": requests })))
}

async fn ledger(State(api): State<Api>, Path(token): Path<String>) -> Result<Json<Ledger>, ApiError> {
    api.tenants.ledger(&token).map(Json).ok_or_else(|| ApiError::unknown_resource("The token"))
}

async fn ledgers(State(api): State<Api>) -> Json<Vec<TokenUse>> {
    Json(api.tenants.uses())
}

async fn faults(
    State(api): State<Api>,
    Path(token): Path<String>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let faults = read_faults(&body)?;
    found(api.tenants.change_faults(&token, |now| *now = faults), "The token")
        .map(|()| StatusCode::NO_CONTENT)
}
