//! From the vendor's documents to rows: ids, types, states, owners and times; and the document where it is kept.

use tidemark_domain::stream::Capture;
use tidemark_productboard::{Document, Entity, EntityType, Error, FieldSelection, Note, Schema};
use tidemark_store::Resource;
use uuid::Uuid;

/// A row as it came.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) resource: Resource,
    /// Fields that are not known.
    pub(super) unknown: Vec<String>,
}

pub(super) fn entity(
    document: &Document<Entity>,
    parent_id: Option<Uuid>,
    capture: Capture,
) -> Result<Received, Error> {
    let Entity { id, kind, fields, created_at, updated_at, .. } = &document.row;
    let resource = Resource {
        id: *id,
        kind: kind.as_str().to_owned(),
        status: fields.status()?.and_then(|status| status.name.known().map(str::to_owned)),
        archived: fields.archived()?,
        processed: None,
        owner_id: fields.owner()?.map(|owner| owner.id),
        creator_id: None,
        parent_id,
        created_at: *created_at,
        updated_at: *updated_at,
        deleted_at: None,
        document: kept(document, capture),
    };
    Ok(Received { resource, unknown: document.unknown().collect() })
}

pub(super) fn note(document: &Document<Note>, capture: Capture) -> Result<Received, Error> {
    let Note { id, kind, fields, created_at, updated_at, .. } = &document.row;
    let resource = Resource {
        id: *id,
        kind: kind.as_str().to_owned(),
        status: None,
        archived: fields.archived()?,
        processed: fields.processed()?,
        owner_id: fields.owner()?.map(|owner| owner.id),
        creator_id: fields.creator()?.map(|creator| creator.id),
        parent_id: None,
        created_at: *created_at,
        updated_at: *updated_at,
        deleted_at: None,
        document: kept(document, capture),
    };
    Ok(Received { resource, unknown: document.unknown().collect() })
}

/// What is asked for: what people wrote is not, where it is not kept.
pub(super) fn note_fields(capture: Capture) -> FieldSelection {
    selection(capture, &["archived", "processed", "owner", "creator"])
}

/// The same of entities of one type, or of any. A type may lack one of them.
pub(super) fn entity_fields(capture: Capture, kind: Option<&EntityType>) -> FieldSelection {
    use EntityType::{Company, Component, Product, ReleaseGroup, User};
    let has_no_status = matches!(kind, Some(Product | Component | ReleaseGroup | Company | User));
    selection(capture, if has_no_status { &["archived", "owner"] } else { &["archived", "owner", "status"] })
}

fn selection(capture: Capture, names: &[&str]) -> FieldSelection {
    match capture {
        Capture::Full => FieldSelection::Filled,
        Capture::Metadata => FieldSelection::Only(names.iter().map(|name| (*name).to_owned()).collect()),
    }
}

fn kept<T: Schema>(document: &Document<T>, capture: Capture) -> Option<String> {
    let text = || serde_json::to_string(&document.json).expect("JSON has string keys only");
    (capture == Capture::Full).then(text)
}
