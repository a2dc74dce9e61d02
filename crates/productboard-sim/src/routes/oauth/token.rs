//! `POST /oauth2/token`: three grants, and the faults of the application that asks.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::form::Form;
use crate::gate::Api;
use crate::oauth::{App, Audience, OAuthError, Token};
use crate::wire;

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

pub(super) async fn issue(State(api): State<Api>, headers: HeaderMap, uri: Uri, body: Bytes) -> Response {
    let form = Form::read(&uri, &body);
    let app = match client(&api, &form, &headers) {
        Ok(app) => app,
        Err(error) => return error.into_response(),
    };
    let mishap = api.oauth.mishap(&app.client_id);
    api.pause(mishap.latency).await;
    if let Some(status) = mishap.status {
        let mut response = OAuthError::forced(status).into_response();
        let text = mishap.retry_after.filter(|_| [429, 503].contains(&status));
        let text = text.and_then(|text| HeaderValue::from_str(&text).ok());
        if let Some(text) = text {
            response.headers_mut().insert(header::RETRY_AFTER, text);
        }
        return response;
    }
    let answer = grant(&api, &form, &headers, &app)
        .map_or_else(IntoResponse::into_response, |token| render(&token, mishap.members));
    if mishap.lost { wire::lost() } else { answer }
}

/// Whoever asserts is known by the signature and may leave the secret out.
fn client(api: &Api, form: &Form, headers: &HeaderMap) -> Result<App, OAuthError> {
    let credentials = form.credentials(headers);
    if form.get("grant_type") == Some(JWT_BEARER) && credentials.is_err() {
        let assertion = form.required("assertion", "The assertion is missing")?;
        let unknown = OAuthError::invalid_grant("The assertion is of no known application");
        return api.oauth.asserting(assertion).ok_or(unknown);
    }
    api.oauth.authenticate(&credentials?)
}

fn grant(api: &Api, form: &Form, headers: &HeaderMap, app: &App) -> Result<Token, OAuthError> {
    let now = api.clock.now();
    match form.required("grant_type", "The grant type is missing")? {
        "authorization_code" => {
            let code = form.required("code", "The code is missing")?;
            let redirect_uri = form.required("redirect_uri", "The redirect URI is missing")?;
            api.oauth.redeem(app, api.region, code, redirect_uri, form.get("code_verifier"), now)
        }
        "refresh_token" => {
            let token = form.required("refresh_token", "The refresh token is missing")?;
            api.oauth.refresh(app, api.region, token, form.get("scope").unwrap_or_default(), now)
        }
        JWT_BEARER => {
            let assertion = form.required("assertion", "The assertion is missing")?;
            let (origin, base_url) = (api.origin(headers), api.hosts.of(api.region));
            let audience = Audience { region: api.region, origin: &origin, base_url };
            api.oauth.assert(app, assertion, &audience, now)
        }
        _ => Err(OAuthError::new("unsupported_grant_type", "The grant type is not supported")),
    }
}

fn render(token: &Token, members: Map<String, Value>) -> Response {
    let mut answer = json!({
        "access_token": token.access_token,
        "token_type": "Bearer",
        "expires_in": token.expires_in,
        "created_at": token.created_at.timestamp(),
        "scope": Vec::from_iter(token.scopes.iter().map(String::as_str)).join(" "),
    });
    if let Some((refresh_token, expires_in)) = &token.refresh {
        answer["refresh_token"] = json!(refresh_token);
        answer["refresh_token_expires_in"] = json!(expires_in);
    }
    for (name, value) in members {
        answer[name] = value;
    }
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (no_store, Json(answer)).into_response()
}
