//! Invitations as callers see them.

use chrono::TimeDelta;
use tidemark_rpc::{self as rpc, connections as wire, identity::Identity};
use tidemark_store::Invitation;

use super::{
    Desk,
    issue::{BETWEEN_ISSUES, MOST_ISSUES},
    life,
};
use crate::{page, refusal::Fault};

impl Desk {
    pub(super) async fn list(
        &self,
        identity: &Identity,
        request: &wire::ListInvitationsRequest,
    ) -> Result<wire::ListInvitationsResponse, Fault> {
        let organization = self.organization(identity, &request.organization_id)?;
        let after = page::start(&request.page_token)?;
        let size = page::size(request.page_size, 100, 500);
        // One more than shown tells whether there is a next page.
        let mut listed =
            self.parts.store.invitations_of(&organization, after.as_ref(), size as u64 + 1).await?;
        let next_page_token = page::cut(&mut listed, size, |invitation| invitation.id.to_string());
        let invitations = listed.into_iter().map(|invitation| self.shown(invitation)).collect();
        Ok(wire::ListInvitationsResponse { invitations, next_page_token })
    }

    pub(super) fn shown(&self, invitation: Invitation) -> wire::Invitation {
        let state = life::state_at(&invitation, self.parts.clock.now());
        let left = u32::try_from(MOST_ISSUES - invitation.issues).unwrap_or(0);
        let can_resend = left > 0 && invitation.state.on(tidemark_domain::invitation::Step::Resent).is_some();
        let after: TimeDelta = BETWEEN_ISSUES;
        wire::Invitation {
            id: invitation.id.to_string(),
            organization_id: invitation.organization_id.to_string(),
            organization_name: invitation.organization_name,
            application: invitation.application,
            connection_id: invitation.connection_id.map(|id| id.to_string()).unwrap_or_default(),
            invitee_email: invitation.invitee_email.unwrap_or_default(),
            invitee_name: invitation.invitee_name.unwrap_or_default(),
            invited_by: invitation.invited_by,
            state: wire::InvitationState::from(state).into(),
            delivery_note: invitation.delivery_note.unwrap_or_default(),
            expires_at: Some(rpc::timestamp(invitation.expires_at)),
            resends_left: if can_resend { left } else { 0 },
            resend_after: can_resend.then(|| rpc::timestamp(invitation.issued_at + after)),
            made_connection_id: invitation.made_connection_id.map(|id| id.to_string()).unwrap_or_default(),
            history: invitation.history.into_iter().map(Into::into).collect(),
            created_at: Some(rpc::timestamp(invitation.created_at)),
            updated_at: Some(rpc::timestamp(invitation.updated_at)),
        }
    }
}
