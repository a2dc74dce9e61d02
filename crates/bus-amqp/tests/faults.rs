//! The RabbitMQ adapter on a bad network, and what it tells about it.

mod broker;

use std::{collections::BTreeMap, error::Error, time::Duration};

use tidemark_bus_amqp::{AmqpBus, ConnectError};
use tidemark_ports::{
    AckLost, Bus, Delivery, Message, Receipt, Route, Subscription, Verdict, topology::SYNC_RUN,
};
use tidemark_testkit::Proxy;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::{sleep, timeout},
};

fn command(id: &str) -> Message {
    let route = Route::Command("sync.run".to_owned());
    Message { id: id.to_owned(), route, headers: BTreeMap::new(), body: "{}".into() }
}

async fn next(subscription: &mut Box<dyn Subscription>) -> Delivery {
    timeout(Duration::from_secs(30), subscription.next()).await.expect("a delivery within 30 s")
}

async fn publish_until_accepted(bus: &AmqpBus, message: Message) {
    let accepted = async {
        while bus.publish(vec![message.clone()]).await != [Receipt::Accepted] {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(30), accepted).await.expect("accepted within 30 s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_is_survived_by_subscriber_and_publisher() {
    let url = broker::url();
    let prefix = broker::unique_prefix();
    let proxy = Proxy::start(&url).await;
    let direct = AmqpBus::new(&url, &prefix).expect("the URL is fine");
    let bus = AmqpBus::new(&proxy.url(&url), &prefix).expect("the URL is fine");

    let mut runs = bus.subscribe(&SYNC_RUN, 10).await;
    assert_eq!(bus.publish(vec![command("held")]).await, [Receipt::Accepted]);
    let held = next(&mut runs).await;

    proxy.cut().await;
    let receipts = timeout(Duration::from_secs(15), bus.publish(vec![command("lost"), command("too")])).await;
    assert_eq!(receipts.expect("an answer"), [Receipt::Unknown, Receipt::Unknown]);
    assert_eq!(direct.publish(vec![command("during")]).await, [Receipt::Accepted]);

    proxy.mend();
    let mut came = Vec::new();
    for _ in 0..2 {
        let delivery = next(&mut runs).await;
        came.push((delivery.message.id.clone(), delivery.redelivered));
        delivery.settle(Verdict::Ack).await.expect("the new connection takes it");
    }
    came.sort();
    assert_eq!(came, [("during".to_owned(), false), ("held".to_owned(), true)]);
    assert_eq!(held.settle(Verdict::Ack).await, Err(AckLost), "of a connection that is gone");
    publish_until_accepted(&bus, command("after")).await;
    assert_eq!(next(&mut runs).await.message.id, "after");

    drop(runs);
    direct.delete_topology().await.expect("the topology can be deleted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_starts_while_the_broker_is_down() {
    let url = broker::url();
    let proxy = Proxy::start(&url).await;
    proxy.cut().await;
    let bus = AmqpBus::new(&proxy.url(&url), &broker::unique_prefix()).expect("the URL is fine");
    let mut runs = timeout(Duration::from_secs(15), bus.subscribe(&SYNC_RUN, 1)).await.expect("it returns");
    assert_eq!(bus.publish(vec![command("early")]).await, [Receipt::Unknown]);
    proxy.mend();
    publish_until_accepted(&bus, command("late")).await;
    let delivery = next(&mut runs).await;
    assert_eq!(delivery.message.id, "late");
    delivery.settle(Verdict::Ack).await.expect("the broker takes it");
    drop(runs);
    bus.delete_topology().await.expect("the topology can be deleted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_cuts_lose_nothing() {
    let url = broker::url();
    let proxy = Proxy::start(&url).await;
    let bus = AmqpBus::new(&proxy.url(&url), &broker::unique_prefix()).expect("the URL is fine");
    let mut runs = bus.subscribe(&SYNC_RUN, 5).await;
    for round in 0..4 {
        let id = format!("msg_{round}");
        publish_until_accepted(&bus, command(&id)).await;
        proxy.cut().await;
        proxy.mend();
        // It may come more than once; settled on a dead connection, it comes again.
        loop {
            let delivery = next(&mut runs).await;
            let same = delivery.message.id == id;
            if delivery.settle(Verdict::Ack).await.is_ok() && same {
                break;
            }
        }
    }
    drop(runs);
    publish_until_accepted(&bus, command("end")).await;
    bus.delete_topology().await.expect("the topology can be deleted");
}

#[tokio::test]
async fn check_tells_the_version_or_what_was_attempted() {
    let bus = AmqpBus::new(&broker::url(), "t").expect("the URL is fine");
    let version = bus.check().await.expect("the broker answers").version.expect("no TLS here");
    assert!(version.starts_with(|first: char| first.is_ascii_digit()), "{version}");

    let error = check("amqp://guest:hunter2@127.0.0.1:1/%2f").await;
    assert_eq!(error.to_string(), "cannot reach amqp://127.0.0.1:1//");
    assert!(error.source().is_some_and(|source| source.to_string().contains("refused")), "{error:?}");

    let error = check("amqp://guest:hunter2@[::1]:1/%2f").await;
    assert_eq!(error.to_string(), "cannot reach amqp://[::1]:1//");

    let wrong = Proxy::start(&broker::url()).await.url("amqp://nobody:hunter2@127.0.0.1:5672/%2f");
    let error = check(&wrong).await;
    assert!(matches!(error, ConnectError::Refused { .. }), "{error:?}");

    for url in [
        "http://guest:hunter2@127.0.0.1",
        "amqp:hunter2",
        "amqp://guest:hunter2@broker.example.com:5672",
        "amqp://guest:hunter2@[2001:db8::1]:5672",
        "hunter2",
    ] {
        let error = AmqpBus::new(url, "t").expect_err("not an AMQP URL");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error} {error:?}");
    }
}

#[tokio::test]
async fn check_tells_a_silent_peer_from_a_stranger() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let error = check(&at(&silent)).await;
    assert!(matches!(error, ConnectError::Silent { .. }), "{error:?}");

    let stranger = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = at(&stranger);
    tokio::spawn(async move {
        let (mut client, _) = stranger.accept().await.expect("a client");
        client.read_exact(&mut [0; 8]).await.expect("the AMQP header");
        client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("an answer");
    });
    let error = check(&url).await;
    assert!(matches!(error, ConnectError::NotAmqp { .. }), "{error:?}");
}

fn at(listener: &TcpListener) -> String {
    format!("amqp://guest:hunter2@{}/%2f", listener.local_addr().expect("an address"))
}

/// The error of a check, which must not hold the password.
async fn check(url: &str) -> ConnectError {
    let bus = AmqpBus::new(url, "t").expect("the URL is fine");
    let error = bus.check().await.expect_err("no broker that lets us in");
    assert!(!format!("{error} {error:?} {bus:?}").contains("hunter2"), "{error} {error:?} {bus:?}");
    error
}
