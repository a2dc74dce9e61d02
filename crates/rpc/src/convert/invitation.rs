//! Invitations between the wire and the domain.

use tidemark_domain::invitation::{Entry, State, Step};

use super::timestamp;
use crate::connections;

impl From<State> for connections::InvitationState {
    fn from(state: State) -> Self {
        match state {
            State::Created => Self::Created,
            State::Sent => Self::Sent,
            State::DeliveryFailed => Self::DeliveryFailed,
            State::Opened => Self::Opened,
            State::Accepted => Self::Accepted,
            State::Expired => Self::Expired,
            State::Revoked => Self::Revoked,
        }
    }
}

impl From<Step> for connections::InvitationStep {
    fn from(step: Step) -> Self {
        match step {
            Step::Created => Self::Created,
            Step::Resent => Self::Resent,
            Step::Sent => Self::Sent,
            Step::DeliveryFailed => Self::DeliveryFailed,
            Step::Opened => Self::Opened,
            Step::Accepted => Self::Accepted,
            Step::Expired => Self::Expired,
            Step::Revoked => Self::Revoked,
        }
    }
}

impl From<Entry> for connections::InvitationEntry {
    fn from(entry: Entry) -> Self {
        Self {
            at: Some(timestamp(entry.at)),
            step: connections::InvitationStep::from(entry.step).into(),
            by: entry.by,
            note: entry.note.unwrap_or_default(),
        }
    }
}
