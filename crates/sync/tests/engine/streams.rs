//! Entities, notes and configurations: changes, whole lists, tombstones, doubts.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use tidemark_domain::{
    Clock,
    stream::{Capture, Stream},
};
use tidemark_inproc::InprocLeases;
use tidemark_productboard_sim::{
    Entity, Relationship, RelationshipKind, Route, SelectOption, Target, WorkspaceSpec,
};
use tidemark_rpc::syncs::{
    AcceptShrinkRequest, Capture as WireCapture, GetDataQualityRequest, GetSyncOptionsRequest, RunState,
    SetSyncOptionsRequest, StreamState, SyncOptions,
};
use tidemark_sync::Settings;

use crate::{
    planned::of,
    support::{Harness, TOKEN, settings, today},
};

/// A workspace with plans, all streams on.
pub(crate) async fn planned(capture: Capture) -> Harness {
    let spec = WorkspaceSpec::new("acme", 20, today()).days(40).entities(240).notes(150);
    let settings = Settings { history_days: 30, ..settings() };
    let harness = Harness::over(settings, Arc::new(InprocLeases::new()), 20, &spec).await;
    harness.choose(Stream::ALL, capture).await;
    harness
}

/// Days go by, and the workspace with them.
pub(crate) fn live_on(harness: &Harness, days: i64) {
    harness.clock.advance(TimeDelta::days(days));
    harness.simulator.evolve("acme", harness.clock.today(), 5).unwrap();
}

async fn deleted(harness: &Harness, stream: Stream) -> usize {
    harness.resources(stream).await.iter().filter(|it| it.deleted_at.is_some()).count()
}

#[tokio::test]
async fn all_streams_come_in() {
    let harness = planned(Capture::Metadata).await;
    let run = harness.sync().await;
    assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
    assert_eq!(run.streams.len(), 6);
    harness.assert_facts().await;
    harness.assert_teams().await;
    harness.assert_planned(Capture::Metadata).await;
    harness.assert_configurations().await;
    harness.finish().await;
}

#[tokio::test]
async fn documents_are_kept_where_that_was_chosen_and_go_again() {
    let harness = planned(Capture::Full).await;
    assert_eq!(harness.sync().await.state(), RunState::Succeeded);
    harness.assert_planned(Capture::Full).await;
    for capture in [Capture::Metadata, Capture::Full] {
        harness.choose(Stream::ALL, capture).await;
        harness.clock.advance(TimeDelta::minutes(1));
        assert_eq!(harness.sync().await.state(), RunState::Succeeded);
        harness.assert_planned(capture).await;
    }
    harness.finish().await;
}

#[tokio::test]
async fn whatever_does_not_come_along_is_asked_for() {
    let harness = planned(Capture::Full).await;
    harness.edit(|workspace| {
        let entities = workspace.entities.clone();
        let others = entities.iter().skip(1).take(150);
        let link =
            |it: &Entity| Relationship { kind: RelationshipKind::Link, target: it.id, target_kind: it.kind };
        workspace.entities[0].relationships = others.clone().map(link).collect();
        workspace.notes[0].links = others.map(|it| Target { id: it.id, kind: it.kind }).collect();
        let field = workspace.custom_fields.iter_mut().find(|field| !field.options.is_empty()).unwrap();
        let option = field.options[0].clone();
        field.options = (0..1_203).map(|number| numbered(&option, number)).collect();
    });
    for as_array in [false, true] {
        harness.simulator.faults(TOKEN, |faults| faults.relationships_as_array = as_array);
        assert_eq!(harness.sync().await.state(), RunState::Succeeded);
        harness.assert_planned(Capture::Full).await;
        harness.clock.advance(TimeDelta::days(8));
    }
    let kept = harness.store.configurations(&harness.connection).await.unwrap();
    let with_last = kept.iter().filter(|it| it.document.contains("option 1202"));
    let workspace = harness.simulator.workspace("acme").unwrap();
    let field = workspace.custom_fields.iter().find(|field| field.options.len() > 1_000).unwrap();
    assert_eq!(with_last.clone().count(), field.kinds.len());
    for configuration in with_last {
        let document: serde_json::Value = serde_json::from_str(&configuration.document).unwrap();
        let values = &document["fields"][field.id.to_string()]["values"];
        let values = values["data"].as_array().unwrap();
        assert_eq!((values.len(), &values[7]["name"]), (1_203, &"option 7".into()));
    }
    harness.finish().await;
}

