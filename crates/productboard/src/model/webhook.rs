//! Webhook subscriptions. The vendor signs nothing: who calls back is known by the `Authorization` value alone.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::text::{LINE, NAME, WORD, required};

/// A subscription as the vendor keeps it. Its `Authorization` value is never given back.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Wire")]
pub struct Webhook {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// What it is called for, such as `note.created`.
    pub events: Vec<String>,
    /// Where it is called.
    pub url: String,
    /// When it was made.
    pub created_at: Option<DateTime<Utc>>,
}

/// A subscription to be made.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// Its name, 1 to 255 characters.
    pub name: String,
    /// What it is to be called for, at least one, such as `note.created`.
    pub events: Vec<String>,
    /// Where it is to be called: https, and reachable from the internet.
    pub url: Url,
    /// What the vendor sends as `Authorization`: the only proof that a call is the vendor's. At most 2,048 characters.
    pub authorization: Option<SecretString>,
}

impl NewWebhook {
    pub(crate) fn body(&self) -> Value {
        let events: Vec<_> = self.events.iter().map(|event| json!({ "eventType": event })).collect();
        let mut notification = json!({ "url": self.url, "version": 1 });
        if let Some(authorization) = &self.authorization {
            notification["headers"] = json!({ "authorization": authorization.expose_secret() });
        }
        json!({ "data": { "fields": { "name": self.name, "events": events, "notification": notification } } })
    }
}

/// What comes back for something that was made.
#[derive(Debug, Deserialize)]
pub(crate) struct Reference {
    pub(crate) id: Uuid,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    id: Uuid,
    created_at: Option<DateTime<Utc>>,
    fields: Fields,
}

#[derive(Deserialize)]
struct Fields {
    #[serde(deserialize_with = "required::<_, NAME>")]
    name: String,
    events: Vec<Event>,
    notification: Notification,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(deserialize_with = "required::<_, WORD>")]
    event_type: String,
}

#[derive(Deserialize)]
struct Notification {
    #[serde(deserialize_with = "required::<_, LINE>")]
    url: String,
}

impl From<Wire> for Webhook {
    fn from(wire: Wire) -> Self {
        Self {
            id: wire.id,
            name: wire.fields.name,
            events: wire.fields.events.into_iter().map(|event| event.event_type).collect(),
            url: wire.fields.notification.url,
            created_at: wire.created_at,
        }
    }
}
