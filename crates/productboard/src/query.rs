//! What can be asked for: filters of lists as query parameters, filters of searches as JSON bodies.

pub(crate) mod entities;
pub(crate) mod members;
pub(crate) mod notes;
pub(crate) mod teams;

use std::fmt::Display;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// A query parameter.
pub(crate) type Pair = (&'static str, String);

/// Which fields an answer holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum FieldSelection {
    /// Those that are not empty.
    #[default]
    Filled,
    /// All of them, empty ones as null.
    All,
    /// These, empty or not. An id that the configuration does not list is an error.
    Only(Vec<String>),
}

impl FieldSelection {
    pub(crate) fn pairs(&self) -> Vec<Pair> {
        match self {
            Self::Filled => Vec::new(),
            Self::All => vec![("fields[]", "all".to_owned())],
            Self::Only(names) => each("fields[]", names).collect(),
        }
    }

    /// For notes: the vendor's document calls the parameter `fields`, its text `fields[]`, and the wrong one is ignored.
    pub(crate) fn pairs_of_notes(&self) -> Vec<Pair> {
        let pairs = self.pairs();
        let plain = pairs.iter().map(|(_, value)| ("fields", value.clone()));
        plain.chain(pairs.iter().cloned()).collect()
    }

    fn json(&self) -> Option<Value> {
        match self {
            Self::Filled => None,
            Self::All => Some(json!("all")),
            Self::Only(names) => Some(json!(names)),
        }
    }
}

/// A member, by id or by mail address. By mail takes the scope for personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberIs {
    /// The member with this id.
    Id(Uuid),
    /// The member with this mail address.
    Email(String),
}

impl MemberIs {
    fn pair(&self, id: &'static str, email: &'static str) -> Pair {
        match self {
            Self::Id(its) => (id, its.to_string()),
            Self::Email(its) => (email, its.clone()),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Id(id) => json!({ "id": id }),
            Self::Email(email) => json!({ "email": email }),
        }
    }
}

/// A status, a team, a select value: by id or by its exact name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// The one with this id.
    Id(Uuid),
    /// The one with this name.
    Name(String),
}

impl Named {
    fn pair(&self, id: &'static str, name: &'static str) -> Pair {
        match self {
            Self::Id(its) => (id, its.to_string()),
            Self::Name(its) => (name, its.clone()),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Id(id) => json!({ "id": id }),
            Self::Name(name) => json!({ "name": name }),
        }
    }
}

/// Where something came from before it came to the vendor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceIs {
    /// The system's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The record's id in that system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_id: Option<String>,
}

impl SourceIs {
    fn pairs(&self) -> impl Iterator<Item = Pair> {
        some("metadata[source][system]", self.system.as_ref())
            .chain(some("metadata[source][recordId]", self.record_id.as_ref()))
    }

    fn json(&self) -> Option<Value> {
        (*self != Self::default()).then(|| json!({ "source": self }))
    }
}

/// A span of time; both ends belong to it, an absent one is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Period {
    /// The first moment.
    pub from: Option<DateTime<Utc>>,
    /// The last moment.
    pub to: Option<DateTime<Utc>>,
}

impl Period {
    /// From a moment on.
    pub fn since(from: DateTime<Utc>) -> Self {
        Self { from: Some(from), to: None }
    }

    fn pairs(self, from: &'static str, to: &'static str) -> impl Iterator<Item = Pair> {
        some(from, self.from.map(moment)).chain(some(to, self.to.map(moment)))
    }

    fn json(self) -> Option<Value> {
        let mut period = Map::new();
        put(&mut period, "from", self.from.map(moment));
        put(&mut period, "to", self.to.map(moment));
        filled(period)
    }
}

/// The vendor's timestamps carry microseconds: less would lose rows at an inclusive edge.
fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A repeated parameter.
pub(crate) fn each<T: Display>(name: &'static str, values: &[T]) -> impl Iterator<Item = Pair> {
    values.iter().map(move |value| (name, value.to_string()))
}

fn some(name: &'static str, value: Option<impl Display>) -> impl Iterator<Item = Pair> {
    value.into_iter().map(move |value| (name, value.to_string()))
}

fn flag(name: &'static str, on: bool) -> impl Iterator<Item = Pair> {
    some(name, on.then_some(true))
}

fn put(object: &mut Map<String, Value>, name: &str, value: Option<impl Serialize>) {
    if let Some(value) = value {
        object.insert(name.to_owned(), json!(value));
    }
}

/// A list filter; an empty one does not filter.
fn put_all<T: Serialize>(object: &mut Map<String, Value>, name: &str, values: &[T]) {
    put(object, name, (!values.is_empty()).then_some(values));
}

fn filled(object: Map<String, Value>) -> Option<Value> {
    (!object.is_empty()).then_some(Value::Object(object))
}
