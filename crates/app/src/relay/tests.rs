//! A message that can never be sent holds up neither its connection nor the others; an outage sets nothing aside.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use tidemark_domain::id::ConnectionId;
use tidemark_ports::{Subscription, topology::Queue};
use tidemark_testkit::{ManualClock, SeededEntropy, TestDatabase};

use super::*;

/// Takes everything but what is named poison: that breaks the whole batch. `lost` has no queue.
#[derive(Debug, Default)]
struct OddBus {
    is_down: AtomicBool,
    taken: AtomicUsize,
}

#[async_trait]
impl Bus for OddBus {
    async fn publish(&self, batch: Vec<Message>) -> Vec<Receipt> {
        let broken = batch.iter().any(|message| message.id.starts_with("poison"));
        if broken || self.is_down.load(Ordering::Relaxed) {
            return vec![Receipt::Unknown; batch.len()];
        }
        let receipt = |message: &Message| {
            if message.id.starts_with("lost") {
                return Receipt::Unroutable;
            }
            self.taken.fetch_add(1, Ordering::Relaxed);
            Receipt::Accepted
        };
        batch.iter().map(receipt).collect()
    }

    async fn subscribe(&self, _: &Queue, _: u16) -> Box<dyn Subscription> {
        unreachable!("a relay consumes nothing")
    }
}

struct World {
    relay: Relay,
    bus: Arc<OddBus>,
    clock: Arc<ManualClock>,
    database: TestDatabase,
}

impl World {
    async fn new() -> Self {
        Self::on(TestDatabase::sqlite_memory().await)
    }

    fn on(database: TestDatabase) -> Self {
        let (bus, clock) = (Arc::new(OddBus::default()), Arc::new(ManualClock::noon(day())));
        let relay = Relay::new(database.store(), Arc::clone(&bus) as _, Arc::clone(&clock) as _);
        Self { relay, bus, clock, database }
    }

    async fn write(&self, key: u64, id: &str, size: usize) {
        let tx = self.database.store().begin().await.unwrap();
        let body = vec![b'x'; size];
        tx.command(id, connection(key).as_str(), "sync.run", body, self.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Rounds, each some time after the one before.
    async fn rounds(&mut self, count: usize, apart: TimeDelta) {
        for _ in 0..count {
            self.relay.round().await.unwrap();
            self.clock.advance(apart);
        }
    }

    async fn unsent(&self) -> u64 {
        self.database.store().unsent().await.unwrap().count
    }

    /// Ids and failures of what is set aside.
    async fn dead(&self) -> Vec<(String, Option<String>)> {
        let stuck = self.database.store().stuck_outgoing(100).await.unwrap();
        let dead = stuck.into_iter().filter(|message| message.dead_at.is_some());
        dead.map(|message| (message.message_id, message.failure)).collect()
    }
}

fn day() -> chrono::NaiveDate {
    chrono::NaiveDate::from_ymd_opt(2026, 3, 1).unwrap()
}

fn connection(seed: u64) -> ConnectionId {
    ConnectionId::generate(&ManualClock::noon(day()), &SeededEntropy::new(seed))
}

const MINUTES: TimeDelta = TimeDelta::seconds(900);

#[tokio::test]
async fn a_message_without_a_queue_waits_longer_each_time_and_is_set_aside() {
    let mut world = World::new().await;
    world.write(1, "lost", 1).await;
    world.write(1, "behind", 1).await;
    world.write(2, "other", 1).await;
    world.rounds(1, TimeDelta::zero()).await;
    assert_eq!(world.unsent().await, 2, "the other connection does not wait");
    let stuck = world.database.store().stuck_outgoing(10).await.unwrap();
    assert_eq!(stuck[0].next_attempt_at, Some(world.clock.now() + TimeDelta::seconds(1)));
    world.rounds(1, TimeDelta::seconds(1)).await;
    world.rounds(1, TimeDelta::zero()).await;
    let stuck = world.database.store().stuck_outgoing(10).await.unwrap();
    assert_eq!(
        (stuck[0].attempts, stuck[0].next_attempt_at),
        (2, Some(world.clock.now() + TimeDelta::seconds(2)))
    );
    world.rounds(30, MINUTES).await;
    assert_eq!(world.dead().await, [("lost".to_owned(), Some("unroutable".to_owned()))]);
    assert_eq!(world.unsent().await, 0, "its key goes on");
    assert_eq!(world.bus.taken.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn what_no_broker_takes_is_set_aside_at_once() {
    let mut world = World::new().await;
    world.write(1, "large", LARGEST_BODY + 1).await;
    world.write(1, "behind", LARGEST_BODY).await;
    world.write(2, &"long".repeat(64), 1).await;
    world.rounds(2, TimeDelta::zero()).await;
    let dead = world.dead().await;
    assert_eq!(dead[0], ("large".to_owned(), Some("too large".to_owned())));
    assert_eq!(dead[1].1.as_deref(), Some("its name or id is too long"));
    assert_eq!((world.unsent().await, world.bus.taken.load(Ordering::Relaxed)), (0, 1));
}

#[tokio::test]
async fn a_message_that_breaks_the_channel_stops_only_itself() {
    let mut world = World::new().await;
    for key in 0..5 {
        world.write(key, if key == 0 { "poison" } else { "fine" }, 1).await;
    }
    world.write(0, "behind", 1).await;
    world.rounds(4, TimeDelta::seconds(1)).await;
    assert_eq!(world.bus.taken.load(Ordering::Relaxed), 4, "all others have left");
    for _ in 0..40 {
        // The broker takes something now and then, and so it is not the broker.
        world.write(9, "fine", 1).await;
        world.rounds(2, MINUTES).await;
    }
    assert_eq!(world.dead().await, [("poison".to_owned(), Some("not taken".to_owned()))]);
    assert_eq!(world.unsent().await, 0);
}

#[tokio::test]
async fn an_outage_of_the_broker_sets_nothing_aside() {
    let mut world = World::new().await;
    world.write(1, "first", 1).await;
    world.rounds(1, TimeDelta::seconds(1)).await;
    world.bus.is_down.store(true, Ordering::Relaxed);
    for key in 0..5 {
        world.write(key, "waits", 1).await;
    }
    world.rounds(300, TimeDelta::seconds(600)).await;
    assert_eq!((world.dead().await, world.unsent().await), (Vec::new(), 5));
    world.bus.is_down.store(false, Ordering::Relaxed);
    world.rounds(10, TimeDelta::seconds(60)).await;
    assert_eq!(world.unsent().await, 0);
}
