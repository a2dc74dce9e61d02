//! `WatchConnections`: nothing is missed, nothing of others is seen, and it ends when it must.

use std::{collections::BTreeSet, time::Duration};

use chrono::TimeDelta;
use futures::StreamExt as _;
use secrecy::SecretString;
use tidemark_domain::{Clock, id::OrganizationId};
use tidemark_rpc::{
    client::Caller,
    connections::{
        CloudEvent, ListEventsRequest, WatchConnectionsRequest, WatchConnectionsResponse,
        events_service_server::EventsService,
    },
    identity::Identity,
    inproc,
    server::{Guard, Listen, Server},
};
use tidemark_testkit::TestDatabase;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use crate::world::{World, by, limited, platform};

type Stream = ReceiverStream<Result<WatchConnectionsResponse, Status>>;

const PATIENCE: Duration = Duration::from_secs(10);

async fn watch(world: &World, caller: &Identity, organization: &str, token: &str) -> Result<Stream, Status> {
    let request =
        WatchConnectionsRequest { organization_id: organization.to_owned(), resume_token: token.to_owned() };
    Ok(world.service.watch_connections(by(caller, request)).await?.into_inner())
}

async fn message(stream: &mut Stream) -> Result<WatchConnectionsResponse, Status> {
    timeout(PATIENCE, stream.next()).await.expect("a message").expect("the stream goes on")
}

/// The next event and the token behind it.
async fn event(stream: &mut Stream) -> (CloudEvent, String) {
    loop {
        let message = message(stream).await.unwrap();
        if let Some(event) = message.event {
            return (event, message.resume_token);
        }
    }
}

#[tokio::test]
async fn a_stream_begins_with_now_and_goes_on_where_it_was() {
    let world = World::new().await;
    let (organization, connection) = world.customer().await;
    let before = world.happens(&connection, 1).await;
    // Until it has its position.
    let mut first = watch(&world, &platform(), "", "").await.unwrap();
    let token = loop {
        let token = message(&mut first).await.unwrap().resume_token;
        if world.store.feed_head().await.unwrap().position == 1 {
            break token;
        }
    };
    drop(first);
    let mut stream = watch(&world, &platform(), "", "").await.unwrap();
    let heartbeat = message(&mut stream).await.unwrap();
    assert!(heartbeat.event.is_none(), "the past is not told");
    let told = world.happens(&connection, 2).await;
    let (event_2, token_2) = event(&mut stream).await;
    assert_eq!(event_2.id, told.id.as_str());
    drop(stream);

    let (third, failed) = (world.happens(&connection, 3).await, world.sync_fails(&connection).await);
    let mut stream = watch(&world, &limited(&organization), organization.as_str(), &token_2).await.unwrap();
    let (event_3, _) = event(&mut stream).await;
    let (event_4, _) = event(&mut stream).await;
    assert_eq!([event_3.id.as_str(), &event_4.id], [third.id.as_str(), failed.id.as_str()]);
    assert_eq!(
        (event_3.r#type.as_str(), event_3.subject.as_str()),
        ("connection.reconnected", connection.as_str())
    );
    assert_eq!((event_3.source.as_str(), event_3.spec_version.as_str()), ("/tidemark/credentials", "1.0"));
    assert_eq!(event_3.data_schema, "tidemark:connection.reconnected:v1");
    assert_eq!(event_3.time.unwrap().seconds, world.clock.now().timestamp());
    let data: serde_json::Value = serde_json::from_str(&event_4.data).unwrap();
    assert_eq!(data["reason"], "it rained");

    // The token of a heartbeat is as good.
    let mut stream = watch(&world, &platform(), "", &heartbeat.resume_token).await.unwrap();
    assert_eq!(event(&mut stream).await.0.id, told.id.as_str());
    let mut stream = watch(&world, &platform(), "", &token).await.unwrap();
    let (again, _) = event(&mut stream).await;
    assert!([before.id.as_str(), told.id.as_str()].contains(&again.id.as_str()));
}

#[tokio::test]
async fn a_caller_sees_its_own_organizations_only() {
    let world = World::new().await;
    let (mine, connection) = world.customer().await;
    let (theirs, other) = world.customer().await;
    let mut all = watch(&world, &platform(), "", "").await.unwrap();
    let mut one = watch(&world, &platform(), theirs.as_str(), "").await.unwrap();
    let mut own = watch(&world, &limited(&mine), "", "").await.unwrap();
    for stream in [&mut all, &mut one, &mut own] {
        message(stream).await.unwrap();
    }
    for number in 0..120 {
        world.happens(&other, number).await;
    }
    let last = world.happens(&connection, 7).await;
    let message = loop {
        let message = message(&mut own).await.unwrap();
        if message.event.is_some() {
            break message;
        }
    };
    assert_eq!(message.event.unwrap().id, last.id.as_str(), "nothing of others in front of it");
    assert_eq!(message.organization_id, mine.as_str());
    for _ in 0..120 {
        assert_eq!(event(&mut one).await.0.subject, other.as_str());
        assert_eq!(event(&mut all).await.0.subject, other.as_str());
    }
    assert_eq!(event(&mut all).await.0.id, last.id.as_str());

    for foreign in [&theirs, &OrganizationId::everybody()] {
        let refused = watch(&world, &limited(&mine), foreign.as_str(), "").await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), (Code::NotFound, "no such organization"));
    }
}

