//! Makes, shows and reconnects connections. A key is tried before anything is stored, and what was stored stays until
//! the new key is proven.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;
use tidemark_domain::{
    connection::{Change, Region, Signal, State},
    event::{Connected, Data, Reconnected},
    id::{ConnectionId, OrganizationId},
};
use tidemark_rpc::{
    self as rpc,
    connections::{self as wire, connections_service_server::ConnectionsService},
    identity::Identity,
    status::Refusal,
};
use tidemark_store::{Connection, SealedCredential};
use tonic::{Request, Response, Status};
use tracing::{Instrument as _, info_span};
use zeroize::Zeroizing;

use crate::{
    CredentialService,
    audit::{Action, Entry},
    probe::{self, Found},
    refusal::{Fault, Kept, wrong_workspace},
    service::Parts,
};

const LONGEST_KEY: usize = 4096;
const DEFAULT_PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 500;

#[tonic::async_trait]
impl ConnectionsService for CredentialService {
    async fn create_connection(
        &self,
        request: Request<wire::CreateConnectionRequest>,
    ) -> Result<Response<wire::CreateConnectionResponse>, Status> {
        let caller = Identity::of(&request)?;
        let request = request.into_inner();
        self.answer("CreateConnection", |parts| async move {
            let connection = Some(shown(parts.create(&caller, request).await?));
            Ok(wire::CreateConnectionResponse { connection })
        })
        .await
    }

    async fn get_connection(
        &self,
        request: Request<wire::GetConnectionRequest>,
    ) -> Result<Response<wire::GetConnectionResponse>, Status> {
        let caller = Identity::of(&request)?;
        let request = request.into_inner();
        self.answer("GetConnection", |parts| async move {
            let id = rpc::parse("connection_id", &request.connection_id)?;
            Ok(wire::GetConnectionResponse { connection: Some(shown(parts.seen(&caller, &id).await?)) })
        })
        .await
    }

    async fn list_connections(
        &self,
        request: Request<wire::ListConnectionsRequest>,
    ) -> Result<Response<wire::ListConnectionsResponse>, Status> {
        let caller = Identity::of(&request)?;
        let request = request.into_inner();
        self.answer("ListConnections", |parts| async move { parts.list(&caller, &request).await }).await
    }

    async fn reconnect_connection(
        &self,
        request: Request<wire::ReconnectConnectionRequest>,
    ) -> Result<Response<wire::ReconnectConnectionResponse>, Status> {
        let caller = Identity::of(&request)?;
        let request = request.into_inner();
        self.answer("ReconnectConnection", |parts| async move {
            let connection = Some(shown(parts.reconnect(&caller, request).await?));
            Ok(wire::ReconnectConnectionResponse { connection })
        })
        .await
    }
}

impl Parts {
    async fn create(
        &self,
        caller: &Identity,
        request: wire::CreateConnectionRequest,
    ) -> Result<Connection, Fault> {
        let key = api_key(request.api_key)?;
        let organization_id: OrganizationId = rpc::parse("organization_id", &request.organization_id)?;
        caller.check(&organization_id, "organization")?;
        let region = region(request.region)?;
        let span = info_span!("create", organization = %organization_id);
        let found = self.examine(region, &key, Kept::Nothing).instrument(span).await?;

        let now = self.clock.now();
        let connection = Connection {
            id: self.new_connection_id(),
            organization_id,
            region,
            anchors: found.identity.anchors(),
            workspace: found.identity.workspace,
            state: State::Connected,
            reason: None,
            generation: 1,
            capabilities: found.findings,
            created_at: now,
            updated_at: now,
        };
        let sealed = self.sealed(&connection, &key);
        let connected = Connected {
            organization_id: connection.organization_id.clone(),
            workspace: connection.workspace.clone(),
        };
        let tx = self.store.begin().await?;
        tx.insert_connection(&connection).await?;
        tx.insert_credential(&sealed).await?;
        tx.emit(&self.event(&connection, Data::Connected(connected))).await?;
        self.audit.append(&tx, entry(caller, Action::Connect, &connection)).await?;
        tx.commit().await?;
        log(&connection, "connection created");
        Ok(connection)
    }

    async fn list(
        &self,
        caller: &Identity,
        request: &wire::ListConnectionsRequest,
    ) -> Result<wire::ListConnectionsResponse, Fault> {
        let organization: OrganizationId = rpc::parse("organization_id", &request.organization_id)?;
        caller.check(&organization, "organization")?;
        let after = page_start(&request.page_token)?;
        let size = match request.page_size {
            0 => DEFAULT_PAGE,
            size => size.min(LARGEST_PAGE),
        };
        // One more than shown tells whether there is a next page.
        let mut page = self.store.connections_of(&organization, after.as_ref(), u64::from(size) + 1).await?;
        let more = page.len() > size as usize;
        page.truncate(size as usize);
        let last = page.last().filter(|_| more);
        let next_page_token = last.map(|last| URL_SAFE_NO_PAD.encode(last.id.as_str())).unwrap_or_default();
        Ok(wire::ListConnectionsResponse {
            connections: page.into_iter().map(shown).collect(),
            next_page_token,
        })
    }

