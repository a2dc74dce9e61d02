//! What an entity or a note is related to beyond the relationships that came along with it.

use std::collections::HashSet;

use serde_json::{Map, Value, json};
use tidemark_domain::stream::Capture;
use tidemark_productboard::{
    Client, Document, Entity, EntityRelationshipsQuery, Error, Note, NoteRelationshipsQuery, Relationship,
    RelationshipKind, Relationships,
};
use uuid::Uuid;

use super::super::collect;

/// As many come along. A bare list does not say whether there are more.
const INLINE: usize = 20;
/// The vendor lists those of an entity one kind at a time.
const OF_ENTITIES: [RelationshipKind; 5] = [
    RelationshipKind::Parent,
    RelationshipKind::Child,
    RelationshipKind::Link,
    RelationshipKind::IsBlockedBy,
    RelationshipKind::IsBlocking,
];

fn may_have_more(relationships: &Relationships) -> bool {
    relationships.next.is_some() || relationships.items.len() >= INLINE
}

/// The entity above; asked for where it may be behind what came along and nobody has asked for all of them.
pub(super) async fn parent(
    client: &Client,
    entity: &Entity,
    capture: Capture,
) -> Result<Option<Uuid>, Error> {
    let relationships = &entity.relationships;
    if let Some(parent) = relationships.parent() {
        return Ok(parent.id);
    }
    if capture == Capture::Full || !may_have_more(relationships) {
        return Ok(None);
    }
    let query = EntityRelationshipsQuery::of(RelationshipKind::Parent);
    let found = unless_gone(collect(client.entity_relationships(entity.id, &query, None)).await)?;
    Ok(found.into_iter().flat_map(|it| it.rows).find_map(|it| it.target.id))
}

/// Puts all relationships of an entity into its document.
pub(super) async fn complete_entity(client: &Client, document: &mut Document<Entity>) -> Result<(), Error> {
    if !may_have_more(&document.row.relationships) {
        return Ok(());
    }
    let mut all = Vec::new();
    for kind in OF_ENTITIES {
        let query = EntityRelationshipsQuery::of(kind);
        let listed = collect(client.entity_relationship_documents(document.row.id, &query, None)).await;
        let Some(listed) = unless_gone(listed)? else { return Ok(()) };
        all.extend(listed.rows);
    }
    put(&mut document.json, &mut document.row.relationships, all);
    Ok(())
}

/// Puts all relationships of a note into its document.
pub(super) async fn complete_note(client: &Client, document: &mut Document<Note>) -> Result<(), Error> {
    if !may_have_more(&document.row.relationships) {
        return Ok(());
    }
    let query = NoteRelationshipsQuery::default();
    let listed = collect(client.note_relationship_documents(document.row.id, &query, None)).await;
    if let Some(listed) = unless_gone(listed)? {
        put(&mut document.json, &mut document.row.relationships, listed.rows);
    }
    Ok(())
}

/// Nothing where the row went since the list that had it: the next run will see that.
fn unless_gone<T>(listed: Result<T, Error>) -> Result<Option<T>, Error> {
    match listed {
        Err(Error::Invalid { status: 404, .. }) => Ok(None),
        listed => listed.map(Some),
    }
}

/// What came along stays where it was not listed again: it may be of a kind that nobody knows yet.
fn put(
    json: &mut Map<String, Value>,
    relationships: &mut Relationships,
    listed: Vec<Document<Relationship>>,
) {
    let key = |it: &Relationship| (it.kind.clone(), it.target.id);
    let known: HashSet<_> = listed.iter().map(|it| key(&it.row)).collect();
    let inline = match json.remove("relationships") {
        Some(Value::Array(items)) => items,
        Some(Value::Object(mut page)) => match page.remove("data") {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    let came = std::mem::take(&mut relationships.items).into_iter().zip(inline);
    let others = came.filter(|(row, _)| !known.contains(&key(row)));
    let (mut rows, mut all): (Vec<_>, Vec<_>) = others.unzip();
    for document in listed {
        rows.push(document.row);
        all.push(Value::Object(document.json));
    }
    *relationships = Relationships { items: rows, next: None };
    json.insert("relationships".to_owned(), json!({ "data": all, "links": { "next": null } }));
}
