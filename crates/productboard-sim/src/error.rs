//! The v2 error envelope: `{id, errors: [{code, title, detail, source?}]}`.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An error answer.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    /// The query parameter at fault.
    parameter: Option<&'static str>,
    /// The place in the body at fault.
    pointer: Option<&'static str>,
    retry_after_secs: Option<u64>,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            title,
            detail: detail.into(),
            parameter: None,
            pointer: None,
            retry_after_secs: None,
        }
    }

    pub(crate) fn invalid_parameter(parameter: &'static str, detail: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::BAD_REQUEST, "request.invalid", "Invalid request", detail);
        Self { parameter: Some(parameter), ..error }
    }

    pub(crate) fn invalid_at(pointer: &'static str, detail: impl Into<String>) -> Self {
        Self { pointer: Some(pointer), ..Self::invalid(detail) }
    }

    /// A body of the right form that makes no sense.
    pub(crate) fn unprocessable(pointer: &'static str, detail: impl Into<String>) -> Self {
        let error =
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation.failed", "Validation failed", detail);
        Self { pointer: Some(pointer), ..error }
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "request.invalid", "Invalid request", detail)
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "request.malformed", "Malformed request", detail)
    }

    pub(crate) fn unauthorized() -> Self {
        let detail = "The access token is missing, invalid, expired or revoked";
        Self::new(StatusCode::UNAUTHORIZED, "auth.invalid", "Invalid authentication", detail)
    }

    pub(crate) fn missing_scope(scope: &str, code: &'static str) -> Self {
        let detail = format!("Missing required scope {scope}");
        Self::new(StatusCode::FORBIDDEN, code, "Access denied", detail)
    }

    /// The code is v1's; what v2 answers is not documented.
    pub(crate) fn plan_upgrade() -> Self {
        let detail = "The plan of the workspace does not include this";
        Self::new(StatusCode::FORBIDDEN, "planUpgrade.required", "Plan upgrade required", detail)
    }

    pub(crate) fn unknown_resource(what: &str) -> Self {
        let detail = format!("{what} does not exist or is not visible");
        Self::new(StatusCode::NOT_FOUND, "resource.notFound", "Resource not found", detail)
    }

    pub(crate) fn unknown_route() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "route.notFound",
            "Route not found",
            "There is no such method and path",
        )
    }

    /// What the gateway in front of the API answers before it.
    pub(crate) fn of_gateway(sentence: &'static str) -> Response {
        (StatusCode::UNAUTHORIZED, Json(json!({ "message": sentence }))).into_response()
    }

    /// A 401 with that body.
    pub(crate) fn unauthorized_as(body: String) -> Response {
        let kind = if body.trim_start().starts_with('<') { "text/html" } else { "application/json" };
        (StatusCode::UNAUTHORIZED, [(header::CONTENT_TYPE, kind)], body).into_response()
    }

    /// A 404 of another code.
    pub(crate) fn not_found_as(code: &str) -> Response {
        let error = json!({ "code": code, "title": "Not found", "detail": "There is nothing here" });
        (StatusCode::NOT_FOUND, Json(json!({ "id": "req-0", "errors": [error] }))).into_response()
    }

    /// What the first version of the API answers since it was switched off.
    pub(crate) fn v1_gone() -> Self {
        let detail = "Version 1 of the API was switched off, use /v2";
        Self::new(StatusCode::GONE, "system.apiNotEnabled", "v1 switched off", detail)
    }

    pub(crate) fn too_many(retry_after_secs: u64) -> Self {
        let detail = format!("Too many requests, retry in {retry_after_secs} s");
        let error =
            Self::new(StatusCode::TOO_MANY_REQUESTS, "rate.limitExceeded", "Rate limit exceeded", detail);
        Self { retry_after_secs: Some(retry_after_secs), ..error }
    }

    /// The answer of a fault switch.
    pub(crate) fn forced(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match status {
            StatusCode::UNAUTHORIZED => return Self::unauthorized(),
            StatusCode::NOT_FOUND => return Self::unknown_route(),
            StatusCode::TOO_MANY_REQUESTS => return Self::too_many(1),
            _ => {}
        }
        let (code, title) = match status {
            StatusCode::FORBIDDEN => ("auth.accessDenied", "Access denied"),
            StatusCode::REQUEST_TIMEOUT => ("request.timeout", "Request timed out"),
            StatusCode::UNPROCESSABLE_ENTITY => ("validation.failed", "Validation failed"),
            status if status.is_client_error() => ("request.invalid", "Invalid request"),
            _ => ("internal.serverError", "Internal server error"),
        };
        Self::new(status, code, title, "A fault switch of the simulator asked for this answer")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut error = json!({ "code": self.code, "title": self.title, "detail": self.detail });
        if let Some(parameter) = self.parameter {
            error["source"] = json!({ "parameter": parameter });
        }
        if let Some(pointer) = self.pointer {
            error["source"] = json!({ "pointer": pointer });
        }
        let id = format!("req-{:010}", NEXT.fetch_add(1, Ordering::Relaxed));
        let body: Value = json!({ "id": id, "errors": [error] });
        let mut response = (self.status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after_secs {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
