//! What the handlers share: the record, the vault, the vendor. And the two servers made of them.

use std::{fmt, sync::Arc};

use secrecy::SecretString;
use tidemark_domain::{Clock, Entropy, connection::Region, event, id::ConnectionId};
use tidemark_productboard::Client;
use tidemark_rpc::{
    connections::connections_service_server::ConnectionsServiceServer,
    credentials::credentials_service_server::CredentialsServiceServer,
    detached,
    identity::Identity,
    server::{RECEIVE_LIMIT, SEND_LIMIT},
    status::Refusal,
};
use tidemark_store::{Connection, Store};
use tonic::{Response, Status};

use crate::{Settings, Vault, audit::Audit, present::Present, probe, refusal::Fault};

/// The credential service. Cheap to clone.
#[derive(Clone)]
pub struct CredentialService(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) vault: Vault,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    pub(crate) audit: Audit,
    pub(crate) present: Present,
    entropy: Arc<dyn Entropy>,
}

impl CredentialService {
    /// A service over this record and this vault. Does no IO.
    pub fn new(
        store: Store,
        vault: Vault,
        audit: Audit,
        settings: Settings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self(Arc::new(Parts { store, vault, clock, settings, audit, present: Present::default(), entropy }))
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

    /// The connection of that id, if the caller may see it.
    pub(crate) async fn seen(&self, caller: &Identity, id: &ConnectionId) -> Result<Connection, Fault> {
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

    pub(crate) fn client(&self, region: Region, key: &SecretString) -> Result<Client, Fault> {
        let Settings { requests_per_second, .. } = self.settings;
        probe::client(self.settings.base_url(region), key, requests_per_second).map_err(Fault::Client)
    }
}
