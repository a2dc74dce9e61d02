//! The one way in: a layer around all services. In this order: who calls, whether it may, how often, a place; then the
//! handler, under the call's deadline. Every answer carries the request's id.

mod held;
#[cfg(test)]
mod tests;

use std::{
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tidemark_domain::id::OrganizationId;
use tokio::time::{Instant, timeout_at};
use tonic::{
    Code, Status,
    body::Body,
    codegen::http::{Request, Response},
    transport::server::{TcpConnectInfo, TlsConnectInfo},
};
use tower::{Layer, Service};
use tracing::Instrument as _;

use crate::{
    call::{Call, REQUEST_ID},
    guard::{Denial, Guard, UNKNOWN, WRONG_ORGANIZATION},
    identity::Identity,
    metrics::Watched,
    scope::{self, Access, Scope},
    status::{self, Refusal},
    trace,
};
use held::Held;

/// No call lasts longer, whatever deadline it names. Streams: until their first answer.
const LONGEST_CALL: Duration = Duration::from_secs(60);
/// No call of a method that is open to everybody lasts longer.
const LONGEST_OPEN_CALL: Duration = Duration::from_secs(5);
/// A stream of such a method, which its caller begins again.
const LONGEST_OPEN_STREAM: Duration = Duration::from_secs(60);
/// The answer leaves this much before the deadline, so that it is not the transport that cuts the call.
const MARGIN: Duration = Duration::from_millis(5);

type Answer<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

/// Puts the gate around services.
#[derive(Debug, Clone)]
pub(crate) struct GateLayer(pub(crate) Guard);

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { inner, guard: self.0.clone() }
    }
}

/// Services behind the gate.
#[derive(Debug, Clone)]
pub(crate) struct Gate<S> {
    inner: S,
    guard: Guard,
}

impl<S> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The clone may not be ready, this one is.
        let inner = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, inner);
        let guard = self.guard.clone();
        let call = Call::new(request.headers(), LONGEST_CALL);
        let request_id = call.request_id.clone();
        let method = request.uri().path().trim_start_matches('/').to_owned();
        let known = scope::place(&method);
        let watched = Watched::begin(known);
        let address = address(&request);
        Box::pin(async move {
            let access = Access::at(known, &method);
            let deadline = call.deadline.checked_sub(MARGIN).unwrap_or(call.deadline);
            let who = match access {
                Access::Needs(_) => {
                    let who = timeout_at(deadline, guard.identify(request.headers())).await;
                    Some(who.unwrap_or(Err(Refusal::DeadlineExceeded)))
                }
                _ => None,
            };
            let span = tracing::info_span!(
                "rpc",
                %method,
                request_id = request_id.to_str().unwrap_or_default(),
                // Not recorded later: the log's text of the span would be written twice.
                caller = who.as_ref().and_then(|who| who.as_ref().ok()).map_or(UNKNOWN, Identity::actor),
            );
            trace::follow(&span, request.headers());
            let arrived = Arrived { guard, call, deadline, method, place: known, address };
            let passed = match (access, who) {
                (Access::Needs(scope), Some(Ok(identity))) => {
                    arrived.pass(inner, request, scope, identity).instrument(span).await?
                }
                (Access::Needs(_), Some(Err(refusal))) => Err(span.in_scope(|| arrived.unknown(refusal))),
                (Access::Open, _) => arrived.open(inner, request).instrument(span).await?,
                _ => return Ok(refused(Status::unimplemented("there is no such method"))),
            };
            let mut response = passed.unwrap_or_else(refused);
            watched.end(code(&response));
            response.headers_mut().insert(REQUEST_ID, request_id);
            Ok(response)
        })
    }
}

/// A call at the gate.
struct Arrived {
    guard: Guard,
    call: Call,
    deadline: Instant,
    method: String,
    /// In the table of methods.
    place: Option<usize>,
    address: Option<IpAddr>,
}

impl Arrived {
    /// Anybody's call: few at once, and for a short time, since nobody answers for it.
    async fn open<S>(
        self,
        mut inner: S,
        request: Request<Body>,
    ) -> Result<Result<Response<Body>, Refusal>, S::Error>
    where
        S: Service<Request<Body>, Response = Response<Body>>,
    {
        let place = match self.guard.limits().map(|limits| limits.open(self.address)).transpose() {
            Ok(place) => place,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let deadline = self.deadline.min(Instant::now() + LONGEST_OPEN_CALL);
        let Ok(answer) = timeout_at(deadline, inner.call(request)).await else {
            return Ok(Err(Refusal::DeadlineExceeded));
        };
        let until = Instant::now() + LONGEST_OPEN_STREAM;
        Ok(Ok(answer?.map(|body| Body::new(Held::new(body, place, Some(until))))))
    }

    async fn pass<S>(
        self,
        mut inner: S,
        mut request: Request<Body>,
        scope: Scope,
        identity: Identity,
    ) -> Result<Result<Response<Body>, Refusal>, S::Error>
    where
        S: Service<Request<Body>, Response = Response<Body>>,
    {
        if !identity.has(scope) {
            let refusal = Refusal::PermissionDenied { scope };
            self.guard.denied(self.denial(identity.actor(), None, status::reason_of(&refusal)));
            return Ok(Err(refusal));
        }
        let is_stream = self.place.is_some_and(scope::is_stream);
        let place = match self.guard.limits().map(|limits| {
            limits.call(&identity)?;
            if is_stream { limits.stream(&identity) } else { limits.place(&identity) }
        }) {
            Some(Ok(place)) => Some(place),
            Some(Err(refusal)) => return Ok(Err(refusal)),
            None => None,
        };
        request.extensions_mut().insert::<Identity>(identity.clone());
        let answer = timeout_at(self.deadline, self.call.clone().scope(inner.call(request))).await;
        if let Some(organization) = identity.denied() {
            self.guard.denied(self.denial(identity.actor(), Some(organization.clone()), WRONG_ORGANIZATION));
        }
        let Ok(answer) = answer else { return Ok(Err(Refusal::DeadlineExceeded)) };
        let response = answer?;
        if let Some(code) = response.headers().get("grpc-status") {
            tracing::debug!(?code, "refused");
        }
        // The answer to a single question is there in whole.
        Ok(Ok(if is_stream {
            response.map(|body| Body::new(Held::new(body, place, None)))
        } else {
            response
        }))
    }

    /// Who calls is not known.
    fn unknown(&self, refusal: Refusal) -> Refusal {
        if matches!(status::code(&refusal), Code::Unauthenticated) {
            self.guard.denied(self.denial(UNKNOWN, None, status::reason_of(&refusal)));
        }
        refusal
    }

    fn denial(&self, actor: &str, organization: Option<OrganizationId>, reason: &'static str) -> Denial {
        Denial {
            actor: actor.to_owned(),
            method: self.method.clone(),
            organization,
            reason,
            request_id: self.call.request_id.to_str().unwrap_or_default().to_owned(),
            address: self.address,
        }
    }
}

/// Where a call comes from; nowhere inside of a process.
fn address(request: &Request<Body>) -> Option<IpAddr> {
    let extensions = request.extensions();
    let plain = extensions.get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
    let over_tls = || extensions.get::<TlsConnectInfo<TcpConnectInfo>>()?.get_ref().remote_addr();
    plain.or_else(over_tls).map(|address| address.ip())
}

/// Nothing is said in the headers of what goes well, or has only begun.
fn code(response: &Response<Body>) -> Code {
    response.headers().get("grpc-status").map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
}

fn refused(status: impl Into<Status>) -> Response<Body> {
    status.into().into_http()
}