fn numbered(option: &SelectOption, number: u128) -> SelectOption {
    let id = uuid::Uuid::from_u128(option.id.as_u128() ^ number);
    SelectOption { id, name: format!("option {number}"), ..option.clone() }
}

#[tokio::test]
async fn nothing_new_costs_little_and_writes_nothing() {
    let harness = planned(Capture::Metadata).await;
    let first = harness.sync().await;
    harness.clock.advance(TimeDelta::minutes(10));
    let before = harness.simulator.requests(TOKEN);
    let run = harness.sync().await;
    let requests = harness.simulator.requests(TOKEN) - before;
    for stream in [Stream::Members, Stream::Teams, Stream::MemberActivities, Stream::Entities, Stream::Notes]
    {
        assert_eq!(of(&run, stream).rows_written, 0, "{stream:?}");
        assert_eq!(of(&run, stream).rows_removed, 0, "{stream:?}");
    }
    // Changes and objectives; changes.
    assert!(of(&run, Stream::Entities).pages <= 4, "{:?}", of(&run, Stream::Entities));
    assert_eq!(of(&run, Stream::Notes).pages, 1);
    let pages = |run: &tidemark_rpc::syncs::Run| run.streams.iter().map(|it| it.pages).sum::<u64>();
    assert!(requests * 2 < pages(&first), "{requests} requests after {}", pages(&first));
    assert_eq!(requests, pages(&run));
    harness.finish().await;
}

#[tokio::test]
async fn changes_come_with_the_next_run_and_deletions_with_the_whole_lists() {
    let harness = planned(Capture::Metadata).await;
    harness.sync().await;
    live_on(&harness, 2);
    let run = harness.sync().await;
    assert_eq!(run.state(), RunState::Succeeded);
    let entities = of(&run, Stream::Entities);
    assert!(entities.rows_written > 0 && entities.pages < 12, "{entities:?}");
    let gone = harness.simulator.workspace("acme").unwrap().notes[3].id;
    harness.edit(|workspace| workspace.notes.retain(|note| note.id != gone));
    live_on(&harness, 1);
    harness.sync().await;
    assert_eq!(deleted(&harness, Stream::Notes).await, 0, "changes do not tell");
    live_on(&harness, 7);
    let run = harness.sync().await;
    assert!(of(&run, Stream::Notes).rows_removed >= 1);
    harness.assert_planned(Capture::Metadata).await;
    let rows = harness.resources(Stream::Notes).await;
    assert!(rows.iter().any(|row| row.id == gone && row.deleted_at.is_some()));
    harness.finish().await;
}

#[tokio::test]
async fn a_shrunken_list_is_told_and_a_real_one_can_be_accepted() {
    for route in [Route::Entities, Route::Notes] {
        let stream = if route == Route::Notes { Stream::Notes } else { Stream::Entities };
        let harness = planned(Capture::Metadata).await;
        harness.sync().await;
        live_on(&harness, 7);
        harness.simulator.faults(TOKEN, |faults| faults.shrunken_list = [route].into());
        let run = harness.sync().await;
        assert_eq!(run.state(), RunState::Partial);
        assert_eq!(of(&run, stream).state(), StreamState::Suspect);
        assert!(of(&run, stream).detail.contains("was not believed"), "{:?}", of(&run, stream));
        assert_eq!(deleted(&harness, stream).await, 0);
        harness.simulator.faults(TOKEN, |faults| faults.shrunken_list.clear());
        harness.clock.advance(TimeDelta::minutes(1));
        assert_eq!(harness.sync().await.state(), RunState::Succeeded, "it is looked at again at once");
        harness.assert_planned(Capture::Metadata).await;

        live_on(&harness, 7);
        harness.edit(|workspace| {
            workspace.notes.truncate(80);
            workspace.entities.truncate(120);
        });
        assert_eq!(of(&harness.sync().await, stream).state(), StreamState::Suspect);
        let tx = harness.store.begin().await.unwrap();
        for stream in [Stream::Entities, Stream::Notes] {
            tx.accept_shrink(&harness.connection, stream, harness.clock.now()).await.unwrap();
        }
        tx.commit().await.unwrap();
        harness.clock.advance(TimeDelta::minutes(1));
        assert_eq!(harness.sync().await.state(), RunState::Succeeded);
        harness.assert_planned(Capture::Metadata).await;
        assert!(!harness.store.mark(&harness.connection, stream).await.unwrap().accepts_shrink, "once");
        harness.finish().await;
    }
}

