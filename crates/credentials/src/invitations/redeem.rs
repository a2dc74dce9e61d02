//! What the holder of a link can do with it. Every token that opens nothing gets the same answer; only whoever holds one
//! that was real learns how its invitation ended.

use tidemark_domain::{
    id::{ConnectionId, OrganizationId},
    invitation::{State, Step},
};
use tidemark_rpc::{self as rpc, connections as wire, identity::Identity, status::Refusal};
use tidemark_store::{Connection, Invitation};

use super::{Desk, life};
use crate::{connections, refusal::Fault, ticket::Ticket, token::Token};

impl Desk {
    pub(super) async fn open(
        &self,
        identity: &Identity,
        token: String,
    ) -> Result<wire::OpenInvitationResponse, Fault> {
        let (token, mut invitation) = self.held(identity, token).await?;
        let now = self.parts.clock.now();
        let mut state = life::state_at(&invitation, now);
        if state.is_open() && state != State::Opened {
            invitation = self.mark_opened(&token).await?;
            state = life::state_at(&invitation, now);
        }
        let mut page = wire::OpenInvitationResponse {
            state: wire::InvitationState::from(state).into(),
            application: invitation.application,
            ..Default::default()
        };
        if !state.is_open() {
            page.sentence = life::sentence(state).to_owned();
            return Ok(page);
        }
        let workspace = self.workspace(invitation.connection_id.as_ref()).await?;
        Ok(wire::OpenInvitationResponse {
            usable: true,
            organization_name: invitation.organization_name,
            invited_by: invitation.invited_by,
            invitee_name: invitation.invitee_name.unwrap_or_default(),
            expires_at: Some(rpc::timestamp(invitation.expires_at)),
            reconnect: invitation.connection_id.is_some(),
            workspace: workspace.unwrap_or_default(),
            ..page
        })
    }

    /// The first visit is remembered; one that came after the end changes nothing.
    async fn mark_opened(&self, token: &Token) -> Result<Invitation, Fault> {
        let now = self.parts.clock.now();
        let tx = self.parts.store.begin().await?;
        let taken = tx.take_invitation_of_token(&token.hash()).await?;
        let mut invitation = taken.ok_or(Refusal::NotFound { what: "invitation" })?;
        if life::check_open(&invitation, now).is_err() || invitation.state == State::Opened {
            return Ok(invitation);
        }
        life::step(&mut invitation, Step::Opened, life::HOLDER, None, now)?;
        if !tx.update_invitation(&invitation).await? {
            return Err(Fault::Overtaken);
        }
        tx.commit().await?;
        tracing::info!(invitation = %invitation.id, "invitation opened");
        Ok(invitation)
    }

    pub(super) async fn accept(
        &self,
        identity: &Identity,
        request: wire::AcceptInvitationRequest,
    ) -> Result<wire::AcceptInvitationResponse, Fault> {
        let (token, invitation) = self.held(identity, request.token).await?;
        // Before the vendor is asked anything: a dead link is no way to try keys.
        life::check_open(&invitation, self.parts.clock.now())?;
        let ticket = Ticket::Invitation(token.hash());
        let Invitation { organization_id, connection_id, .. } = &invitation;
        let (region, key) = (request.region, request.api_key);
        // The link is what lets its holder in: it is the link that the audit log names.
        let by = format!("{} by {}", identity.actor(), invitation.id);
        let made = self.connect(&by, organization_id, connection_id.as_ref(), region, key, &ticket).await?;
        log(&invitation, &made);
        Ok(wire::AcceptInvitationResponse { connection: Some(connections::shown(made)) })
    }

    /// Connects or reconnects as any caller would, and uses the ticket up with it.
    pub(crate) async fn connect(
        &self,
        by: &str,
        organization: &OrganizationId,
        connection: Option<&ConnectionId>,
        region: i32,
        api_key: String,
        ticket: &Ticket,
    ) -> Result<Connection, Fault> {
        match connection {
            None => {
                let organization_id = organization.to_string();
                let request =
                    wire::CreateConnectionRequest { organization_id, region, api_key, auth_scheme: 0 };
                self.parts.create(by, request, ticket).await
            }
            Some(id) => {
                let connection_id = id.to_string();
                let request = wire::ReconnectConnectionRequest { connection_id, api_key, auth_scheme: 0 };
                self.parts.reconnect(by, request, ticket).await
            }
        }
    }

    /// The invitation of a link, whatever its state.
    async fn held(&self, identity: &Identity, token: String) -> Result<(Token, Invitation), Fault> {
        let missing = Refusal::NotFound { what: "invitation" };
        let Some(token) = Token::parse(token) else { return Err(missing.into()) };
        let found = self.parts.store.invitation_of_token(&token.hash()).await?;
        let seen = found.filter(|found| identity.check(&found.organization_id, "invitation").is_ok());
        seen.map(|invitation| (token, invitation)).ok_or_else(|| missing.into())
    }
}

fn log(invitation: &Invitation, made: &Connection) {
    tracing::info!(invitation = %invitation.id, connection = %made.id, "invitation accepted");
}
