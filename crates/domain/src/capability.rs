//! What a credential can read, found by asking the vendor and not by guessing.

use serde::{Deserialize, Serialize};

/// One thing a credential may or may not be able to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// The list of members, disabled and pending ones included.
    Members,
    /// Teams and who belongs to them.
    Teams,
    /// Daily member activity.
    Activity,
}

impl Capability {
    /// All capabilities, in the order they are shown.
    pub const ALL: [Self; 3] = [Self::Members, Self::Teams, Self::Activity];

    /// The name on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Members => "members",
            Self::Teams => "teams",
            Self::Activity => "activity",
        }
    }
}

/// Whether a capability is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// The vendor answered with data.
    Available,
    /// The credential lacks the permission or scope.
    Forbidden,
    /// The workspace's plan does not have it.
    NotInPlan,
    /// The vendor could not be asked just now.
    Unknown,
}

/// One line of the capability matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was asked for.
    pub capability: Capability,
    /// What the vendor said.
    pub availability: Availability,
}

impl Finding {
    /// What stays unknown without this capability; nothing where it is available.
    pub fn consequence(self) -> Option<&'static str> {
        if self.availability == Availability::Available {
            return None;
        }
        Some(match self.capability {
            Capability::Members => "without the member list no seat can be counted",
            Capability::Teams => "without teams no number can be cut by team",
            Capability::Activity => "without member activity it stays unknown which seats are used",
        })
    }
}
