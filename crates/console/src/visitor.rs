//! Who asks, and what they may do: decided here for every page of a session, before its handler runs.
//!
//! A session is asked for at the service each time; its answer narrows every call that the page makes to the session's
//! organization. Pages that change something are behind [`admins`] too, and each form carries the session's token.

use std::net::SocketAddr;

use axum::{
    Extension,
    body::Body,
    extract::{ConnectInfo, FromRequestParts, State},
    http::{HeaderValue, Method, Request, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http_body_util::BodyExt as _;
use tidemark_domain::id::OrganizationId;
use tidemark_rpc::connections::{ConsoleClaims, ConsoleRole, TouchConsoleSessionRequest};
use tonic::Code;

use crate::{
    cookie::{self, Name},
    failure::Failure,
    form, limit,
    server::Console,
    services::Services,
};

/// Somebody with a session.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub(crate) organization: OrganizationId,
    pub(crate) organization_name: String,
    pub(crate) person: String,
    pub(crate) is_admin: bool,
    pub(crate) form_token: String,
    pub(crate) base: String,
    /// Within the organization.
    pub(crate) services: Services,
}

impl Visitor {
    fn new(console: &Console, claims: ConsoleClaims) -> Option<Self> {
        let organization: OrganizationId = claims.organization_id.parse().ok()?;
        let is_admin = claims.role() == ConsoleRole::Admin;
        Some(Self {
            services: console.services().within(&organization),
            base: console.settings().base().to_owned(),
            organization,
            organization_name: claims.organization_name,
            person: claims.person,
            is_admin,
            form_token: claims.form_token,
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let found = Extension::<Self>::from_request_parts(parts, state).await;
        found.map(|Extension(visitor)| visitor).map_err(|_| Failure::no_session())
    }
}

/// Lets only those with a session through. What a page asks by itself does not keep the session alive.
pub(crate) async fn session(
    State(console): State<Console>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request<Body>,
    next: Next,
) -> Result<Response, Failure> {
    let settings = console.settings();
    let secret = cookie::read(request.headers(), settings, Name::Session).ok_or_else(Failure::no_session)?;
    let passive = request.uri().path().ends_with("/live");
    let limits = console.limits();
    let stranger = match limits.is_known(&secret) {
        true => None,
        false => {
            Some(limits.stranger(limit::address(request.headers(), &settings.client_address_header, peer))?)
        }
    };
    let touch = TouchConsoleSessionRequest { session: secret.clone(), passive };
    let touched = match console.services().credentials.console().touch_console_session(touch).await {
        Ok(touched) => touched.into_inner(),
        Err(status) if status.code() == Code::NotFound => {
            return Ok(without(Failure::no_session(), cookie::clear(settings, Name::Session)));
        }
        Err(status) => return Err(status.into()),
    };
    let visitor = touched.claims.and_then(|claims| Visitor::new(&console, claims));
    let visitor = visitor.ok_or_else(Failure::no_session)?;
    drop(stranger);
    [&secret, &touched.session]
        .into_iter()
        .filter(|session| !session.is_empty())
        .for_each(|it| limits.knows(it));
    let place = limits.page(&visitor.form_token, visitor.organization.as_str(), passive)?;
    let mut request = if request.method() == Method::POST {
        if !form::is_own(request.headers(), &settings.public_url) {
            return Err(Failure::stale_form());
        }
        form::checked(request, &visitor.form_token).await?
    } else {
        request
    };
    request.extensions_mut().insert(visitor);
    let mut response = next.run(request).await;
    // A page that ends the session has taken the cookie away.
    if !touched.session.is_empty() && !response.headers().contains_key(header::SET_COOKIE) {
        let renewed = cookie::set(settings, Name::Session, &touched.session, None);
        response.headers_mut().append(header::SET_COOKIE, renewed);
    }
    // The page has its place until it has been sent.
    Ok(response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _held = &place;
            frame
        }))
    }))
}

fn without(failure: Failure, cookie: HeaderValue) -> Response {
    let mut response = failure.into_response();
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}

/// Lets only those through who may change something.
pub(crate) async fn admins(
    visitor: Visitor,
    request: Request<Body>,
    next: Next,
) -> Result<Response, Failure> {
    if visitor.is_admin { Ok(next.run(request).await) } else { Err(Failure::viewer()) }
}
