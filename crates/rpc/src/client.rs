//! The client side for internal services: every call is signed and has a deadline, at the latest that of the call which
//! it is made for.

pub(crate) mod replicas;
mod retry;

use std::{sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use secrecy::ExposeSecret;
use tidemark_domain::id::OrganizationId;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use tower::service_fn;

use crate::{
    call::{self, Call, REQUEST_ID},
    connections::{
        connect_links_service_client::ConnectLinksServiceClient,
        connections_service_client::ConnectionsServiceClient, console_service_client::ConsoleServiceClient,
        events_service_client::EventsServiceClient, invitations_service_client::InvitationsServiceClient,
        webhooks_service_client::WebhooksServiceClient,
    },
    credentials::credentials_service_client::CredentialsServiceClient,
    guard,
    internal::InternalToken,
    status::Refusal,
    syncs::syncs_service_client::SyncsServiceClient,
    tls::{self, ClientFiles, TlsError},
    trace,
    utilization::utilization_service_client::UtilizationServiceClient,
};
use replicas::{Replicas, host_and_port};
use retry::Retries;

const DEADLINE: Duration = Duration::from_secs(20);
const CONNECT: Duration = Duration::from_secs(3);

fn endpoint(address: &str) -> Result<Endpoint, CallerError> {
    let endpoint = Endpoint::from_shared(address.to_owned())
        .map_err(|error| CallerError::Address(address.to_owned(), error))?;
    Ok(endpoint
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10)))
}

/// A channel whose calls are signed.
pub type Signed = InterceptedService<Channel, Signature>;

/// Adds the service token, the deadline and the request's id to a call.
#[derive(Clone, Debug)]
pub struct Signature {
    token: InternalToken,
    organization: Option<MetadataValue<Ascii>>,
}

impl Interceptor for Signature {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", bearer(&self.token).map_err(|_| Refusal::Unauthenticated)?);
        if let Some(organization) = &self.organization {
            request.metadata_mut().insert(guard::ORGANIZATION, organization.clone());
        }
        let present = Call::present();
        let left = present.as_ref().map_or(DEADLINE, |call| call.remaining().min(DEADLINE));
        if left.is_zero() {
            return Err(Refusal::DeadlineExceeded.into());
        }
        let own = request.metadata().get(call::TIMEOUT).and_then(|text| call::timeout(text.to_str().ok()?));
        request.set_timeout(own.map_or(left, |own| own.min(left)));
        if let Some(id) = present.and_then(|call| call.request_id.to_str().ok()?.parse().ok()) {
            request.metadata_mut().insert(REQUEST_ID, id);
        }
        if let Some(traceparent) = trace::current().and_then(|text| text.parse().ok()) {
            request.metadata_mut().insert(trace::TRACEPARENT, traceparent);
        }
        Ok(request)
    }
}

/// Of several tokens, the first is shown.
fn bearer(token: &InternalToken) -> Result<MetadataValue<Ascii>, CallerError> {
    let values = token.values();
    let shown = values.shown.expose_secret();
    let mut header: MetadataValue<Ascii> =
        format!("Bearer {shown}").parse().map_err(|_| CallerError::Token)?;
    header.set_sensitive(true);
    Ok(header)
}

/// Calls one Tidemark process.
#[derive(Clone, Debug)]
pub struct Caller {
    replicas: Replicas,
    signature: Signature,
    retries: Arc<Retries>,
}