#[tokio::test]
async fn what_a_list_left_out_is_asked_for_before_it_is_taken_for_gone() {
    let harness = planned(Capture::Metadata).await;
    harness.sync().await;
    live_on(&harness, 7);
    harness.simulator.faults(TOKEN, |faults| faults.shrinks_between_pages = [Route::Notes].into());
    let run = harness.sync().await;
    assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
    harness.assert_planned(Capture::Metadata).await;
    harness.finish().await;
}

#[tokio::test]
async fn a_search_that_finds_nothing_is_not_believed() {
    let harness = planned(Capture::Metadata).await;
    harness.sync().await;
    harness.edit(|workspace| {
        workspace.entities[7].archived ^= true;
        workspace.entities[7].updated_at = harness.clock.now();
        workspace.entities.remove(70);
    });
    harness.clock.advance(TimeDelta::hours(1));
    harness.simulator.faults(TOKEN, |faults| faults.empty_list = [Route::EntitiesSearch].into());
    let run = harness.sync().await;
    assert_eq!(of(&run, Stream::Entities).state(), StreamState::Complete);
    harness.assert_planned(Capture::Metadata).await;
    harness.finish().await;
}

#[tokio::test]
async fn objectives_are_found_where_searches_do_not_find_them() {
    let harness = planned(Capture::Metadata).await;
    harness.simulator.faults(TOKEN, |faults| faults.objective_search_empty = true);
    harness.sync().await;
    harness.edit(|workspace| {
        let objective = tidemark_productboard_sim::EntityKind::Objective;
        let objective = workspace.entities.iter_mut().find(|it| it.kind == objective).unwrap();
        objective.archived ^= true;
        objective.updated_at += TimeDelta::days(1);
    });
    harness.clock.advance(TimeDelta::days(1));
    assert_eq!(harness.sync().await.state(), RunState::Succeeded);
    harness.assert_planned(Capture::Metadata).await;
    harness.finish().await;
}

#[tokio::test]
async fn a_redelivery_goes_on_inside_the_lists() {
    let spec = WorkspaceSpec::new("acme", 300, today()).days(10).entities(400).notes(300);
    let settings = Settings { history_days: 3, delivery_budget: Duration::ZERO, ..settings() };
    let harness = Harness::over(settings, Arc::new(InprocLeases::new()), 10, &spec).await;
    harness.choose(Stream::ALL, Capture::Metadata).await;
    let run = harness.sync().await;
    assert_eq!(run.state(), RunState::Succeeded);
    let deliveries = harness.sent("sync.run").await.len();
    assert!(deliveries > 5, "{deliveries} deliveries");
    harness.assert_planned(Capture::Metadata).await;
    harness.assert_teams().await;
    let pages = |rows: usize| rows.div_ceil(10) as u64;
    let workspace = harness.simulator.workspace("acme").unwrap();
    let members = of(&run, Stream::Members).pages;
    assert!(members <= pages(workspace.members.len()) + 1, "{members} pages of members");
    // Each list ends with a page that is not full, and a pause may lose what was read ahead but not written.
    let notes = of(&run, Stream::Notes).pages;
    assert!(notes <= pages(workspace.notes.len()) + 6, "{notes} pages of notes");
    harness.finish().await;
}

