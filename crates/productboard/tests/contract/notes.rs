//! Notes, whom they came from, and how the workspace has configured them.

use std::collections::{BTreeMap, BTreeSet};

use tidemark_productboard::{
    Client, Content, Error, FieldSelection, MemberIs, Note, NoteRelationshipsQuery, NoteSearch, NoteType,
    NotesQuery, Period, RelationshipKind,
};
use tidemark_productboard_sim as sim;
use uuid::Uuid;

use crate::support::{TOKEN, all, client, simulator, simulator_with};

async fn listed(client: &Client, query: &NotesQuery) -> Vec<Note> {
    all(client.notes(query, None)).await.unwrap()
}

fn ids(notes: &[Note]) -> BTreeSet<Uuid> {
    notes.iter().map(|note| note.id).collect()
}

fn truth(workspace: &sim::Workspace, takes: impl Fn(&sim::Note) -> bool) -> BTreeSet<Uuid> {
    workspace.notes.iter().filter(|note| takes(note)).map(|note| note.id).collect()
}

fn assert_same(note: &Note, expected: &sim::Note) {
    assert_eq!(note.kind.as_str(), expected.kind.as_str());
    assert_eq!(note.fields.name().unwrap().unwrap().known(), Some(expected.name.as_str()));
    assert_eq!(note.fields.archived().unwrap().unwrap_or(false), expected.archived);
    assert_eq!(note.fields.processed().unwrap().unwrap_or(false), expected.processed);
    assert_eq!(note.fields.owner().unwrap().map(|owner| owner.id), expected.owner);
    assert_eq!(note.fields.creator().unwrap().map(|creator| creator.id), expected.creator);
    assert_eq!(note.fields.tags().unwrap().len(), expected.tags.len());
    let same_content = matches!(
        (note.content().unwrap(), &expected.content),
        (Some(Content::Html(_)), sim::Content::Text(_))
            | (Some(Content::Conversation(_)), sim::Content::Messages(_))
            | (Some(Content::Opportunity(_)), sim::Content::Properties(_))
    );
    assert!(same_content, "{:?}", note.kind);
    assert_eq!((note.created_at, note.updated_at), (Some(expected.created_at), Some(expected.updated_at)));
    let customer = note.relationships.of(&RelationshipKind::Customer).next().and_then(|target| target.id);
    assert_eq!(customer, expected.customer.map(|target| target.id));
}

#[tokio::test]
async fn notes_are_those_of_the_workspace() {
    let simulator = simulator().await;
    let workspace = simulator.workspace("acme").unwrap();
    let client = client(&simulator);
    let known: BTreeMap<_, _> = workspace.notes.iter().map(|note| (note.id, note)).collect();
    let notes = listed(&client, &NotesQuery::default()).await;
    assert_eq!(notes.len(), known.len());
    for note in &notes {
        assert_same(note, known[&note.id]);
    }
    let one = client.note(notes[0].id, &FieldSelection::Filled).await.unwrap();
    assert_eq!(one, notes[0]);
    let error = client.note(Uuid::nil(), &FieldSelection::Filled).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { status: 404, .. }), "{error:?}");
}

#[tokio::test]
async fn filters_of_the_list() {
    let simulator = simulator().await;
    let workspace = simulator.workspace("acme").unwrap();
    let client = client(&simulator);
    let by = async |query: NotesQuery| ids(&listed(&client, &query).await);
    let all = NotesQuery::default;
    for (archived, processed) in [(Some(true), None), (None, Some(true)), (Some(false), Some(false))] {
        let query = NotesQuery { archived, processed, ..all() };
        let expected = truth(&workspace, |note| {
            archived.is_none_or(|archived| note.archived == archived)
                && processed
                    .is_none_or(|processed| note.processed == processed && (processed || !note.archived))
        });
        assert_eq!(by(query).await, expected, "{archived:?} {processed:?}");
    }
    let both = NotesQuery { archived: Some(true), processed: Some(true), ..all() };
    assert_eq!(by(both).await, BTreeSet::new(), "no note is both");
    let opportunities = NotesQuery { types: vec![NoteType::Opportunity], ..all() };
    let expected = truth(&workspace, |note| note.kind == sim::NoteKind::OpportunityNote);
    assert_eq!(by(opportunities).await, expected);
    let owner = workspace.notes.iter().find_map(|note| note.owner).unwrap();
    let owned = NotesQuery { owner: Some(MemberIs::Id(owner)), ..all() };
    assert_eq!(by(owned).await, truth(&workspace, |note| note.owner == Some(owner)));
    let mut times: Vec<_> = workspace.notes.iter().map(|note| note.updated_at).collect();
    times.sort();
    let since = times[times.len() / 2];
    let changed = NotesQuery { updated: Period::since(since), ..all() };
    assert_eq!(by(changed).await, truth(&workspace, |note| note.updated_at >= since), "inclusive");
    let backwards = NotesQuery { created: Period { from: Some(times[1]), to: Some(times[0]) }, ..all() };
    let error = crate::support::all(client.notes(&backwards, None)).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { status: 400, .. }), "{error:?}");
}

