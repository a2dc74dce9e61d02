//! A run: one sync of one workspace, from the request to its end, however many deliveries that takes.

use serde::{Deserialize, Serialize};

use crate::stream;

/// How the reason of a run begins that waits because the vendor said so; a span of time and a semicolon follow.
pub const ASKED_TO_WAIT: &str = "Productboard asked to wait";

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Asked for, not begun.
    Queued,
    /// Begun; a worker holds it or it waits for its next delivery.
    Running,
    /// Stopped until the connection has a working credential; it resumes where it stood.
    ReconnectRequired,
    /// Every stream is complete.
    Succeeded,
    /// It ended, but at least one stream could not be read or believed.
    Partial,
    /// It ended without a usable result.
    Failed,
    /// A person ended it; what is in stays.
    Cancelled,
}

/// Which runs go first. Smaller is sooner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Somebody waits for it.
    Person,
    /// Its time has come.
    Schedule,
    /// A long run that had its turn already.
    Backfill,
}

impl Priority {
    const ALL: [Self; 3] = [Self::Person, Self::Schedule, Self::Backfill];

    /// As the database orders it.
    pub fn rank(self) -> u32 {
        self as u32
    }

    /// The priority of that rank.
    pub fn of_rank(rank: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|priority| priority.rank() == rank)
    }
}

impl State {
    const ALL: [Self; 7] = [
        Self::Queued,
        Self::Running,
        Self::ReconnectRequired,
        Self::Succeeded,
        Self::Partial,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The name on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::ReconnectRequired => "reconnect_required",
            Self::Succeeded => "succeeded",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether the run will never work again.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Partial | Self::Failed | Self::Cancelled)
    }
}

/// How a run ends, given how its streams ended: green only when every stream is complete.
pub fn outcome(streams: impl IntoIterator<Item = stream::State>) -> State {
    let (mut complete, mut other) = (0, 0);
    for state in streams {
        if state == stream::State::Complete { complete += 1 } else { other += 1 }
    }
    match (complete, other) {
        (0, _) => State::Failed,
        (_, 0) => State::Succeeded,
        _ => State::Partial,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_green_only_when_every_stream_is_complete() {
        use stream::State::{Complete, Suspect, Unavailable};
        assert_eq!(outcome([Complete, Complete, Complete]), State::Succeeded);
        assert_eq!(outcome([Complete, Unavailable, Complete]), State::Partial);
        assert_eq!(outcome([Complete, Suspect]), State::Partial);
        assert_eq!(outcome([Unavailable, Suspect]), State::Failed);
        assert_eq!(outcome([]), State::Failed);
    }
}
