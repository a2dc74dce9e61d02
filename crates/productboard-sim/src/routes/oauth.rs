//! `/oauth2`, which the vendor serves at `app.productboard.com`: consent, tokens, their end and what they are.

mod authorize;
mod form;
mod page;
mod token;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use self::form::Form;
use crate::gate::Api;
use crate::oauth::{Info, OAuthError};

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/oauth2/authorize", get(authorize::ask).post(authorize::answer))
        .route("/oauth2/token", post(token::issue))
        .route("/oauth2/revoke", post(revoke))
        .route("/oauth2/token/info", get(info))
}

async fn revoke(
    State(api): State<Api>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Result<Json<Value>, OAuthError> {
    let form = Form::read(&uri, &body);
    let app = api.oauth.authenticate(&form.credentials(&headers)?)?;
    let token = form.required("token", "The token is missing")?;
    api.oauth.revoke(&app, token);
    Ok(Json(json!({})))
}

async fn info(State(api): State<Api>, uri: Uri) -> Result<Json<Value>, OAuthError> {
    let form = Form::read(&uri, &[]);
    let token = form.get("access_token").unwrap_or_default();
    let info = api.oauth.info(token, api.region, api.clock.now());
    let Info { grant, scopes, expires_in } = info.ok_or_else(OAuthError::invalid_token)?;
    Ok(Json(json!({
        "scopes": scopes,
        "expires_in": expires_in,
        "application": { "uid": grant.client_id },
        "space": { "domain": grant.domain, "name": page::title(&grant.domain) },
        "resource_owner": { "email": grant.email },
    })))
}