#[tokio::test]
async fn searches() {
    let simulator = simulator().await;
    let workspace = simulator.workspace("acme").unwrap();
    let client = client(&simulator);
    let note = workspace.notes.iter().find(|note| note.customer.is_some() && !note.links.is_empty()).unwrap();
    let (customer, link) = (note.customer.unwrap().id, note.links[0].id);
    let search = NoteSearch { customers: vec![customer], links: vec![link], ..NoteSearch::default() };
    let found = all(client.search_notes(&search, None)).await.unwrap();
    let expected = truth(&workspace, |note| {
        note.customer.is_some_and(|target| target.id == customer)
            && note.links.iter().any(|target| target.id == link)
    });
    assert_eq!(ids(&found), expected);
    let by_id = NoteSearch { ids: vec![note.id], ..NoteSearch::default() };
    assert_eq!(ids(&all(client.search_notes(&by_id, None)).await.unwrap()), [note.id].into());
}

#[tokio::test]
async fn relationships_are_listed_by_kind() {
    let simulator = simulator().await;
    let workspace = simulator.workspace("acme").unwrap();
    let client = client(&simulator);
    let note = workspace.notes.iter().find(|note| note.customer.is_some() && !note.links.is_empty()).unwrap();
    let by = async |kind, limit| {
        let query = NoteRelationshipsQuery { kind, limit, ..NoteRelationshipsQuery::default() };
        all(client.note_relationships(note.id, &query, None)).await.unwrap().len()
    };
    assert_eq!(by(Some(RelationshipKind::Customer), None).await, 1);
    assert_eq!(by(Some(RelationshipKind::Link), None).await, note.links.len());
    assert_eq!(by(None, Some(1)).await, note.links.len() + 1, "one to a page");
}

#[tokio::test]
async fn notes_survive_their_quirks() {
    let simulator = simulator().await;
    let client = client(&simulator);
    let faithful = listed(&client, &NotesQuery::default()).await;
    simulator.faults(TOKEN, |faults| {
        faults.nested_timestamps = true;
        faults.relationships_as_array = true;
        faults.unknown_fields = true;
    });
    let quirky = listed(&client, &NotesQuery::default()).await;
    assert_eq!(quirky.len(), faithful.len());
    for (quirky, faithful) in quirky.iter().zip(&faithful) {
        assert_eq!((quirky.created_at, quirky.updated_at), (faithful.created_at, faithful.updated_at));
        assert_eq!(quirky.relationships.items, faithful.relationships.items);
    }
}

#[tokio::test]
async fn configurations() {
    let simulator = simulator().await;
    let client = client(&simulator);
    let configurations = all(client.note_configurations(None)).await.unwrap();
    let kinds: BTreeSet<_> = configurations.iter().map(|it| it.kind.clone()).collect();
    assert_eq!(kinds, NoteType::KNOWN.iter().cloned().collect());
    let one = client.note_configuration(&NoteType::Conversation).await.unwrap();
    assert!(one.fields.contains_key("content"));
    assert!(configurations.contains(&one));
}

#[tokio::test]
async fn pages_of_any_size_are_read_and_what_people_wrote_comes_only_when_it_is_asked_for() {
    let options = sim::Options { requests_per_second: 0, page_size: 100 };
    let simulator = simulator_with(options).await;
    simulator.faults(TOKEN, |faults| (faults.note_bytes, faults.plain_note_fields) = (184_320, true));
    let client = client(&simulator);
    let everything = listed(&client, &NotesQuery::default()).await;
    let text = |note: &Note| note.fields.get("content").and_then(|it| it.as_str().map(str::len));
    assert!(everything.iter().all(|note| text(note) == Some(184_320)), "a page of 18 MB");
    let fields = FieldSelection::Only(vec!["owner".to_owned()]);
    let owners = listed(&client, &NotesQuery { fields, ..NotesQuery::default() }).await;
    assert_eq!(ids(&owners), ids(&everything));
    assert!(owners.iter().all(|note| text(note).is_none()));
}
