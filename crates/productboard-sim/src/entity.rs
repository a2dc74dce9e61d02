//! Entities: what a product team plans, and the companies and users it plans for.
//!
//! Relationships stand on both of their ends, so that an entity can be shown without looking at any other.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::value::{CustomValue, Granularity, HealthStatus, HealthUpdate, Progress, Timeframe};

mod value;

/// The type of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EntityKind {
    /// The root of the hierarchy.
    Product,
    /// A part of a product, or of another component.
    Component,
    /// Something to build.
    Feature,
    /// A part of a feature.
    Subfeature,
    /// Work towards objectives, over several features.
    Initiative,
    /// What should be reached.
    Objective,
    /// How one sees that an objective is reached.
    KeyResult,
    /// What ships together.
    Release,
    /// Releases of one kind.
    ReleaseGroup,
    /// A customer.
    Company,
    /// A person at a customer.
    User,
}

impl EntityKind {
    /// All types, in the order of the vendor's schema.
    pub const ALL: [Self; 11] = [
        Self::Product,
        Self::Component,
        Self::Feature,
        Self::Subfeature,
        Self::Initiative,
        Self::Objective,
        Self::KeyResult,
        Self::Release,
        Self::ReleaseGroup,
        Self::Company,
        Self::User,
    ];

    /// The vendor's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Component => "component",
            Self::Feature => "feature",
            Self::Subfeature => "subfeature",
            Self::Initiative => "initiative",
            Self::Objective => "objective",
            Self::KeyResult => "keyResult",
            Self::Release => "release",
            Self::ReleaseGroup => "releaseGroup",
            Self::Company => "company",
            Self::User => "user",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// How one entity stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RelationshipKind {
    /// The target is above.
    Parent,
    /// The target is below.
    Child,
    /// Neither is above the other.
    Link,
    /// The target must be done first.
    IsBlockedBy,
    /// The target waits.
    IsBlocking,
}

impl RelationshipKind {
    /// All kinds, in the order of the vendor's schema.
    pub const ALL: [Self; 5] = [Self::Parent, Self::Child, Self::Link, Self::IsBlockedBy, Self::IsBlocking];

    /// The vendor's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parent => "parent",
            Self::Child => "child",
            Self::Link => "link",
            Self::IsBlockedBy => "isBlockedBy",
            Self::IsBlocking => "isBlocking",
        }
    }

    /// The same relationship seen from its target.
    pub(crate) fn seen_from_target(self) -> Self {
        match self {
            Self::Parent => Self::Child,
            Self::Child => Self::Parent,
            Self::Link => Self::Link,
            Self::IsBlockedBy => Self::IsBlocking,
            Self::IsBlocking => Self::IsBlockedBy,
        }
    }
}

/// One relationship of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relationship {
    /// How the entity stands to the target.
    pub kind: RelationshipKind,
    /// The other entity.
    pub target: Uuid,
    /// The other entity's type.
    pub target_kind: EntityKind,
}

/// Where an entity or a note came from, as an integration wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The other system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The id over there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_id: Option<String>,
    /// A page over there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// An entity. Which of the fields its type has is said by the configuration; the others stay empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// The vendor's id.
    pub id: Uuid,
    /// The type.
    pub kind: EntityKind,
    /// Title.
    pub name: String,
    /// HTML.
    pub description: Option<String>,
    /// The member who answers for it.
    pub owner: Option<Uuid>,
    /// Put away.
    pub archived: bool,
    /// One of [`Workspace::statuses`](crate::Workspace::statuses).
    pub status: Option<Uuid>,
    /// Teams that work on it.
    pub teams: Vec<Uuid>,
    /// When it is planned for.
    pub timeframe: Option<Timeframe>,
    /// How it goes.
    pub health: Option<HealthUpdate>,
    /// How far it is, for key results.
    pub progress: Option<Progress>,
    /// Per cent done, for features and subfeatures.
    pub work_progress: Option<u8>,
    /// Estimated work.
    pub effort: Option<i64>,
    /// Some of [`Workspace::tags`](crate::Workspace::tags).
    pub tags: Vec<Uuid>,
    /// A company's web domain.
    pub domain: Option<String>,
    /// A user's mail address.
    pub email: Option<String>,
    /// Values of [`Workspace::custom_fields`](crate::Workspace::custom_fields), by field id.
    pub custom: BTreeMap<Uuid, CustomValue>,
    /// All relationships, in the order in which they were made.
    pub relationships: Vec<Relationship>,
    /// Where it came from.
    pub source: Option<Source>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl Entity {
    /// The entity above.
    pub fn parent(&self) -> Option<Uuid> {
        let parent = |it: &&Relationship| it.kind == RelationshipKind::Parent;
        self.relationships.iter().find(parent).map(|it| it.target)
    }
}
