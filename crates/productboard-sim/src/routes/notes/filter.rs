//! What a list or a search of notes asks for, with mail addresses and names resolved to ids.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::kinds;
use crate::error::ApiError;
use crate::gate::Call;
use crate::page::PageRequest;
use crate::routes::body::{MemberRef, Range, SourceRef};
use crate::routes::entities::owners;
use crate::{Content, Note, NoteKind};

pub(super) const PARAMETERS: [&str; 15] = [
    "archived",
    "processed",
    "type[]",
    "owner[id]",
    "owner[email]",
    "creator[id]",
    "creator[email]",
    "metadata[source][system]",
    "metadata[source][recordId]",
    "createdFrom",
    "createdTo",
    "updatedFrom",
    "updatedTo",
    "fields[]",
    "fields",
];

/// All of these must hold; of a list, any.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) kinds: Vec<NoteKind>,
    pub(super) ids: Option<Vec<Uuid>>,
    pub(super) created: Range,
    pub(super) updated: Range,
    /// Archived notes are not processed: whoever asks for both gets none.
    pub(super) archived: Option<bool>,
    pub(super) processed: Option<bool>,
    pub(super) owners: Option<Vec<Uuid>>,
    pub(super) creators: Option<Vec<Uuid>>,
    pub(super) tags: Option<Vec<Uuid>>,
    pub(super) customers: Option<Vec<Uuid>>,
    pub(super) links: Option<Vec<Uuid>>,
    pub(super) sources: Vec<SourceRef>,
    /// In lower case.
    pub(super) query: Option<String>,
}

impl Filter {
    pub(super) fn read(request: &PageRequest, call: &Call) -> Result<Self, ApiError> {
        let text = |name: &str| request.value(name).map(str::to_owned);
        let members = |id: &'static str, email: &'static str| {
            let member = MemberRef { id: request.parsed(id, "a UUID")?, email: text(email) };
            let sent = member.id.is_some() || member.email.is_some();
            if member.email.is_some() {
                call.may_filter_people(email)?;
            }
            Ok::<_, ApiError>(sent.then(|| owners(&call.workspace, &[member])))
        };
        let kinds = kinds(request.values("type[]"));
        Ok(Self {
            kinds: kinds.map_err(|why| ApiError::invalid_parameter("type[]", why))?,
            created: range(request, "createdFrom", "createdTo")?,
            updated: range(request, "updatedFrom", "updatedTo")?,
            archived: request.flag("archived")?,
            processed: request.flag("processed")?,
            owners: members("owner[id]", "owner[email]")?,
            creators: members("creator[id]", "creator[email]")?,
            sources: vec![SourceRef {
                system: text("metadata[source][system]"),
                record_id: text("metadata[source][recordId]"),
            }],
            ..Self::default()
        })
    }

    pub(super) fn takes(&self, note: &Note) -> bool {
        let any = |wanted: &Option<Vec<Uuid>>, id: Option<Uuid>| {
            wanted.as_ref().is_none_or(|wanted| id.is_some_and(|id| wanted.contains(&id)))
        };
        let linked = |ids: &Vec<Uuid>| note.links.iter().any(|link| ids.contains(&link.id));
        (self.kinds.is_empty() || self.kinds.contains(&note.kind))
            && any(&self.ids, Some(note.id))
            && self.created.contains(note.created_at)
            && self.updated.contains(note.updated_at)
            && self.archived.is_none_or(|archived| archived == note.archived)
            && self.processed.is_none_or(|processed| processed == note.processed)
            && any(&self.owners, note.owner)
            && any(&self.creators, note.creator)
            && self.tags.as_ref().is_none_or(|tags| note.tags.iter().any(|tag| tags.contains(tag)))
            && any(&self.customers, note.customer.map(|customer| customer.id))
            && self.links.as_ref().is_none_or(linked)
            && (self.sources.is_empty() || self.sources.iter().any(|it| it.takes(note.source.as_ref())))
            && self.query.as_ref().is_none_or(|query| says(note, query))
    }
}

fn range(request: &PageRequest, from: &'static str, to: &'static str) -> Result<Range, ApiError> {
    let moment = |name| request.parsed::<DateTime<Utc>>(name, "an ISO date-time with its offset");
    let range = Range { from: moment(from)?, to: moment(to)? };
    if range.is_backwards() {
        return Err(ApiError::invalid_parameter(from, format!("{from} must not be after {to}")));
    }
    Ok(range)
}

fn says(note: &Note, query: &str) -> bool {
    let has = |text: &str| text.to_lowercase().contains(query);
    has(&note.name)
        || match &note.content {
            Content::Text(text) => has(text),
            Content::Messages(messages) => messages.iter().any(|message| has(&message.content)),
            Content::Properties(properties) => properties.iter().any(|property| has(&property.value)),
        }
}
