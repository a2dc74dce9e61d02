//! The client side for internal services: every call is signed and has a deadline.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::{
    connections::{
        connect_links_service_client::ConnectLinksServiceClient,
        connections_service_client::ConnectionsServiceClient, events_service_client::EventsServiceClient,
        invitations_service_client::InvitationsServiceClient, webhooks_service_client::WebhooksServiceClient,
    },
    credentials::credentials_service_client::CredentialsServiceClient,
    syncs::syncs_service_client::SyncsServiceClient,
    utilization::utilization_service_client::UtilizationServiceClient,
};

const DEADLINE: Duration = Duration::from_secs(20);
const CONNECT: Duration = Duration::from_secs(3);
const ATTEMPTS: u32 = 4;

/// A channel whose calls are signed.
pub type Signed = InterceptedService<Channel, Signature>;

/// Adds the service token and the deadline to a call.
#[derive(Clone, Debug)]
pub struct Signature {
    header: MetadataValue<Ascii>,
}

impl Interceptor for Signature {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.header.clone());
        request.set_timeout(DEADLINE);
        Ok(request)
    }
}

/// Calls one Tidemark process.
#[derive(Clone, Debug)]
pub struct Caller(Signed);

/// The address or the token cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CallerError {
    /// Not an address.
    #[error("`{0}` is not a gRPC address: expected `http://host:port`")]
    Address(String, #[source] tonic::transport::Error),
    /// Not a token.
    #[error("the service token has characters that a header cannot carry")]
    Token,
}

impl Caller {
    /// A caller of the process at `address`; connects when first used, and again when needed.
    pub fn new(address: &str, token: &SecretString) -> Result<Self, CallerError> {
        let endpoint = Endpoint::from_shared(address.to_owned())
            .map_err(|error| CallerError::Address(address.to_owned(), error))?;
        let channel = endpoint
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .connect_lazy();
        Self::over(channel, token)
    }

    /// A caller over an existing channel.
    pub fn over(channel: Channel, token: &SecretString) -> Result<Self, CallerError> {
        let mut header: MetadataValue<Ascii> =
            format!("Bearer {}", token.expose_secret()).parse().map_err(|_| CallerError::Token)?;
        header.set_sensitive(true);
        Ok(Self(InterceptedService::new(channel, Signature { header })))
    }

    /// The connections service.
    pub fn connections(&self) -> ConnectionsServiceClient<Signed> {
        ConnectionsServiceClient::new(self.0.clone())
    }

    /// The invitations service.
    pub fn invitations(&self) -> InvitationsServiceClient<Signed> {
        InvitationsServiceClient::new(self.0.clone())
    }

    /// The connect links service.
    pub fn connect_links(&self) -> ConnectLinksServiceClient<Signed> {
        ConnectLinksServiceClient::new(self.0.clone())
    }

    /// The events service.
    pub fn events(&self) -> EventsServiceClient<Signed> {
        EventsServiceClient::new(self.0.clone())
    }

    /// The webhooks service.
    pub fn webhooks(&self) -> WebhooksServiceClient<Signed> {
        WebhooksServiceClient::new(self.0.clone())
    }

    /// The credentials service.
    pub fn credentials(&self) -> CredentialsServiceClient<Signed> {
        CredentialsServiceClient::new(self.0.clone())
    }

    /// The syncs service.
    pub fn syncs(&self) -> SyncsServiceClient<Signed> {
        SyncsServiceClient::new(self.0.clone())
    }

    /// The utilization service.
    pub fn utilization(&self) -> UtilizationServiceClient<Signed> {
        UtilizationServiceClient::new(self.0.clone())
    }
}

/// Repeats a call that is safe to repeat while the service is unavailable.
pub async fn retry<T, F: Future<Output = Result<T, Status>>>(
    mut call: impl FnMut() -> F,
) -> Result<T, Status> {
    let mut pause = Duration::from_millis(100);
    for _ in 1..ATTEMPTS {
        match call().await {
            Err(status)
                if matches!(status.code(), Code::Unavailable | Code::ResourceExhausted | Code::Aborted) =>
            {
                tokio::time::sleep(pause).await;
                pause *= 3;
            }
            outcome => return outcome,
        }
    }
    call().await
}
