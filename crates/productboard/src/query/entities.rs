//! Which entities to ask for. What a type can be filtered by, its configuration tells.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{FieldSelection, MemberIs, Named, Pair, Period, SourceIs, each, filled, put, put_all, some};
use crate::{EntityType, RelationshipKind};

/// Which entities to list: all filters must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntitiesQuery {
    /// Any of these types; all when empty.
    pub types: Vec<EntityType>,
    /// The exact name.
    pub name: Option<String>,
    /// The owner.
    pub owner: Option<MemberIs>,
    /// The status.
    pub status: Option<Named>,
    /// A team.
    pub team: Option<Named>,
    /// Only archived ones, or only others.
    pub archived: Option<bool>,
    /// The parent.
    pub parent: Option<Uuid>,
    /// Where it came from.
    pub source: SourceIs,
    /// The fields that the answer holds.
    pub fields: FieldSelection,
}

impl EntitiesQuery {
    /// All entities of one type.
    pub fn of(kind: EntityType) -> Self {
        Self { types: vec![kind], ..Self::default() }
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = Pair> {
        each("type[]", &self.types)
            .chain(some("name", self.name.as_ref()))
            .chain(self.owner.iter().map(|owner| owner.pair("owner[id]", "owner[email]")))
            .chain(self.status.iter().map(|status| status.pair("status[id]", "status[name]")))
            .chain(self.team.iter().map(|team| team.pair("teams[id]", "teams[name]")))
            .chain(some("archived", self.archived))
            .chain(some("parent[id]", self.parent))
            .chain(self.source.pairs())
            .chain(self.fields.pairs())
    }
}

/// Which entities to search for: all filters must hold, any value of a filter will do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EntitySearch {
    /// Types. Filters on custom fields need one.
    pub types: Vec<EntityType>,
    /// Ids.
    pub ids: Vec<Uuid>,
    /// When it was made.
    pub created: Period,
    /// When it last changed.
    pub updated: Period,
    /// The exact name.
    pub name: Option<String>,
    /// Only archived ones, or only others.
    pub archived: Option<bool>,
    /// Owners.
    pub owners: Vec<MemberIs>,
    /// Statuses.
    pub statuses: Vec<Named>,
    /// Teams.
    pub teams: Vec<Named>,
    /// Custom fields, by id.
    pub custom: BTreeMap<String, CustomFilter>,
    /// Parents.
    pub parents: Vec<Uuid>,
    /// Where it came from.
    pub source: SourceIs,
    /// The fields that the answer holds.
    pub fields: FieldSelection,
}

/// A condition on a custom field.
#[derive(Debug, Clone, PartialEq)]
pub enum CustomFilter {
    /// A text that contains this.
    Contains(String),
    /// This number, or this date as `YYYY-MM-DD`.
    Equals(Value),
    /// This value of a single select.
    Is(Named),
    /// Any of these values of a multi select.
    AnyOf(Vec<Named>),
    /// All of these values of a multi select.
    AllOf(Vec<Named>),
    /// Any value, or none.
    IsSet(bool),
}

impl CustomFilter {
    fn json(&self) -> Value {
        let all = |values: &[Named]| values.iter().map(Named::json).collect::<Vec<_>>();
        match self {
            Self::Contains(text) => json!({ "contains": text }),
            Self::Equals(value) => json!({ "eq": value }),
            Self::Is(value) => value.json(),
            Self::AnyOf(values) => json!({ "any": all(values) }),
            Self::AllOf(values) => json!({ "all": all(values) }),
            Self::IsSet(set) => json!({ "isSet": set }),
        }
    }
}

impl EntitySearch {
    pub(crate) fn body(&self) -> Value {
        let parents: Vec<_> = self.parents.iter().map(|id| json!({ "id": id })).collect();
        let (mut filter, mut relationships, mut data) = (Map::new(), Map::new(), Map::new());
        put_all(&mut filter, "type", &self.types);
        put_all(&mut filter, "id", &self.ids);
        put(&mut filter, "createdAt", self.created.json());
        put(&mut filter, "updatedAt", self.updated.json());
        put(&mut filter, "fields", self.field_filters());
        put_all(&mut relationships, "parent", &parents);
        put(&mut filter, "relationships", filled(relationships));
        put(&mut filter, "metadata", self.source.json());
        put(&mut data, "filter", filled(filter));
        put(&mut data, "return", self.fields.json().map(|fields| json!({ "fields": fields })));
        json!({ "data": data })
    }

    fn field_filters(&self) -> Option<Value> {
        let all = |values: &[Named]| values.iter().map(Named::json).collect::<Vec<_>>();
        let owners: Vec<_> = self.owners.iter().map(MemberIs::json).collect();
        let mut fields: Map<_, _> =
            self.custom.iter().map(|(id, filter)| (id.clone(), filter.json())).collect();
        put(&mut fields, "name", self.name.as_ref());
        put(&mut fields, "archived", self.archived);
        put_all(&mut fields, "owner", &owners);
        put_all(&mut fields, "status", &all(&self.statuses));
        put_all(&mut fields, "teams", &all(&self.teams));
        filled(fields)
    }
}

/// Which relationships of an entity to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntityRelationshipsQuery {
    /// The kind; the vendor takes [`RelationshipKind::Link`] when there is none.
    pub kind: Option<RelationshipKind>,
    /// The type of the other entity.
    pub target_type: Option<EntityType>,
    /// The other entity.
    pub target: Option<Uuid>,
}

impl EntityRelationshipsQuery {
    /// All relationships of one kind.
    pub fn of(kind: RelationshipKind) -> Self {
        Self { kind: Some(kind), ..Self::default() }
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = Pair> {
        some("type", self.kind.as_ref())
            .chain(some("target[type]", self.target_type.as_ref()))
            .chain(some("target[id]", self.target))
    }
}
