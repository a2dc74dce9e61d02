//! Syncs where nothing goes wrong: what is fetched, how often, and what is told.

use std::{sync::Arc, time::Duration};

use chrono::{Days, TimeDelta};
use tidemark_domain::{
    command::SyncRun,
    event::{Connected, Data, SyncCompleted},
    id::OrganizationId,
    run,
};
use tidemark_inproc::InprocLeases;
use tidemark_ports::{
    Bus, Route,
    topology::{SYNC_CONNECTIONS, SYNC_RUN},
};
use tidemark_rpc::syncs::{GetSyncRequest, ListSyncsRequest, RunState, StartSyncRequest, StreamState};
use tidemark_sync::Settings;
use tonic::Code;

use crate::support::{Harness, TOKEN, foreign, run_id, settings, today};

#[tokio::test]
async fn a_full_sync_holds_what_the_workspace_has() {
    let harness = Harness::start().await;
    let (run, coalesced) = harness.start_sync().await;
    assert!(!coalesced);
    let again = harness.start_sync().await;
    assert_eq!((&again.0.id, again.1), (&run.id, true), "an open run is returned");
    let run = harness.wait_for_end(&run.id).await;
    assert_eq!((run.state(), run.reason.as_str(), run.attempts), (RunState::Succeeded, "", 0));
    let names: Vec<_> = run.streams.iter().map(|stream| stream.stream.as_str()).collect();
    assert_eq!(names, ["members", "teams", "member_activities"]);
    assert!(run.streams.iter().all(|stream| stream.state() == StreamState::Complete));
    assert_eq!((run.streams[2].done, run.streams[2].total), (365, 365));
    assert!(run.started_at.is_some() && run.finished_at.is_some());
    harness.assert_facts().await;
    let completed = SyncCompleted {
        run_id: run_id(&run),
        state: run::State::Succeeded,
        as_of: Some(today() - Days::new(1)),
    };
    assert_eq!(harness.events("sync.completed").await, [Data::SyncCompleted(completed)]);
    assert!(harness.events("sync.failed").await.is_empty());
    harness.finish().await;
}

#[tokio::test]
async fn the_next_run_fetches_the_newest_days_only() {
    let harness = Harness::start().await;
    harness.sync().await;
    let (first, digest) = (harness.simulator.requests(TOKEN), harness.digest().await);
    harness.clock.advance(TimeDelta::minutes(1));
    let run = harness.sync().await;
    assert_eq!(run.state(), RunState::Succeeded);
    assert_eq!((run.streams[2].done, run.streams[2].total), (7, 7));
    let second = harness.simulator.requests(TOKEN) - first;
    assert_eq!(
        run.streams.iter().map(|stream| stream.requests).sum::<u64>(),
        second,
        "each request is counted"
    );
    assert_eq!(
        (run.streams[0].requests, run.streams[2].requests),
        (1, 1),
        "a page of members, a page of days"
    );
    assert!(second * 4 < first, "{second} requests after {first}");
    assert_eq!(harness.digest().await, digest);
    harness.finish().await;
}

#[tokio::test]
async fn twenty_messages_make_one_result() {
    let harness = Harness::start().await;
    let (run, _) = harness.start_sync().await;
    let command = SyncRun { run_id: run_id(&run), connection_id: harness.connection.clone() };
    let body = serde_json::to_vec(&command).unwrap();
    let route = Route::Command(SyncRun::NAME.to_owned());
    for n in 0..20 {
        harness.bus.publish(vec![foreign(&format!("copy-{n}"), route.clone(), body.clone())]).await;
    }
    let run = harness.wait_for_end(&run.id).await;
    assert_eq!(run.state(), RunState::Succeeded);
    harness.assert_facts().await;
    assert_eq!(harness.events("sync.completed").await.len(), 1);
    harness.finish().await;
}

#[tokio::test]
async fn short_deliveries_give_the_same_facts() {
    let whole = Harness::start().await;
    whole.sync().await;
    let short = Settings { delivery_budget: Duration::ZERO, requests_per_second: 200, ..settings() };
    let harness = Harness::with(short, Arc::new(InprocLeases::new())).await;
    let run = harness.sync().await;
    assert_eq!(run.state(), RunState::Succeeded);
    let deliveries = harness.sent(SyncRun::NAME).await.len();
    assert!(deliveries >= 4, "a few slices each: {deliveries} deliveries");
    harness.assert_facts().await;
    assert_eq!(harness.digest().await, whole.digest().await);
    harness.finish().await;
    whole.finish().await;
}

