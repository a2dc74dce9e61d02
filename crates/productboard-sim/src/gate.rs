//! What every `/v2` request passes: bearer token, ledger, latency, rate limit, forced failures.
//! Handlers behind it find a [`Call`] in the request's extensions.

mod headers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::access::Pii;
use crate::clock::Clock;
use crate::error::ApiError;
use crate::index::Served;
use crate::oauth::OAuth;
use crate::tenants::{Admission, Knock, Mishap, Tenants};
use crate::webhooks::{WebhookEvent, Webhooks};
use crate::wire::{self, Asked};
use crate::{Access, Changes, Faults, Region, Route};

/// What the server shares with every request to one of its two hosts.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) tenants: Arc<Tenants>,
    pub(crate) oauth: Arc<OAuth>,
    pub(crate) webhooks: Arc<Webhooks>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) region: Region,
    pub(crate) page_size: usize,
    pub(crate) stopping: CancellationToken,
}

/// Where the two data centres listen, `http://host:port`, and whether they answer.
#[derive(Debug)]
pub(crate) struct Hosts {
    pub(crate) us: String,
    pub(crate) eu: String,
    hanging: [AtomicBool; 2],
}

impl Hosts {
    pub(crate) fn new(us: String, eu: String) -> Self {
        Self { us, eu, hanging: Default::default() }
    }

    pub(crate) fn hangs(&self, region: Region) -> bool {
        self.hanging[usize::from(region == Region::Eu)].load(Ordering::Relaxed)
    }

    pub(crate) fn hang(&self, region: Region, hangs: bool) {
        self.hanging[usize::from(region == Region::Eu)].store(hangs, Ordering::Relaxed);
    }

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
    pub(crate) route: Route,
    pub(crate) workspace: Arc<Served>,
    pub(crate) faults: Arc<Faults>,
    /// What the token may do.
    pub(crate) access: Arc<Access>,
    /// Whether the answer may name people.
    pub(crate) pii: Pii,
    /// Where the client reached the simulator, `http://host:port`.
    pub(crate) origin: String,
    pub(crate) page_size: usize,
    /// Which request of its token this is.
    pub(crate) number: u64,
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

    /// The same for the body of a search.
    pub(crate) fn may_search_people(&self) -> Result<(), ApiError> {
        match self.pii {
            Pii::Shown => Ok(()),
            Pii::Masked(_) => Err(ApiError::invalid_at("/data", "needs the scope members:pii:read")),
        }
    }
}

/// The middleware of one route.
pub(crate) async fn pass(State((api, route)): State<(Api, Route)>, request: Request, next: Next) -> Response {
    // Where the first version is off, it is off before anything else, as all its other paths are.
    if route == Route::V1Notes && !bearer(request.headers()).is_some_and(|token| api.tenants.has_v1(token)) {
        return ApiError::v1_gone().into_response();
    }
    let token = match presented(request.headers()) {
        Ok(token) => token,
        Err(sentence) => return ApiError::of_gateway(sentence),
    };
    let Some(admission) = admit(&api, token, route) else {
        let faults = api.tenants.faults_of(token);
        return refused(ApiError::unauthorized().into_response(), faults.as_deref());
    };
    let Admission { workspace, access, faults, number, quota, outcome } = admission;
    if faults.hangs {
        return api.hang().await;
    }
    api.pause(faults.latency_of(number)).await;
    let asked = Asked::read(request.headers());
    let mut mishap = Mishap::None;
    let mut response = match outcome {
        Err(error) => error.into_response(),
        Ok(Mishap::Proxy) => wire::bad_gateway(),
        Ok(_) if faults.redirect.is_some() => StatusCode::FOUND.into_response(),
        Ok(planned) => {
            mishap = planned;
            let (pii, origin, page_size) =
                (access.pii(&faults), api.origin(request.headers()), api.page_size);
            let faults = Arc::clone(&faults);
            let mut request = request;
            request.extensions_mut().insert(Call {
                route,
                workspace,
                faults,
                access,
                pii,
                origin,
                page_size,
                number,
            });
            next.run(request).await
        }
    };
    response = refused(response, Some(&faults));
    headers::set(response.headers_mut(), &faults, quota);
    if [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&response.status()) {
        headers::retry_after_text(response.headers_mut(), &faults);
    }
    if mishap == Mishap::None && faults.leave_bodies_alone() {
        return response;
    }
    wire::shape(api, &faults, mishap, asked, response).await
}

/// Gives every 404 to a token another code, where that is switched on. Unknown paths are behind no gate.
pub(crate) async fn recode(State(api): State<Api>, request: Request, next: Next) -> Response {
    if api.hosts.hangs(api.region) && !request.uri().path().starts_with("/admin") {
        return api.hang().await;
    }
    let faults = bearer(request.headers()).and_then(|token| api.tenants.faults_of(token));
    let response = next.run(request).await;
    let code = faults.as_ref().and_then(|faults| faults.not_found_code.as_deref());
    match code {
        Some(code) if response.status() == StatusCode::NOT_FOUND => ApiError::not_found_as(code),
        _ => response,
    }
}

fn admit(api: &Api, token: &str, route: Route) -> Option<Admission> {
    let (at, now) = (Instant::now(), api.clock.now());
    api.tenants.admit(&Knock { token, route, region: api.region, at, now })
}

/// The token, or what the gateway in front of the API says to those who send none.
fn presented(headers: &HeaderMap) -> Result<&str, &'static str> {
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match bearer(headers).filter(|token| !token.is_empty()) {
        Some(token) => Ok(token),
        None if sent.trim().is_empty() || sent.trim().eq_ignore_ascii_case("bearer") => Err("Unauthorized"),
        None => Err("Bad token; invalid JSON"),
    }
}

/// A 401 with the body that was asked for.
fn refused(response: Response, faults: Option<&Faults>) -> Response {
    let body = faults.and_then(|faults| faults.unauthorized_body.clone());
    match body {
        Some(body) if response.status() == StatusCode::UNAUTHORIZED => ApiError::unauthorized_as(body),
        _ => response,
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl Api {
    /// Answers when the server stops, and not before.
    pub(crate) async fn hang(&self) -> Response {
        self.stopping.cancelled().await;
        wire::lost()
    }

    /// A stopping server does not wait for its own slowness.
    pub(crate) async fn pause(&self, latency: Duration) {
        if !latency.is_zero() {
            let _ = tokio::time::timeout(latency, self.stopping.cancelled()).await;
        }
    }

    /// Sends an event to its subscribers. `None` when there is no such workspace.
    pub(crate) fn deliver(&self, domain: &str, event: &WebhookEvent) -> Option<usize> {
        let (region, workspace) = (self.tenants.region(domain)?, self.tenants.workspace(domain)?);
        Some(self.webhooks.deliver(&workspace, self.hosts.of(region), event))
    }

    /// Lets a workspace live on, and tells its subscribers when that is switched on. `None` when there is none.
    pub(crate) fn evolve(&self, domain: &str, to: NaiveDate, seed: u64) -> Option<Changes> {
        let (changes, news) = self.tenants.evolve(domain, to, seed)?;
        for event in &news {
            self.deliver(domain, event);
        }
        Some(changes)
    }

    /// Where the client reached the simulator: by the name that it used.
    pub(crate) fn origin(&self, headers: &HeaderMap) -> String {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        host.map_or_else(|| self.hosts.of(self.region).to_owned(), |host| format!("http://{host}"))
    }
}
