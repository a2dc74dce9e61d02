//! What fails stops only itself: a workspace, a delivery, a round of the sweep; and what is lost is found in the database.

use std::sync::atomic::{AtomicU32, Ordering};

use chrono::TimeDelta;
use tidemark_runtime::{OsEntropy, SystemClock};
use tidemark_testkit::{Proxy, TestDatabase};

use super::*;
use crate::recompute::{Cause, recompute};

/// Panics as often as it is told, and is random then.
#[derive(Debug)]
struct Panicking(AtomicU32, SeededEntropy);

impl Entropy for Panicking {
    fn fill(&self, buffer: &mut [u8]) {
        let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert!(left.is_err(), "a test");
        self.1.fill(buffer);
    }
}

async fn written(store: &Store, connection: &ConnectionId) {
    until(async || store.rollup_head(connection).await.unwrap()).await;
}

/// Neither has an event: the sweep finds both.
#[tokio::test]
async fn a_panic_stops_one_workspace_and_its_turn_comes_again() {
    let sample = Sample::new(0..DAYS).await;
    let (store, bus) = (sample.store(), InprocBus::new());
    let neighbour = sample.neighbour().await;
    let clock = Arc::new(ManualClock::noon(at(DAYS)));
    let entropy = Arc::new(Panicking(AtomicU32::new(1), SeededEntropy::new(11)));
    let process = Process::start_with(store.clone(), bus, clock.clone(), entropy);
    let one = until(async || {
        let heads = [&sample.connection, &neighbour].map(|id| store.rollup_head(id));
        let [sample, neighbour] = heads;
        match (sample.await.unwrap(), neighbour.await.unwrap()) {
            (None, None) => None,
            heads => Some(heads),
        }
    })
    .await;
    assert!(one.0.is_none() || one.1.is_none(), "the other waits for its next attempt");
    let failed = if one.0.is_none() { &sample.connection } else { &neighbour };
    let due = store.rollups_due(at(DAYS), clock.now(), 9).await.unwrap();
    assert_eq!(due, [], "for all processes");
    clock.advance(TimeDelta::seconds(1));
    assert_eq!(store.rollups_due(at(DAYS), clock.now(), 9).await.unwrap(), std::slice::from_ref(failed));
    written(&store, failed).await;
    process.stop().await;
}

#[tokio::test]
async fn a_panic_at_an_event_settles_it_and_the_sweep_goes_on() {
    let sample = Sample::new(0..DAYS).await;
    let (store, bus) = (sample.store(), InprocBus::new());
    let process = Process::start(store.clone(), bus.clone());
    written(&store, &sample.connection).await;
    process.stop().await;
    sample.add_activity(1, DAYS - 1).await;

    let clock = Arc::new(ManualClock::noon(at(DAYS)));
    let entropy = Arc::new(Panicking(AtomicU32::new(1), SeededEntropy::new(11)));
    let process = Process::start_with(store.clone(), bus.clone(), clock.clone(), entropy);
    process.announce(&sample.completed()).await;
    // It failed, was asked for again, and waits.
    until(async || {
        let later = clock.now() + TimeDelta::hours(1);
        let due = store.rollups_due(at(DAYS), later, 9).await.unwrap();
        let now = store.rollups_due(at(DAYS), clock.now(), 9).await.unwrap();
        (!due.is_empty() && now.is_empty()).then_some(())
    })
    .await;
    clock.advance(TimeDelta::seconds(1));
    let revision = store.rollup_mark(&sample.connection).await.unwrap().revision;
    until(async || {
        let head = store.rollup_head(&sample.connection).await.unwrap();
        head.filter(|head| head.revision >= revision)
    })
    .await;
    process.stop().await;
    assert_eq!(bus.dead_letters(&UTILIZATION_SYNCS), []);
}

