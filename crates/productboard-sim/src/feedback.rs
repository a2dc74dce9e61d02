//! All notes of a workspace: from whom, about what, and how far they are dealt with.

use chrono::{DateTime, Days, TimeDelta, Utc};
use rand::Rng;
use rand::seq::IndexedRandom;

use crate::EntityKind::{Company, Component, Feature, Product, Subfeature, User};
use crate::ground::{Ground, id, moment};
use crate::{
    Content, Entity, Message, Note, NoteKind, NoteSource, Property, Source, Target, WorkspaceSpec, titles,
};

/// More links than an answer shows inline, on a few notes.
const MANY_LINKS: usize = 26;

/// Whom notes can come from and what they can be about.
pub(crate) struct Subjects {
    customers: Vec<Target>,
    linkable: Vec<Target>,
}

impl Subjects {
    pub(crate) fn of(entities: &[Entity]) -> Self {
        let target = |entity: &Entity| Target { id: entity.id, kind: entity.kind };
        let pick =
            |wanted: &[_]| entities.iter().filter(|it| wanted.contains(&it.kind)).map(target).collect();
        Self { customers: pick(&[User, Company]), linkable: pick(&[Feature, Subfeature, Product, Component]) }
    }
}

/// Draws all notes, newest first.
pub(crate) fn draw(
    rng: &mut impl Rng,
    spec: &WorkspaceSpec,
    ground: Ground<'_>,
    subjects: &Subjects,
) -> Vec<Note> {
    let mut notes: Vec<Note> = (0..spec.notes)
        .map(|index| {
            let ago = rng.random_range(1..=500);
            let at = moment(rng, spec.today - Days::new(ago));
            let kind = match index {
                0..3 => NoteKind::ALL[index],
                _ => kind(rng),
            };
            let mut note = note(rng, kind, at, ground, subjects);
            settle(rng, &mut note);
            if index % 100 == 7 {
                note.links = subjects.linkable.choose_multiple(rng, MANY_LINKS).copied().collect();
            }
            let changed = rng.random_range(1..=ago);
            note.updated_at = moment(rng, spec.today - Days::new(changed)).max(at);
            note
        })
        .collect();
    notes.sort_by_key(|note| std::cmp::Reverse((note.created_at, note.id)));
    notes
}

pub(crate) fn kind(rng: &mut impl Rng) -> NoteKind {
    match rng.random_range(0..10) {
        0..7 => NoteKind::TextNote,
        7..9 => NoteKind::ConversationNote,
        _ => NoteKind::OpportunityNote,
    }
}

/// A new note, not dealt with yet.
pub(crate) fn note(
    rng: &mut impl Rng,
    kind: NoteKind,
    at: DateTime<Utc>,
    ground: Ground<'_>,
    subjects: &Subjects,
) -> Note {
    let id = id(rng);
    let by_hand = kind == NoteKind::TextNote && rng.random_bool(0.7);
    let links = rng.random_range(0..4_usize);
    Note {
        id,
        kind,
        name: titles::request(rng),
        content: content(rng, kind, at),
        tags: ground.some_tags(rng),
        owner: ground.somebody(rng),
        creator: if by_hand { ground.somebody(rng) } else { None },
        processed: false,
        archived: false,
        origin: Some(origin(kind, by_hand, id)),
        customer: subjects.customers.choose(rng).filter(|_| rng.random_bool(0.8)).copied(),
        links: subjects.linkable.choose_multiple(rng, links).copied().collect(),
        source: (!by_hand).then(|| source(kind, id)),
        created_at: at,
        updated_at: at,
    }
}

/// Deals with a note, puts it away, or leaves it.
fn settle(rng: &mut impl Rng, note: &mut Note) {
    match rng.random_range(0..10) {
        0..5 => note.processed = true,
        5 => note.archived = true,
        _ => {}
    }
}

fn content(rng: &mut impl Rng, kind: NoteKind, at: DateTime<Utc>) -> Content {
    match kind {
        NoteKind::TextNote => {
            Content::Text(format!("<p>{} {}</p>", titles::remark(rng), titles::remark(rng)))
        }
        NoteKind::ConversationNote => {
            let count = rng.random_range(2..6);
            Content::Messages((0..count).map(|index| message(rng, index, at)).collect())
        }
        NoteKind::OpportunityNote => {
            let amount = rng.random_range(2..90) * 1_000;
            let amount = property(rng, "Amount", "number", &amount.to_string());
            Content::Properties(vec![amount, property(rng, "Stage", "string", "Negotiation")])
        }
    }
}

fn message(rng: &mut impl Rng, index: u32, at: DateTime<Utc>) -> Message {
    let (author_name, author_type) =
        if index.is_multiple_of(2) { ("A customer", "customer") } else { ("Support", "agent") };
    Message {
        external_id: format!("{}-{index}", id(rng).as_fields().0),
        author_name: author_name.to_owned(),
        author_type: author_type.to_owned(),
        content: titles::remark(rng).to_owned(),
        timestamp: at + TimeDelta::minutes(i64::from(index) * 7),
    }
}

fn property(rng: &mut impl Rng, name: &str, field_type: &str, value: &str) -> Property {
    let (name, field_type, value) = (name.to_owned(), field_type.to_owned(), value.to_owned());
    Property { id: id(rng), name, field_type, value }
}

fn system(kind: NoteKind) -> &'static str {
    match kind {
        NoteKind::TextNote => "slack",
        NoteKind::ConversationNote => "intercom",
        NoteKind::OpportunityNote => "salesforce",
    }
}

fn origin(kind: NoteKind, by_hand: bool, id: uuid::Uuid) -> NoteSource {
    if by_hand {
        return NoteSource { id: None, origin: Some("app".to_owned()), record_id: None, url: None };
    }
    let Source { system, record_id, url } = source(kind, id);
    NoteSource { id: Some(id.to_string()), origin: system, record_id, url }
}

fn source(kind: NoteKind, id: uuid::Uuid) -> Source {
    let system = system(kind);
    let record_id = format!("{system}-{}", id.as_fields().0);
    Source {
        url: Some(format!("https://{system}.example/{record_id}")),
        system: Some(system.to_owned()),
        record_id: Some(record_id),
    }
}
