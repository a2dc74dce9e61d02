//! OAuth's own error answers: `{error, error_description}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

#[derive(Debug)]
pub(crate) struct OAuthError {
    status: StatusCode,
    pub(crate) error: &'static str,
    pub(crate) description: &'static str,
}

impl OAuthError {
    pub(crate) const fn new(error: &'static str, description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description }
    }

    pub(crate) const fn invalid_request(description: &'static str) -> Self {
        Self::new("invalid_request", description)
    }

    pub(crate) const fn invalid_grant(description: &'static str) -> Self {
        Self::new("invalid_grant", description)
    }

    pub(crate) const fn invalid_scope() -> Self {
        Self::new("invalid_scope", "The scope is unknown or exceeds what was granted")
    }

    pub(crate) const fn invalid_client() -> Self {
        let error = Self::new("invalid_client", "Client authentication failed");
        Self { status: StatusCode::UNAUTHORIZED, ..error }
    }

    pub(crate) const fn invalid_token() -> Self {
        let error = Self::new("invalid_token", "The access token is invalid, expired or revoked");
        Self { status: StatusCode::UNAUTHORIZED, ..error }
    }

    /// The answer of a fault switch.
    pub(crate) fn forced(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let error = match status {
            StatusCode::BAD_REQUEST => "invalid_grant",
            StatusCode::UNAUTHORIZED => "invalid_client",
            StatusCode::TOO_MANY_REQUESTS => "slow_down",
            StatusCode::SERVICE_UNAVAILABLE => "temporarily_unavailable",
            status if status.is_client_error() => "invalid_request",
            _ => "server_error",
        };
        Self { status, error, description: "A fault switch of the simulator asked for this answer" }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "error_description": self.description });
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        if self.error == "invalid_client" {
            let realm = HeaderValue::from_static("Basic realm=\"Productboard\"");
            headers.insert(header::WWW_AUTHENTICATE, realm);
        }
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(1));
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}