/// It is claimed by a process that is gone: nobody waits for longer than the claim.
#[tokio::test]
async fn a_workspace_whose_claimer_died_is_taken_by_another() {
    let sample = Sample::new(0..DAYS).await;
    let (store, clock) = (sample.store(), Arc::new(ManualClock::noon(at(DAYS))));
    let until = clock.now() + TimeDelta::seconds(20);
    let dead = store.claim_rollup(&sample.connection, clock.now(), until).await.unwrap();
    assert!(dead.is_some());
    let entropy = Arc::new(SeededEntropy::new(11));
    let process = Process::start_with(store.clone(), InprocBus::new(), clock.clone(), entropy);
    process.announce(&sample.completed()).await;
    assert_eq!(process.ask(sample.connection.as_str()).await.unwrap_err().code(), Code::NotFound);
    clock.advance(TimeDelta::seconds(20));
    written(&store, &sample.connection).await;
    process.stop().await;
}

#[tokio::test]
async fn the_first_rollup_is_made_although_its_event_was_lost() {
    let sample = Sample::new(0..DAYS).await;
    let process = Process::start(sample.store(), InprocBus::new());
    assert_eq!(process.summary(&sample.connection).await, sample.expected());
    process.stop().await;
}

/// As a later version sends them, and what is no event at all.
#[tokio::test]
async fn unknown_events_are_acknowledged_and_only_what_is_none_is_a_dead_letter() {
    let sample = Sample::new(0..DAYS).await;
    let process = Process::start(sample.store(), InprocBus::new());
    let text = String::from_utf8(sample.completed().encode()).unwrap();
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to).into_bytes()
    };
    process.publish("later version", changed("sync.completed:v1", "sync.completed:v7")).await;
    process.publish("later type", changed("\"sync.completed\"", "\"sync.dreamt\"")).await;
    process.publish("later state", changed("\"succeeded\"", "\"astounded\"")).await;
    let other = include_bytes!("../../../../../tests/fixtures/events/sync.failed.v1.json");
    process.publish("another event", other.to_vec()).await;
    process.publish("no event", b"{}".to_vec()).await;
    process.publish("no JSON", b"\xff".to_vec()).await;
    process.announce(&sample.completed()).await;
    process.summary(&sample.connection).await;
    let bus = process.bus.clone();
    process.stop().await;
    let mut dead: Vec<_> =
        bus.dead_letters(&UTILIZATION_SYNCS).into_iter().map(|message| message.id).collect();
    dead.sort();
    assert_eq!(dead, ["no JSON", "no event"]);
    // Nor do the others wait there for ever.
    let mut rest = bus.subscribe(&UTILIZATION_SYNCS, 9).await;
    assert!(tokio::time::timeout(Duration::from_millis(50), rest.next()).await.is_err());
}

/// The database is away while events come, and nothing waits for their back-off when it is there again.
#[tokio::test]
async fn rollups_are_written_seconds_after_the_database_is_back() {
    let sample = Sample::within(TestDatabase::postgres().await, 0..DAYS).await;
    // The large one has its numbers: what is measured is the waiting.
    let turn = Cause::Turn(sample.connection.clone());
    recompute(&sample.store(), &SystemClock, &OsEntropy, &turn).await.unwrap();
    let mut connections = Vec::new();
    for _ in 0..5 {
        connections.push(sample.neighbour().await);
    }
    let url = sample.database.url();
    let proxy = Proxy::start(&url).await;
    let store = open_store(&proxy.url(&url)).await;
    proxy.cut().await;
    let bus = InprocBus::new();
    let process = Process::start_with(store, bus.clone(), Arc::new(SystemClock), Arc::new(OsEntropy));
    for connection in &connections {
        let event = Event { connection_id: connection.clone(), ..sample.completed() };
        let event = Event { id: EventId::generate(&sample.clock, &sample.entropy), ..event };
        process.announce(&event).await;
    }
    // The first have failed, and were settled.
    until(async || (process.waiting.asked() > 0).then_some(())).await;
    proxy.mend();
    let back = std::time::Instant::now();
    for connection in &connections {
        written(&sample.store(), connection).await;
    }
    assert!(back.elapsed() < Duration::from_secs(15), "{:?}", back.elapsed());
    process.stop().await;
    assert_eq!(bus.dead_letters(&UTILIZATION_SYNCS), []);
}
