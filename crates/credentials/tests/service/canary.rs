//! A key passes through everything, and everything that was written down is searched for it.

use tidemark_rpc::{
    connections::{BeginConsentResponse, Capability, Region},
    credentials::Verdict,
};
use tidemark_testkit::{Sink, assert_absent};
use tonic::Code;

use crate::world::{CLIENT, CLIENT_SECRET, GLOBEX, SESSION, World, keys, told};

const CANARY: &str = "pb-canary-4f1c9a7be2d853";
const NEXT: &str = "pb-canary-0d77e1a6c3b924";
const UNKNOWN: &str = "pb-canary-9b20f4d81e65ca";

#[tokio::test]
async fn no_key_is_in_any_log_status_debug_output_or_file() {
    let sink = Sink::default();
    let writer = sink.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}/canary.sqlite", folder.path().display());
    let world = World::on(&database).await;
    world.simulator.issue_token("acme", CANARY);
    world.simulator.issue_token("acme", NEXT);

    let mut statuses = Vec::new();
    let id = world.create(CANARY).await.unwrap().id;
    statuses.push(world.create(UNKNOWN).await.unwrap_err());
    statuses.push(world.create(&format!("Bearer {CANARY}")).await.unwrap_err());
    let token = world.token(&id).await.unwrap();
    assert_eq!(token.access_token, CANARY);
    world.simulator.faults(CANARY, |faults| faults.fail_next.extend([503, 503]));
    assert_eq!(world.report(&id, 1).await.unwrap(), Verdict::Undecided);
    world.simulator.revoke(CANARY);
    assert_eq!(world.report(&id, 1).await.unwrap(), Verdict::ReconnectRequired);
    statuses.push(world.token(&id).await.unwrap_err());
    statuses.push(world.reconnect(&id, GLOBEX).await.unwrap_err());
    statuses.push(world.reconnect(&id, UNKNOWN).await.unwrap_err());
    let connection = world.reconnect(&id, NEXT).await.unwrap();
    assert_eq!(world.token(&id).await.unwrap().access_token, NEXT);
    statuses.push(world.create_in(Region::Eu, NEXT).await.unwrap_err());
    let (granted, begun) = granted(&world, &id, &mut statuses).await;
    assert!(statuses.iter().all(|status| status.code() != Code::Internal), "{statuses:?}");

    let mut secrets = granted;
    secrets.extend([CANARY, NEXT, UNKNOWN, CLIENT_SECRET, SESSION, &keys()].map(str::to_owned));
    let assert_clean = |place: &str, bytes: &[u8]| assert_absent(&secrets, place, bytes);
    for status in &statuses {
        assert_clean("a status", told(status).as_bytes());
    }
    let row = world.store.connection(&id.parse().unwrap()).await.unwrap();
    let sealed = world.store.credential(&id.parse().unwrap(), 2).await.unwrap();
    let outgoing = world.store.outgoing_of(&id.parse().unwrap()).await.unwrap();
    let World { service, store, .. } = &world;
    let shown = format!(
        "{service:?} {service:#?} {store:?} {row:?} {sealed:?} {outgoing:?} {token:?} {connection:?} {begun:?}"
    );
    assert_clean("Debug output", shown.as_bytes());
    for event in outgoing {
        assert_clean("an event", &event.body);
    }

    let mut files = 0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        files += 1;
        assert_clean(&path.display().to_string(), &std::fs::read(&path).unwrap());
    }
    assert!(files > 0, "the database is in the folder");

    let log = sink.bytes();
    let text = String::from_utf8_lossy(&log);
    for line in ["connection created", "connection lost", "connection reconnected", "TRACE"] {
        assert!(text.contains(line), "the log was captured: {line}");
    }
    assert_clean("the log", &log);
}

/// Everything secret about a consent beside the key, its renewal and its end; what the browser and callers see of it.
async fn granted(
    world: &World,
    id: &str,
    statuses: &mut Vec<tonic::Status>,
) -> (Vec<String>, BeginConsentResponse) {
    let begun = world.begin(id).await.unwrap();
    let answer = world.answer(&begun, "acme");
    let mut secrets = vec![answer.state.clone(), answer.code.clone()];
    world.completed(answer.clone()).await.unwrap();
    statuses.push(world.completed(answer).await.unwrap_err());
    world.simulator.revoke(NEXT);
    for hours in [0, 23, 23] {
        world.advance(chrono::TimeDelta::hours(hours));
        world.simulator.app_faults(CLIENT, |faults| faults.token_answer_lost = 1);
        secrets.push(world.token_for(id, Capability::Notes).await.unwrap().access_token);
    }
    world.probe(id).await.unwrap();
    (secrets, begun)
}
