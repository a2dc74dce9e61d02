//! The lifecycle of a connection as a pure state machine: a signal either changes the state and yields exactly one
//! event, or changes nothing and yields none.

use serde::{Deserialize, Serialize};

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The credential works as far as is known.
    Connected,
    /// The vendor refuses the credential; a person has to supply another one.
    ReconnectRequired,
}

impl State {
    /// The name on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::ReconnectRequired => "reconnect_required",
        }
    }

    /// The state of that name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Connected, Self::ReconnectRequired].into_iter().find(|state| state.as_str() == text)
    }
}

/// Why a connection needs a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The vendor answered 401 twice for the same credential.
    KeyRejected,
}

impl Reason {
    /// The code on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeyRejected => "key_rejected",
        }
    }

    /// The reason of that code.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::KeyRejected].into_iter().find(|reason| reason.as_str() == text)
    }

    /// What happened and what it means for the data, in a sentence for a person.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::KeyRejected => {
                "Productboard no longer accepts this API key: it was revoked, or its owner lost access. \
                 Data collected so far is kept; nothing new arrives until the workspace is reconnected."
            }
        }
    }

    /// What the person should do next.
    pub fn next_step(self) -> &'static str {
        match self {
            Self::KeyRejected => {
                "Create a new access token in Productboard (Settings, Integrations, Public APIs) as an admin \
                 of the same workspace, then choose Reconnect and paste it."
            }
        }
    }
}

/// Something that happened to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// A new credential was proven to work for the same workspace and took the old one's place.
    Replaced,
    /// The vendor's refusal of the present credential was confirmed.
    Rejected(Reason),
}

/// A change of state; each is announced by exactly one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Announced as `connection.reconnected`.
    Reconnected,
    /// Announced as `connection.reconnect_required`.
    ReconnectRequired(Reason),
}

impl State {
    /// Applies a signal: the next state, and the change to announce if there is one.
    #[must_use]
    pub fn on(self, signal: Signal) -> (Self, Option<Change>) {
        match (self, signal) {
            (_, Signal::Replaced) => (Self::Connected, Some(Change::Reconnected)),
            (Self::Connected, Signal::Rejected(reason)) => {
                (Self::ReconnectRequired, Some(Change::ReconnectRequired(reason)))
            }
            (Self::ReconnectRequired, Signal::Rejected(_)) => (Self::ReconnectRequired, None),
        }
    }
}

/// Where a workspace's data lives; keys work only in their own region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Region {
    /// The vendor's default data centre.
    Us,
    /// The vendor's European data centre.
    Eu,
}

impl Region {
    /// The name on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
        }
    }

    /// The region of that name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Us, Self::Eu].into_iter().find(|region| region.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn signal() -> impl Strategy<Value = Signal> {
        prop_oneof![Just(Signal::Replaced), Just(Signal::Rejected(Reason::KeyRejected))]
    }

    proptest! {
        #[test]
        fn one_event_per_change_of_state_and_none_without(signals in prop::collection::vec(signal(), 0..40)) {
            let mut state = State::Connected;
            let mut open_episodes = 0;
            for signal in signals {
                let (next, change) = state.on(signal);
                match change {
                    Some(Change::ReconnectRequired(_)) => open_episodes += 1,
                    Some(Change::Reconnected) => open_episodes = 0,
                    None => prop_assert_eq!(state, next),
                }
                state = next;
                prop_assert_eq!(open_episodes, i32::from(state == State::ReconnectRequired));
            }
        }
    }

    #[test]
    fn names_survive_the_wire() {
        for state in [State::Connected, State::ReconnectRequired] {
            assert_eq!(State::parse(state.as_str()), Some(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        assert_eq!(Reason::parse(Reason::KeyRejected.as_str()), Some(Reason::KeyRejected));
    }
}
