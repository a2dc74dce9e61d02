//! How a workspace has configured a type of entity or note: which fields, relationships and filters it has.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::text::{NAME, WORD, by_name, json, optional, required, words};
use crate::decode::or_default;
use crate::paging::{BadLink, Links};
use crate::{Cursor, EntityType, Text};

/// The configuration of one type of entity or note.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Configuration<T> {
    /// The type.
    #[serde(rename = "type")]
    pub kind: T,
    /// Its fields, by id. Parts of a field, such as `timeframe.startDate`, stand beside it.
    #[serde(default, deserialize_with = "by_name")]
    pub fields: BTreeMap<String, FieldConfiguration>,
    /// Its relationships, by kind.
    #[serde(default, deserialize_with = "by_name")]
    pub relationships: BTreeMap<String, RelationshipConfiguration>,
    /// What lists of it can be filtered by.
    #[serde(default, deserialize_with = "or_default")]
    pub filters: Vec<Filter>,
}

/// One field of a type.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct FieldConfiguration {
    /// Its id: a word for the vendor's own fields, a UUID for custom ones.
    #[serde(deserialize_with = "required::<_, NAME>")]
    pub id: String,
    /// Its name.
    #[serde(deserialize_with = "required::<_, NAME>")]
    pub name: String,
    /// Its JSON schema; older answers give the name of one instead.
    #[serde(default, deserialize_with = "json")]
    pub schema: Value,
    /// What can be done to it, by `create`, `update` and `patch`.
    #[serde(default, deserialize_with = "json")]
    pub lifecycle: Value,
    /// What its values must hold to.
    #[serde(default, deserialize_with = "json")]
    pub constraints: Value,
    /// The value it starts with.
    #[serde(default, deserialize_with = "json")]
    pub default: Value,
    /// The values it can take, for a select field; at most the first 1,000.
    #[serde(default, deserialize_with = "or_default")]
    pub values: Values,
}

/// The values that a select field can take.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WireValues")]
pub struct Values {
    /// The first ones.
    pub items: Vec<SelectValue>,
    /// Where the rest begins, if there is more; see [`Client::field_values`](crate::Client::field_values).
    pub next: Option<Cursor>,
}

#[derive(Deserialize)]
struct WireValues {
    data: Option<Vec<SelectValue>>,
    links: Option<Links>,
}

impl TryFrom<WireValues> for Values {
    type Error = BadLink;

    fn try_from(wire: WireValues) -> Result<Self, BadLink> {
        let next = wire.links.unwrap_or_default().cursor()?;
        Ok(Self { items: wire.data.unwrap_or_default(), next })
    }
}

/// A value that a select field, or `status`, can take.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "WireValue")]
pub struct SelectValue {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: Text,
    /// Its colour, for select values.
    pub color: Option<String>,
    /// The types that can take it, for statuses.
    pub assigned_to: Vec<EntityType>,
}

/// In a list the name stands among the fields, in a configuration beside the id.
#[derive(Deserialize)]
struct WireValue {
    id: Uuid,
    fields: Option<Named>,
    #[serde(flatten)]
    flat: Named,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    #[serde(default)]
    name: Text,
    #[serde(default, deserialize_with = "optional::<_, WORD>")]
    color: Option<String>,
    assigned_entity_types: Option<Vec<EntityType>>,
}

impl From<WireValue> for SelectValue {
    fn from(wire: WireValue) -> Self {
        let Named { name, color, assigned_entity_types } = wire.fields.unwrap_or(wire.flat);
        Self { id: wire.id, name, color, assigned_to: assigned_entity_types.unwrap_or_default() }
    }
}

/// What a type can be related to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RelationshipConfiguration {
    /// The types on the other side.
    pub target_type: Vec<EntityType>,
    /// `single` or `multiple`.
    #[serde(deserialize_with = "required::<_, WORD>")]
    pub cardinality: String,
    /// Whether there must be one.
    #[serde(default, deserialize_with = "or_default")]
    pub mandatory: bool,
}

/// A filter of a type's lists.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    /// The query parameter.
    #[serde(deserialize_with = "required::<_, NAME>")]
    pub name: String,
    /// The field it looks at.
    #[serde(default, deserialize_with = "optional::<_, NAME>")]
    pub field: Option<String>,
    /// The relationship it looks at.
    #[serde(default, deserialize_with = "optional::<_, NAME>")]
    pub relationship: Option<String>,
    /// The scopes it takes.
    #[serde(default, deserialize_with = "words")]
    pub required_scopes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_documented_shape_and_the_older_schema() {
        let id = Uuid::from_u128(9);
        let configuration: Configuration<EntityType> = serde_json::from_value(json!({
            "type": "feature",
            "fields": {
                "name": { "id": "name", "name": "Name", "path": "/fields/name", "schema": "TextFieldValue",
                          "constraints": { "required": true } },
                "status": { "id": "status", "name": "Status", "path": "/fields/status", "schema": { "type": "object" },
                            "values": { "data": [{ "id": id, "name": "Planned", "assignedEntityTypes": ["feature"] }],
                                        "links": { "next": "/v2/entities/fields/status/values?pageCursor=c" } } },
            },
            "relationships": { "parent": { "targetType": ["component"], "cardinality": "single", "mandatory": true } },
            "filters": [{ "name": "owner[email]", "field": "owner", "schema": { "type": "string" },
                          "requiredScopes": ["members:pii:read"] }],
            "links": { "self": "x" },
        }))
        .unwrap();
        assert_eq!(configuration.fields["name"].schema, json!("TextFieldValue"));
        let values = &configuration.fields["status"].values;
        assert_eq!((values.items[0].id, values.items[0].name.known()), (id, Some("Planned")));
        assert_eq!(
            (&values.items[0].assigned_to[..], &values.next),
            (&[EntityType::Feature][..], &Some(Cursor::new("c")))
        );
        assert!(configuration.relationships["parent"].mandatory);
        assert_eq!(configuration.filters[0].required_scopes, ["members:pii:read"]);
    }

    #[test]
    fn a_value_in_a_list_has_its_name_among_the_fields() {
        let listed = json!({ "id": Uuid::nil(), "fields": { "name": "Red", "color": "red" } });
        let value: SelectValue = serde_json::from_value(listed).unwrap();
        assert_eq!((value.name.known(), value.color.as_deref()), (Some("Red"), Some("red")));
    }
}
