//! The gRPC server: every service behind the gate, health and reflection beside it, and a bounded shutdown.

use std::{convert::Infallible, time::Duration};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    body::Body,
    codegen::{
        Service,
        http::{Request, Response},
    },
    server::NamedService,
    service::RoutesBuilder,
    transport::server::TcpIncoming,
};

pub use crate::guard::Guard;
use crate::{
    DESCRIPTORS,
    gate::GateLayer,
    inproc,
    tls::{self, ServerTls},
};

/// The largest request that is read.
pub const RECEIVE_LIMIT: usize = 4 * 1024 * 1024;
/// The largest answer that is sent; pages are far smaller.
pub const SEND_LIMIT: usize = 16 * 1024 * 1024;
/// How long open calls may go on after the stop was asked for. A process has 25 s in all.
const DRAIN: Duration = Duration::from_secs(20);
const KEEPALIVE: Duration = Duration::from_secs(30);
const CONNECTION_AGE: Duration = Duration::from_secs(600);
/// An export goes on for so long on a connection that takes no new calls.
const LONGEST_STREAM: Duration = Duration::from_secs(6 * 3_600);
/// Calls at once on one connection; callers with more open another.
const STREAMS: u32 = 1_000;
const HEADERS_BYTES: u32 = 16 * 1024;

/// Where the server listens.
#[derive(Debug)]
pub enum Listen {
    /// On a port.
    Tcp(TcpListener),
    /// Inside this process only.
    Inproc(inproc::Incoming),
}

/// A server to be: services are added, then it serves.
#[derive(Debug)]
pub struct Server {
    guard: Guard,
    routes: RoutesBuilder,
    names: Vec<&'static str>,
    reflection: bool,
    tls: Option<ServerTls>,
}

impl Server {
    /// A server whose services only those may call whom the guard knows.
    pub fn new(guard: Guard) -> Self {
        Self { guard, routes: RoutesBuilder::default(), names: Vec::new(), reflection: true, tls: None }
    }

    /// Adds a service.
    #[must_use]
    pub fn with<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.routes.add_service(service);
        self.names.push(S::NAME);
        self
    }

    /// Whether anybody may ask which methods there are.
    #[must_use]
    pub fn reflection(mut self, reflection: bool) -> Self {
        self.reflection = reflection;
        self
    }

    /// Speaks TLS on ports, where there is some.
    #[must_use]
    pub fn tls(mut self, tls: Option<ServerTls>) -> Self {
        self.tls = tls;
        self
    }

    /// Serves until the shutdown fires, then drains, for a bounded time.
    pub async fn serve(self, listen: Listen, shutdown: CancellationToken) -> Result<(), ServeError> {
        let (health, health_service) = tonic_health::server::health_reporter();
        for name in self.names {
            health.set_service_status(name, tonic_health::ServingStatus::Serving).await;
        }
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let present = reflection().build_v1().map_err(ServeError::Reflection)?;
        // Many tools still ask for this one.
        let former = reflection().build_v1alpha().map_err(ServeError::Reflection)?;
        let router = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .max_concurrent_streams(STREAMS)
            .http2_max_header_list_size(HEADERS_BYTES)
            // Callers connect again now and then, and so find replicas that are new.
            .max_connection_age(CONNECTION_AGE)
            .max_connection_age_grace(LONGEST_STREAM)
            .layer(GateLayer(self.guard))
            .add_routes(self.routes.routes())
            .add_service(health_service)
            .add_optional_service(self.reflection.then_some(present))
            .add_optional_service(self.reflection.then_some(former));
        let stop = shutdown.clone().cancelled_owned();
        let drained = async {
            shutdown.cancelled().await;
            // Callers turn to another process while this one finishes what it has begun.
            health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
            tokio::time::sleep(DRAIN).await;
        };
        let served = async {
            match (listen, self.tls) {
                (Listen::Tcp(listener), None) => {
                    // Small frames must not wait for others.
                    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                    router.serve_with_incoming_shutdown(incoming, stop).await
                }
                (Listen::Tcp(listener), Some(tls)) => {
                    let incoming = Box::pin(tls::incoming(listener, tls));
                    router.serve_with_incoming_shutdown(incoming, stop).await
                }
                (Listen::Inproc(incoming), _) => router.serve_with_incoming_shutdown(incoming, stop).await,
            }
        };
        tokio::select! {
            result = served => result.map_err(ServeError::Transport),
            () = drained => {
                tracing::warn!("open gRPC connections were cut at the end of the drain time");
                Ok(())
            }
        }
    }
}

/// Why the server stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The compiled-in descriptors are broken.
    #[error("the gRPC reflection service could not be built")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// The transport failed.
    #[error("the gRPC server failed")]
    Transport(#[source] tonic::transport::Error),
}
