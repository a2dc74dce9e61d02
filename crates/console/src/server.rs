//! The HTTP server: all pages, behind the same headers.

use std::{fmt, sync::Arc, time::Instant};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderName, HeaderValue},
    middleware::{Next, from_fn, from_fn_with_state},
    response::Response,
};
use tidemark_domain::Entropy;
use tidemark_runtime::metrics::console as metrics;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{
    failure::Failure,
    form, headers, http,
    limit::{self, Limits, Tries},
    pages,
    services::Services,
    settings::Settings,
    visitor,
};

/// The console. Cheap to clone.
#[derive(Clone)]
pub struct Console(Arc<Parts>);

struct Parts {
    settings: Settings,
    services: Services,
    entropy: Arc<dyn Entropy>,
    headers: Vec<(HeaderName, HeaderValue)>,
    tries: Tries,
    limits: Limits,
    stop: CancellationToken,
}

impl Console {
    /// A console over these services. Does no IO.
    pub fn new(settings: Settings, services: Services, entropy: Arc<dyn Entropy>) -> Self {
        Self(Arc::new(Parts {
            headers: headers::all(&settings),
            settings,
            services,
            entropy,
            tries: Tries::default(),
            limits: Limits::default(),
            stop: CancellationToken::new(),
        }))
    }

    /// All pages.
    pub fn router(&self) -> Router {
        let looks = pages::looks();
        let changes = pages::changes().route_layer(from_fn(visitor::admins));
        let own = looks.merge(changes).route_layer(from_fn_with_state(self.clone(), visitor::session));
        let outside = pages::outside().route_layer(from_fn_with_state(self.clone(), limit::strangers));
        let pages = own.merge(outside).merge(pages::open()).with_state(self.clone());
        let base = self.settings().base().to_owned();
        let router = if base.is_empty() { pages } else { Router::new().nest(&base, pages) };
        router
            .fallback(async || Failure::not_found())
            .layer(DefaultBodyLimit::max(form::LIMIT))
            .layer(from_fn(form::whole))
            .layer(from_fn_with_state(self.clone(), headers::finish))
            .layer(from_fn(observed))
    }

    /// Serves until the shutdown fires, and finishes what was begun.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> std::io::Result<()> {
        let stop = self.0.stop.clone();
        // What is open for long ends by itself then.
        let told = async {
            shutdown.cancelled().await;
            stop.cancel();
        };
        // Behind a proxy, all connections come from its address.
        let is_direct = self.settings().client_address_header.is_empty();
        let limits = http::Limits { is_direct, ..http::Limits::default() };
        let (served, ()) = tokio::join!(http::serve(listener, self.router(), stop.clone(), limits), told);
        served
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn services(&self) -> &Services {
        &self.0.services
    }

    pub(crate) fn entropy(&self) -> &dyn Entropy {
        &*self.0.entropy
    }

    pub(crate) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.0.headers
    }

    pub(crate) fn tries(&self) -> &Tries {
        &self.0.tries
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Fires when open streams are to end.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }
}

/// Counts an answer, and begins a trace. Its name is not the address: that may hold a link's secret.
async fn observed(request: Request, next: Next) -> Response {
    let span = tracing::debug_span!("page", method = %request.method());
    let since = Instant::now();
    let response = next.run(request).instrument(span).await;
    metrics::answered(response.status().as_u16(), since.elapsed());
    response
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}
