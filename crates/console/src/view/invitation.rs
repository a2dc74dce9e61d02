//! An invitation in words.

use tidemark_rpc::connections::{Invitation, InvitationEntry, InvitationState, InvitationStep};

use super::{Moment, Tone, moment};

/// One invitation.
#[derive(Debug, Clone)]
pub(crate) struct Invited {
    pub(crate) id: String,
    pub(crate) who: String,
    pub(crate) state: &'static str,
    pub(crate) tone: Tone,
    pub(crate) note: String,
    pub(crate) purpose: &'static str,
    pub(crate) by: String,
    pub(crate) ends: Option<Moment>,
    pub(crate) can_be_resent: bool,
    pub(crate) can_be_revoked: bool,
    pub(crate) resends_left: u32,
    /// The connection that came of it; empty before.
    pub(crate) made: String,
    pub(crate) history: Vec<Entry>,
}

/// One line of its history.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) at: Option<Moment>,
    pub(crate) what: &'static str,
    pub(crate) by: String,
    pub(crate) note: String,
}

impl From<Invitation> for Invited {
    fn from(invitation: Invitation) -> Self {
        let (state, tone) = match invitation.state() {
            InvitationState::Created | InvitationState::Unspecified => ("Link made", Tone::Quiet),
            InvitationState::Sent => ("Sent", Tone::Quiet),
            InvitationState::DeliveryFailed => ("Not delivered", Tone::Warn),
            InvitationState::Opened => ("Opened", Tone::Quiet),
            InvitationState::Accepted => ("Accepted", Tone::Good),
            InvitationState::Expired => ("Expired", Tone::Warn),
            InvitationState::Revoked => ("Revoked", Tone::Quiet),
        };
        let ended = matches!(invitation.state(), InvitationState::Accepted | InvitationState::Revoked);
        let who = match (invitation.invitee_name.as_str(), invitation.invitee_email.as_str()) {
            ("", "") => "Whoever has the link".to_owned(),
            ("", email) => email.to_owned(),
            (name, "") => name.to_owned(),
            (name, email) => format!("{name} ({email})"),
        };
        Self {
            who,
            state,
            tone,
            purpose: if invitation.connection_id.is_empty() { "Connect a workspace" } else { "Reconnect" },
            can_be_resent: !ended && invitation.resends_left > 0,
            can_be_revoked: !ended && invitation.state() != InvitationState::Expired,
            ends: moment!(invitation.expires_at),
            history: invitation.history.iter().map(Entry::from).collect(),
            id: invitation.id,
            note: invitation.delivery_note,
            by: invitation.invited_by,
            resends_left: invitation.resends_left,
            made: invitation.made_connection_id,
        }
    }
}

impl From<&InvitationEntry> for Entry {
    fn from(entry: &InvitationEntry) -> Self {
        let what = match entry.step() {
            InvitationStep::Created => "Made",
            InvitationStep::Resent => "Sent again, with a new link",
            InvitationStep::Sent => "Mail taken by the mail server",
            InvitationStep::DeliveryFailed => "Mail given up",
            InvitationStep::Opened => "Link opened",
            InvitationStep::Accepted => "Accepted",
            InvitationStep::Expired => "Expired",
            InvitationStep::Revoked => "Revoked",
            InvitationStep::Unspecified => "Changed",
        };
        Self { at: moment!(entry.at), what, by: entry.by.clone(), note: entry.note.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_invitation_offers_nothing() {
        let with = |state: InvitationState| {
            Invited::from(Invitation { state: state.into(), resends_left: 4, ..Default::default() })
        };
        for state in [InvitationState::Accepted, InvitationState::Revoked] {
            assert!(!with(state).can_be_resent && !with(state).can_be_revoked);
        }
        assert!(
            with(InvitationState::Expired).can_be_resent && !with(InvitationState::Expired).can_be_revoked
        );
        assert!(with(InvitationState::Opened).can_be_resent && with(InvitationState::Opened).can_be_revoked);
        assert_eq!(with(InvitationState::Sent).who, "Whoever has the link");
    }
}
