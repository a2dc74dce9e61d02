//! Invitations as callers see them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use tidemark_domain::id::InvitationId;
use tidemark_rpc::{self as rpc, connections as wire, identity::Identity, status::Refusal};
use tidemark_store::Invitation;

use super::{
    Desk,
    issue::{BETWEEN_ISSUES, MOST_ISSUES},
    life,
};
use crate::refusal::Fault;

const DEFAULT_PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 500;

impl Desk {
    pub(super) async fn list(
        &self,
        identity: &Identity,
        request: &wire::ListInvitationsRequest,
    ) -> Result<wire::ListInvitationsResponse, Fault> {
        let organization = self.organization(identity, &request.organization_id)?;
        let after = page_start(&request.page_token)?;
        let size = match request.page_size {
            0 => DEFAULT_PAGE,
            size => size.min(LARGEST_PAGE),
        };
        // One more than shown tells whether there is a next page.
        let limit = u64::from(size) + 1;
        let mut page = self.parts.store.invitations_of(&organization, after.as_ref(), limit).await?;
        let more = page.len() > size as usize;
        page.truncate(size as usize);
        let last = page.last().filter(|_| more);
        let next_page_token = last.map(|last| URL_SAFE_NO_PAD.encode(last.id.as_str())).unwrap_or_default();
        let invitations = page.into_iter().map(|invitation| self.shown(invitation)).collect();
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

fn page_start(token: &str) -> Result<Option<InvitationId>, Refusal> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let id = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).and_then(|id| id.parse().ok());
    let expected = "send `next_page_token` of the page before unchanged, or nothing for the first page";
    id.map(Some).ok_or_else(|| Refusal::invalid("page_token", expected))
}
