//! What every `/v2` request passes: bearer token, ledger, latency, rate limit, forced failures.
//! Handlers behind it find a [`Call`] in the request's extensions.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::access::Pii;
use crate::clock::Clock;
use crate::error::ApiError;
use crate::oauth::OAuth;
use crate::tenants::{Admission, Knock, Tenants};
use crate::{Access, Faults, Region, Route, Workspace};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");

/// What the server shares with every request to one of its two hosts.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) tenants: Arc<Tenants>,
    pub(crate) oauth: Arc<OAuth>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) hosts: Hosts,
    pub(crate) region: Region,
    pub(crate) page_size: usize,
    pub(crate) stopping: CancellationToken,
}

/// Where the two data centres listen, `http://host:port`.
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    pub(crate) us: String,
    pub(crate) eu: String,
}

impl Hosts {
    pub(crate) fn of(&self, region: Region) -> &str {
        match region {
            Region::Us => &self.us,
            Region::Eu => &self.eu,
        }
    }
}

/// One admitted request.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) workspace: Arc<Workspace>,
    pub(crate) faults: Arc<Faults>,
    /// What the token may do.
    pub(crate) access: Arc<Access>,
    /// Whether the answer may name people.
    pub(crate) pii: Pii,
    /// Where the client reached the simulator, `http://host:port`.
    pub(crate) origin: String,
    pub(crate) page_size: usize,
}

impl Call {
    /// A name, a login name or a mail address, or what stands in for it.
    pub(crate) fn personal<'a>(&self, text: &'a str) -> &'a str {
        match self.pii {
            Pii::Shown => text,
            Pii::Masked(word) => word,
        }
    }

    /// Filters that look into personal data are refused to tokens that may not see it.
    pub(crate) fn may_filter_people(&self, parameter: &'static str) -> Result<(), ApiError> {
        match self.pii {
            Pii::Shown => Ok(()),
            Pii::Masked(_) => Err(ApiError::invalid_parameter(parameter, "needs the scope members:pii:read")),
        }
    }
}

/// The middleware of one route.
pub(crate) async fn pass(State((api, route)): State<(Api, Route)>, request: Request, next: Next) -> Response {
    let Some(admission) = bearer(request.headers()).and_then(|token| admit(&api, token, route)) else {
        return ApiError::unauthorized().into_response();
    };
    let Admission { workspace, access, faults, quota, refusal } = admission;
    api.pause(faults.latency).await;
    let mut response = match refusal {
        Some(error) => error.into_response(),
        None => {
            let origin = api.origin(request.headers());
            let pii = access.pii(&faults);
            let mut request = request;
            let page_size = api.page_size;
            request.extensions_mut().insert(Call { workspace, faults, access, pii, origin, page_size });
            next.run(request).await
        }
    };
    if let Some(quota) = quota {
        response.headers_mut().insert(LIMIT, HeaderValue::from(quota.limit));
        response.headers_mut().insert(REMAINING, HeaderValue::from(quota.remaining));
    }
    response
}

fn admit(api: &Api, token: &str, route: Route) -> Option<Admission> {
    let (at, now) = (Instant::now(), api.clock.now());
    api.tenants.admit(&Knock { token, route, region: api.region, at, now })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl Api {
    /// A stopping server does not wait for its own slowness.
    pub(crate) async fn pause(&self, latency: Duration) {
        if !latency.is_zero() {
            let _ = tokio::time::timeout(latency, self.stopping.cancelled()).await;
        }
    }

    /// Where the client reached the simulator: by the name that it used.
    pub(crate) fn origin(&self, headers: &HeaderMap) -> String {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        host.map_or_else(|| self.hosts.of(self.region).to_owned(), |host| format!("http://{host}"))
    }
}
