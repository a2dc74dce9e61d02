//! What every `/v2` request passes: bearer token, ledger, latency, rate limit, forced failures.
//! Handlers behind it find a [`Call`] in the request's extensions.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::ApiError;
use crate::index::Served;
use crate::tenants::{Admission, Tenants};
use crate::{Faults, Route};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");

/// What the server shares with every request.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) tenants: Arc<Tenants>,
    pub(crate) page_size: usize,
    pub(crate) base_url: String,
    pub(crate) stopping: CancellationToken,
}

/// One admitted request.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) route: Route,
    pub(crate) workspace: Arc<Served>,
    pub(crate) faults: Faults,
    /// Where the client reached the simulator, `http://host:port`.
    pub(crate) origin: String,
    pub(crate) page_size: usize,
}

/// The middleware of one route.
pub(crate) async fn pass(State((api, route)): State<(Api, Route)>, request: Request, next: Next) -> Response {
    let admission =
        bearer(request.headers()).and_then(|token| api.tenants.admit(token, route, Instant::now()));
    let Some(Admission { workspace, faults, quota, refusal }) = admission else {
        return ApiError::unauthorized().into_response();
    };
    if !faults.latency.is_zero() {
        // A stopping server does not wait for its own slowness.
        let _ = tokio::time::timeout(faults.latency, api.stopping.cancelled()).await;
    }
    let mut response = match refusal {
        Some(error) => error.into_response(),
        None => {
            let origin = origin(request.headers()).unwrap_or(api.base_url);
            let mut request = request;
            let page_size = api.page_size;
            request.extensions_mut().insert(Call { route, workspace, faults, origin, page_size });
            next.run(request).await
        }
    };
    if let Some(quota) = quota {
        response.headers_mut().insert(LIMIT, HeaderValue::from(quota.limit));
        response.headers_mut().insert(REMAINING, HeaderValue::from(quota.remaining));
    }
    response
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn origin(headers: &HeaderMap) -> Option<String> {
    Some(format!("http://{}", headers.get(header::HOST)?.to_str().ok()?))
}