    /// Staged: nothing of the old credential is touched before the new one is proven, and then all at once.
    async fn reconnect(
        &self,
        caller: &Identity,
        request: wire::ReconnectConnectionRequest,
    ) -> Result<Connection, Fault> {
        let key = api_key(request.api_key)?;
        let id: ConnectionId = rpc::parse("connection_id", &request.connection_id)?;
        let old = self.seen(caller, &id).await?;
        let span = info_span!("reconnect", connection = %id);
        let found = self.examine(old.region, &key, Kept::OldKey).instrument(span).await?;
        if !found.identity.is_of(&old) {
            let (old, new) = (old.workspace.as_deref(), found.identity.workspace.as_deref());
            return Err(wrong_workspace(old, new).into());
        }
        let new = self.replaced(&old, found);
        let sealed = self.sealed(&new, &key);
        let (_, change) = old.state.on(Signal::Replaced);

        let tx = self.store.begin().await?;
        if !tx.update_connection(&new, old.state, old.generation).await? {
            return Err(Fault::Overtaken);
        }
        tx.insert_credential(&sealed).await?;
        tx.delete_credentials_before(&new.id, new.generation).await?;
        if let Some(Change::Reconnected) = change {
            let organization_id = new.organization_id.clone();
            let data = Data::Reconnected(Reconnected { organization_id, generation: new.generation });
            tx.emit(&self.event(&new, data)).await?;
        }
        self.audit.append(&tx, entry(caller, Action::Reconnect, &new)).await?;
        tx.commit().await?;
        self.present.forget(&new.id);
        log(&new, "connection reconnected");
        Ok(new)
    }

    /// The present key of a connection, sealed.
    fn sealed(&self, connection: &Connection, key: &SecretString) -> SealedCredential {
        SealedCredential {
            connection_id: connection.id.clone(),
            generation: connection.generation,
            sealed: self.vault.seal(connection.into(), key),
            created_at: connection.updated_at,
        }
    }

    fn replaced(&self, old: &Connection, found: Found) -> Connection {
        let anchors = found.identity.anchors();
        let (state, _) = old.state.on(Signal::Replaced);
        Connection {
            // What the new key does not show stays known from the old one: it is the same workspace.
            anchors: if anchors.is_empty() { old.anchors.clone() } else { anchors },
            workspace: found.identity.workspace.or_else(|| old.workspace.clone()),
            state,
            reason: None,
            generation: old.generation + 1,
            capabilities: found.findings,
            updated_at: self.clock.now(),
            ..old.clone()
        }
    }

    async fn examine(&self, region: Region, key: &SecretString, kept: Kept) -> Result<Found, Fault> {
        let client = self.client(region, key)?;
        let found = probe::examine(&client, self.clock.today()).await;
        let host = self.settings.host(region);
        found.map_err(|unfit| unfit.refusal(region, &host, kept).into())
    }
}

fn log(connection: &Connection, what: &'static str) {
    let Connection { id, organization_id, workspace, generation, .. } = connection;
    let workspace = workspace.as_deref().unwrap_or("unknown");
    tracing::info!(connection = %id, organization = %organization_id, workspace, generation, "{what}");
}

/// For the audit log.
fn entry(caller: &Identity, action: Action, connection: &Connection) -> Entry {
    Entry::new(Some(&connection.organization_id), caller.actor(), action, &connection.id)
        .with("generation", connection.generation)
}

/// The key as pasted, without the white space around it. What is wrong with it is told without showing it.
fn api_key(pasted: String) -> Result<SecretString, Refusal> {
    let pasted = Zeroizing::new(pasted);
    let key = pasted.trim();
    let problem = if key.is_empty() {
        "there is no key"
    } else if key.len() > LONGEST_KEY {
        "this is longer than any key"
    } else if key.contains(char::is_whitespace) {
        "there is white space inside the key"
    } else if !key.chars().all(|c| c.is_ascii_graphic()) {
        "there are characters in it that no key has"
    } else {
        return Ok(SecretString::from(key));
    };
    let what = "paste the access token alone, without `Bearer` in front, \
                as Productboard shows it (Settings, Integrations, Public APIs)";
    Err(Refusal::invalid("api_key", format!("{problem}; {what}")))
}

fn region(number: i32) -> Result<Region, Refusal> {
    let region = wire::Region::try_from(number);
    region.map(Region::from).map_err(|_| Refusal::invalid("region", "expected REGION_US or REGION_EU"))
}

fn page_start(token: &str) -> Result<Option<ConnectionId>, Refusal> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let id = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).and_then(|id| id.parse().ok());
    let expected = "send `next_page_token` of the page before unchanged, or nothing for the first page";
    id.map(Some).ok_or_else(|| Refusal::invalid("page_token", expected))
}

fn shown(connection: Connection) -> wire::Connection {
    wire::Connection {
        id: connection.id.to_string(),
        organization_id: connection.organization_id.to_string(),
        region: wire::Region::from(connection.region).into(),
        workspace: connection.workspace.unwrap_or_default(),
        state: wire::ConnectionState::from(connection.state).into(),
        reason: connection.reason.map(Into::into),
        generation: connection.generation,
        capabilities: connection.capabilities.into_iter().map(Into::into).collect(),
        created_at: Some(rpc::timestamp(connection.created_at)),
        updated_at: Some(rpc::timestamp(connection.updated_at)),
    }
}
