//! The server of `tidemark.connections.v1`: makes, shows, reconnects, tries and ends connections.

use tidemark_domain::id::{ConnectionId, OrganizationId};
use tidemark_rpc::{
    self as rpc,
    connections::{self as wire, connections_service_server::ConnectionsService},
    identity::Identity,
};
use tidemark_store::{Connection, SealedCredential};
use tonic::{Request, Response, Status};

use crate::{CredentialService, holding::Holding, page, refusal::Fault, service::Parts};

#[tonic::async_trait]
impl ConnectionsService for CredentialService {
    async fn create_connection(
        &self,
        request: Request<wire::CreateConnectionRequest>,
    ) -> Result<Response<wire::CreateConnectionResponse>, Status> {
        let (caller, request) = (Identity::of(&request)?, request.into_inner());
        self.answer("CreateConnection", |parts| async move {
            let connection = Some(shown(parts.create_for(&caller, request).await?));
            Ok(wire::CreateConnectionResponse { connection })
        })
        .await
    }

    async fn get_connection(
        &self,
        request: Request<wire::GetConnectionRequest>,
    ) -> Result<Response<wire::GetConnectionResponse>, Status> {
        let (caller, request) = (Identity::of(&request)?, request.into_inner());
        self.answer("GetConnection", |parts| async move {
            let id = rpc::parse("connection_id", &request.connection_id)?;
            parts.visible(&caller, &id).await?;
            Ok(wire::GetConnectionResponse { connection: Some(whole(&parts.shown_holding(&id).await?)) })
        })
        .await
    }

    async fn list_connections(
        &self,
        request: Request<wire::ListConnectionsRequest>,
    ) -> Result<Response<wire::ListConnectionsResponse>, Status> {
        let (caller, request) = (Identity::of(&request)?, request.into_inner());
        self.answer("ListConnections", |parts| async move { parts.list(&caller, &request).await }).await
    }

    async fn reconnect_connection(
        &self,
        request: Request<wire::ReconnectConnectionRequest>,
    ) -> Result<Response<wire::ReconnectConnectionResponse>, Status> {
        let (caller, request) = (Identity::of(&request)?, request.into_inner());
        self.answer("ReconnectConnection", |parts| async move {
            let connection = Some(shown(parts.reconnect_for(&caller, request).await?));
            Ok(wire::ReconnectConnectionResponse { connection })
        })
        .await
    }

    async fn begin_consent(
        &self,
        request: Request<wire::BeginConsentRequest>,
    ) -> Result<Response<wire::BeginConsentResponse>, Status> {
        let (caller, request) = (Identity::of(&request)?, request.into_inner());
        self.answer("BeginConsent", |parts| async move {
            let begun = parts.begin_consent(&caller, request).await?;
            Ok(wire::BeginConsentResponse {
                connection: Some(shown(begun.connection)),
                authorize_url: begun.url.into(),
                expires_at: Some(rpc::timestamp(begun.expires_at)),
            })
        })
        .await
    }

    async fn complete_consent(
        &self,
        request: Request<wire::CompleteConsentRequest>,
    ) -> Result<Response<wire::CompleteConsentResponse>, Status> {
        let (caller, request) = (Identity::of(&request)?, request.into_inner());
        self.answer("CompleteConsent", |parts| async move {
            let connection = Some(shown(parts.complete_consent(&caller, request).await?));
            Ok(wire::CompleteConsentResponse { connection })
        })
        .await
    }

    async fn connect_with_assertion(
        &self,
        request: Request<wire::ConnectWithAssertionRequest>,
    ) -> Result<Response<wire::ConnectWithAssertionResponse>, Status> {
        let (caller, request) = (Identity::of(&request)?, request.into_inner());
        self.answer("ConnectWithAssertion", |parts| async move {
            let connection = Some(shown(parts.connect_with_assertion(&caller, request).await?));
            Ok(wire::ConnectWithAssertionResponse { connection })
        })
        .await
    }

    async fn disconnect_connection(
        &self,
        request: Request<wire::DisconnectConnectionRequest>,
    ) -> Result<Response<wire::DisconnectConnectionResponse>, Status> {
        let (caller, request) = (Identity::of(&request)?, request.into_inner());
        self.answer("DisconnectConnection", |parts| async move {
            let (connection, not_revoked) = parts.disconnect(&caller, &request).await?;
            let connection = Some(shown(connection));
            Ok(wire::DisconnectConnectionResponse { connection, not_revoked })
        })
        .await
    }

    async fn probe_connection(
        &self,
        request: Request<wire::ProbeConnectionRequest>,
    ) -> Result<Response<wire::ProbeConnectionResponse>, Status> {
        let (caller, request) = (Identity::of(&request)?, request.into_inner());
        self.answer("ProbeConnection", |parts| async move {
            let id = rpc::parse("connection_id", &request.connection_id)?;
            parts.visible(&caller, &id).await?;
            parts.probe(&id).await?;
            Ok(wire::ProbeConnectionResponse { connection: Some(whole(&parts.shown_holding(&id).await?)) })
        })
        .await
    }
}

impl Parts {
    /// For a person: a connection whose credential is missing can be looked at all the same.
    async fn shown_holding(&self, id: &ConnectionId) -> Result<Holding, Fault> {
        match self.holding(id).await {
            Err(Fault::Missing { .. }) => Ok(Holding::bare(self.connection(id).await?)),
            holding => holding,
        }
    }

    async fn list(
        &self,
        caller: &Identity,
        request: &wire::ListConnectionsRequest,
    ) -> Result<wire::ListConnectionsResponse, Fault> {
        let organization: OrganizationId = rpc::parse("organization_id", &request.organization_id)?;
        caller.check(&organization, "organization")?;
        let after = page::start(&request.page_token)?;
        let size = page::size(request.page_size, 100, 500);
        // One more than shown tells whether there is a next page.
        let mut listed = self.store.connections_of(&organization, after.as_ref(), size as u64 + 1).await?;
        let next_page_token = page::cut(&mut listed, size, |connection| connection.id.to_string());
        Ok(wire::ListConnectionsResponse {
            connections: listed.into_iter().map(shown).collect(),
            next_page_token,
        })
    }
}

pub(crate) fn shown(connection: Connection) -> wire::Connection {
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
        auth_scheme: wire::AuthScheme::from(connection.auth_scheme).into(),
        lost: connection
            .lost
            .into_iter()
            .map(|capability| wire::Capability::from(capability).into())
            .collect(),
        probed_at: connection.probed_at.map(rpc::timestamp),
        credentials: Vec::new(),
    }
}

/// With its credentials.
fn whole(holding: &Holding) -> wire::Connection {
    let credentials = holding.all().map(credential).collect();
    wire::Connection { credentials, ..shown(holding.connection.clone()) }
}

fn credential(version: &SealedCredential) -> wire::Credential {
    wire::Credential {
        kind: wire::CredentialKind::from(version.kind).into(),
        generation: version.generation,
        capabilities: version.capabilities.iter().copied().map(Into::into).collect(),
        created_at: Some(rpc::timestamp(version.created_at)),
        access_expires_at: version.access_expires_at.map(rpc::timestamp),
        refresh_expires_at: version.refresh_expires_at.map(rpc::timestamp),
        rejected: version.rejected.map(Into::into),
        renewal_failures: version.failures,
        next_renewal_at: version.cooldown_until.map(rpc::timestamp),
        renewal_in_doubt: version.in_doubt,
    }
}
