//! Notes: what customers said.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::resource::{Metadata, Wire};
use super::text::{NAME, WORD, content, json, optional, required};
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
    pub html: Option<String>,
}

impl Note {
    /// What it says. Of a note of an unknown type it is text, if it is text.
    pub fn content(&self) -> Result<Option<Content>, Error> {
        const CONTENT: &str = "content";
        Ok(match self.kind {
            NoteType::Conversation => self.fields.read(CONTENT)?.map(Content::Conversation),
            NoteType::Opportunity => self.fields.read(CONTENT)?.map(Content::Opportunity),
            NoteType::Text => self.fields.read(CONTENT)?.map(Content::Html),
            NoteType::Other(_) => {
                let text = self.fields.get(CONTENT).and_then(|content| content.as_str());
                text.map(|text| Content::Html(text.to_owned()))
            }
        })
    }
}

/// What a note says.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    #[serde(deserialize_with = "required::<_, NAME>")]
    pub external_id: String,
    /// Who said it.
    #[serde(default)]
    pub author_name: Text,
    /// `customer` or `agent`.
    #[serde(deserialize_with = "required::<_, WORD>")]
    pub author_type: String,
    /// What was said.
    #[serde(deserialize_with = "content")]
    pub content: String,
    /// When it was said.
    pub timestamp: Option<DateTime<Utc>>,
}

/// One field of an opportunity.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpportunityField {
    /// Its id.
    pub id: Option<Uuid>,
    /// Its name.
    #[serde(deserialize_with = "required::<_, NAME>")]
    pub name: String,
    /// Its value, text or number as `field_type` says.
    #[serde(default, deserialize_with = "json")]
    pub value: Value,
    /// `number` or `string`.
    #[serde(default, deserialize_with = "optional::<_, WORD>")]
    pub field_type: Option<String>,
}

impl TryFrom<Wire<NoteType>> for Note {
    type Error = String;

    /// The vendor's examples have the two times among the fields, its answers beside them.
    fn try_from(wire: Wire<NoteType>) -> Result<Self, String> {
        let fields = wire.fields.unwrap_or_default();
        let time = |beside: Option<DateTime<Utc>>, among: &str| match beside {
            Some(time) => Ok(Some(time)),
            None => fields.read(among).map_err(|_| format!("expected a time in `fields.{among}`")),
        };
        Ok(Self {
            id: wire.id,
            kind: wire.kind,
            relationships: wire.relationships,
            source: wire.metadata.and_then(Metadata::source),
            created_at: time(wire.created_at, "createdAt")?,
            updated_at: time(wire.updated_at, "updatedAt")?,
            html: wire.links.and_then(|links| links.html),
            fields,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
        let empty = note("opportunityNote", &json!({ "content": [] })).content().unwrap();
        assert_eq!(empty, Some(Content::Opportunity(Vec::new())), "by its type, not by its looks");
        let wrong = note("textNote", &json!({ "content": [{}] })).content().unwrap_err().to_string();
        assert!(wrong.ends_with("expected a string (at fields.content)"), "{wrong}");
    }
}
