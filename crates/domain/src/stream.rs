//! The streams of a workspace: what is fetched, in which order, and how each one stands.

use serde::{Deserialize, Serialize};

use crate::capability::Capability;

/// One kind of data that is fetched from a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// The roster with its history.
    Members,
    /// Teams and their membership.
    Teams,
    /// One row per member and day.
    MemberActivities,
}

impl Stream {
    /// All streams, in the order they are fetched.
    pub const ALL: [Self; 3] = [Self::Members, Self::Teams, Self::MemberActivities];

    /// The name on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Members => "members",
            Self::Teams => "teams",
            Self::MemberActivities => "member_activities",
        }
    }

    /// The stream of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.as_str() == text)
    }

    /// What a credential must be able to read for this stream.
    pub fn needs(self) -> Capability {
        match self {
            Self::Members => Capability::Members,
            Self::Teams => Capability::Teams,
            Self::MemberActivities => Capability::Activity,
        }
    }
}

/// How a stream of a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not begun.
    Pending,
    /// Some of it is in.
    Running,
    /// All of it is in.
    Complete,
    /// The credential may not read it, or the plan lacks it: its numbers stay unknown.
    Unavailable,
    /// The answer was not believable (empty, or far shorter than before) and was not applied.
    Suspect,
    /// It failed again and again while others went on: what is in stays, the rest is for the next run.
    Failed,
}

impl State {
    const ALL: [Self; 6] =
        [Self::Pending, Self::Running, Self::Complete, Self::Unavailable, Self::Suspect, Self::Failed];

    /// The name on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Unavailable => "unavailable",
            Self::Suspect => "suspect",
            Self::Failed => "failed",
        }
    }

    /// The state of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether this run has nothing more to do for the stream.
    pub fn is_settled(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}
