//! Notes: what customers said, and what of the plan it is about.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{EntityKind, Source};

/// The type of a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NoteKind {
    /// A piece of text.
    TextNote,
    /// Messages between a customer and an agent.
    ConversationNote,
    /// A deal of the sales system; read-only.
    OpportunityNote,
}

impl NoteKind {
    /// All types, in the order of the vendor's schema.
    pub const ALL: [Self; 3] = [Self::TextNote, Self::ConversationNote, Self::OpportunityNote];

    /// The vendor's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TextNote => "textNote",
            Self::ConversationNote => "conversationNote",
            Self::OpportunityNote => "opportunityNote",
        }
    }

    /// Reads the word, or its old alias.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "textNote" | "simple" => Some(Self::TextNote),
            "conversationNote" | "conversation" => Some(Self::ConversationNote),
            "opportunityNote" | "opportunity" => Some(Self::OpportunityNote),
            _ => None,
        }
    }
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The id in the system where it was written.
    pub external_id: String,
    /// Who wrote it.
    pub author_name: String,
    /// `customer` or `agent`.
    pub author_type: String,
    /// What was written.
    pub content: String,
    /// When.
    pub timestamp: DateTime<Utc>,
}

/// One property of an opportunity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Property {
    /// The vendor's id.
    pub id: Uuid,
    /// The property.
    pub name: String,
    /// `number` or `string`.
    pub field_type: String,
    /// Its value, as text.
    pub value: String,
}

/// What a note says. In JSON it is what the API answers in `fields.content`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// HTML of a text note.
    Text(String),
    /// Messages of a conversation.
    Messages(Vec<Message>),
    /// Properties of an opportunity.
    Properties(Vec<Property>),
}

/// Where a note was written, as the app shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NoteSource {
    /// The vendor's id.
    pub id: Option<String>,
    /// The kind of system, for example `slack`.
    pub origin: Option<String>,
    /// The id over there.
    pub record_id: Option<String>,
    /// A page over there.
    pub url: Option<String>,
}

/// An entity that a note points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The entity.
    pub id: Uuid,
    /// Its type.
    pub kind: EntityKind,
}

/// A note. An archived one is never processed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The vendor's id.
    pub id: Uuid,
    /// The type.
    pub kind: NoteKind,
    /// Title.
    pub name: String,
    /// What it says.
    pub content: Content,
    /// Some of [`Workspace::tags`](crate::Workspace::tags).
    pub tags: Vec<Uuid>,
    /// The member who answers for it.
    pub owner: Option<Uuid>,
    /// The member who wrote it; nobody when an integration did.
    pub creator: Option<Uuid>,
    /// Dealt with.
    pub processed: bool,
    /// Put away.
    pub archived: bool,
    /// Where it was written.
    pub origin: Option<NoteSource>,
    /// The user or company who said it.
    pub customer: Option<Target>,
    /// What of the plan it is about.
    pub links: Vec<Target>,
    /// Where it came from, as an integration wrote it.
    pub source: Option<Source>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}
