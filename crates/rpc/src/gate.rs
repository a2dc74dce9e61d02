//! The one way in: a layer around all services. In this order: a place, who calls, whether it may, how often; then the
//! handler, under the call's deadline. Every answer carries the request's id.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::timeout_at;
use tonic::{
    Code, Status,
    body::Body,
    codegen::http::{Request, Response},
};
use tower::{Layer, Service};
use tracing::Instrument as _;

use crate::{
    call::{Call, REQUEST_ID},
    guard::{Denial, Guard, WRONG_ORGANIZATION},
    identity::Identity,
    metrics::Watched,
    scope::{self, Access},
    status::{self, Refusal},
    trace,
};

/// No call lasts longer, whatever deadline it names. Streams: until their first answer.
const LONGEST_CALL: Duration = Duration::from_secs(60);
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
        Box::pin(async move {
            let access = Access::at(known, &method);
            let place = guard.limits().map(|limits| limits.place()).transpose();
            let who = match (&place, access) {
                (Ok(_), Access::Needs(_)) => Some(guard.identify(request.headers()).await),
                _ => None,
            };
            let span = tracing::info_span!(
                "rpc",
                %method,
                request_id = request_id.to_str().unwrap_or_default(),
                // Not recorded later: the log's text of the span would be written twice.
                caller = who.as_ref().and_then(|who| who.as_ref().ok()).map_or("unknown", Identity::actor),
            );
            trace::follow(&span, request.headers());
            let mut response = match place {
                Ok(_place) => pass(guard, inner, request, call, method, access, who).instrument(span).await?,
                Err(refusal) => refused(refusal),
            };
            watched.end(code(&response));
            response.headers_mut().insert(REQUEST_ID, request_id);
            Ok(response)
        })
    }
}

async fn pass<S>(
    guard: Guard,
    mut inner: S,
    mut request: Request<Body>,
    call: Call,
    method: String,
    access: Access,
    who: Option<Result<Identity, Refusal>>,
) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    let deadline = call.deadline.checked_sub(MARGIN).unwrap_or(call.deadline);
    let (scope, who) = match (access, who) {
        (Access::Needs(scope), Some(who)) => (scope, who),
        (Access::Open, _) => {
            let answer = timeout_at(deadline, inner.call(request)).await;
            return answer.unwrap_or_else(|_| Ok(refused(Refusal::DeadlineExceeded)));
        }
        _ => return Ok(refused(Status::unimplemented("there is no such method"))),
    };
    let denial = |actor: &str, organization, reason| Denial {
        actor: actor.to_owned(),
        method: method.clone(),
        organization,
        reason,
        request_id: call.request_id.to_str().unwrap_or_default().to_owned(),
    };
    let identity = match who {
        Ok(identity) => identity,
        Err(refusal) => {
            if matches!(status::code(&refusal), Code::Unauthenticated) {
                guard.denied(denial("unknown", None, status::reason_of(&refusal)));
            }
            return Ok(refused(refusal));
        }
    };
    if !identity.has(scope) {
        let refusal = Refusal::PermissionDenied { scope };
        guard.denied(denial(identity.actor(), None, status::reason_of(&refusal)));
        return Ok(refused(refusal));
    }
    if let Some(Err(refusal)) = guard.limits().map(|limits| limits.call(identity.actor())) {
        return Ok(refused(refusal));
    }
    request.extensions_mut().insert::<Identity>(identity.clone());
    let answer = timeout_at(deadline, call.clone().scope(inner.call(request))).await;
    if let Some(organization) = identity.denied() {
        guard.denied(denial(identity.actor(), Some(organization.clone()), WRONG_ORGANIZATION));
    }
    let response = answer.unwrap_or_else(|_| Ok(refused(Refusal::DeadlineExceeded)))?;
    if let Some(code) = response.headers().get("grpc-status") {
        tracing::debug!(?code, "refused");
    }
    Ok(response)
}

/// Nothing is said in the headers of what goes well, or has only begun.
fn code(response: &Response<Body>) -> Code {
    response.headers().get("grpc-status").map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
}

fn refused(status: impl Into<Status>) -> Response<Body> {
    status.into().into_http()
}
