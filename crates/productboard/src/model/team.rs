//! Teams and who is in them.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use super::text::{LINE, NAME, optional, required};
use crate::Text;

/// A team.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Wire")]
pub struct Team {
    /// The team's id.
    pub id: Uuid,
    /// The name.
    pub name: String,
    /// The handle, for mentions.
    pub handle: Option<String>,
    /// What the team is about.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Option<DateTime<Utc>>,
    /// When it last changed.
    pub updated_at: Option<DateTime<Utc>>,
}

/// A member of a team. The rest is in [`Member`](crate::Member).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "WireMember")]
pub struct TeamMember {
    /// The member's id.
    pub id: Uuid,
    /// The full name.
    pub name: Text,
    /// The mail address.
    pub email: Text,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    id: Uuid,
    fields: Fields,
    created_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct Fields {
    #[serde(deserialize_with = "required::<_, NAME>")]
    name: String,
    #[serde(default, deserialize_with = "optional::<_, NAME>")]
    handle: Option<String>,
    #[serde(default, deserialize_with = "optional::<_, LINE>")]
    description: Option<String>,
}

impl From<Wire> for Team {
    fn from(Wire { id, fields, created_at, updated_at }: Wire) -> Self {
        let Fields { name, handle, description } = fields;
        Self { id, name, handle, description, created_at, updated_at }
    }
}

#[derive(Deserialize)]
struct WireMember {
    id: Uuid,
    #[serde(default)]
    fields: PersonalFields,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PersonalFields {
    name: Text,
    email: Text,
}

impl From<WireMember> for TeamMember {
    fn from(WireMember { id, fields }: WireMember) -> Self {
        Self { id, name: fields.name, email: fields.email }
    }
}
