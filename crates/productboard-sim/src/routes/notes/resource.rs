//! A note as it is answered.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::gate::Call;
use crate::json::{Link, Micros, SelfLink};
use crate::page::PageRequest;
use crate::routes::entities::{Inline, MemberValue, Metadata};
use crate::routes::selection::Selection;
use crate::{EntityKind, Note, NoteKind, Target};

/// All fields of every type.
pub(super) const FIELDS: [&str; 8] =
    ["name", "content", "tags", "owner", "creator", "processed", "archived", "source"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Resource<'a> {
    id: Uuid,
    #[serde(rename = "type")]
    kind: NoteKind,
    links: Links<'a>,
    fields: Fields<'a>,
    relationships: Inline<Related<'a>>,
    metadata: Metadata<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Micros>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<Micros>,
}

#[derive(Serialize)]
struct Links<'a> {
    #[serde(rename = "self")]
    link: Link<'a>,
    html: String,
}

impl<'a> Resource<'a> {
    pub(super) fn of(call: &'a Call, note: &'a Note, selection: &'a Selection) -> Self {
        let Call { origin, workspace, faults, .. } = call;
        let all = || PageRequest::first(format!("/v2/notes/{}/relationships", note.id), Vec::new());
        let html = format!("https://{}.productboard.com/inbox/notes/{}", workspace.domain, note.id);
        let outside = !faults.nested_timestamps;
        Self {
            id: note.id,
            kind: note.kind,
            links: Links { link: Link { origin, path: "/v2/notes/", id: note.id }, html },
            fields: Fields { call, note, selection },
            relationships: Inline::of(call, &related(note), |it| Related::of(call, *it), all),
            metadata: Metadata { source: note.source.as_ref() },
            created_at: outside.then_some(Micros(note.created_at)),
            updated_at: outside.then_some(Micros(note.updated_at)),
        }
    }
}

struct Fields<'a> {
    call: &'a Call,
    note: &'a Note,
    selection: &'a Selection,
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { call, note, selection } = self;
        let tags: Vec<Tag<'_>> = Tag::of(call, note).collect();
        let (owner, creator) = (MemberValue::of(call, note.owner), MemberValue::of(call, note.creator));
        let mut map = serializer.serialize_map(None)?;
        for id in FIELDS.into_iter().filter(|id| selection.takes(id, is_empty(note, id))) {
            match id {
                "name" => map.serialize_entry(id, &note.name)?,
                "content" if call.faults.note_bytes > 0 => {
                    map.serialize_entry(id, &"x".repeat(call.faults.note_bytes))?;
                }
                "content" => map.serialize_entry(id, &note.content)?,
                "tags" => map.serialize_entry(id, &tags)?,
                "owner" => map.serialize_entry(id, &owner)?,
                "creator" => map.serialize_entry(id, &creator)?,
                "processed" => map.serialize_entry(id, &note.processed)?,
                "archived" => map.serialize_entry(id, &note.archived)?,
                _ => map.serialize_entry(id, &note.origin)?,
            }
        }
        if call.faults.nested_timestamps {
            map.serialize_entry("createdAt", &Micros(note.created_at))?;
            map.serialize_entry("updatedAt", &Micros(note.updated_at))?;
        }
        map.end()
    }
}

fn is_empty(note: &Note, field: &str) -> bool {
    match field {
        "name" => note.name.is_empty(),
        "tags" => note.tags.is_empty(),
        "owner" => note.owner.is_none(),
        "creator" => note.creator.is_none(),
        "source" => note.origin.is_none(),
        _ => false,
    }
}

#[derive(Serialize)]
struct Tag<'a> {
    id: Uuid,
    name: &'a str,
}

impl<'a> Tag<'a> {
    fn of(call: &'a Call, note: &'a Note) -> impl Iterator<Item = Self> {
        let tags = note.tags.iter().filter_map(|id| call.workspace.tags.iter().find(|tag| tag.id == *id));
        tags.map(|tag| Self { id: tag.id, name: &tag.name })
    }
}

/// One relationship.
#[derive(Serialize)]
pub(super) struct Related<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    target: Reference<'a>,
}

#[derive(Serialize)]
struct Reference<'a> {
    id: Uuid,
    #[serde(rename = "type")]
    kind: EntityKind,
    links: SelfLink<'a>,
}

impl<'a> Related<'a> {
    pub(super) fn of(call: &'a Call, (kind, target): (&'static str, Target)) -> Self {
        let link = Link { origin: &call.origin, path: "/v2/entities/", id: target.id };
        Self { kind, target: Reference { id: target.id, kind: target.kind, links: SelfLink { link } } }
    }
}

/// The customer first, then the links.
pub(super) fn related(note: &Note) -> Vec<(&'static str, Target)> {
    let links = note.links.iter().map(|link| ("link", *link));
    note.customer.map(|customer| ("customer", customer)).into_iter().chain(links).collect()
}
