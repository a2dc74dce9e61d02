//! The life of an invitation as a pure state machine. Nothing leaves an end, and what happened stays in the history.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The application that invitations and connect links are for.
pub const APPLICATION: &str = "productboard";

/// Where an invitation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Made; its mail, if there is one, is on its way.
    Created,
    /// A mail server has taken its mail.
    Sent,
    /// Its mail could not be delivered; the link works all the same.
    DeliveryFailed,
    /// Somebody followed its link.
    Opened,
    /// A connection was made with it.
    Accepted,
    /// Its days are over.
    Expired,
    /// It was taken back.
    Revoked,
}

/// Something that happened to an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It was made.
    Created,
    /// It got a new link, and its life began anew.
    Resent,
    /// A mail server has taken its mail.
    Sent,
    /// Its mail was given up.
    DeliveryFailed,
    /// Its link was followed.
    Opened,
    /// A connection was made with it.
    Accepted,
    /// Its days were over.
    Expired,
    /// It was taken back.
    Revoked,
}

/// One line of an invitation's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub step: Step,
    /// By whom, for a person to read.
    pub by: String,
    /// What else there is to say, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Created,
        Self::Sent,
        Self::DeliveryFailed,
        Self::Opened,
        Self::Accepted,
        Self::Expired,
        Self::Revoked,
    ];

    /// The name on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Sent => "sent",
            Self::DeliveryFailed => "delivery_failed",
            Self::Opened => "opened",
            Self::Accepted => "accepted",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// The state of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether a connection can still be made with it.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Created | Self::Sent | Self::DeliveryFailed | Self::Opened)
    }

    /// The state after a step, or `None` where the step cannot be taken.
    ///
    /// An expired invitation can be resent, an accepted or revoked one cannot. A mail that leaves or fails after the
    /// link was followed takes nothing back: the link works.
    #[must_use]
    pub fn on(self, step: Step) -> Option<Self> {
        match (self, step) {
            (Self::Accepted | Self::Revoked, _) | (_, Step::Created) => None,
            (_, Step::Resent) => Some(Self::Created),
            (Self::Expired, _) => None,
            (Self::Opened, Step::Sent | Step::DeliveryFailed) => Some(Self::Opened),
            (_, Step::Sent) => Some(Self::Sent),
            (_, Step::DeliveryFailed) => Some(Self::DeliveryFailed),
            (_, Step::Opened) => Some(Self::Opened),
            (_, Step::Accepted) => Some(Self::Accepted),
            (_, Step::Expired) => Some(Self::Expired),
            (_, Step::Revoked) => Some(Self::Revoked),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STEPS: [Step; 8] = [
        Step::Created,
        Step::Resent,
        Step::Sent,
        Step::DeliveryFailed,
        Step::Opened,
        Step::Accepted,
        Step::Expired,
        Step::Revoked,
    ];

    proptest! {
        #[test]
        fn it_is_accepted_once_and_nothing_leaves_an_end(steps in prop::collection::vec(0..STEPS.len(), 0..40)) {
            let (mut state, mut accepted) = (State::Created, 0);
            for step in steps.into_iter().map(|step| STEPS[step]) {
                let Some(next) = state.on(step) else { continue };
                prop_assert!(state.is_open() || (state, step) == (State::Expired, Step::Resent));
                accepted += i32::from(step == Step::Accepted);
                state = next;
            }
            prop_assert!(accepted <= 1);
            prop_assert_eq!(accepted == 1, state == State::Accepted);
        }
    }

    #[test]
    fn a_late_mail_does_not_take_back_that_the_link_was_followed() {
        assert_eq!(State::Opened.on(Step::Sent), Some(State::Opened));
        assert_eq!(State::Opened.on(Step::DeliveryFailed), Some(State::Opened));
        assert_eq!(State::DeliveryFailed.on(Step::Sent), Some(State::Sent));
    }

    #[test]
    fn names_survive_the_wire() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