#[tokio::test]
async fn what_happened_is_listed_newest_first_in_pages() {
    let world = World::new().await;
    let (mine, connection) = world.customer().await;
    let (theirs, other) = world.customer().await;
    let mut told = Vec::new();
    for number in 0..5 {
        told.insert(0, world.happens(&connection, number).await.id.to_string());
        world.happens(&other, number).await;
    }
    // Until all have their positions.
    let mut stream = watch(&world, &platform(), "", "").await.unwrap();
    while world.store.feed_head().await.unwrap().position < 10 {
        message(&mut stream).await.unwrap();
    }
    let list = async |caller: &Identity, page_token: String| {
        let request = ListEventsRequest { connection_id: connection.to_string(), page_size: 2, page_token };
        world.service.list_events(by(caller, request)).await.map(tonic::Response::into_inner)
    };
    let (mut listed, mut token) = (Vec::new(), String::new());
    loop {
        let page = list(&limited(&mine), token).await.unwrap();
        assert!(page.events.len() <= 2);
        listed.extend(page.events.into_iter().map(|event| event.id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, told, "each once, and none of the other connection");
    let refused = list(&limited(&theirs), String::new()).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::NotFound, "no such connection"));
    assert_eq!(list(&platform(), "x".to_owned()).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_silent_stream_shows_that_it_lives_and_moves_on() {
    let world = World::new().await;
    let (mine, _) = world.customer().await;
    let (_, other) = world.customer().await;
    let mut stream = watch(&world, &limited(&mine), "", "").await.unwrap();
    let first = message(&mut stream).await.unwrap();
    world.happens(&other, 1).await;
    // The token moves past the events of others, so that it does not grow old.
    let moved = loop {
        let message = message(&mut stream).await.unwrap();
        assert!(message.event.is_none());
        if message.resume_token != first.resume_token {
            break message;
        }
    };
    assert_eq!(message(&mut stream).await.unwrap().resume_token, moved.resume_token);
}

#[tokio::test]
async fn a_token_that_is_too_old_says_what_to_do() {
    let world = World::new().await;
    let (_, connection) = world.customer().await;
    let mut stream = watch(&world, &platform(), "", "").await.unwrap();
    let old = message(&mut stream).await.unwrap().resume_token;
    world.happens(&connection, 1).await;
    let (_, newest) = event(&mut stream).await;
    drop(stream);
    world.clock.advance(TimeDelta::days(15));
    let before = tidemark_domain::Clock::now(&*world.clock) - TimeDelta::days(14);
    assert!(world.store.forget_feed_before(before, 1_000).await.unwrap() > 0, "old events go");

    let refused = watch(&world, &platform(), "", &old).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    assert!(refused.message().contains("then list the connections"), "{refused}");
    watch(&world, &platform(), "", &newest).await.expect("nothing is missing behind this one");
    // `v1.99`: of a database that was set back since.
    let refused = watch(&world, &platform(), "", "djEuOTk").await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    for bad in ["x", "djEuLTE", "MQ"] {
        let refused = watch(&world, &platform(), "", bad).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{bad}");
        assert!(refused.message().starts_with("field `resume_token`"), "{refused}");
    }
}

#[tokio::test]
async fn whoever_reads_slowly_misses_nothing() {
    let world = World::new().await;
    let (_, connection) = world.customer().await;
    let mut stream = watch(&world, &platform(), "", "").await.unwrap();
    message(&mut stream).await.unwrap();
    for number in 0..300 {
        world.happens(&connection, number).await;
    }
    // Far more than the buffer holds, before the first is read.
    tokio::time::sleep(Duration::from_millis(500)).await;
    for number in 0..300 {
        let data: serde_json::Value = serde_json::from_str(&event(&mut stream).await.0.data).unwrap();
        assert_eq!(data["generation"], number);
    }
}

/// Through the server, as callers see it: the process goes, and its streams with it, long before the drain ends.
#[tokio::test]
async fn a_stream_ends_with_its_process_and_says_so() {
    let world = World::new().await;
    let (_, connection) = world.customer().await;
    let token = SecretString::from("a-service-token-for-tests");
    let server = Server::new(Guard::new(&token)).with(world.service.events_server());
    let (channel, incoming) = inproc::pair();
    let stop = world.shutdown.soft().clone();
    let serving = tokio::spawn(server.serve(Listen::Inproc(incoming), stop));
    let caller = Caller::over(channel, &token).unwrap();
    let mut stream =
        caller.events().watch_connections(WatchConnectionsRequest::default()).await.unwrap().into_inner();
    let mut next = async || timeout(PATIENCE, stream.message()).await.expect("a message");
    next().await.unwrap();
    let told = world.happens(&connection, 1).await;
    let event = loop {
        if let Some(event) = next().await.unwrap().unwrap().event {
            break event;
        }
    };
    assert_eq!(event.id, told.id.as_str());
    world.shutdown.stop();
    let end = loop {
        match next().await {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert_eq!(end.unwrap_err().code(), Code::Unavailable);
    drop(caller);
    timeout(PATIENCE, serving).await.expect("nothing holds the server").unwrap().unwrap();
}

/// Transactions overlap and commit in any order while the watcher is cut off after every few messages.
async fn resumes_without_a_gap(database: TestDatabase) {
    const WRITERS: u64 = 5;
    const EACH: i64 = 30;
    let world = World::on(database).await;
    let _replica = world.replica().await;
    let mut stream = watch(&world, &platform(), "", "").await.unwrap();
    let mut token = message(&mut stream).await.unwrap().resume_token;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (_, connection) = world.customer().await;
        let store = tidemark_testkit::open_store(&world.database.url()).await;
        let (clock, entropy) = (world.clock.clone(), world.entropy.clone());
        writers.spawn(async move {
            let mut ids = Vec::new();
            for round in 0..EACH {
                let organization_id = OrganizationId::everybody();
                let data = tidemark_domain::event::Data::Reconnected(tidemark_domain::event::Reconnected {
                    organization_id,
                    generation: round,
                });
                let event = tidemark_domain::event::Event::new(&*clock, &*entropy, connection.clone(), data);
                let tx = store.begin().await.unwrap();
                tx.emit(&event).await.unwrap();
                tokio::time::sleep(Duration::from_millis((writer * 7 + round as u64 * 3) % 12)).await;
                tx.commit().await.unwrap();
                ids.push(event.id.to_string());
            }
            ids
        });
    }
    let mut told = Vec::new();
    let mut streams = 1;
    while told.len() < WRITERS as usize * EACH as usize {
        for _ in 0..7 {
            if told.len() == WRITERS as usize * EACH as usize {
                break;
            }
            let (event, behind) = event(&mut stream).await;
            told.push(event.id);
            token = behind;
        }
        stream = watch(&world, &platform(), "", &token).await.unwrap();
        streams += 1;
    }
    let mut written = BTreeSet::new();
    while let Some(writer) = writers.join_next().await {
        written.extend(writer.unwrap());
    }
    assert_eq!(told.iter().cloned().collect::<BTreeSet<_>>(), written, "all of them");
    assert_eq!(told.len(), written.len(), "and each once, since no message was lost on the way");
    assert!(streams > 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resumes_without_a_gap_on_postgres() {
    resumes_without_a_gap(TestDatabase::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resumes_without_a_gap_on_sqlite() {
    resumes_without_a_gap(TestDatabase::sqlite_file().await).await;
}
