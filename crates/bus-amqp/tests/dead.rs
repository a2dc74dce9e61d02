//! Dead letters on a real broker: listed with their reason, sent again to their own queue only, dropped.

mod broker;

use std::{collections::BTreeMap, time::Duration};

use tidemark_bus_amqp::{AmqpBus, Burial};
use tidemark_ports::{
    Bus, Message, Receipt, Route, Verdict,
    topology::{SYNC_CONNECTIONS, SYNC_RUN, TOPOLOGY},
};

fn command(id: &str) -> Message {
    let headers = BTreeMap::from([("traceparent".to_owned(), "00-1-2-01".to_owned())]);
    let route = Route::Command("sync.run".to_owned());
    Message { id: id.to_owned(), route, headers, body: id.to_owned().into_bytes().into() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_listed_replayed_and_dropped() {
    let bus = AmqpBus::new(&broker::url(), &broker::unique_prefix()).unwrap();
    bus.check().await.expect("this test needs RabbitMQ");
    let mut runs = bus.subscribe(&SYNC_RUN, 10).await;
    let sent = bus.publish(["a", "b", "c"].map(command).to_vec()).await;
    assert_eq!(sent, [Receipt::Accepted; 3]);
    for _ in 0..3 {
        runs.next().await.settle(Verdict::DeadLetter).await.unwrap();
    }
    let letters = loop {
        let letters = bus.dead_letters(&TOPOLOGY).await.unwrap();
        if letters.len() == 3 {
            break letters;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    for (letter, id) in letters.iter().zip(["a", "b", "c"]) {
        assert_eq!((letter.queue, letter.id.as_str(), letter.name.as_str()), ("sync.run", id, "sync.run"));
        assert_eq!((letter.reason.as_str(), letter.deaths, &letter.body[..]), ("rejected", 1, id.as_bytes()));
        assert!(letter.died_at_s.is_some());
    }
    assert!(bus.dead_letters(&[SYNC_CONNECTIONS]).await.unwrap().is_empty());

    let replayed = bus.bury(&TOPOLOGY, Burial::Replay, |letter| letter.id == "b").await.unwrap();
    assert_eq!(replayed.len(), 1);
    let again = runs.next().await;
    assert_eq!((again.message.id.as_str(), &again.message.body[..]), ("b", &b"b"[..]));
    assert_eq!(again.message.headers.get("traceparent").map(String::as_str), Some("00-1-2-01"));
    again.settle(Verdict::Ack).await.unwrap();

    let dropped = bus.bury(&TOPOLOGY, Burial::Drop, |letter| letter.id == "a").await.unwrap();
    assert_eq!(dropped.len(), 1);
    let left = bus.dead_letters(&TOPOLOGY).await.unwrap();
    assert_eq!(left.iter().map(|letter| letter.id.as_str()).collect::<Vec<_>>(), ["c"]);
    assert!(bus.bury(&TOPOLOGY, Burial::Drop, |letter| letter.id == "z").await.unwrap().is_empty());
    drop(runs);
    bus.delete_topology().await.unwrap();
}

/// More often than any limit of the broker's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_at_dead_letters_again_and_again_drops_none() {
    let bus = AmqpBus::new(&broker::url(), &broker::unique_prefix()).unwrap();
    let mut runs = bus.subscribe(&SYNC_RUN, 1).await;
    assert_eq!(bus.publish(vec![command("kept")]).await, [Receipt::Accepted]);
    runs.next().await.settle(Verdict::DeadLetter).await.unwrap();
    let mut seen = 0;
    let looked = async {
        while seen < 30 {
            seen += bus.dead_letters(&[SYNC_RUN]).await.unwrap().len();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), looked).await.expect("it is there each time");
    assert_eq!(bus.dead_letters(&[SYNC_RUN]).await.unwrap().len(), 1);
    drop(runs);
    bus.delete_topology().await.unwrap();
}
