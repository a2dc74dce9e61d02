//! The lifecycle of a connection as a pure state machine: a signal either changes how the connection stands and yields
//! exactly one change to announce, or changes nothing and yields none.
//!
//! A live connection is `connected`, or `degraded` while something is lost, or `expiring` while its end is near. What is
//! lost stays remembered behind `expiring` and `reconnect_required`, so that it shows again when those pass.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Reason;
use crate::capability::Capability;

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was begun, and nobody has consented yet.
    AwaitingConsent,
    /// The credential works as far as is known.
    Connected,
    /// It works, but can read less than it could.
    Degraded,
    /// It works, but ends soon unless somebody acts.
    Expiring,
    /// The vendor refuses the credential; a person has to supply another one.
    ReconnectRequired,
    /// Somebody ended it, for good.
    Disconnected,
}

impl State {
    /// All states.
    pub const ALL: [Self; 6] = [
        Self::AwaitingConsent,
        Self::Connected,
        Self::Degraded,
        Self::Expiring,
        Self::ReconnectRequired,
        Self::Disconnected,
    ];

    /// The name on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingConsent => "awaiting_consent",
            Self::Connected => "connected",
            Self::Degraded => "degraded",
            Self::Expiring => "expiring",
            Self::ReconnectRequired => "reconnect_required",
            Self::Disconnected => "disconnected",
        }
    }

    /// The state of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether the vendor can be called as far as is known.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Connected | Self::Degraded | Self::Expiring)
    }
}

/// How a connection stands: its state, and what is behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Where it stands.
    pub state: State,
    /// Why it is not simply connected.
    pub reason: Option<Reason>,
    /// What it could read once and cannot read now.
    pub lost: BTreeSet<Capability>,
    /// The last warning before the end that was given, in days.
    pub warned_days: Option<u32>,
}

/// Something that happened to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The first credential was proven to work.
    Consented,
    /// A new credential was proven to work for the same workspace and took its place.
    Replaced,
    /// The vendor renewed the credential, or its end is far away again for another reason.
    Refreshed,
    /// The vendor's refusal of the present credential was confirmed.
    Rejected(Reason),
    /// Something that could be read is refused now.
    Lost(Capability),
    /// Something that was lost can be read again.
    Regained(Capability),
    /// The credential ends in at most so many days.
    ExpiryNear(u32),
    /// A person ended the connection.
    Disconnected,
}

/// A change of how a connection stands; each is announced by exactly one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Announced as `connection.connected`.
    Connected,
    /// Announced as `connection.reconnected`.
    Reconnected,
    /// Announced as `connection.expiring`, with the days that are left at most.
    Expiring(u32),
    /// Announced as `connection.degraded`.
    Degraded(Capability),
    /// Announced as `connection.recovered`: it can be read again, or the end is far again.
    Recovered(Option<Capability>),
    /// Announced as `connection.reconnect_required`.
    ReconnectRequired(Reason),
    /// Announced as `connection.disconnected`.
    Disconnected,
}

impl Standing {
    /// A connection that nobody has consented to yet.
    pub fn awaiting() -> Self {
        Self { state: State::AwaitingConsent, reason: None, lost: BTreeSet::new(), warned_days: None }
    }

    /// A connection whose credential works.
    pub fn connected() -> Self {
        Self { state: State::Connected, ..Self::awaiting() }
    }

    /// Applies a signal: how the connection stands next, and the change to announce if there is one. A signal that makes
    /// no sense where the connection stands changes nothing.
    #[must_use]
    pub fn on(&self, signal: Signal) -> (Self, Option<Change>) {
        let change = self.change(signal);
        let Some(change) = change else { return (self.clone(), None) };
        let mut next = self.clone();
        match change {
            Change::Disconnected => {
                return (next.ended(State::Disconnected, Reason::DisconnectedByPerson), Some(change));
            }
            Change::ReconnectRequired(reason) => {
                return (next.ended(State::ReconnectRequired, reason), Some(change));
            }
            Change::Connected | Change::Reconnected | Change::Recovered(None) => next.warned_days = None,
            Change::Expiring(days) => next.warned_days = Some(days),
            Change::Degraded(capability) => drop(next.lost.insert(capability)),
            Change::Recovered(Some(capability)) => drop(next.lost.remove(&capability)),
        }
        (next.live(), Some(change))
    }

    fn change(&self, signal: Signal) -> Option<Change> {
        let is_live = self.state.is_live();
        match (self.state, signal) {
            (State::Disconnected, _) => None,
            (_, Signal::Disconnected) => Some(Change::Disconnected),
            (State::AwaitingConsent, Signal::Consented | Signal::Replaced) => Some(Change::Connected),
            (State::AwaitingConsent, _) | (_, Signal::Consented) => None,
            (_, Signal::Replaced) => Some(Change::Reconnected),
            (_, Signal::Rejected(reason)) => is_live.then_some(Change::ReconnectRequired(reason)),
            (State::Expiring, Signal::Refreshed) => Some(Change::Recovered(None)),
            (_, Signal::Refreshed) => None,
            (_, Signal::Lost(capability)) => {
                (is_live && !self.lost.contains(&capability)).then_some(Change::Degraded(capability))
            }
            (_, Signal::Regained(capability)) => {
                (is_live && self.lost.contains(&capability)).then_some(Change::Recovered(Some(capability)))
            }
            (_, Signal::ExpiryNear(days)) => {
                let is_nearer = self.warned_days.is_none_or(|warned| days < warned);
                (is_live && is_nearer).then_some(Change::Expiring(days))
            }
        }
    }

    fn ended(self, state: State, reason: Reason) -> Self {
        Self { state, reason: Some(reason), warned_days: None, ..self }
    }

    fn live(self) -> Self {
        let (state, reason) = if self.warned_days.is_some() {
            (State::Expiring, Some(Reason::ExpiresSoon))
        } else if self.lost.contains(&Capability::Members) {
            (State::Degraded, Some(Reason::KeyWithoutMembers))
        } else if self.lost.is_empty() {
            (State::Connected, None)
        } else {
            (State::Degraded, Some(Reason::CapabilityLost))
        };
        Self { state, reason, ..self }
    }
}
