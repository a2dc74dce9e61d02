//! What happened between two states of a workspace, as the events that the vendor sends: there are none for companies,
//! users, release groups and people, none for deleted components and products, and one word for both kinds of features.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::webhooks::event_scope;
use crate::{Entity, EntityKind, Note, WebhookEvent, Workspace};

/// The events, entities before notes; what was made or updated in the order of the lists, then what was deleted.
pub(crate) fn news(before: &Workspace, after: &Workspace) -> Vec<WebhookEvent> {
    let entity = |entity: &Entity| (entity.id, word(entity.kind));
    let note = |note: &Note| (note.id, "note");
    let mut news = compared(&before.entities, &after.entities, entity);
    news.extend(compared(&before.notes, &after.notes, note));
    news.retain(|event| event_scope(&event.event_type).is_some());
    news
}

/// What events call a type; those that none calls keep their own word.
fn word(kind: EntityKind) -> &'static str {
    match kind {
        EntityKind::Subfeature => "feature",
        EntityKind::KeyResult => "key-result",
        kind => kind.as_str(),
    }
}

fn compared<T: Serialize + PartialEq>(
    before: &[T],
    after: &[T],
    about: impl Fn(&T) -> (Uuid, &'static str),
) -> Vec<WebhookEvent> {
    let event = |it: &T, what: &str| {
        let (id, word) = about(it);
        WebhookEvent::new(format!("{word}.{what}"), id)
    };
    let mut gone: HashMap<Uuid, &T> = before.iter().map(|it| (about(it).0, it)).collect();
    let mut events = Vec::new();
    for it in after {
        match gone.remove(&about(it).0) {
            None => events.push(event(it, "created")),
            Some(was) if was == it => {}
            Some(was) => {
                let updated_attributes = differences(was, it);
                events.push(WebhookEvent { updated_attributes, ..event(it, "updated") });
            }
        }
    }
    let deleted = before.iter().filter(|it| gone.contains_key(&about(it).0));
    events.extend(deleted.map(|it| event(it, "deleted")));
    events
}

/// The names of what differs, by way of JSON, so that a new field needs no line here.
fn differences(was: &impl Serialize, is: &impl Serialize) -> Vec<String> {
    let json = |thing: Result<Value, _>| thing.unwrap_or(Value::Null);
    let (was, is) = (json(serde_json::to_value(was)), json(serde_json::to_value(is)));
    let fields = is.as_object().into_iter().flatten();
    let changed = fields.filter(|(name, value)| *name != "updated_at" && was[name.as_str()] != **value);
    changed.map(|(name, _)| camel(name)).collect()
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
}
