//! Which notes to ask for.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{FieldSelection, MemberIs, Pair, Period, SourceIs, each, filled, put, put_all, some};
use crate::{EntityType, NoteType, RelationshipKind};

/// Which notes to list: all filters must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotesQuery {
    /// Any of these types; all when empty.
    pub types: Vec<NoteType>,
    /// Only archived ones, or only others.
    pub archived: Option<bool>,
    /// Only processed ones, or only others. An archived note is never processed.
    pub processed: Option<bool>,
    /// The owner.
    pub owner: Option<MemberIs>,
    /// Who made it.
    pub creator: Option<MemberIs>,
    /// Where it came from.
    pub source: SourceIs,
    /// When it was made.
    pub created: Period,
    /// When it last changed.
    pub updated: Period,
    /// The fields that the answer holds.
    pub fields: FieldSelection,
}

impl NotesQuery {
    pub(crate) fn pairs(&self) -> impl Iterator<Item = Pair> {
        each("type[]", &self.types)
            .chain(some("archived", self.archived))
            .chain(some("processed", self.processed))
            .chain(self.owner.iter().map(|owner| owner.pair("owner[id]", "owner[email]")))
            .chain(self.creator.iter().map(|creator| creator.pair("creator[id]", "creator[email]")))
            .chain(self.source.pairs())
            .chain(self.created.pairs("createdFrom", "createdTo"))
            .chain(self.updated.pairs("updatedFrom", "updatedTo"))
            .chain(self.fields.pairs_of_notes())
    }
}

/// Which notes to search for: all filters must hold, any value of a filter will do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoteSearch {
    /// Words in the note, at most 255 characters.
    pub query: Option<String>,
    /// Types.
    pub types: Vec<NoteType>,
    /// At most 100 ids.
    pub ids: Vec<Uuid>,
    /// When it was made.
    pub created: Period,
    /// When it last changed.
    pub updated: Period,
    /// Owners.
    pub owners: Vec<MemberIs>,
    /// Who made it.
    pub creators: Vec<MemberIs>,
    /// Tags, by name.
    pub tags: Vec<String>,
    /// Only archived ones, or only others.
    pub archived: Option<bool>,
    /// Only processed ones, or only others.
    pub processed: Option<bool>,
    /// Where it came from.
    pub source: SourceIs,
    /// Users or companies it came from.
    pub customers: Vec<Uuid>,
    /// Entities it is linked to.
    pub links: Vec<Uuid>,
    /// The fields that the answer holds.
    pub fields: Vec<String>,
}

impl NoteSearch {
    pub(crate) fn body(&self) -> Value {
        let (mut filter, mut data) = (Map::new(), Map::new());
        put_all(&mut filter, "type", &self.types);
        put_all(&mut filter, "id", &self.ids);
        put(&mut filter, "createdAt", self.created.json());
        put(&mut filter, "updatedAt", self.updated.json());
        put(&mut filter, "fields", self.field_filters());
        put(&mut filter, "metadata", self.source.json());
        put(&mut filter, "relationships", self.relationship_filters());
        put(&mut data, "search", self.query.as_ref().map(|query| json!({ "query": query })));
        put(&mut data, "filter", filled(filter));
        put(&mut data, "return", (!self.fields.is_empty()).then(|| json!({ "fields": self.fields })));
        json!({ "data": data })
    }

    fn field_filters(&self) -> Option<Value> {
        let members = |members: &[MemberIs]| members.iter().map(MemberIs::json).collect::<Vec<_>>();
        let tags: Vec<_> = self.tags.iter().map(|name| json!({ "name": name })).collect();
        let mut fields = Map::new();
        put_all(&mut fields, "owner", &members(&self.owners));
        put_all(&mut fields, "creator", &members(&self.creators));
        put_all(&mut fields, "tag", &tags);
        put(&mut fields, "archived", self.archived);
        put(&mut fields, "processed", self.processed);
        filled(fields)
    }

    fn relationship_filters(&self) -> Option<Value> {
        let all = |ids: &[Uuid]| ids.iter().map(|id| json!({ "id": id })).collect::<Vec<_>>();
        let mut relationships = Map::new();
        put_all(&mut relationships, "customer", &all(&self.customers));
        put_all(&mut relationships, "link", &all(&self.links));
        filled(relationships)
    }
}

/// Which relationships of a note to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoteRelationshipsQuery {
    /// [`RelationshipKind::Customer`] or [`RelationshipKind::Link`]; both when there is none.
    pub kind: Option<RelationshipKind>,
    /// The type of the other side.
    pub target_type: Option<EntityType>,
    /// How many to a page; the vendor decides when there is none.
    pub limit: Option<u32>,
}

impl NoteRelationshipsQuery {
    pub(crate) fn pairs(&self) -> impl Iterator<Item = Pair> {
        some("type", self.kind.as_ref())
            .chain(some("target[type]", self.target_type.as_ref()))
            .chain(some("limit", self.limit))
    }
}
