//! The gRPC server: health, reflection, authentication, deadlines, bounded shutdown.

use std::{sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Status,
    server::NamedService,
    service::{Routes, interceptor::InterceptedService},
    transport::Server,
};

use crate::{DESCRIPTORS, identity::Identity, inproc, status::Refusal};

/// No call lasts longer, whatever deadline it names.
const LONGEST_CALL: Duration = Duration::from_secs(60);
/// How long open calls may go on after the stop was asked for.
const DRAIN: Duration = Duration::from_secs(20);
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Where the server listens.
#[derive(Debug)]
pub enum Listen {
    /// On a port.
    Tcp(TcpListener),
    /// Inside this process only.
    Inproc(inproc::Incoming),
}

/// Lets only callers with the service token pass.
#[derive(Clone, Debug)]
pub struct Guard(Arc<SecretString>);

impl Guard {
    /// A guard that asks for this token.
    pub fn new(token: SecretString) -> Self {
        Self(Arc::new(token))
    }

    fn check(&self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let shown = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        let token = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        let equal: bool = token.as_bytes().ct_eq(self.0.expose_secret().as_bytes()).into();
        if !equal || token.is_empty() {
            return Err(Refusal::Unauthenticated.into());
        }
        request.extensions_mut().insert(Identity::new("internal", None));
        Ok(request)
    }
}

impl tonic::service::Interceptor for Guard {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        self.check(request)
    }
}

/// Puts a service behind the guard.
pub fn guard<S: NamedService>(service: S, guard: &Guard) -> InterceptedService<S, Guard> {
    InterceptedService::new(service, guard.clone())
}

/// Serves until the shutdown fires, then drains, for a bounded time.
pub async fn serve(
    services: Routes,
    names: &[&'static str],
    listen: Listen,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    for name in names {
        health.set_service_status(*name, tonic_health::ServingStatus::Serving).await;
    }
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(ServeError::Reflection)?;
    let router = Server::builder()
        .timeout(LONGEST_CALL)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        // A peer that never speaks HTTP/2 would hold the graceful shutdown for ever.
        .max_connection_age(Duration::from_secs(600))
        .max_connection_age_grace(DRAIN)
        .add_routes(services)
        .add_service(health_service)
        .add_service(reflection);
    let stop = shutdown.clone().cancelled_owned();
    let drained = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    let served = async {
        match listen {
            Listen::Tcp(listener) => {
                router.serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop).await
            }
            Listen::Inproc(incoming) => router.serve_with_incoming_shutdown(incoming, stop).await,
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
