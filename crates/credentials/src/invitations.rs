//! Invitations over gRPC: who is no admin at the vendor asks an admin to make the connection, or to renew it.
//!
//! The links are secrets: shown once, kept as hashes, logged never. How a connection is made is left to `connections`.

mod fields;
mod housekeeping;
mod issue;
pub(crate) mod life;
mod redeem;
mod view;

use std::{fmt, sync::Arc};

use secrecy::SecretString;
use tidemark_domain::id::{ConnectionId, InvitationId, OrganizationId};
use tidemark_rpc::{
    self as rpc,
    connections::{
        self as wire,
        connect_links_service_server::ConnectLinksServiceServer,
        invitations_service_server::{InvitationsService, InvitationsServiceServer},
    },
    detached,
    identity::Identity,
    server::{RECEIVE_LIMIT, SEND_LIMIT},
    status::Refusal,
};
use tidemark_store::{Connection, Invitation};
use tonic::{Request, Response, Status};
use url::Url;

pub(crate) use fields::{name, within};

use crate::{Mailer, ReturnUrls, refusal::Fault, service::Parts, token::Token};

/// What invitations and connect links need beside the credential service.
#[derive(Debug, Clone)]
pub struct InvitationSettings {
    /// Where the console is, as people reach it. Without it no link can be made.
    pub console_url: Option<Url>,
    /// Where a connect link may send a person back to.
    pub return_urls: ReturnUrls,
    /// How many links of invitations an organization may have made on a day.
    pub per_day: u32,
    /// Who sends the mails. Without it there are only links to copy.
    pub mailer: Option<Mailer>,
}

/// Invitations and hosted connect links. Cheap to clone.
#[derive(Clone)]
pub struct InvitationService(Arc<Desk>);

/// What the handlers share.
pub(crate) struct Desk {
    pub(crate) parts: Arc<Parts>,
    pub(crate) settings: InvitationSettings,
}

impl InvitationService {
    pub(crate) fn new(parts: Arc<Parts>, settings: InvitationSettings) -> Self {
        Self(Arc::new(Desk { parts, settings }))
    }

    /// The server of the invitations. Whoever serves it puts a guard in front.
    pub fn invitations_server(&self) -> InvitationsServiceServer<Self> {
        InvitationsServiceServer::new(self.clone())
            .max_decoding_message_size(RECEIVE_LIMIT)
            .max_encoding_message_size(SEND_LIMIT)
    }

    /// The server of the connect links. Whoever serves it puts a guard in front.
    pub fn connect_links_server(&self) -> ConnectLinksServiceServer<Self> {
        ConnectLinksServiceServer::new(self.clone())
            .max_decoding_message_size(RECEIVE_LIMIT)
            .max_encoding_message_size(SEND_LIMIT)
    }

    pub(crate) fn desk(&self) -> Arc<Desk> {
        Arc::clone(&self.0)
    }

    /// Runs a handler's work to its end, whatever becomes of the caller.
    pub(crate) async fn answer<Q, T, F>(
        &self,
        rpc: &'static str,
        request: Request<Q>,
        work: impl FnOnce(Arc<Desk>, Identity, Q) -> F,
    ) -> Result<Response<T>, Status>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        let identity = Identity::of(&request)?;
        let work = work(self.desk(), identity, request.into_inner());
        detached(async move { work.await.map_err(|fault| fault.into_status(rpc)) }).await.map(Response::new)
    }
}

impl fmt::Debug for InvitationService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvitationService").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

#[tonic::async_trait]
impl InvitationsService for InvitationService {
    async fn create_invitation(
        &self,
        request: Request<wire::CreateInvitationRequest>,
    ) -> Result<Response<wire::CreateInvitationResponse>, Status> {
        self.answer("CreateInvitation", request, |desk, identity, request| async move {
            desk.create(&identity, &request).await
        })
        .await
    }

