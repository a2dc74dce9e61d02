//! Several processes on one record: each endpoint gets each event once.

use std::collections::BTreeSet;

use tidemark_rpc::connections::WebhookDeliveryState as State;
use tidemark_testkit::TestDatabase;

use crate::{receiver::Receiver, world::World};

const EVENTS: i64 = 120;

async fn each_event_arrives_once(database: TestDatabase) {
    let world = World::on(database).await;
    let _others = [world.replica().await, world.replica().await];
    let (_, connection) = world.customer().await;
    let receivers = [Receiver::start().await, Receiver::start().await, Receiver::start().await];
    let mut endpoints = Vec::new();
    for receiver in &receivers {
        endpoints.push(world.endpoint(&receiver.url).await.0);
    }
    let mut expected = BTreeSet::new();
    for number in 0..EVENTS {
        expected.insert(world.happens(&connection, number).await.id.to_string());
    }
    for (receiver, endpoint) in receivers.iter().zip(&endpoints) {
        receiver.wait_for(EVENTS as usize).await;
        // The newest fifty; all of them were taken at the first attempt.
        let log = world
            .wait_for_log(endpoint, |log| {
                log.len() == 50 && log.iter().all(|one| one.state() == State::Delivered)
            })
            .await;
        assert!(log.iter().all(|delivery| delivery.attempts.len() == 1));
        let hooks = receiver.hooks();
        assert_eq!(hooks.len(), EVENTS as usize, "none twice");
        let arrived: BTreeSet<_> = hooks.iter().map(|hook| hook.id().to_owned()).collect();
        assert_eq!(arrived, expected, "and all of them");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_arrives_once_on_postgres() {
    each_event_arrives_once(TestDatabase::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_arrives_once_on_sqlite() {
    each_event_arrives_once(TestDatabase::sqlite_file().await).await;
}
