//! What the handlers share: the record, the vault, the leases, the vendor. And the two servers made of them.

use std::{fmt, sync::Arc};

use tidemark_domain::{Clock, Entropy, connection::Region, event, id::ConnectionId};
use tidemark_ports::Leases;
use tidemark_productboard::{AuthScheme, Client, Options, oauth::OAuth};
use tidemark_rpc::{
    connections::connections_service_server::ConnectionsServiceServer,
    credentials::credentials_service_server::CredentialsServiceServer,
    detached,
    identity::Identity,
    server::{RECEIVE_LIMIT, SEND_LIMIT},
    status::Refusal,
};
use tidemark_store::{Connection, SealedCredential, Store};
use tonic::{Response, Status};

use crate::{
    InvitationService, InvitationSettings, Settings, Vault,
    audit::Audit,
    present::Present,
    probe,
    refresh::{Flights, Renewals},
    refusal::{Fault, not_configured},
    secret::Secret,
    settings::{Application, Servers},
    verdict::Judgements,
};
use tidemark_domain::connection::{self, CredentialKind};

/// The credential service. Cheap to clone.
#[derive(Clone)]
pub struct CredentialService(pub(crate) Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) vault: Vault,
    pub(crate) leases: Arc<dyn Leases>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    pub(crate) audit: Audit,
    pub(crate) present: Present,
    pub(crate) flights: Flights,
    pub(crate) renewals: Renewals,
    pub(crate) judgements: Judgements,
    servers: Servers,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl CredentialService {
    /// A service over this record and this vault. Does no IO.
    pub fn new(
        store: Store,
        vault: Vault,
        audit: Audit,
        leases: Arc<dyn Leases>,
        settings: Settings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self(Arc::new(Parts {
            store,
            vault,
            leases,
            clock,
            settings,
            audit,
            present: Present::default(),
            flights: Flights::default(),
            renewals: Renewals::default(),
            judgements: Judgements::default(),
            servers: Servers::default(),
            entropy,
        }))
    }

    /// The server of `tidemark.connections.v1`. Whoever serves it puts a guard in front.
    pub fn connections_server(&self) -> ConnectionsServiceServer<Self> {
        ConnectionsServiceServer::new(self.clone())
            .max_decoding_message_size(RECEIVE_LIMIT)
            .max_encoding_message_size(SEND_LIMIT)
    }

    /// The server of `tidemark.credentials.v1`. Whoever serves it puts a guard in front.
    pub fn credentials_server(&self) -> CredentialsServiceServer<Self> {
        CredentialsServiceServer::new(self.clone())
            .max_decoding_message_size(RECEIVE_LIMIT)
            .max_encoding_message_size(SEND_LIMIT)
    }

    /// Invitations and hosted connect links, which make connections through this service.
    pub fn invitations(&self, settings: InvitationSettings) -> InvitationService {
        InvitationService::new(Arc::clone(&self.0), settings)
    }

    /// The renewals under way in this process, for it to wait for when nobody can ask for another one.
    pub fn renewals(&self) -> Renewals {
        self.0.renewals.clone()
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.0
    }

    /// Runs a handler's work to its end, whatever becomes of the caller.
    pub(crate) async fn answer<T, F>(
        &self,
        rpc: &'static str,
        work: impl FnOnce(Arc<Parts>) -> F,
    ) -> Result<Response<T>, Status>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        let work = work(Arc::clone(&self.0));
        detached(async move { work.await.map_err(|fault| fault.into_status(rpc)) }).await.map(Response::new)
    }
}

impl fmt::Debug for CredentialService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialService")
            .field("vault", &self.0.vault)
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

impl Parts {
    pub(crate) async fn connection(&self, id: &ConnectionId) -> Result<Connection, Fault> {
        let connection = self.store.connection(id).await?;
        connection.ok_or_else(|| Refusal::NotFound { what: "connection" }.into())
    }

    /// The connection, if the caller may see it. What it may not see does not exist for it.
    pub(crate) async fn visible(&self, caller: &Identity, id: &ConnectionId) -> Result<Connection, Fault> {
        let connection = self.connection(id).await?;
        caller.check(&connection.organization_id, "connection")?;
        Ok(connection)
    }

    pub(crate) fn new_connection_id(&self) -> ConnectionId {
        ConnectionId::generate(&*self.clock, &*self.entropy)
    }

    pub(crate) fn event(&self, connection: &Connection, data: event::Data) -> event::Event {
        event::Event::new(&*self.clock, &*self.entropy, connection.id.clone(), data)
    }

    /// A random share, of 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        let mut bytes = [0; 4];
        self.entropy.fill(&mut bytes);
        f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
    }

    /// A client of the connection's region with the secret of one of its versions.
    pub(crate) fn client_of(
        &self,
        connection: &Connection,
        version: &SealedCredential,
        secret: &Secret,
    ) -> Result<Client, Fault> {
        self.client(connection.region, version.kind, connection.auth_scheme, secret)
    }

    pub(crate) fn client(
        &self,
        region: Region,
        kind: CredentialKind,
        scheme: connection::AuthScheme,
        secret: &Secret,
    ) -> Result<Client, Fault> {
        let options = self.options(region, kind, scheme)?;
        let base_url = self.settings.base_url(region);
        Client::new(base_url, secret.access.clone(), options).map_err(Fault::Client)
    }

    /// How the vendor's API of a region is called with such a secret.
    pub(crate) fn options(
        &self,
        region: Region,
        kind: CredentialKind,
        scheme: connection::AuthScheme,
    ) -> Result<Options, Fault> {
        // Only keys can be sent otherwise: access tokens are bearer tokens by their standard.
        let scheme = match (kind, scheme) {
            (CredentialKind::ApiKey, connection::AuthScheme::Basic) => AuthScheme::Basic,
            _ => AuthScheme::Bearer,
        };
        let Settings { requests_per_second, .. } = self.settings;
        let transport = self.servers.api(&self.settings, region).map_err(Fault::Client)?;
        Ok(probe::options(self.settings.base_url(region), scheme, requests_per_second, transport))
    }

    pub(crate) fn application(&self) -> Result<&Application, Refusal> {
        self.settings.oauth.as_ref().ok_or_else(not_configured)
    }

    /// The vendor's OAuth server of a region.
    pub(crate) fn oauth(&self, region: Region) -> Result<Arc<OAuth>, Fault> {
        self.servers.oauth(self.application()?, region).map_err(Fault::OAuth)
    }
}
