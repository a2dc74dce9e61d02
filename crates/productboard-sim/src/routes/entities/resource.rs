//! An entity as it is answered.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::value::Value;
use crate::field::Field;
use crate::gate::Call;
use crate::json::{self, Link, Micros};
use crate::page::PageRequest;
use crate::routes::selection::Selection;
use crate::{Entity, EntityKind, NextLink, Relationship, RelationshipKind, Source};

/// More relationships than this are left to the list of their own.
pub(in crate::routes) const INLINE: usize = 20;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Resource<'a> {
    #[serde(flatten)]
    reference: Reference<'a>,
    fields: Fields<'a>,
    relationships: Inline<Related<'a>>,
    metadata: Metadata<'a>,
    created_at: Micros,
    updated_at: Micros,
}

impl<'a> Resource<'a> {
    pub(super) fn of(call: &'a Call, entity: &'a Entity, selection: &'a Selection) -> Self {
        let all = || {
            let types = RelationshipKind::ALL.map(|kind| ("type".to_owned(), kind.as_str().to_owned()));
            PageRequest::first(format!("/v2/entities/{}/relationships", entity.id), types.to_vec())
        };
        Self {
            reference: Reference::of(call, entity.id, entity.kind),
            fields: Fields { call, entity, selection },
            relationships: Inline::of(call, &entity.relationships, |it| Related::of(call, it), all),
            metadata: Metadata { source: entity.source.as_ref() },
            created_at: Micros(entity.created_at),
            updated_at: Micros(entity.updated_at),
        }
    }
}

/// Where a thing came from, if anybody said.
#[derive(Serialize)]
pub(in crate::routes) struct Metadata<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::routes) source: Option<&'a Source>,
}

struct Fields<'a> {
    call: &'a Call,
    entity: &'a Entity,
    selection: &'a Selection,
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { call, entity, selection } = self;
        let mut map = serializer.serialize_map(None)?;
        for field in Field::of(entity.kind, &call.workspace.custom_fields) {
            let (id, value) = (field.id(), Value::of(call, entity, field));
            if selection.takes(&id, value.is_empty()) {
                map.serialize_entry(&id, &value)?;
            }
        }
        map.end()
    }
}

/// The first relationships, and where the rest is.
#[derive(Serialize)]
#[serde(untagged)]
pub(in crate::routes) enum Inline<T> {
    Page {
        data: Vec<T>,
        links: Next,
    },
    /// As some of the vendor's answers have it, without a way to the rest.
    Array(Vec<T>),
}

#[derive(Serialize)]
pub(in crate::routes) struct Next {
    next: Option<String>,
}

impl<T> Inline<T> {
    pub(in crate::routes) fn of<R>(
        call: &Call,
        relationships: &[R],
        shown: impl Fn(&R) -> T,
        all: impl FnOnce() -> PageRequest,
    ) -> Self {
        let data = relationships.iter().take(INLINE).map(shown).collect();
        if call.faults.relationships_as_array {
            return Self::Array(data);
        }
        let more = relationships.len() > INLINE;
        Self::Page {
            data,
            links: Next { next: more.then(|| all().link(call, INLINE, NextLink::WithoutDates)) },
        }
    }
}

/// One relationship.
#[derive(Serialize)]
pub(super) struct Related<'a> {
    #[serde(rename = "type")]
    kind: RelationshipKind,
    target: Reference<'a>,
}

impl<'a> Related<'a> {
    pub(super) fn of(call: &'a Call, relationship: &Relationship) -> Self {
        let Relationship { kind, target, target_kind } = *relationship;
        Self { kind, target: Reference::of(call, target, target_kind) }
    }
}

#[derive(Serialize)]
struct Reference<'a> {
    id: Uuid,
    #[serde(rename = "type")]
    kind: EntityKind,
    links: Links<'a>,
}

#[derive(Serialize)]
struct Links<'a> {
    #[serde(rename = "self")]
    link: Link<'a>,
    html: Option<Html<'a>>,
}

impl<'a> Reference<'a> {
    fn of(call: &'a Call, id: Uuid, kind: EntityKind) -> Self {
        // The app has no page for a user.
        let html = (kind != EntityKind::User).then(|| Html { domain: &call.workspace.domain, kind, id });
        Self {
            id,
            kind,
            links: Links { link: Link { origin: &call.origin, path: "/v2/entities/", id }, html },
        }
    }
}

/// The page of an entity in the app.
struct Html<'a> {
    domain: &'a str,
    kind: EntityKind,
    id: Uuid,
}

impl Serialize for Html<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { domain, kind, id } = self;
        let mut buffer = [0; 36];
        let (kind, id) = (kind.as_str(), json::text(*id, &mut buffer));
        let page = ["https://", domain, ".productboard.com/entity-detail/", kind, "/", id];
        serializer.serialize_str(&page.concat())
    }
}