#[tokio::test]
async fn unknown_fields_are_counted_and_kept() {
    let harness = planned(Capture::Full).await;
    harness.simulator.faults(TOKEN, |faults| faults.unknown_fields = true);
    harness.sync().await;
    let drift = harness.store.drift(&harness.connection).await.unwrap();
    let workspace = harness.simulator.workspace("acme").unwrap();
    let rows = |stream, path: &str| {
        drift.iter().find(|it| it.stream == stream && it.path == path).map_or(0, |it| it.rows)
    };
    assert_eq!(rows(Stream::Members, "betaSegment"), workspace.members.len() as u64);
    assert_eq!(rows(Stream::Teams, "fields.betaLabels"), workspace.teams.len() as u64);
    assert_eq!(rows(Stream::Entities, "fields.betaLabels"), workspace.entities.len() as u64);
    assert_eq!(rows(Stream::Notes, "betaSegment"), workspace.notes.len() as u64);
    assert!(rows(Stream::MemberActivities, "betaSegment") > 0);
    let kept = harness.resources(Stream::Notes).await;
    assert!(kept.iter().all(|row| row.document.as_ref().unwrap().contains("betaSegment")));
    harness.finish().await;
}

#[tokio::test]
async fn late_and_vanished_rows_of_covered_days_are_counted() {
    let harness = planned(Capture::Metadata).await;
    harness.sync().await;
    let yesterday = harness.clock.today() - chrono::Days::new(1);
    harness.edit(|workspace| {
        let gone = workspace.activities.iter().rposition(|row| row.date <= yesterday).unwrap();
        workspace.activities.remove(gone);
        let other = workspace.activities.iter().rposition(|row| row.date <= yesterday).unwrap();
        workspace.activities[other].active_flag ^= true;
    });
    harness.clock.advance(TimeDelta::minutes(1));
    let run = harness.sync().await;
    let activities = of(&run, Stream::MemberActivities);
    assert_eq!((activities.rows_written, activities.rows_removed, activities.rows_late), (1, 1, 2));
    harness.assert_facts().await;
    harness.finish().await;
}

#[tokio::test]
async fn shrunken_teams_are_told() {
    let harness = planned(Capture::Metadata).await;
    harness.sync().await;
    let digest = harness.digest().await;
    for route in [Route::Teams, Route::TeamMembers] {
        harness.clock.advance(TimeDelta::minutes(1));
        harness.simulator.faults(TOKEN, |faults| faults.empty_list = [route].into());
        let run = harness.sync().await;
        assert_eq!(of(&run, Stream::Teams).state(), StreamState::Suspect);
        assert_eq!(harness.digest().await, digest);
    }
    harness.finish().await;
}

#[tokio::test]
async fn callers_choose_accept_and_look() {
    let harness = Harness::start().await;
    let connection_id = harness.connection.to_string();
    let chosen = SyncOptions {
        optional_streams: vec!["entities".to_owned(), "notes".to_owned()],
        capture: WireCapture::Full.into(),
    };
    let of = |options| SetSyncOptionsRequest { connection_id: connection_id.clone(), options: Some(options) };
    let mut syncs = harness.syncs.syncs();
    let set = syncs.set_sync_options(of(chosen.clone())).await.unwrap().into_inner();
    assert_eq!(set.options.as_ref(), Some(&chosen));
    let request = GetSyncOptionsRequest { connection_id: connection_id.clone() };
    let got = syncs.get_sync_options(request).await.unwrap().into_inner();
    assert_eq!(got.options, Some(chosen.clone()));
    let wrong = SyncOptions { optional_streams: vec!["members".to_owned()], ..chosen };
    let refused = syncs.set_sync_options(of(wrong)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    assert!(refused.message().contains("`notes`"), "{}", refused.message());

    let accept = |stream: &str| AcceptShrinkRequest {
        connection_id: connection_id.clone(),
        stream: stream.to_owned(),
    };
    syncs.accept_shrink(accept("notes")).await.unwrap();
    assert!(harness.store.mark(&harness.connection, Stream::Notes).await.unwrap().accepts_shrink);
    assert_eq!(syncs.accept_shrink(accept("boards")).await.unwrap_err().code(), tonic::Code::InvalidArgument);

    harness.simulator.faults(TOKEN, |faults| faults.unknown_fields = true);
    assert_eq!(harness.sync().await.state(), RunState::Succeeded);
    let request = GetDataQualityRequest { connection_id };
    let quality = syncs.get_data_quality(request).await.unwrap().into_inner();
    assert!(quality.flags.is_empty(), "rollups find flags");
    assert!(quality.unknown_fields.iter().any(|it| it.path == "fields.betaLabels" && it.rows > 0));
    harness.assert_planned(Capture::Full).await;
    harness.finish().await;
}