    async fn get_invitation(
        &self,
        request: Request<wire::GetInvitationRequest>,
    ) -> Result<Response<wire::GetInvitationResponse>, Status> {
        self.answer("GetInvitation", request, |desk, identity, request| async move {
            let id = rpc::parse("invitation_id", &request.invitation_id)?;
            let invitation = desk.visible(&identity, &id).await?;
            Ok(wire::GetInvitationResponse { invitation: Some(desk.shown(invitation)) })
        })
        .await
    }

    async fn list_invitations(
        &self,
        request: Request<wire::ListInvitationsRequest>,
    ) -> Result<Response<wire::ListInvitationsResponse>, Status> {
        self.answer("ListInvitations", request, |desk, identity, request| async move {
            desk.list(&identity, &request).await
        })
        .await
    }

    async fn resend_invitation(
        &self,
        request: Request<wire::ResendInvitationRequest>,
    ) -> Result<Response<wire::ResendInvitationResponse>, Status> {
        self.answer("ResendInvitation", request, |desk, identity, request| async move {
            desk.resend(&identity, &request).await
        })
        .await
    }

    async fn revoke_invitation(
        &self,
        request: Request<wire::RevokeInvitationRequest>,
    ) -> Result<Response<wire::RevokeInvitationResponse>, Status> {
        self.answer("RevokeInvitation", request, |desk, identity, request| async move {
            desk.revoke(&identity, &request).await
        })
        .await
    }

    async fn open_invitation(
        &self,
        request: Request<wire::OpenInvitationRequest>,
    ) -> Result<Response<wire::OpenInvitationResponse>, Status> {
        self.answer("OpenInvitation", request, |desk, identity, request| async move {
            desk.open(&identity, request.token).await
        })
        .await
    }

    async fn accept_invitation(
        &self,
        request: Request<wire::AcceptInvitationRequest>,
    ) -> Result<Response<wire::AcceptInvitationResponse>, Status> {
        self.answer("AcceptInvitation", request, |desk, identity, request| async move {
            desk.accept(&identity, request).await
        })
        .await
    }
}

impl Desk {
    /// The invitation, if it is there and the caller's to see.
    async fn visible(&self, identity: &Identity, id: &InvitationId) -> Result<Invitation, Fault> {
        let found = self.parts.store.invitation(id).await?;
        let seen = found.filter(|found| identity.check(&found.organization_id, "invitation").is_ok());
        seen.ok_or_else(|| Refusal::NotFound { what: "invitation" }.into())
    }

    /// The organization that a request names, if it is the caller's to see.
    pub(crate) fn organization(&self, identity: &Identity, text: &str) -> Result<OrganizationId, Fault> {
        let organization: OrganizationId = rpc::parse("organization_id", text)?;
        if identity.check(&organization, "organization").is_ok() {
            return Ok(organization);
        }
        Err(Refusal::NotFound { what: "organization" }.into())
    }

    /// The connection that is to be reconnected, if one is named. It has to be the organization's.
    pub(crate) async fn bound(
        &self,
        organization: &OrganizationId,
        connection_id: &str,
    ) -> Result<Option<ConnectionId>, Fault> {
        if connection_id.is_empty() {
            return Ok(None);
        }
        let id: ConnectionId = rpc::parse("connection_id", connection_id)?;
        let connection = self.parts.connection(&id).await?;
        if connection.organization_id == *organization {
            return Ok(Some(id));
        }
        Err(Refusal::NotFound { what: "connection" }.into())
    }

    /// What the workspace of a bound connection is called, where it is known.
    pub(crate) async fn workspace(&self, connection: Option<&ConnectionId>) -> Result<Option<String>, Fault> {
        let Some(id) = connection else { return Ok(None) };
        let connection: Connection = self.parts.connection(id).await?;
        Ok(connection.workspace)
    }

    pub(crate) fn console(&self) -> Result<&Url, Refusal> {
        self.settings.console_url.as_ref().ok_or_else(|| Refusal::Precondition {
            reason: "NO_CONSOLE",
            sentence: "No link can be made, because this installation does not say where its console is. \
                       The operator should set `console.public_url`."
                .to_owned(),
        })
    }
}

/// The page behind an invitation.
pub(crate) fn link(console: &Url, token: &Token) -> SecretString {
    token.link(console, "invitations")
}