/// The address or the token cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CallerError {
    /// Not an address.
    #[error("`{0}` is not a gRPC address: expected `http://host:port` or `https://host:port`")]
    Address(String, #[source] tonic::transport::Error),
    /// No TLS.
    #[error("the TLS files of the client cannot be used")]
    Tls(#[from] TlsError),
    /// Not a token.
    #[error("the service token has characters that a header cannot carry")]
    Token,
}

impl Caller {
    /// A caller of the process at `address`; connects when first used, and again when needed. Where the name stands for
    /// several addresses, calls take them in turn.
    pub fn new(address: &str, token: impl Into<InternalToken>) -> Result<Self, CallerError> {
        let endpoint = endpoint(address)?;
        let channel = |place| {
            endpoint.connect_with_connector_lazy(service_fn(move |uri| async move {
                let (host, port) = host_and_port(&uri, 80);
                replicas::connect(&host, port, place).await.map(TokioIo::new)
            }))
        };
        Self::signed_by(Replicas::new(channel), token.into())
    }

    /// A caller of the process at `address`, `https://host:port`, which has to prove that it is the one.
    /// Its files are read again for each connection.
    pub fn secured(
        address: &str,
        token: impl Into<InternalToken>,
        files: &ClientFiles,
    ) -> Result<Self, CallerError> {
        // What is wrong with them now is said now.
        tls::client(files)?;
        let origin = endpoint(address)?.uri().clone();
        // tonic would add a TLS of its own to `https`.
        let endpoint = endpoint(&address.replacen("https:", "http:", 1))?.origin(origin);
        let channel = |place| {
            let files = files.clone();
            let connect = service_fn(move |uri| tls::connect(files.clone(), uri, place));
            endpoint.connect_with_connector_lazy(connect)
        };
        Self::signed_by(Replicas::new(channel), token.into())
    }

    /// A caller over an existing channel. Of two tokens separated by a comma it shows the first.
    pub fn over(channel: Channel, token: impl Into<InternalToken>) -> Result<Self, CallerError> {
        Self::signed_by(Replicas::one(channel), token.into())
    }

    fn signed_by(replicas: Replicas, token: InternalToken) -> Result<Self, CallerError> {
        // What is wrong with it now is said now.
        bearer(&token)?;
        let signature = Signature { token, organization: None };
        Ok(Self { replicas, signature, retries: Arc::default() })
    }

    /// The same caller, for calls about one organization: whatever its token may see, these see no other.
    #[must_use]
    pub fn within(&self, organization: &OrganizationId) -> Self {
        let text = organization.as_str().parse().expect("an id is made of ASCII letters, digits and `_`");
        let signature = Signature { organization: Some(text), ..self.signature.clone() };
        Self { signature, ..self.clone() }
    }

    fn signed(&self) -> Signed {
        InterceptedService::new(self.replicas.next(), self.signature.clone())
    }

    /// Repeats a call that is safe to repeat: within the deadline, and only while few calls fail.
    pub async fn retry<T, F>(&self, call: impl FnMut() -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        self.retries.run(call).await
    }

    /// The connections service.
    pub fn connections(&self) -> ConnectionsServiceClient<Signed> {
        ConnectionsServiceClient::new(self.signed())
    }

    /// The invitations service.
    pub fn invitations(&self) -> InvitationsServiceClient<Signed> {
        InvitationsServiceClient::new(self.signed())
    }

    /// The connect links service.
    pub fn connect_links(&self) -> ConnectLinksServiceClient<Signed> {
        ConnectLinksServiceClient::new(self.signed())
    }

    /// The service of the console's sessions.
    pub fn console(&self) -> ConsoleServiceClient<Signed> {
        ConsoleServiceClient::new(self.signed())
    }

    /// The events service.
    pub fn events(&self) -> EventsServiceClient<Signed> {
        EventsServiceClient::new(self.signed())
    }

    /// The webhooks service.
    pub fn webhooks(&self) -> WebhooksServiceClient<Signed> {
        WebhooksServiceClient::new(self.signed())
    }

    /// The credentials service.
    pub fn credentials(&self) -> CredentialsServiceClient<Signed> {
        CredentialsServiceClient::new(self.signed())
    }

    /// The syncs service.
    pub fn syncs(&self) -> SyncsServiceClient<Signed> {
        SyncsServiceClient::new(self.signed())
    }

    /// The utilization service.
    pub fn utilization(&self) -> UtilizationServiceClient<Signed> {
        UtilizationServiceClient::new(self.signed())
    }
}
