//! Notes: what customers said.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use url::Url;
use uuid::Uuid;

use super::resource::{Html, Metadata, Wire};
use super::word::words;
use crate::{Error, Fields, Relationships, Source, Text};

words! {
    /// A type of note.
    NoteType {
        /// A text.
        Text = "textNote" | "simple",
        /// A conversation with a customer.
        Conversation = "conversationNote" | "conversation",
        /// A sales opportunity; these cannot be made over the API.
        Opportunity = "opportunityNote" | "opportunity",
    }
}

/// One note.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Wire<NoteType>")]
pub struct Note {
    /// Its id.
    pub id: Uuid,
    /// Its type.
    pub kind: NoteType,
    /// Its fields, those that were asked for.
    pub fields: Fields,
    /// Whom it came from and what it is linked to, the first of it.
    pub relationships: Relationships,
    /// Where it came from.
    pub source: Option<Source>,
    /// When it was made.
    pub created_at: Option<DateTime<Utc>>,
    /// When it last changed.
    pub updated_at: Option<DateTime<Utc>>,
    /// Its page in the vendor's product.
    pub html: Option<Url>,
}

impl Note {
    /// What it says.
    pub fn content(&self) -> Result<Option<Content>, Error> {
        self.fields.read("content")
    }
}

/// What a note says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// HTML.
    Html(String),
    /// What was said, in order.
    Conversation(Vec<Part>),
    /// The fields of an opportunity.
    Opportunity(Vec<OpportunityField>),
}

/// One thing said in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// Its id in the system it came from.
    pub external_id: String,
    /// Who said it.
    #[serde(default)]
    pub author_name: Text,
    /// `customer` or `agent`.
    pub author_type: String,
    /// What was said.
    pub content: String,
    /// When it was said.
    pub timestamp: Option<DateTime<Utc>>,
}

/// One field of an opportunity.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OpportunityField {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Option<String>,
}

impl TryFrom<Wire<NoteType>> for Note {
    type Error = Error;

    /// The vendor's examples have the two times among the fields, its answers beside them.
    fn try_from(wire: Wire<NoteType>) -> Result<Self, Error> {
        let fields = wire.fields.unwrap_or_default();
        let time = |beside: Option<DateTime<Utc>>, among: &str| match beside {
            Some(time) => Ok(Some(time)),
            None => fields.read(among),
        };
        Ok(Self {
            id: wire.id,
            kind: wire.kind,
            relationships: wire.relationships,
            source: wire.metadata.and_then(Metadata::source),
            created_at: time(wire.created_at, "createdAt")?,
            updated_at: time(wire.updated_at, "updatedAt")?,
            html: wire.links.and_then(Html::url),
            fields,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn note(kind: &str, fields: &Value) -> Note {
        serde_json::from_value(json!({ "id": Uuid::nil(), "type": kind, "fields": fields })).unwrap()
    }

    #[test]
    fn the_times_stand_beside_the_fields_or_among_them() {
        let time = "2026-05-30T11:58:35.855455Z";
        let among = note("simple", &json!({ "createdAt": time, "updatedAt": time }));
        let mut beside = json!({ "id": Uuid::nil(), "type": "textNote", "fields": among.fields.get("x") });
        beside["createdAt"] = json!(time);
        beside["updatedAt"] = json!(time);
        let beside: Note = serde_json::from_value(beside).unwrap();
        assert_eq!(among.kind, NoteType::Text, "the old name");
        assert_eq!(among.created_at.unwrap().timestamp_subsec_micros(), 855_455);
        assert_eq!((among.created_at, among.updated_at), (beside.created_at, beside.updated_at));
    }

    #[test]
    fn the_three_kinds_of_content() {
        let html = note("textNote", &json!({ "content": "<p>Slow</p>" }));
        assert_eq!(html.content().unwrap(), Some(Content::Html("<p>Slow</p>".to_owned())));
        let said = json!([{ "externalId": "1", "authorType": "agent", "content": "Hi",
                            "timestamp": "2026-05-30T11:58:35Z", "authorName": "[redacted]" }]);
        let Some(Content::Conversation(parts)) =
            note("conversation", &json!({ "content": said })).content().unwrap()
        else {
            panic!("a conversation");
        };
        assert_eq!((parts[0].content.as_str(), &parts[0].author_name), ("Hi", &Text::Hidden));
        let amount = json!([{ "id": Uuid::nil(), "name": "Amount", "value": "12", "fieldType": "number" }]);
        let opportunity = note("opportunityNote", &json!({ "content": amount })).content().unwrap();
        assert!(matches!(opportunity, Some(Content::Opportunity(fields)) if fields[0].name == "Amount"));
        assert_eq!(note("textNote", &json!({})).content().unwrap(), None);
    }
}
