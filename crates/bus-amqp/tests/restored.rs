//! What somebody deletes at the broker comes back while the services run, and what is there with other arguments is used.

mod broker;

use std::{collections::BTreeMap, time::Duration};

use lapin::{
    Channel, Connection, ConnectionProperties, ExchangeKind,
    options::{ExchangeDeclareOptions, ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};
use tidemark_bus_amqp::AmqpBus;
use tidemark_ports::{
    Bus, Message, Receipt, Route, Subscription, Verdict,
    topology::{SYNC_RUN, TOPOLOGY, UTILIZATION_SYNCS},
};
use tokio::time::{sleep, timeout};

const DEADLINE: Duration = Duration::from_secs(60);

fn message(id: &str, route: Route) -> Message {
    Message { id: id.to_owned(), route, headers: BTreeMap::new(), body: "{}".into() }
}

fn event(id: &str) -> Message {
    message(id, Route::Event("sync.completed".to_owned()))
}

fn command(id: &str) -> Message {
    message(id, Route::Command("sync.run".to_owned()))
}

async fn channel() -> (Connection, Channel) {
    let connection = Connection::connect(&broker::url(), ConnectionProperties::default()).await;
    let connection = connection.expect("these tests need RabbitMQ");
    let channel = connection.create_channel().await.expect("a channel");
    (connection, channel)
}

/// Publishes until one arrives.
async fn arrives(bus: &AmqpBus, subscription: &mut Box<dyn Subscription>, message: Message) {
    let id = message.id.clone();
    let arrived = async {
        loop {
            bus.publish(vec![message.clone()]).await;
            let Ok(delivery) = timeout(Duration::from_millis(500), subscription.next()).await else {
                continue;
            };
            let same = delivery.message.id == id;
            if delivery.settle(Verdict::Ack).await.is_ok() && same {
                return;
            }
        }
    };
    timeout(DEADLINE, arrived).await.unwrap_or_else(|_| panic!("{id} did not arrive within {DEADLINE:?}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_binding_of_events_comes_back_while_the_subscriber_runs() {
    let prefix = broker::unique_prefix();
    let bus = AmqpBus::new(&broker::url(), &prefix).unwrap();
    let mut syncs = bus.subscribe(&UTILIZATION_SYNCS, 1).await;
    arrives(&bus, &mut syncs, event("before")).await;
    let (_connection, channel) = channel().await;
    let (queue, exchange) = (format!("{prefix}.utilization.syncs"), format!("{prefix}.events"));
    channel
        .queue_unbind(queue.into(), exchange.into(), "sync.completed".into(), FieldTable::default())
        .await
        .unwrap();
    arrives(&bus, &mut syncs, event("after")).await;
    drop(syncs);
    bus.delete_topology().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_binding_of_a_command_comes_back_with_the_command_that_was_returned() {
    let prefix = broker::unique_prefix();
    let bus = AmqpBus::new(&broker::url(), &prefix).unwrap();
    assert_eq!(bus.publish(vec![command("before")]).await, [Receipt::Accepted]);
    let (_connection, channel) = channel().await;
    let (queue, exchange) = (format!("{prefix}.sync.run"), format!("{prefix}.commands"));
    channel
        .queue_unbind(queue.into(), exchange.into(), "sync.run".into(), FieldTable::default())
        .await
        .unwrap();
    // Nobody subscribes: the publisher itself finds out.
    assert_eq!(bus.publish(vec![command("returned")]).await, [Receipt::Unroutable]);
    assert_eq!(bus.publish(vec![command("returned")]).await, [Receipt::Accepted]);
    bus.delete_topology().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_queue_and_a_deleted_exchange_come_back() {
    let prefix = broker::unique_prefix();
    let bus = AmqpBus::new(&broker::url(), &prefix).unwrap();
    let mut runs = bus.subscribe(&SYNC_RUN, 1).await;
    arrives(&bus, &mut runs, command("before")).await;
    let (_connection, channel) = channel().await;
    channel.queue_delete(format!("{prefix}.sync.run").into(), QueueDeleteOptions::default()).await.unwrap();
    arrives(&bus, &mut runs, command("without the queue")).await;
    channel
        .exchange_delete(format!("{prefix}.commands").into(), ExchangeDeleteOptions::default())
        .await
        .unwrap();
    arrives(&bus, &mut runs, command("without the exchange")).await;
    channel
        .queue_delete(format!("{prefix}.sync.run.dead").into(), QueueDeleteOptions::default())
        .await
        .unwrap();
    let back = async {
        while !bus.sounder().depths().await.unwrap().iter().all(|depth| depth.exists) {
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(DEADLINE, back).await.expect("the dead-letter queue comes back");
    drop(runs);
    bus.delete_topology().await.unwrap();
}

/// As an earlier version, a newer one or a person may have left them: another limit, another bound.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_that_are_there_with_other_arguments_are_used_and_keep_their_messages() {
    let prefix = broker::unique_prefix();
    let (_connection, channel) = channel().await;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    for (name, limit) in [("sync.run.dead", 7), ("sync.run", 5)] {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(limit));
        channel.queue_declare(format!("{prefix}.{name}").into(), durable, arguments).await.unwrap();
    }
    let exchange = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel
        .exchange_declare(
            format!("{prefix}.commands").into(),
            ExchangeKind::Direct,
            exchange,
            FieldTable::default(),
        )
        .await
        .unwrap();
    let bus = AmqpBus::new(&broker::url(), &prefix).unwrap();
    assert_eq!(bus.publish(vec![command("kept")]).await, [Receipt::Accepted]);
    let mut runs = bus.subscribe(&SYNC_RUN, 1).await;
    arrives(&bus, &mut runs, command("kept")).await;
    assert!(bus.dead_letters(&TOPOLOGY).await.unwrap().is_empty());
    drop(runs);
    bus.delete_topology().await.unwrap();
}