#[tokio::test]
async fn a_connection_event_starts_one_run() {
    let harness = Harness::start().await;
    let organization_id = OrganizationId::generate(&*harness.clock, &*harness.entropy);
    let data = Data::Connected(Connected { organization_id, workspace: None });
    let event = harness.emit(data).await;
    let run = loop {
        if let Some(run) = harness.store.runs_of(&harness.connection, None, 10).await.unwrap().pop() {
            break run;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    harness.wait_for_end(run.id.as_str()).await;
    // Redelivered after the run has ended: the inbox knows it.
    let route = Route::Event("connection.connected".to_owned());
    harness.bus.publish(vec![foreign("again", route, event.encode())]).await;
    let started = harness.sync().await;
    let runs = harness.store.runs_of(&harness.connection, None, 10).await.unwrap();
    assert_eq!(runs.len(), 2, "the first one and {}", started.id);
    harness.finish().await;
}

#[tokio::test]
async fn what_is_no_message_goes_to_the_dead_letters() {
    let mut harness = Harness::start().await;
    let event = || Route::Event("connection.connected".to_owned());
    let newer = r#"{"specversion":"1.0","id":"evt_01jd0000000000000000000000","source":"/x","type":"connection.moved",
        "time":"2026-08-12T12:00:00Z","subject":"conn_01jd0000000000000000000000","datacontenttype":"application/json",
        "dataschema":"x","data":{}}"#;
    let stranger = newer.replace("connection.moved", "connection.connected").replace(
        r#""data":{}"#,
        r#""data":{"organization_id":"org_01jd0000000000000000000000","workspace":null}"#,
    );
    harness
        .bus
        .publish(vec![
            foreign("no-event", event(), "{}"),
            foreign("newer", event(), newer),
            foreign("no-connection", event(), stranger),
            foreign("no-command", Route::Command(SyncRun::NAME.to_owned()), "[]"),
        ])
        .await;
    let dead = |queue| harness.bus.dead_letters(queue).into_iter().map(|m| m.id).collect::<Vec<_>>();
    while dead(&SYNC_RUN).is_empty() || dead(&SYNC_CONNECTIONS).len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(dead(&SYNC_RUN), ["no-command"]);
    assert_eq!(dead(&SYNC_CONNECTIONS), ["no-event", "no-connection"]);
    harness.stop_worker().await;
}

#[tokio::test]
async fn runs_are_listed_page_by_page() {
    let harness = Harness::start().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.insert(0, harness.sync().await.id);
        harness.clock.advance(TimeDelta::minutes(1));
    }
    let (mut listed, mut page_token) = (Vec::new(), String::new());
    loop {
        let connection_id = harness.connection.to_string();
        let request = ListSyncsRequest { connection_id, page_size: 2, page_token };
        let page = harness.syncs.syncs().list_syncs(request).await.unwrap().into_inner();
        assert!(page.runs.iter().all(|run| run.streams.len() == 3));
        listed.extend(page.runs.into_iter().map(|run| run.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, ids, "newest first");
    harness.finish().await;
}

#[tokio::test]
async fn requests_are_refused_with_what_to_do() {
    let harness = Harness::start().await;
    let mut client = harness.syncs.syncs();
    let unknown = "conn_01jd0000000000000000000000".to_owned();
    let refusal = client
        .start_sync(StartSyncRequest { connection_id: unknown.clone(), ..StartSyncRequest::default() })
        .await
        .unwrap_err();
    assert_eq!((refusal.code(), refusal.message()), (Code::NotFound, "no such connection"));
    let refusal = client.start_sync(StartSyncRequest::default()).await.unwrap_err();
    assert_eq!(refusal.code(), Code::InvalidArgument);
    let run_id = "run_01jd0000000000000000000000".to_owned();
    let refusal = client.get_sync(GetSyncRequest { run_id }).await.unwrap_err();
    assert_eq!((refusal.code(), refusal.message()), (Code::NotFound, "no such sync run"));
    let bad =
        ListSyncsRequest { connection_id: unknown, page_token: "made up".to_owned(), ..Default::default() };
    assert_eq!(client.list_syncs(bad).await.unwrap_err().code(), Code::InvalidArgument);
    harness.finish().await;
}
