//! How entities and notes hang together.

use std::fmt;

use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use super::word::words;
use crate::decode::or_default;
use crate::paging::Links;
use crate::{Cursor, EntityType};

words! {
    /// How two things are related.
    RelationshipKind {
        /// The other is above.
        Parent = "parent",
        /// The other is below.
        Child = "child",
        /// They belong together.
        Link = "link",
        /// The other has to come first.
        IsBlockedBy = "isBlockedBy",
        /// The other has to wait.
        IsBlocking = "isBlocking",
        /// A note came from the other.
        Customer = "customer",
    }
}

/// One relationship, seen from one side.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Relationship {
    /// How the two are related.
    #[serde(rename = "type", default = "link", deserialize_with = "kind")]
    pub kind: RelationshipKind,
    /// The other side.
    #[serde(default, deserialize_with = "or_default")]
    pub target: Target,
}

fn link() -> RelationshipKind {
    RelationshipKind::Link
}

fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RelationshipKind, D::Error> {
    Option::deserialize(deserializer).map(|kind| kind.unwrap_or_else(link))
}

/// The other side of a relationship. The vendor's schema lets both be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Target {
    /// Its id.
    pub id: Option<Uuid>,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Option<EntityType>,
}

/// The relationships that came along with an entity or a note. The vendor sends them as a page or as a bare list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relationships {
    /// The first ones, of all kinds.
    pub items: Vec<Relationship>,
    /// Where the rest begins, if there is more.
    pub next: Option<Cursor>,
}

impl Relationships {
    /// The parent, where one came along.
    pub fn parent(&self) -> Option<&Target> {
        self.of(&RelationshipKind::Parent).next()
    }

    /// The other sides of one kind.
    pub fn of(&self, kind: &RelationshipKind) -> impl Iterator<Item = &Target> {
        self.items.iter().filter(move |its| its.kind == *kind).map(|its| &its.target)
    }
}

/// The vendor sends them as a page or as a bare list. Not an untagged enum: that would lose the path of a wrong field.
struct Shape;

impl<'de> Visitor<'de> for Shape {
    type Value = Relationships;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a page or a list of relationships")
    }

    fn visit_unit<E>(self) -> Result<Relationships, E> {
        Ok(Relationships::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Relationships, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Relationships { items, next: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut page: A) -> Result<Relationships, A::Error> {
        let mut relationships = Relationships::default();
        while let Some(name) = page.next_key::<String>()? {
            match name.as_str() {
                "data" => relationships.items = page.next_value::<Option<_>>()?.unwrap_or_default(),
                "links" => {
                    let links: Links = page.next_value::<Option<_>>()?.unwrap_or_default();
                    relationships.next = links.cursor().map_err(A::Error::custom)?;
                }
                _ => drop(page.next_value::<IgnoredAny>()?),
            }
        }
        Ok(relationships)
    }
}

impl<'de> Deserialize<'de> for Relationships {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Shape)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn relationships(value: Value) -> Relationships {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn both_shapes_and_none_are_read() {
        let id = Uuid::from_u128(3);
        let items = json!([
            { "type": "parent", "target": { "id": id, "type": "component", "links": { "self": "x" } } },
            { "target": { "id": Uuid::nil() } },
        ]);
        let page = relationships(json!({ "data": items, "links": { "next": "/v2/x?pageCursor=c" } }));
        let bare = relationships(items);
        assert_eq!((page.items.clone(), page.next), (bare.items.clone(), Some(Cursor::new("c"))));
        assert_eq!(bare.next, None);
        assert_eq!(bare.parent(), Some(&Target { id: Some(id), kind: Some(EntityType::Component) }));
        assert_eq!(bare.of(&RelationshipKind::Link).count(), 1, "a link, where nothing is said");
        let bare = relationships(json!({ "links": null, "data": [{ "type": null, "target": null }, {}] }));
        assert!(
            bare.items.iter().all(|its| *its == Relationship { kind: link(), target: Target::default() })
        );
        assert_eq!(relationships(Value::Null), Relationships::default());
        assert_eq!(relationships(json!({ "data": [], "links": { "next": null } })), Relationships::default());
    }
}
