//! Which fields the entities of a type have: the vendor's own, and those that the workspace defined.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::EntityKind::{self, Feature, Initiative, KeyResult, Objective, Release, Subfeature};

/// A status that entities of some types can be in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The vendor's id.
    pub id: Uuid,
    /// Shown name.
    pub name: String,
    /// The types that can have it.
    pub kinds: Vec<EntityKind>,
}

/// An option of a select field, or a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelectOption {
    /// The vendor's id.
    pub id: Uuid,
    /// Shown name.
    pub name: String,
    /// One of the vendor's eight colours.
    pub color: String,
}

/// What a custom field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomKind {
    /// Up to 255 characters.
    Text,
    /// A number.
    Number,
    /// A day.
    Date,
    /// One option.
    SingleSelect,
    /// Some options.
    MultiSelect,
}

/// A field that the workspace defined itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomField {
    /// The vendor's id; the key in `fields`.
    pub id: Uuid,
    /// Shown name.
    pub name: String,
    /// What it holds.
    pub kind: CustomKind,
    /// The types that have it.
    pub kinds: Vec<EntityKind>,
    /// What can be chosen, for select fields.
    pub options: Vec<SelectOption>,
}

/// One field of a type.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Field<'a> {
    Name,
    Description,
    Owner,
    Archived,
    Status,
    Teams,
    Timeframe,
    Health,
    Progress,
    WorkProgress,
    Effort,
    Tags,
    Domain,
    Email,
    Custom(&'a CustomField),
}

const EVERY_TYPE: [Field<'_>; 4] = [Field::Name, Field::Description, Field::Owner, Field::Archived];
const PLANNED: [Field<'_>; 10] = [
    Field::Status,
    Field::Teams,
    Field::Timeframe,
    Field::Health,
    Field::Progress,
    Field::WorkProgress,
    Field::Effort,
    Field::Tags,
    Field::Domain,
    Field::Email,
];

impl<'a> Field<'a> {
    /// The fields of a type, in the order in which they are answered.
    pub(crate) fn of(kind: EntityKind, custom: &'a [CustomField]) -> impl Iterator<Item = Self> {
        let custom = custom.iter().filter(move |field| field.kinds.contains(&kind)).map(Self::Custom);
        let planned = PLANNED.into_iter().filter(move |field| field.belongs_to(kind));
        EVERY_TYPE.into_iter().chain(planned).chain(custom)
    }

    fn belongs_to(self, kind: EntityKind) -> bool {
        match self {
            Self::Status => {
                matches!(kind, Feature | Subfeature | Initiative | Objective | KeyResult | Release)
            }
            Self::Teams | Self::Health => {
                matches!(kind, Feature | Subfeature | Initiative | Objective | KeyResult)
            }
            Self::Timeframe => {
                matches!(kind, Feature | Subfeature | Initiative | Objective | KeyResult | Release)
            }
            Self::Progress => kind == KeyResult,
            Self::WorkProgress | Self::Effort => matches!(kind, Feature | Subfeature),
            Self::Tags => matches!(kind, Feature | Subfeature | Initiative),
            Self::Domain => kind == EntityKind::Company,
            Self::Email => kind == EntityKind::User,
            Self::Name | Self::Description | Self::Owner | Self::Archived => true,
            Self::Custom(field) => field.kinds.contains(&kind),
        }
    }

    /// The key in `fields`.
    pub(crate) fn id(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Name => "name",
            Self::Description => "description",
            Self::Owner => "owner",
            Self::Archived => "archived",
            Self::Status => "status",
            Self::Teams => "teams",
            Self::Timeframe => "timeframe",
            Self::Health => "health",
            Self::Progress => "progress",
            Self::WorkProgress => "workProgress",
            Self::Effort => "effort",
            Self::Tags => "tags",
            Self::Domain => "domain",
            Self::Email => "email",
            Self::Custom(field) => return Cow::Owned(field.id.to_string()),
        })
    }
}
