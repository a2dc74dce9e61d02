//! How entities and notes hang together.

use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use super::word::words;
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
    #[serde(rename = "type", default = "link")]
    pub kind: RelationshipKind,
    /// The other side.
    pub target: Target,
}

fn link() -> RelationshipKind {
    RelationshipKind::Link
}

/// The other side of a relationship.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Target {
    /// Its id.
    pub id: Uuid,
    /// Its type, where it is told.
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

#[derive(Deserialize)]
#[serde(untagged)]
enum Wire {
    Page { data: Vec<Relationship>, links: Option<Links> },
    Bare(Vec<Relationship>),
}

#[derive(Deserialize)]
struct Links {
    next: Option<String>,
}

impl<'de> Deserialize<'de> for Relationships {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (items, next) = match Option::<Wire>::deserialize(deserializer)? {
            None => (Vec::new(), None),
            Some(Wire::Bare(items)) => (items, None),
            Some(Wire::Page { data, links }) => (data, links.and_then(|links| links.next)),
        };
        let next = next.map(|link| Cursor::in_link(&link)).transpose();
        let next = next.map_err(|bad| serde::de::Error::custom(bad.0))?;
        Ok(Self { items, next: next.flatten() })
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
        assert_eq!(bare.parent(), Some(&Target { id, kind: Some(EntityType::Component) }));
        assert_eq!(bare.of(&RelationshipKind::Link).count(), 1, "a link, where nothing is said");
        assert_eq!(relationships(Value::Null), Relationships::default());
        assert_eq!(relationships(json!({ "data": [], "links": { "next": null } })), Relationships::default());
    }
}
