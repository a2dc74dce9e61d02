//! What entities and notes have in common on the wire.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use super::text::{LINE, NAME, optional};
use crate::{Fields, Relationships};

/// Where something came from before it came to the vendor.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The system's name.
    #[serde(default, deserialize_with = "optional::<_, NAME>")]
    pub system: Option<String>,
    /// The record's id in that system.
    #[serde(default, deserialize_with = "optional::<_, NAME>")]
    pub record_id: Option<String>,
    /// The record's page in that system.
    #[serde(default, deserialize_with = "optional::<_, LINE>")]
    pub url: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Metadata {
    source: Option<Source>,
}

impl Metadata {
    /// A source that says nothing is none.
    pub(super) fn source(self) -> Option<Source> {
        self.source
            .filter(|source| source.system.is_some() || source.record_id.is_some() || source.url.is_some())
    }
}

#[derive(Deserialize)]
pub(super) struct Html {
    #[serde(default, deserialize_with = "optional::<_, LINE>")]
    pub(super) html: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wire<T> {
    pub(super) id: Uuid,
    #[serde(rename = "type")]
    pub(super) kind: T,
    #[serde(default)]
    pub(super) fields: Option<Fields>,
    #[serde(default)]
    pub(super) relationships: Relationships,
    pub(super) metadata: Option<Metadata>,
    pub(super) created_at: Option<DateTime<Utc>>,
    pub(super) updated_at: Option<DateTime<Utc>>,
    pub(super) links: Option<Html>,
}
