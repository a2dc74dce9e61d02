//! Teams and who is in them.

use serde::Deserialize;
use uuid::Uuid;

/// A team.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Wire")]
pub struct Team {
    /// The team's id.
    pub id: Uuid,
    /// The name.
    pub name: String,
    /// The handle, for mentions.
    pub handle: String,
}

/// A member of a team. The names are in [`Member`](crate::Member).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TeamMember {
    /// The member's id.
    pub id: Uuid,
}

#[derive(Deserialize)]
struct Wire {
    id: Uuid,
    fields: Fields,
}

#[derive(Deserialize)]
struct Fields {
    name: String,
    handle: String,
}

impl From<Wire> for Team {
    fn from(Wire { id, fields: Fields { name, handle } }: Wire) -> Self {
        Self { id, name, handle }
    }
}
