//! What the database has of entities, notes, teams and configurations, beside what the workspace has.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::Value;
use tidemark_domain::stream::{Capture, Options, Stream};
use tidemark_productboard_sim::{Entity, Note, Workspace};
use tidemark_rpc::syncs::StreamProgress;
use tidemark_store::Resource;
use uuid::Uuid;

use crate::support::Harness;

/// A row without its document.
type Row = (Uuid, Resource);

fn entity(workspace: &Workspace, entity: &Entity) -> Row {
    let status = entity.status.and_then(|id| workspace.statuses.iter().find(|status| status.id == id));
    let resource = Resource {
        status: status.map(|status| status.name.clone()),
        parent_id: entity.parent(),
        ..resource(entity.id, entity.kind.as_str(), entity.archived, [entity.created_at, entity.updated_at])
    };
    (entity.id, Resource { owner_id: somebody(workspace, entity.owner), ..resource })
}

/// People who left are not shown.
fn somebody(workspace: &Workspace, id: Option<Uuid>) -> Option<Uuid> {
    id.filter(|id| workspace.members.iter().any(|member| member.id == *id))
}

fn note(workspace: &Workspace, note: &Note) -> Row {
    let resource = Resource {
        processed: Some(note.processed),
        owner_id: somebody(workspace, note.owner),
        creator_id: somebody(workspace, note.creator),
        ..resource(note.id, note.kind.as_str(), note.archived, [note.created_at, note.updated_at])
    };
    (note.id, resource)
}

fn resource(id: Uuid, kind: &str, archived: bool, [created, updated]: [DateTime<Utc>; 2]) -> Resource {
    // What goes over the wire has microseconds.
    let micros = |at: DateTime<Utc>| DateTime::from_timestamp_micros(at.timestamp_micros());
    Resource {
        id,
        kind: kind.to_owned(),
        status: None,
        archived: Some(archived),
        processed: None,
        owner_id: None,
        creator_id: None,
        parent_id: None,
        created_at: micros(created),
        updated_at: micros(updated),
        deleted_at: None,
        document: None,
    }
}

/// The other sides of all relationships.
fn related(workspace: &Workspace) -> BTreeMap<Uuid, Vec<Uuid>> {
    let targets = |ids: &mut dyn Iterator<Item = Uuid>| {
        let mut ids: Vec<_> = ids.collect();
        ids.sort_unstable();
        ids
    };
    let entities = workspace
        .entities
        .iter()
        .map(|it| (it.id, targets(&mut it.relationships.iter().map(|other| other.target))));
    let notes = workspace
        .notes
        .iter()
        .map(|it| (it.id, targets(&mut it.customer.iter().chain(&it.links).map(|target| target.id))));
    entities.chain(notes).collect()
}

/// The same, as a document has them.
fn kept_related(document: &Value) -> Vec<Uuid> {
    let relationships = &document["relationships"];
    let items = relationships.as_array().or_else(|| relationships["data"].as_array()).unwrap();
    let mut ids: Vec<_> =
        items.iter().map(|it| it["target"]["id"].as_str().unwrap().parse().unwrap()).collect();
    ids.sort_unstable();
    ids
}

impl Harness {
    pub(crate) async fn choose(&self, streams: impl IntoIterator<Item = Stream>, capture: Capture) {
        let now = tidemark_domain::Clock::now(&*self.clock);
        let tx = self.store.begin().await.unwrap();
        let options = Options::new(streams, capture);
        tx.put_sync_options(&self.connection, &options, now).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn resources(&self, stream: Stream) -> Vec<Resource> {
        self.store.resources(&self.connection, stream, None, 100_000).await.unwrap()
    }

    /// The workspace gets other data.
    pub(crate) fn edit(&self, edit: impl FnOnce(&mut Workspace)) {
        let mut workspace = Workspace::clone(&self.simulator.workspace("acme").unwrap());
        edit(&mut workspace);
        self.simulator.add(workspace, crate::support::TOKEN);
    }

    /// Rows that are not gone are exactly the workspace's, and have their documents if those are kept.
    pub(crate) async fn assert_planned(&self, capture: Capture) {
        let workspace = self.simulator.workspace("acme").unwrap();
        let entities: BTreeMap<_, _> = workspace.entities.iter().map(|it| entity(&workspace, it)).collect();
        let notes: BTreeMap<_, _> = workspace.notes.iter().map(|it| note(&workspace, it)).collect();
        let mut names: BTreeMap<_, _> = workspace.entities.iter().map(|it| (it.id, &it.name)).collect();
        names.extend(workspace.notes.iter().map(|it| (it.id, &it.name)));
        let related = related(&workspace);
        for (stream, expected) in [(Stream::Entities, entities), (Stream::Notes, notes)] {
            let mut kept = BTreeMap::new();
            for mut row in self.resources(stream).await {
                if row.deleted_at.is_some() {
                    continue;
                }
                let document = row.document.take();
                assert_eq!(document.is_some(), capture == Capture::Full, "{stream:?} {}", row.id);
                if let Some(document) = document {
                    let document: Value = serde_json::from_str(&document).unwrap();
                    assert_eq!(document["fields"]["name"], **names[&row.id]);
                    assert_eq!(kept_related(&document), related[&row.id], "{stream:?} {}", row.id);
                }
                kept.insert(row.id, row);
            }
            let ids = |rows: &BTreeMap<_, _>| rows.keys().copied().collect::<BTreeSet<Uuid>>();
            let (kept_ids, expected_ids) = (ids(&kept), ids(&expected));
            let missing: Vec<_> = expected_ids.difference(&kept_ids).collect();
            let left: Vec<_> = kept_ids.difference(&expected_ids).collect();
            assert!(missing.is_empty() && left.is_empty(), "{stream:?}: {missing:?} missing, {left:?} left");
            for (id, row) in kept {
                assert_eq!(row, expected[&id]);
            }
        }
    }

    /// The teams and who is in them are exactly the workspace's.
    pub(crate) async fn assert_teams(&self) {
        let workspace = self.simulator.workspace("acme").unwrap();
        let teams: BTreeSet<_> = workspace.teams.iter().map(|team| team.id).collect();
        let memberships: BTreeSet<_> =
            workspace.memberships.iter().map(|it| (it.team_id, it.member_id)).collect();
        assert_eq!(self.store.team_ids(&self.connection).await.unwrap(), teams);
        assert_eq!(self.store.memberships(&self.connection).await.unwrap(), memberships);
    }

    /// Configurations of all types of entities and of notes.
    pub(crate) async fn assert_configurations(&self) {
        let kept = self.store.configurations(&self.connection).await.unwrap();
        let of = |family: &str| kept.iter().filter(|it| it.family == family).count();
        assert_eq!((of("entity"), of("note")), (11, 3));
        let workspace = self.simulator.workspace("acme").unwrap();
        for field in &workspace.custom_fields {
            let id = field.id.to_string();
            assert!(kept.iter().any(|it| it.document.contains(&id)), "a field is missing");
        }
    }
}

/// The stream's part of a run.
pub(crate) fn of(run: &tidemark_rpc::syncs::Run, stream: Stream) -> &StreamProgress {
    run.streams.iter().find(|it| it.stream == stream.as_str()).expect("the stream is on")
}
